//! Streaming parser of a Massive page: one pass over the bytes, no tree, exact numbers.
//!
//! Owns the page around the rows; a row is `page_stream_row`'s. What it takes is a subset of JSON (RFC 8259): objects of
//! known shape, ASCII strings without escapes, numbers without sign and exponent. Anything beyond, malformed or only
//! unusual, makes it give up, and the page is decoded by `serde_json` as if this did not exist: so every error, and
//! every choice between errors, is that one's. A test holds the two against each other.

use super::page_stream_cursor::{Cursor, Stop};
use super::page_stream_row::Row;
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

/// The rows of a page, as far as its bytes are there.
#[derive(Debug)]
pub(crate) struct PageStream {
    symbol: Symbol,
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
    pub(crate) fn new(symbol: Symbol, name: &str, page_len: usize) -> PageStream {
        let name = format!("\"{name}\"").into_bytes();
        PageStream {
            symbol,
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
                Ok(()) => {}
                Err(Stop::Short) => return,
                Err(Stop::Unsupported) => self.stage = Stage::Unsupported,
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
    fn find(&mut self, text: &[u8]) -> Result<(), Stop> {
        let head = text.get(..HEAD_LEN_MAX).unwrap_or(text);
        let stop = if head.len() == HEAD_LEN_MAX {
            Stop::Unsupported
        } else {
            Stop::Short
        };
        let name = memchr::memmem::find(head, &self.name).ok_or(stop)?;
        let mut walk = Cursor::new(text, name + self.name.len());
        walk.expect(b':')?;
        walk.expect(b'[')?;
        self.rows = walk.at()..walk.at();
        self.stage = Stage::First;
        Ok(())
    }

    fn row(&mut self, text: &[u8]) -> Result<(), Stop> {
        let mut walk = Cursor::new(text, self.rows.end);
        match walk.peek()? {
            b']' => {
                self.rows.end = walk.at();
                self.stage = Stage::Tail;
                return Ok(());
            }
            b',' if self.stage == Stage::Rows => walk.next().map(drop)?,
            _ if self.stage == Stage::First => {}
            _ => return Err(Stop::Unsupported),
        }
        let trade = Row::read(&mut walk)?
            .trade(self.symbol)
            .ok_or(Stop::Unsupported)?;
        self.trades.push(trade);
        self.rows.end = walk.at();
        self.stage = Stage::Rows;
        Ok(())
    }
}
