//! An open text file: its bytes in one reused block, the lines in them, and the names of the file.
//!
//! Owns the buffer between a container and a decoder. Memory is the block, whatever the file holds:
//! a record that does not fit is an error. A block of 512 KiB lies in the range where reading from the
//! page cache is fastest (64 KiB: 9.5 GB/s, 256 KiB to 1 MiB: 10.4 to 12.7 GB/s, a fresh buffer per
//! file: 0.9 GB/s).

use super::error::{FileError, Location};
use barmill_core::model::Symbol;
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of the block.
pub(crate) const BLOCK_LEN: usize = 512 * 1024;
/// Bytes of the longest record; half a block, so that the answer does not depend on where a block ends.
pub(crate) const RECORD_LEN_MAX: usize = BLOCK_LEN / 2;

/// The window `start..end` of a stream, refilled in place.
pub(crate) struct Bytes {
    source: Box<dyn Read + Send>,
    block: Box<[u8]>,
    start: usize,
    end: usize,
    /// Stream bytes before `start`.
    offset: u64,
    ended: bool,
    /// Why reading broke off, while there are lines before it to give.
    failed: Option<io::Error>,
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytes")
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl Bytes {
    pub(crate) fn new(source: Box<dyn Read + Send>) -> Bytes {
        Bytes {
            source,
            block: vec![0; BLOCK_LEN].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            ended: false,
            failed: None,
        }
    }

    /// The bytes read and not yet taken.
    pub(crate) fn window(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// Stream bytes before the window.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Drops the first `len` bytes of the window.
    pub(crate) fn take(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
    }

    /// Reads once behind the window; `false` when the stream has ended or the block is full.
    pub(crate) fn refill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.start > 0 {
            self.block.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.block.len() {
            return Ok(false);
        }
        let len = loop {
            match self.source.read(&mut self.block[self.end..]) {
                Ok(len) => break len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        self.ended = len == 0;
        self.end += len;
        Ok(len > 0)
    }

    /// Reads until `enough` holds for the window, the block is full or the stream ends.
    pub(crate) fn peek(&mut self, enough: impl Fn(&[u8]) -> bool) -> io::Result<&[u8]> {
        while !enough(self.window()) && self.refill()? {}
        Ok(self.window())
    }

    /// Moves whole lines into `block` in place of what it holds, about `len` bytes of them; `false` at the end.
    ///
    /// A fault of reading comes after the lines before it, with the next call.
    pub(crate) fn next_lines(&mut self, block: &mut Block, len: usize) -> io::Result<bool> {
        let held = self.end - self.start;
        block.bytes[..held].copy_from_slice(&self.block[self.start..self.end]);
        let (mut filled, mut enough) = (held, len.clamp(1, BLOCK_LEN));
        // Bytes up to which there is no end of line.
        let mut bare = 0;
        let whole = loop {
            while !self.ended && filled < enough && self.failed.is_none() {
                match self.source.read(&mut block.bytes[filled..enough]) {
                    Ok(0) => self.ended = true,
                    Ok(len) => filled += len,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => self.failed = Some(error),
                }
            }
            if let Some(last) = memchr::memrchr(b'\n', &block.bytes[bare..filled]) {
                break bare + last + 1;
            }
            bare = filled;
            if self.ended && filled > 0 {
                block.bytes[filled] = b'\n';
                filled += 1;
                break filled;
            }
            if self.failed.is_some() || self.ended {
                break 0;
            }
            if filled == BLOCK_LEN {
                break filled;
            }
            enough = BLOCK_LEN;
        };
        let rest = filled.saturating_sub(whole);
        self.block[..rest].copy_from_slice(&block.bytes[whole..filled]);
        (self.start, self.end) = (0, rest);
        (block.len, self.offset) = (whole, self.offset + whole as u64);
        match self.failed.take_if(|_| whole == 0) {
            Some(error) => Err(error),
            None => Ok(whole > 0),
        }
    }
}

/// The bytes from the window on, for layouts that are no text.
impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.window().is_empty() && !self.refill()? {
            return Ok(0);
        }
        let len = buffer.len().min(self.window().len());
        buffer[..len].copy_from_slice(&self.window()[..len]);
        self.take(len);
        Ok(len)
    }
}

/// Whole lines taken out of a stream together, with room to scratch for the longest.
pub(crate) struct Block {
    bytes: Box<[u8]>,
    len: usize,
}

impl Block {
    pub(crate) fn new() -> Block {
        // One more for the end of line that a last line may lack.
        Block {
            bytes: vec![0; BLOCK_LEN + 1].into_boxed_slice(),
            len: 0,
        }
    }

    /// The lines, each with its end of line; only a line that is too long may lack it.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The text of one file, and what its layout may need to know of it.
#[derive(Debug)]
pub(crate) struct TextInput {
    /// The name for errors.
    pub(crate) file: Arc<str>,
    /// The names of the file: of the entry in a zip first.
    pub(crate) names: Vec<PathBuf>,
    /// The name of the layout.
    pub(crate) format: &'static str,
    /// The symbol of files whose rows name none, where the settings have exactly one.
    pub(crate) only_symbol: Option<Symbol>,
    /// The symbols that are kept; `None` keeps all.
    pub(crate) asked: Option<Vec<Symbol>>,
    /// Whether the trades are of a market that never closes, where other files of the layout are of US equities.
    pub(crate) is_always_open: bool,
    pub(crate) bytes: Bytes,
    /// Lines or rows taken so far.
    pub(crate) number: u64,
}

impl TextInput {
    /// The symbol of a file whose rows name none: that of its name, else the only one asked for, else the error that
    /// says how to name it.
    pub(crate) fn symbol(&self, named: Option<Symbol>) -> Result<Symbol, FileError> {
        if let (Some(named), Some(asked)) = (named, &self.asked)
            && !asked.contains(&named)
        {
            tracing::warn!(
                file = %self.file,
                "the file is of {named} by its name, which --symbol leaves out; --rename {named}=SYMBOL gives its trades \
                 another name"
            );
        }
        named
            .or(self.only_symbol)
            .ok_or_else(|| FileError::NoSymbol {
                file: self.file(),
                format: self.format,
            })
    }

    /// The error of a header that lacks a column.
    pub(crate) fn missing(&self, column: &'static str, header: &[u8]) -> FileError {
        let header = String::from_utf8_lossy(&header[..header.len().min(80)]).into_owned();
        FileError::MissingColumn {
            file: self.file(),
            format: self.format,
            column,
            header,
        }
    }

    pub(crate) fn file(&self) -> Arc<str> {
        Arc::clone(&self.file)
    }

    /// Looks at the first line that is not blank, taking the blank ones before it.
    pub(crate) fn first_line(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        loop {
            let has_line = |window: &[u8]| memchr::memchr(b'\n', window).is_some();
            if let Err(source) = self.bytes.peek(has_line) {
                return Err(self.read_error(source));
            }
            let window = self.bytes.window();
            let end = memchr::memchr(b'\n', window).unwrap_or(window.len());
            if end > RECORD_LEN_MAX {
                return Err(self.too_long(Location::Line(self.number + 1)));
            }
            let line = &window[..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                return Ok(Some(line.to_vec()));
            }
            if window.is_empty() {
                return Ok(None);
            }
            self.take_line();
        }
    }

    /// Takes about `len` bytes of whole lines; `false` at the end of the file.
    pub(super) fn next_lines(&mut self, block: &mut Block, len: usize) -> Result<bool, FileError> {
        self.bytes
            .next_lines(block, len)
            .map_err(|source| self.read_error(source))
    }

    /// Takes the line that [`TextInput::first_line`] looked at.
    pub(crate) fn take_line(&mut self) {
        self.number += 1;
        let window = self.bytes.window();
        let len = memchr::memchr(b'\n', window).map_or(window.len(), |end| end + 1);
        Bytes::take(&mut self.bytes, len);
    }

    pub(crate) fn read_error(&self, source: io::Error) -> FileError {
        FileError::read(&self.file, self.bytes.offset())(source)
    }

    pub(crate) fn too_long(&self, location: Location) -> FileError {
        FileError::RecordTooLong {
            file: self.file(),
            location,
            len_max: RECORD_LEN_MAX,
            format: self.format,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_LEN, Block, Bytes};
    use proptest::prelude::*;
    use std::io::{Cursor, Read};

    /// Gives a few bytes at a time, as a pipe may.
    struct Trickle(Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let len = buffer.len().min(3);
            self.0.read(&mut buffer[..len])
        }
    }

    /// Everything, and each block that was taken.
    fn blocks(text: &[u8], len: usize) -> Vec<Vec<u8>> {
        let mut bytes = Bytes::new(Box::new(Trickle(Cursor::new(text.to_vec()))));
        let (mut block, mut blocks) = (Block::new(), Vec::new());
        while bytes.next_lines(&mut block, len).unwrap() {
            blocks.push(block.lines().to_vec());
        }
        assert!(text.len() as u64 <= bytes.offset());
        blocks
    }

    proptest! {
        #[test]
        fn lines_come_whole_whatever_a_read_gives(text in "([a-c]{0,9}(\n|\r\n)){0,20}[a-c]{0,5}", len in 1usize..40) {
            let blocks = blocks(text.as_bytes(), len);
            prop_assert!(blocks.iter().all(|lines| lines.ends_with(b"\n")));
            let mut whole = text.into_bytes();
            if !whole.is_empty() && !whole.ends_with(b"\n") {
                whole.push(b'\n');
            }
            prop_assert_eq!(blocks.concat(), whole);
        }
    }

    #[test]
    fn line_that_no_block_holds_comes_without_its_end() {
        let text = vec![b'x'; BLOCK_LEN + 7];
        let mut bytes = Bytes::new(Box::new(Cursor::new(text)));
        let mut block = Block::new();
        assert!(bytes.next_lines(&mut block, 64).unwrap());
        assert_eq!(block.lines(), vec![b'x'; BLOCK_LEN]);
    }
}
