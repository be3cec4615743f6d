//! Work queue that splits input files into numbered chunks for parallel decoding.
//!
//! Under its lock a worker only takes bytes off the queue: whole lines, read and unpacked in order. It decodes them on
//! its own, so that one worker reads or unpacks while another decodes, within a file and over the end of it. Layouts
//! that are no lines are decoded under the lock. Memory is one block and one chunk per worker.

use super::chunk::{Chunk, LineDecoder};
use super::container::Inputs;
use super::error::FileError;
use super::filter::RowFilter;
use super::open_file::OpenFile;
use super::settings::FileFeedSettings;
use super::text::Block;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Everything still to read.
pub(super) struct ChunkQueue {
    settings: FileFeedSettings,
    inputs: Inputs,
    current: Option<OpenFile>,
    /// Whether no chunk of the current file was taken.
    is_new: bool,
    /// That of an empty chunk.
    filter: RowFilter,
    number: u64,
    is_ended: bool,
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

/// What is taken off the queue: a chunk, and the lines that it still lacks.
struct Task {
    chunk: Chunk,
    lines: Option<(Block, Box<dyn LineDecoder>)>,
}

impl ChunkQueue {
    pub(super) fn new(settings: FileFeedSettings, inputs: Inputs, filter: RowFilter) -> ChunkQueue {
        ChunkQueue {
            settings,
            inputs,
            current: None,
            is_new: true,
            filter,
            number: 0,
            is_ended: false,
            blocks: Vec::new(),
            decoders: Vec::new(),
            file_from: 0,
        }
    }

    pub(super) fn settings(&self) -> &FileFeedSettings {
        &self.settings
    }

    /// The file that the next chunk is of, opened where it was not; `None` when there is none.
    pub(super) fn file(&mut self) -> Result<Option<&OpenFile>, FileError> {
        while self.current.is_none() {
            let Some(opened) = self.inputs.next()? else {
                return Ok(None);
            };
            self.current = OpenFile::new(opened, &self.settings)?;
            self.is_new = true;
        }
        Ok(self.current.as_ref())
    }

    /// The next chunk, its lines decoded one by one: the model of what workers do.
    pub(super) fn next_plain(&mut self) -> Option<Chunk> {
        let Task { mut chunk, lines } = self.take()?;
        if let Some((block, mut decoder)) = lines {
            chunk.error = decoder.decode_each(block.lines(), &mut chunk).err();
            self.give_back(chunk.number, block, decoder);
        }
        Some(chunk)
    }

    fn take(&mut self) -> Option<Task> {
        if self.is_ended {
            return None;
        }
        let task = self.next_task().unwrap_or_else(|error| {
            let mut chunk = self.chunk("".into(), "");
            chunk.error = Some(error);
            Some(Task { chunk, lines: None })
        });
        let is_last = |task: &Task| task.chunk.error.is_some();
        self.is_ended = task.as_ref().is_none_or(is_last);
        task
    }

    fn next_task(&mut self) -> Result<Option<Task>, FileError> {
        loop {
            self.file()?;
            let Some(file) = self.current.take() else {
                return Ok(None);
            };
            if let Some(task) = self.next_of(file)? {
                return Ok(Some(task));
            }
        }
    }

    /// Takes the next chunk of a file, and keeps the file while it may have more.
    fn next_of(&mut self, mut file: OpenFile) -> Result<Option<Task>, FileError> {
        if self.is_new {
            self.decoders.clear();
            self.file_from = self.number;
        }
        let (name, format) = (Arc::clone(&file.file), file.format.name());
        let Some((text, decoder)) = file.lines() else {
            let mut chunk = self.chunk(name, format);
            match file.fill(&mut chunk, self.settings.batch_len_max.max(1)) {
                Ok(true) => self.current = Some(file),
                Ok(false) => {}
                Err(error) => chunk.error = Some(error),
            }
            return Ok(Some(Task { chunk, lines: None }));
        };
        let decoder = self.decoders.pop().unwrap_or_else(|| decoder.boxed());
        let mut block = self.blocks.pop().unwrap_or_else(Block::new);
        let first = self.is_new.then_some(text.number);
        if !text.next_lines(&mut block, self.settings.chunk_len())? {
            self.blocks.push(block);
            return Ok(None);
        }
        self.current = Some(file);
        let chunk = Chunk {
            first,
            ..self.chunk(name, format)
        };
        let lines = Some((block, decoder));
        Ok(Some(Task { chunk, lines }))
    }

    /// The next chunk, empty; the first one of a file, without lines before it.
    fn chunk(&mut self, file: Arc<str>, format: &'static str) -> Chunk {
        let number = self.number;
        self.number += 1;
        self.is_new = false;
        Chunk {
            number,
            file,
            format,
            trades: Vec::with_capacity(self.settings.batch_len_max.clamp(1, 1 << 12)),
            filter: self.filter.clone(),
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
    let Task { mut chunk, lines } = lock(queue).take()?;
    if let Some((block, mut decoder)) = lines {
        chunk.error = decoder.decode_lines(block.lines(), &mut chunk).err();
        lock(queue).give_back(chunk.number, block, decoder);
    }
    Some(chunk)
}

fn lock(queue: &Mutex<ChunkQueue>) -> MutexGuard<'_, ChunkQueue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
