//! Reads recordings.

use super::codec::{self, TRADE_LEN};
use super::frame::FrameReader;
use crate::file::chunk::Chunk;
use crate::file::error::{FileError, Location};
use crate::file::text::Bytes;
use barmill_core::model::Trade;
use std::fmt;
use std::sync::Arc;
use zstd::bulk::Decompressor;

/// The trades of a recording, up to its last whole block.
pub(in crate::file) struct RecordingReader {
    frames: FrameReader<Bytes>,
    unpack: Decompressor<'static>,
    packed: Vec<u8>,
    columns: Vec<u8>,
    /// The trades of one block, and how many of them are taken.
    block: Vec<Trade>,
    taken: usize,
    /// Trades of the blocks before.
    before: u64,
}

impl fmt::Debug for RecordingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingReader").finish_non_exhaustive()
    }
}

impl RecordingReader {
    pub(in crate::file) fn new(
        file: Arc<str>,
        source: Bytes,
    ) -> Result<RecordingReader, FileError> {
        let unpack = match Decompressor::new() {
            Ok(unpack) => unpack,
            Err(source) => return Err(FileError::Open { file, source }),
        };
        Ok(RecordingReader {
            frames: FrameReader::new(file, source)?,
            unpack,
            packed: Vec::new(),
            columns: Vec::new(),
            block: Vec::new(),
            taken: 0,
            before: 0,
        })
    }

    /// Adds trades until the chunk holds `len_max`; `false` at the end of the file.
    pub(in crate::file) fn fill(
        &mut self,
        chunk: &mut Chunk,
        len_max: usize,
    ) -> Result<bool, FileError> {
        while chunk.trades.len() < len_max {
            let Some(trade) = self.block.get(self.taken) else {
                if self.next_block()? {
                    continue;
                }
                let torn_bytes = self.frames.torn_len();
                if torn_bytes > 0 {
                    tracing::warn!(file = %chunk.file, torn_bytes, "the recording ends in an incomplete block, which is skipped");
                }
                chunk.filter.stats.torn_bytes += torn_bytes;
                return Ok(false);
            };
            self.taken += 1;
            let location = Location::Trade(self.before + self.taken as u64);
            // Their sequences are recorded, also where their venue gave none.
            match chunk.filter.check_time(trade) {
                Ok(()) if chunk.filter.accepts(trade) => chunk.trades.push(*trade),
                Ok(()) => {}
                Err(error) => chunk.filter.refuse(&chunk.file, location, error)?,
            }
        }
        Ok(true)
    }

    /// Reads the trades of the next block, all or none; `false` at the end.
    fn next_block(&mut self) -> Result<bool, FileError> {
        self.before += self.block.len() as u64;
        self.taken = 0;
        self.block.clear();
        let Some(header) = self.frames.next(&mut self.packed)? else {
            return Ok(false);
        };
        let len = header.len as usize;
        let count = header.trades as usize;
        if count > len / TRADE_LEN {
            return Err(self.frames.corrupt("the block is too short for its trades"));
        }
        // `Decompressor` writes at most the capacity it finds.
        self.columns.clear();
        self.columns.reserve_exact(len);
        match self
            .unpack
            .decompress_to_buffer(&self.packed, &mut self.columns)
        {
            Ok(unpacked) if unpacked == len => {}
            Ok(_) => return Err(self.frames.corrupt("the block unpacks to another length")),
            Err(_) => return Err(self.frames.corrupt("the block does not unpack")),
        }
        if let Err(reason) = codec::decode(&self.columns, count, &mut self.block) {
            self.block.clear();
            return Err(self.frames.corrupt(reason));
        }
        self.frames.accept(header);
        Ok(true)
    }
}
