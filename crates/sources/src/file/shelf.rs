//! The files as numbered parts, which workers take one after another and decode at the same time.
//!
//! Under the lock a worker only takes bytes: whole lines, read and unpacked in order. It decodes them on its own, so that
//! one worker reads or unpacks while another decodes, within a file and over the end of it. Layouts that are no lines are
//! decoded under the lock. Each part counts lines and records from its own start; who delivers the parts puts them in
//! order and adds up (see [`super::feed`]). Memory is one block and one part per worker.

use super::Format;
use super::bytes::Block;
use super::container::Inputs;
use super::error::FileError;
use super::lines::{LineDecoder, Yield};
use super::open_file::OpenFile;
use super::settings::FileFeedSettings;
use super::sift::Sift;
use barmill_core::model::Trade;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A decoded part, to be delivered after those with smaller numbers.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) number: u64,
    pub(super) trades: Vec<Trade>,
    pub(super) sift: Sift,
    /// Lines of the part.
    pub(super) lines: u64,
    /// For the first part of a file, the lines before it.
    pub(super) first: Option<u64>,
    /// Whether some trade has the ordinal of its record, counted in this part, for a sequence.
    pub(super) is_numbered: bool,
    /// What ended the input behind the trades.
    pub(super) error: Option<FileError>,
}

/// Everything still to read.
pub(super) struct Shelf {
    settings: FileFeedSettings,
    inputs: Inputs,
    current: Option<OpenFile>,
    /// Whether no part of the current file was taken.
    is_new: bool,
    sift: Sift,
    number: u64,
    ended: bool,
    /// Blocks and decoders that no worker uses.
    blocks: Vec<Block>,
    decoders: Vec<LineDecoder>,
    /// The number of the current file's first part.
    file_from: u64,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("settings", &self.settings)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What a worker takes off the shelf.
enum Taken {
    Part(Part),
    Lines {
        part: Part,
        file: Arc<str>,
        format: Format,
        block: Block,
        decoder: LineDecoder,
    },
}

impl Shelf {
    /// Starts with an input that is open already, if any; `sift` is that of an empty part.
    pub(super) fn new(
        settings: FileFeedSettings,
        inputs: Inputs,
        current: Option<OpenFile>,
        sift: Sift,
    ) -> Shelf {
        let (blocks, decoders) = (Vec::new(), Vec::new());
        Shelf {
            settings,
            inputs,
            current,
            is_new: true,
            sift,
            number: 0,
            ended: false,
            blocks,
            decoders,
            file_from: 0,
        }
    }

    fn take(&mut self) -> Option<Taken> {
        if self.ended {
            return None;
        }
        let taken = match self.try_take() {
            Ok(taken) => taken,
            Err(error) => Some(Taken::Part(Part {
                error: Some(error),
                ..self.part()
            })),
        };
        self.ended = match &taken {
            Some(Taken::Part(part)) => part.error.is_some(),
            Some(Taken::Lines { .. }) => false,
            None => true,
        };
        taken
    }

    fn try_take(&mut self) -> Result<Option<Taken>, FileError> {
        loop {
            if let Some(file) = self.current.take() {
                let taken = self.take_of(file)?;
                if taken.is_some() {
                    return Ok(taken);
                }
            }
            self.is_new = true;
            match self.inputs.next()? {
                Some(opened) => self.current = Some(OpenFile::new(opened, &self.settings)?),
                None => return Ok(None),
            }
        }
    }

    /// Takes the next part of a file, and keeps the file while it may have more.
    fn take_of(&mut self, mut file: OpenFile) -> Result<Option<Taken>, FileError> {
        if self.is_new {
            self.decoders.clear();
            self.file_from = self.number;
        }
        let first = self.is_new.then(|| file.lines_before());
        let (Some(decoder), Some(name), Some(format)) =
            (file.line_decoder(), file.name(), file.format())
        else {
            let mut part = self.part();
            match file.fill(
                &mut part.sift,
                &mut part.trades,
                self.settings.batch_len_max.max(1),
            ) {
                Ok(true) => self.current = Some(file),
                Ok(false) => {}
                Err(error) => part.error = Some(error),
            }
            return Ok(Some(Taken::Part(part)));
        };
        let decoder = self.decoders.pop().unwrap_or_else(|| decoder.clone());
        let (name, mut block) = (
            Arc::clone(name),
            self.blocks.pop().unwrap_or_else(Block::new),
        );
        if !file.next_lines(&mut block, self.settings.part_len())? {
            self.blocks.push(block);
            return Ok(None);
        }
        self.current = Some(file);
        let part = Part {
            first,
            ..self.part()
        };
        Ok(Some(Taken::Lines {
            part,
            file: name,
            format,
            block,
            decoder,
        }))
    }

    /// The next part, empty; the first one of a file, without lines before it.
    fn part(&mut self) -> Part {
        let number = self.number;
        self.number += 1;
        self.is_new = false;
        let trades = Vec::with_capacity(self.settings.batch_len_max.clamp(1, 1 << 12));
        Part {
            number,
            trades,
            sift: self.sift.part(),
            lines: 0,
            first: Some(0),
            is_numbered: false,
            error: None,
        }
    }

    fn give_back(&mut self, number: u64, block: Block, decoder: LineDecoder) {
        self.blocks.push(block);
        if self.file_from <= number {
            self.decoders.push(decoder);
        }
    }
}

/// Takes the next part off the shelf and decodes it; `None` when there is none.
pub(super) fn next_part(shelf: &Mutex<Shelf>) -> Option<Part> {
    let taken = lock(shelf).take()?;
    let (mut part, file, format, block, mut decoder) = match taken {
        Taken::Part(part) => return Some(part),
        Taken::Lines {
            part,
            file,
            format,
            block,
            decoder,
        } => (part, file, format, block, decoder),
    };
    let mut yielded = Yield {
        file,
        format,
        trades: part.trades,
        sift: part.sift,
        lines: 0,
        is_numbered: false,
    };
    part.error = decoder.decode(block.lines(), &mut yielded).err();
    let Yield {
        trades,
        sift,
        lines,
        is_numbered,
        ..
    } = yielded;
    part.is_numbered = is_numbered;
    (part.trades, part.sift, part.lines) = (trades, sift, lines);
    lock(shelf).give_back(part.number, block, decoder);
    Some(part)
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
