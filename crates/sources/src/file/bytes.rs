//! A reused block of decoded bytes, and the lines in it.
//!
//! Owns the buffer between a container and a decoder. Memory is the block, whatever the file holds:
//! a record that does not fit is an error. A block of 512 KiB lies in the range where reading from the
//! page cache is fastest (64 KiB: 9.5 GB/s, 256 KiB to 1 MiB: 10.4 to 12.7 GB/s, a fresh buffer per
//! file: 0.9 GB/s).

use std::fmt;
use std::io::{self, Read};

/// Bytes of the block.
pub(super) const BLOCK_LEN: usize = 512 * 1024;
/// Bytes of the longest record; half a block, so that the answer does not depend on where a block ends.
pub(super) const RECORD_LEN_MAX: usize = BLOCK_LEN / 2;

/// Why no line could be given.
#[derive(Debug)]
pub(super) enum LineError {
    /// Reading failed.
    Read(io::Error),
    /// The line is longer than [`RECORD_LEN_MAX`].
    TooLong,
}

/// The window `start..end` of a stream, refilled in place.
pub(super) struct Bytes {
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
        let Bytes {
            source: _,
            block: _,
            start,
            end,
            offset,
            ended,
            failed: _,
        } = self;
        f.debug_struct("Bytes")
            .field("held", &(end - start))
            .field("offset", offset)
            .field("ended", ended)
            .finish_non_exhaustive()
    }
}

impl Bytes {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Bytes {
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
    pub(super) fn window(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// Stream bytes before the window.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Drops the first `len` bytes of the window.
    pub(super) fn take(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
    }

    /// Reads once behind the window; `false` when the stream has ended or the block is full.
    pub(super) fn refill(&mut self) -> io::Result<bool> {
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
    pub(super) fn peek(&mut self, enough: impl Fn(&[u8]) -> bool) -> io::Result<&[u8]> {
        while !enough(self.window()) && self.refill()? {}
        Ok(self.window())
    }

    /// Takes the next line, without its end of line; the last one may lack it.
    pub(super) fn next_line(&mut self) -> Result<Option<&[u8]>, LineError> {
        let mut searched = 0;
        let (line, taken) = loop {
            let window = &self.block[self.start..self.end];
            if let Some(found) = memchr::memchr(b'\n', &window[searched..]) {
                break (searched + found, searched + found + 1);
            }
            searched = window.len();
            if searched > RECORD_LEN_MAX {
                return Err(LineError::TooLong);
            }
            if !self.refill().map_err(LineError::Read)? {
                if searched == 0 {
                    return Ok(None);
                }
                break (searched, searched);
            }
        };
        if line > RECORD_LEN_MAX {
            return Err(LineError::TooLong);
        }
        let start = self.start;
        self.take(taken);
        let line = &self.block[start..start + line];
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

/// Whole lines taken out of a stream together, with room to scratch for the longest.
pub(super) struct Block {
    bytes: Box<[u8]>,
    len: usize,
}

impl Block {
    pub(super) fn new() -> Block {
        // One more for the end of line that a last line may lack.
        Block {
            bytes: vec![0; BLOCK_LEN + 1].into_boxed_slice(),
            len: 0,
        }
    }

    /// The lines, each with its end of line; only a line that is too long may lack it.
    pub(super) fn lines(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Bytes {
    /// Moves whole lines into `block` in place of what it holds, about `len` bytes of them; `false` at the end.
    ///
    /// A fault of reading comes after the lines before it, with the next call.
    pub(super) fn next_lines(&mut self, block: &mut Block, len: usize) -> io::Result<bool> {
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

#[cfg(test)]
mod tests {
    use super::{Bytes, LineError, RECORD_LEN_MAX};
    use std::io::{Cursor, Read};

    /// Gives a few bytes at a time, as a pipe may.
    struct Trickle(Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let len = buffer.len().min(3);
            self.0.read(&mut buffer[..len])
        }
    }

    fn lines(text: &[u8]) -> Vec<String> {
        let mut bytes = Bytes::new(Box::new(Trickle(Cursor::new(text.to_vec()))));
        let mut lines = Vec::new();
        while let Some(line) = bytes.next_line().unwrap() {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
        }
        assert_eq!(bytes.offset(), text.len() as u64);
        lines
    }

    #[test]
    fn lines_come_whole_whatever_a_read_gives() {
        assert_eq!(lines(b"one\r\ntwo\n\nthree"), ["one", "two", "", "three"]);
        assert_eq!(lines(b"one\n"), ["one"]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn line_longer_than_the_bound_is_an_error() {
        for (len, ended) in [
            (RECORD_LEN_MAX + 1, true),
            (RECORD_LEN_MAX + 1, false),
            (1 << 24, true),
        ] {
            let mut text = vec![b'x'; len];
            text.extend_from_slice(if ended { b"\n" } else { b"" });
            let mut bytes = Bytes::new(Box::new(Cursor::new(text)));
            assert!(matches!(bytes.next_line(), Err(LineError::TooLong)));
        }
        let mut bytes = Bytes::new(Box::new(Cursor::new(vec![b'x'; RECORD_LEN_MAX])));
        assert_eq!(
            bytes.next_line().unwrap().map(<[u8]>::len),
            Some(RECORD_LEN_MAX)
        );
    }
}
