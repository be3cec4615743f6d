//! Writes recordings.

use super::codec;
use super::frame::{BLOCK_HEADER_LEN, BLOCK_LEN_MAX, BlockHeader, FrameReader, file_header};
use crate::file::FileError;
use barmill_core::model::Trade;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use zstd::bulk::Compressor;

/// Trades of a full block: 73 bytes each, 0.3 MB unpacked.
const BLOCK_TRADES: usize = 4096;
/// The compression level: higher ones cost many times the processor time for a few percent.
const LEVEL: i32 = 3;

/// Appends trades to a recording.
///
/// Trades wait in memory until a block is full; [`RecordingWriter::flush`] writes them earlier. Dropping the
/// writer forgets those that wait. The file is locked against a second writer.
pub struct RecordingWriter {
    name: Arc<str>,
    file: File,
    /// Bytes up to the end of the last whole block.
    len: u64,
    torn_len: u64,
    waiting: Vec<Trade>,
    pack: Compressor<'static>,
    columns: Vec<u8>,
}

impl fmt::Debug for RecordingWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingWriter")
            .field("name", &self.name)
            .field("len", &self.len)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl RecordingWriter {
    /// Starts a new recording.
    ///
    /// # Errors
    /// [`FileError::Exists`]; [`FileError::Open`] when the file cannot be made; [`FileError::Write`] for its header.
    pub fn create(path: &Path) -> Result<RecordingWriter, FileError> {
        RecordingWriter::start(path, OpenOptions::new().create_new(true))
    }

    /// Goes on with a recording, or starts it; a torn tail is cut off first.
    ///
    /// # Errors
    /// [`FileError::Open`]; [`FileError::Locked`]; [`FileError::Corrupt`] and [`FileError::Version`] for a
    /// file that is no whole recording, which stays as it is; [`FileError::Write`].
    pub fn append(path: &Path) -> Result<RecordingWriter, FileError> {
        RecordingWriter::start(path, OpenOptions::new().create(true))
    }

    fn start(path: &Path, options: &mut OpenOptions) -> Result<RecordingWriter, FileError> {
        let name: Arc<str> = path.display().to_string().into();
        let opened = options.read(true).write(true).truncate(false).open(path);
        let made = opened.and_then(|file| Ok((file, Compressor::new(LEVEL)?)));
        let (file, pack) = match made {
            Ok(made) => made,
            Err(source) if source.kind() == ErrorKind::AlreadyExists => {
                return Err(FileError::Exists { file: name });
            }
            Err(source) => return Err(FileError::Open { file: name, source }),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FileError::Locked { file: name }),
            Err(TryLockError::Error(source)) => return Err(FileError::Open { file: name, source }),
        }
        let mut frames = FrameReader::new(Arc::clone(&name), BufReader::new(&file))?;
        let mut payload = Vec::new();
        while let Some(header) = frames.next(&mut payload)? {
            frames.accept(header);
        }
        let (len, torn_len) = (frames.whole_len(), frames.torn_len());
        let mut writer = RecordingWriter {
            name,
            file,
            len,
            torn_len,
            waiting: Vec::with_capacity(BLOCK_TRADES),
            pack,
            columns: Vec::new(),
        };
        writer.cut_torn(path)?;
        Ok(writer)
    }

    fn cut_torn(&mut self, path: &Path) -> Result<(), FileError> {
        if self.torn_len > 0 {
            tracing::warn!(file = %self.name, torn_bytes = self.torn_len, "removed the incomplete last block of a recording");
        }
        let whole = self.file.set_len(self.len);
        whole.map_err(|source| self.write_error(source))?;
        if self.len == 0 {
            self.put(&file_header())?;
            // The name of a new file is durable once its folder is.
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new("."));
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|source| self.write_error(source))?;
        }
        Ok(())
    }

    /// Bytes of the torn tail that was cut off at the start.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_len
    }

    /// Bytes of the file up to the end of its last whole block.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Takes trades, in the order they are to be read.
    ///
    /// # Errors
    /// [`FileError::Write`]; the trades not yet on disk still wait, and a later call tries again.
    pub fn write(&mut self, trades: &[Trade]) -> Result<(), FileError> {
        let mut rest = trades;
        while !rest.is_empty() {
            let room = BLOCK_TRADES.saturating_sub(self.waiting.len());
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.waiting.extend_from_slice(now);
            rest = later;
            if self.waiting.len() >= BLOCK_TRADES
                && let Err(error) = self.write_block()
            {
                self.waiting.extend_from_slice(rest);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Writes the trades that wait, and makes all of them durable.
    ///
    /// # Errors
    /// [`FileError::Write`], as for [`RecordingWriter::write`].
    pub fn flush(&mut self) -> Result<(), FileError> {
        while !self.waiting.is_empty() {
            self.write_block()?;
        }
        self.file
            .sync_data()
            .map_err(|source| self.write_error(source))
    }

    /// Writes what waits and the mark of an orderly end, durably.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub fn finish(mut self) -> Result<(), FileError> {
        self.flush()?;
        let mut end = Vec::new();
        BlockHeader::END.push(&mut end);
        self.put(&end)?;
        self.flush()
    }

    /// Writes up to one full block of what waits.
    fn write_block(&mut self) -> Result<(), FileError> {
        let count = self.waiting.len().min(BLOCK_TRADES);
        codec::encode(&self.waiting[..count], &mut self.columns);
        let packed = self
            .pack
            .compress(&self.columns)
            .map_err(|source| self.write_error(source))?;
        let number = |len: usize| u32::try_from(len).ok().filter(|len| *len <= BLOCK_LEN_MAX);
        let (Some(packed_len), Some(len), Some(trades)) = (
            number(packed.len()),
            number(self.columns.len()),
            number(count),
        ) else {
            return Err(self.write_error(io::ErrorKind::FileTooLarge.into()));
        };
        let mut block = Vec::with_capacity(BLOCK_HEADER_LEN + packed.len());
        BlockHeader {
            packed_len,
            len,
            trades,
            crc: crc32c::crc32c(&packed),
        }
        .push(&mut block);
        block.extend_from_slice(&packed);
        self.put(&block)?;
        self.waiting.drain(..count);
        Ok(())
    }

    /// Writes behind the last whole block; after a failure the file ends there again.
    fn put(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let mut file = &self.file;
        let written = file
            .seek(SeekFrom::Start(self.len))
            .and_then(|_| file.write_all(bytes));
        if let Err(source) = written {
            #[expect(
                clippy::let_underscore_must_use,
                reason = "the next write starts at the same place and cuts again"
            )]
            let _ = self.file.set_len(self.len);
            return Err(self.write_error(source));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn write_error(&self, source: io::Error) -> FileError {
        FileError::Write {
            file: Arc::clone(&self.name),
            source,
        }
    }
}
