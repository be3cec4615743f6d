//! Streaming parser of a page: one pass over the bytes, no tree.
//!
//! Owns the page around the rows. What it takes is a subset of JSON (RFC 8259): rows that are trades, in strings and
//! numbers beyond doubt ([`Reader::is_plain`]). Anything else, malformed or only unusual, makes it give up, and the page
//! is decoded by `serde_json` as if this did not exist: so every error, and every choice between errors, is that one's.
//! A test holds the two against each other.

use crate::json::{DecodeError, Reader};
use barmill_core::model::{Symbol, Trade};
use std::ops::Range;

/// Bytes before the rows in which they must be found.
const HEAD_LEN_MAX: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The array of rows has not begun.
    Head,
    /// A row, or the end of an array without any, comes next.
    First,
    /// A comma and a row, or the end of the array, comes next.
    Rows,
    /// The array has ended.
    Tail,
    /// Left to the plain way.
    Unsupported,
}

/// What came of reading on.
enum Step {
    Done,
    /// More bytes may help.
    Short,
    /// The text is not of the subset.
    Unsupported,
}

/// Reads the next row as a trade of the symbol.
pub(crate) type ReadRow = fn(&mut Reader<'_>, Symbol) -> Result<Trade, DecodeError>;

/// The rows of a page, as far as its bytes are there.
#[derive(Debug)]
pub(crate) struct PageStream {
    symbol: Symbol,
    read_row: ReadRow,
    /// The name of the array with its quotes.
    name: Vec<u8>,
    stage: Stage,
    /// The text between the brackets of the array.
    rows: Range<usize>,
    trades: Vec<Trade>,
}

/// A page whose rows are read.
#[derive(Debug)]
pub(crate) struct StreamedPage {
    pub(crate) trades: Vec<Trade>,
    /// The page without the text of its rows.
    pub(crate) frame: Vec<u8>,
    /// The place of the emptied array in it.
    pub(crate) array: Range<usize>,
}

impl PageStream {
    /// Starts a page of one symbol's trades, usually at most so many, in the array of this name.
    pub(crate) fn new(
        symbol: Symbol,
        name: &str,
        page_len: usize,
        read_row: ReadRow,
    ) -> PageStream {
        let name = format!("\"{name}\"").into_bytes();
        PageStream {
            symbol,
            read_row,
            name,
            stage: Stage::Head,
            rows: 0..0,
            trades: Vec::with_capacity(page_len),
        }
    }

    /// Reads on; `text` is the page from its start, as far as it is there.
    pub(crate) fn read(&mut self, text: &[u8]) {
        loop {
            let step = match self.stage {
                Stage::Head => self.find(text),
                Stage::First | Stage::Rows => self.row(text),
                Stage::Tail | Stage::Unsupported => return,
            };
            match step {
                Step::Done => {}
                Step::Short => return,
                Step::Unsupported => self.stage = Stage::Unsupported,
            }
        }
    }

    /// The rows, if all of the page was of the subset.
    pub(crate) fn finish(self, text: &[u8]) -> Option<StreamedPage> {
        if self.stage != Stage::Tail {
            return None;
        }
        let Range { start, end } = self.rows;
        let frame = [text.get(..start)?, text.get(end..)?].concat();
        Some(StreamedPage {
            trades: self.trades,
            frame,
            array: start - 1..start + 1,
        })
    }

    /// Finds the array by its name; whether it is the one that counts, the frame tells later.
    fn find(&mut self, text: &[u8]) -> Step {
        let head = text.get(..HEAD_LEN_MAX).unwrap_or(text);
        let Some(name) = memchr::memmem::find(head, &self.name) else {
            return if head.len() == HEAD_LEN_MAX {
                Step::Unsupported
            } else {
                Step::Short
            };
        };
        let mut reader = Reader::new(text, name + self.name.len());
        for mark in [b':', b'['] {
            match reader.peek() {
                Some(byte) if byte == mark => reader = Reader::new(text, reader.at() + 1),
                Some(_) => return Step::Unsupported,
                None => return Step::Short,
            }
        }
        self.rows = reader.at()..reader.at();
        self.stage = Stage::First;
        Step::Done
    }

    fn row(&mut self, text: &[u8]) -> Step {
        let mut reader = Reader::new(text, self.rows.end);
        match reader.peek() {
            Some(b']') => {
                self.rows.end = reader.at();
                self.stage = Stage::Tail;
                return Step::Done;
            }
            Some(b',') if self.stage == Stage::Rows => reader = Reader::new(text, reader.at() + 1),
            Some(_) if self.stage == Stage::First => {}
            Some(_) => return Step::Unsupported,
            None => return Step::Short,
        }
        match (self.read_row)(&mut reader, self.symbol) {
            Ok(trade) if reader.is_plain() => self.trades.push(trade),
            Err(_) if reader.at() == text.len() => return Step::Short,
            Ok(_) | Err(_) => return Step::Unsupported,
        }
        self.rows.end = reader.at();
        self.stage = Stage::Rows;
        Step::Done
    }
}
