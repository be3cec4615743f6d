//! Reads recordings.

use super::codec::{self, TRADE_LEN};
use super::frame::FrameReader;
use crate::file::FileError;
use barmill_core::model::Trade;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use zstd::bulk::Decompressor;

/// Gives the blocks of a recording, up to the last whole one.
pub(crate) struct RecordingReader<R> {
    frames: FrameReader<R>,
    unpack: Decompressor<'static>,
    packed: Vec<u8>,
    columns: Vec<u8>,
}

impl<R> fmt::Debug for RecordingReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingReader").finish_non_exhaustive()
    }
}

impl<R: Read> RecordingReader<R> {
    pub(crate) fn new(file: Arc<str>, source: R) -> Result<RecordingReader<R>, FileError> {
        let unpack = match Decompressor::new() {
            Ok(unpack) => unpack,
            Err(source) => return Err(FileError::Open { file, source }),
        };
        let frames = FrameReader::new(file, source)?;
        Ok(RecordingReader {
            frames,
            unpack,
            packed: Vec::new(),
            columns: Vec::new(),
        })
    }

    /// Bytes behind the last whole block; known at the end.
    pub(crate) fn torn_len(&self) -> u64 {
        self.frames.torn_len()
    }

    /// Appends the trades of the next block, all or none; `false` at the end.
    pub(crate) fn next_block(&mut self, trades: &mut Vec<Trade>) -> Result<bool, FileError> {
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
        let kept = trades.len();
        if let Err(reason) = codec::decode(&self.columns, count, trades) {
            trades.truncate(kept);
            return Err(self.frames.corrupt(reason));
        }
        self.frames.accept(header);
        Ok(true)
    }
}
