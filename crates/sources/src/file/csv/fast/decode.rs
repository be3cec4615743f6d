//! Decodes many lines at once: common rows by the fast path, others by the slow path.

#![expect(
    clippy::inline_always,
    reason = "only what is inside `simd::dispatch` is compiled for the newer processor"
)]

use super::index::{Index, PIECE_LEN};
use super::massive::MassiveRows;
use super::row::{Row, WINDOW_LEN};
use crate::file::csv::simd::{Simd, Work, dispatch};
use crate::file::error::FileError;
use crate::file::line_decoder::{Decoded, LineDecoder};
use crate::file::symbols::SymbolCache;
use std::ops::Range;

/// Where the fields of a row are; `usize::MAX` reads as an empty field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::file) struct RowFields {
    pub(in crate::file) ticker: usize,
    pub(in crate::file) time: usize,
    pub(in crate::file) sequence: usize,
    pub(in crate::file) id: usize,
    pub(in crate::file) price: usize,
    pub(in crate::file) size: usize,
    pub(in crate::file) conditions: usize,
    pub(in crate::file) exchange: usize,
    pub(in crate::file) facility: usize,
    pub(in crate::file) correction: usize,
}

/// The columns of the flat files of US stocks: known when this is compiled, their places cost nothing.
const FLAT_COUNT: usize = 13;
const FLAT_FIELDS: RowFields = RowFields {
    ticker: 0,
    conditions: 1,
    correction: 2,
    exchange: 3,
    id: 4,
    price: 6,
    sequence: 7,
    time: 8,
    size: 9,
    facility: 11,
};

/// The fast reader of the lines of one file.
#[derive(Debug, Clone)]
pub(in crate::file) struct FastRows {
    count: usize,
    fields: RowFields,
    symbols: SymbolCache,
    rows: MassiveRows,
    index: Index,
}

impl FastRows {
    /// For rows of `count` fields.
    pub(in crate::file) fn new(count: usize, fields: RowFields) -> FastRows {
        FastRows {
            count,
            fields,
            symbols: SymbolCache::default(),
            rows: MassiveRows::new(),
            index: Index::default(),
        }
    }

    /// Decodes every line, or those before the first error; `plain` decodes lines that are not of the common shape, and
    /// gives the same trades for those that are.
    pub(in crate::file) fn decode<D: LineDecoder>(
        &mut self,
        plain: &mut D,
        lines: &[u8],
        decoded: &mut Decoded,
    ) -> Result<(), FileError> {
        if (self.count, self.fields) == (FLAT_COUNT, FLAT_FIELDS) {
            dispatch(Decoding::<'_, D, true> {
                fast: self,
                plain,
                lines,
                decoded,
            })
        } else {
            dispatch(Decoding::<'_, D, false> {
                fast: self,
                plain,
                lines,
                decoded,
            })
        }
    }
}

/// Many lines and where their trades go; `FLAT` says that the columns are those of the flat files.
struct Decoding<'a, D, const FLAT: bool> {
    fast: &'a mut FastRows,
    plain: &'a mut D,
    lines: &'a [u8],
    decoded: &'a mut Decoded,
}

impl<D: LineDecoder, const FLAT: bool> Work for Decoding<'_, D, FLAT> {
    type Output = Result<(), FileError>;

    #[inline(always)]
    fn work<S: Simd>(mut self, best: S) -> Result<(), FileError> {
        let (count, fields) = if FLAT {
            (FLAT_COUNT, FLAT_FIELDS)
        } else {
            (self.fast.count, self.fast.fields)
        };
        let mut start = 0;
        loop {
            let rest = &self.lines[start..];
            let near = &rest[..rest.len().min(PIECE_LEN)];
            let Some(last) = memchr::memrchr(b'\n', near).or_else(|| memchr::memchr(b'\n', rest))
            else {
                return self.decoded.take_lines(self.plain, rest);
            };
            let end = start + last + 1;
            self.decode_piece(best, count, &fields, start..end)?;
            start = end;
        }
    }
}

impl<D: LineDecoder, const FLAT: bool> Decoding<'_, D, FLAT> {
    /// Decodes the whole lines of one piece.
    #[inline(always)]
    fn decode_piece<S: Simd>(
        &mut self,
        best: S,
        count: usize,
        fields: &RowFields,
        piece: Range<usize>,
    ) -> Result<(), FileError> {
        let Decoding {
            fast,
            plain,
            lines,
            decoded,
        } = self;
        let FastRows {
            symbols,
            rows,
            index,
            ..
        } = &mut **fast;
        // A longer piece is a single line, and perhaps too long.
        if piece.len() > PIECE_LEN || !index.scan(best, lines, piece.clone()) {
            return decoded.take_lines(*plain, &lines[piece]);
        }
        let mut scratch = [0; WINDOW_LEN];
        // No closures: the compiler does not take them into what it compiles for newer processors.
        for found in index.rows() {
            let row = match found.ends {
                Some(ends) if found.count == count => {
                    Row::new(lines, ends, found.count, &mut scratch)
                }
                Some(_) | None => None,
            };
            let Some(row) = row else {
                decoded.take_lines(*plain, found.line(lines))?;
                continue;
            };
            let trade = match rows.trade(best, &row, fields, symbols) {
                Some(trade) => Some(trade),
                None => rows.slow_path(&row, fields, symbols),
            };
            match trade {
                Some(trade) if decoded.push(trade) => {}
                Some(_) | None => decoded.take_lines(*plain, found.line(lines))?,
            }
        }
        Ok(())
    }
}
