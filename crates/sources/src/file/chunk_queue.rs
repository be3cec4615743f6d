//! Work queue that splits input files into numbered chunks for parallel decoding.
//!
//! Under the lock a worker only takes bytes: whole lines, read and unpacked in order. It decodes them on its own, so that
//! one worker reads or unpacks while another decodes, within a file and over the end of it. Layouts that are no lines are
//! decoded under the lock. Each chunk counts lines and records from its own start; who delivers the chunks puts them in
//! order and adds up (see [`super::feed`]). Memory is one block and one chunk per worker.

use super::bytes::Block;
use super::container::Inputs;
use super::error::FileError;
use super::filter::RowFilter;
use super::line_decoder::{Decoded, LineDecoder};
use super::open_file::OpenFile;
use super::settings::FileFeedSettings;
use barmill_core::model::Trade;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A decoded chunk, to be delivered after those with smaller numbers.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) number: u64,
    pub(super) trades: Vec<Trade>,
    pub(super) filter: RowFilter,
    /// Lines of the chunk.
    pub(super) lines: u64,
    /// For the first chunk of a file, the lines before it.
    pub(super) first: Option<u64>,
    /// Whether some trade has the ordinal of its record, counted in this chunk, for a sequence.
    pub(super) is_numbered: bool,
    /// What ended the input behind the trades.
    pub(super) error: Option<FileError>,
}

/// Everything still to read.
pub(super) struct ChunkQueue {
    settings: FileFeedSettings,
    inputs: Inputs,
    current: Option<OpenFile>,
    /// Whether no chunk of the current file was taken.
    is_new: bool,
    filter: RowFilter,
    number: u64,
    ended: bool,
    /// Blocks and decoders that no worker uses.
    blocks: Vec<Block>,
    decoders: Vec<Box<dyn LineDecoder>>,
    /// The number of the current file's first chunk.
    file_from: u64,
}

impl fmt::Debug for ChunkQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkQueue")
            .field("settings", &self.settings)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What a worker takes off the queue.
enum Task {
    Chunk(Chunk),
    Lines {
        chunk: Chunk,
        file: Arc<str>,
        format: &'static str,
        block: Block,
        decoder: Box<dyn LineDecoder>,
    },
}

impl ChunkQueue {
    /// Starts with an input that is open already, if any; `filter` is that of an empty chunk.
    pub(super) fn new(
        settings: FileFeedSettings,
        inputs: Inputs,
        current: Option<OpenFile>,
        filter: RowFilter,
    ) -> ChunkQueue {
        let (blocks, decoders) = (Vec::new(), Vec::new());
        ChunkQueue {
            settings,
            inputs,
            current,
            is_new: true,
            filter,
            number: 0,
            ended: false,
            blocks,
            decoders,
            file_from: 0,
        }
    }

    fn take(&mut self) -> Option<Task> {
        if self.ended {
            return None;
        }
        let taken = match self.try_next() {
            Ok(taken) => taken,
            Err(error) => Some(Task::Chunk(Chunk {
                error: Some(error),
                ..self.chunk()
            })),
        };
        self.ended = match &taken {
            Some(Task::Chunk(chunk)) => chunk.error.is_some(),
            Some(Task::Lines { .. }) => false,
            None => true,
        };
        taken
    }

    fn try_next(&mut self) -> Result<Option<Task>, FileError> {
        loop {
            if let Some(file) = self.current.take() {
                let taken = self.next_of(file)?;
                if taken.is_some() {
                    return Ok(taken);
                }
            }
            self.is_new = true;
            match self.inputs.next()? {
                Some(opened) => self.current = OpenFile::new(opened, &self.settings)?,
                None => return Ok(None),
            }
        }
    }

    /// Takes the next chunk of a file, and keeps the file while it may have more.
    fn next_of(&mut self, mut file: OpenFile) -> Result<Option<Task>, FileError> {
        if self.is_new {
            self.decoders.clear();
            self.file_from = self.number;
        }
        let first = self.is_new.then(|| file.lines_before());
        let Some(decoder) = file.line_decoder() else {
            let mut chunk = self.chunk();
            match file.fill(
                &mut chunk.filter,
                &mut chunk.trades,
                self.settings.batch_len_max.max(1),
            ) {
                Ok(true) => self.current = Some(file),
                Ok(false) => {}
                Err(error) => chunk.error = Some(error),
            }
            return Ok(Some(Task::Chunk(chunk)));
        };
        let decoder = self.decoders.pop().unwrap_or_else(|| decoder.boxed());
        let (name, mut block) = (
            Arc::clone(file.name()),
            self.blocks.pop().unwrap_or_else(Block::new),
        );
        let format = file.format().name();
        if !file.next_lines(&mut block, self.settings.chunk_len())? {
            self.blocks.push(block);
            return Ok(None);
        }
        self.current = Some(file);
        let chunk = Chunk {
            first,
            ..self.chunk()
        };
        Ok(Some(Task::Lines {
            chunk,
            file: name,
            format,
            block,
            decoder,
        }))
    }

    /// The next chunk, empty; the first one of a file, without lines before it.
    fn chunk(&mut self) -> Chunk {
        let number = self.number;
        self.number += 1;
        self.is_new = false;
        let trades = Vec::with_capacity(self.settings.batch_len_max.clamp(1, 1 << 12));
        Chunk {
            number,
            trades,
            filter: self.filter.chunk(),
            lines: 0,
            first: Some(0),
            is_numbered: false,
            error: None,
        }
    }

    fn give_back(&mut self, number: u64, block: Block, decoder: Box<dyn LineDecoder>) {
        self.blocks.push(block);
        if self.file_from <= number {
            self.decoders.push(decoder);
        }
    }
}

/// Takes the next chunk off the queue and decodes it; `None` when there is none.
pub(super) fn next_chunk(queue: &Mutex<ChunkQueue>) -> Option<Chunk> {
    let taken = lock(queue).take()?;
    let (mut chunk, file, format, block, mut decoder) = match taken {
        Task::Chunk(chunk) => return Some(chunk),
        Task::Lines {
            chunk,
            file,
            format,
            block,
            decoder,
        } => (chunk, file, format, block, decoder),
    };
    let mut output = Decoded {
        file,
        format,
        trades: chunk.trades,
        filter: chunk.filter,
        lines: 0,
        is_numbered: false,
    };
    chunk.error = decoder.decode_lines(block.lines(), &mut output).err();
    let Decoded {
        trades,
        filter,
        lines,
        is_numbered,
        ..
    } = output;
    chunk.is_numbered = is_numbered;
    (chunk.trades, chunk.filter, chunk.lines) = (trades, filter, lines);
    lock(queue).give_back(chunk.number, block, decoder);
    Some(chunk)
}

fn lock(queue: &Mutex<ChunkQueue>) -> MutexGuard<'_, ChunkQueue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
