//! One reused block of decoded bytes, and the lines in it.
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
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bytes { source: _, block: _, start, end, offset, ended } = self;
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
        for (len, ended) in [(RECORD_LEN_MAX + 1, true), (RECORD_LEN_MAX + 1, false), (1 << 24, true)] {
            let mut text = vec![b'x'; len];
            text.extend_from_slice(if ended { b"\n" } else { b"" });
            let mut bytes = Bytes::new(Box::new(Cursor::new(text)));
            assert!(matches!(bytes.next_line(), Err(LineError::TooLong)));
        }
        let mut bytes = Bytes::new(Box::new(Cursor::new(vec![b'x'; RECORD_LEN_MAX])));
        assert_eq!(bytes.next_line().unwrap().map(<[u8]>::len), Some(RECORD_LEN_MAX));
    }
}
