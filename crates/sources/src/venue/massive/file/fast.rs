//! Fast path for common rows of a file, behind one call: [`FastRows::decode`].
//!
//! Owns the common shape of a row, and no errors: whatever is of another shape, and everything that is wrong, goes to
//! the plain decoder, which is its model, so that this reader must give the same trade or none. The tests hold both
//! together.
//!
//! The numbers of a row are read together, eight of up to 8 digits each, an identity of up to 16 being two of them; names
//! and lists of conditions are looked up by their bytes as one number. A row takes about 650 instructions, of them 200
//! to find its ends.

#![expect(
    clippy::inline_always,
    reason = "only what is inside `simd::dispatch` is compiled for the newer processor"
)]

use super::index::{Index, PIECE_LEN};
use super::row::{Row, WINDOW_LEN, Word, price_of, unquoted};
use crate::file::chunk::{Chunk, LineDecoder};
use crate::file::csv::simd::{Simd, Work, dispatch};
use crate::file::error::FileError;
use crate::file::values::{
    SymbolCache, TIME_MIN, conditions, eight_digits, nanos, price, size, trade_id, whole,
};
use barmill_core::model::{Conditions, Side, Size, Symbol, Timestamp, Trade, TradeId};
use std::ops::Range;

/// How many columns a row has, and where they are; `usize::MAX` reads as an empty field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) count: usize,
    pub(super) ticker: usize,
    pub(super) time: usize,
    pub(super) sequence: usize,
    pub(super) id: usize,
    pub(super) price: usize,
    pub(super) size: usize,
    pub(super) conditions: usize,
    pub(super) exchange: usize,
    pub(super) facility: usize,
    pub(super) correction: usize,
}

/// The columns of the flat files of US stocks: known when this is compiled, looking them up costs nothing.
const FLAT_COLUMNS: Columns = Columns {
    count: 13,
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
pub(super) struct FastRows {
    columns: Columns,
    symbols: SymbolCache,
    rows: RowReader,
    index: Index,
}

impl FastRows {
    pub(super) fn new(columns: Columns) -> FastRows {
        FastRows {
            columns,
            symbols: SymbolCache::default(),
            rows: RowReader::new(),
            index: Index::default(),
        }
    }

    /// Decodes every line, or those before the first error; `plain` decodes lines that are not of the common shape, and
    /// gives the same trades for those that are.
    pub(super) fn decode(
        &mut self,
        plain: &mut dyn LineDecoder,
        lines: &[u8],
        chunk: &mut Chunk,
    ) -> Result<(), FileError> {
        if self.columns == FLAT_COLUMNS {
            dispatch(Decoding::<'_, true> {
                fast: self,
                plain,
                lines,
                chunk,
            })
        } else {
            dispatch(Decoding::<'_, false> {
                fast: self,
                plain,
                lines,
                chunk,
            })
        }
    }
}

/// Many lines and where their trades go; `FLAT` says that the columns are those of the flat files.
struct Decoding<'a, const FLAT: bool> {
    fast: &'a mut FastRows,
    plain: &'a mut dyn LineDecoder,
    lines: &'a [u8],
    chunk: &'a mut Chunk,
}

impl<const FLAT: bool> Work for Decoding<'_, FLAT> {
    type Output = Result<(), FileError>;

    #[inline(always)]
    fn work<S: Simd>(mut self, best: S) -> Result<(), FileError> {
        let columns = if FLAT {
            FLAT_COLUMNS
        } else {
            self.fast.columns
        };
        let mut start = 0;
        loop {
            let rest = &self.lines[start..];
            let near = &rest[..rest.len().min(PIECE_LEN)];
            let Some(last) = memchr::memrchr(b'\n', near).or_else(|| memchr::memchr(b'\n', rest))
            else {
                return self.chunk.take_lines(self.plain, rest);
            };
            let end = start + last + 1;
            self.decode_piece(best, &columns, start..end)?;
            start = end;
        }
    }
}

impl<const FLAT: bool> Decoding<'_, FLAT> {
    /// Decodes the whole lines of one piece.
    #[inline(always)]
    fn decode_piece<S: Simd>(
        &mut self,
        best: S,
        columns: &Columns,
        piece: Range<usize>,
    ) -> Result<(), FileError> {
        let Decoding {
            fast,
            plain,
            lines,
            chunk,
        } = self;
        let FastRows {
            symbols,
            rows,
            index,
            ..
        } = &mut **fast;
        // A longer piece is a single line, and perhaps too long.
        if piece.len() > PIECE_LEN || !index.scan(best, lines, piece.clone()) {
            return chunk.take_lines(*plain, &lines[piece]);
        }
        let mut scratch = [0; WINDOW_LEN];
        // No closures: the compiler does not take them into what it compiles for newer processors.
        for found in index.rows() {
            let row = match found.ends {
                Some(ends) if found.count == columns.count => {
                    Row::new(lines, ends, found.count, &mut scratch)
                }
                Some(_) | None => None,
            };
            let Some(row) = row else {
                chunk.take_lines(*plain, found.line(lines))?;
                continue;
            };
            let trade = match rows.trade(best, &row, columns, symbols) {
                Some(trade) => Some(trade),
                None => rows.slow_path(&row, columns, symbols),
            };
            match trade {
                Some(trade) if chunk.push(trade) => {}
                Some(_) | None => chunk.take_lines(*plain, found.line(lines))?,
            }
        }
        Ok(())
    }
}

/// Lines of the table of names; with those in each line, above the symbols of the US tape.
const NAME_LINES: usize = 1 << 12;
/// Names in a line.
const WAYS: usize = 4;
/// Slots of the table of condition lists, of which a day has some hundred and uses a few.
const LISTS_LEN: usize = 1 << 8;

/// Symbols by the bytes of their names: one line of the cache holds the names that share it, the newest first.
#[derive(Debug, Clone, Default)]
struct Names {
    lines: Vec<NameLine>,
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct NameLine {
    bytes: [u64; WAYS],
    symbols: [Symbol; WAYS],
    lens: [u8; WAYS],
}

impl Names {
    /// Looks a name up; no text has the length zero, so an empty way meets none.
    #[inline(always)]
    fn get(&self, word: Word) -> Option<Symbol> {
        let line = self.lines.get(word.slot(NAME_LINES))?;
        // Which way it has is as good as random, so that branches would be mispredicted.
        let mut met = 0u32;
        let mut way = 0;
        while way < WAYS {
            met |= u32::from(line.bytes[way] == word.bytes) << way;
            way += 1;
        }
        let way = met.trailing_zeros() as usize;
        if way < WAYS && u32::from(line.lens[way]) == word.len {
            Some(line.symbols[way])
        } else {
            None
        }
    }

    #[cold]
    fn keep(&mut self, word: Word, symbol: Symbol) {
        if self.lines.is_empty() {
            self.lines = vec![
                NameLine {
                    bytes: [0; WAYS],
                    symbols: [symbol; WAYS],
                    lens: [0; WAYS]
                };
                NAME_LINES
            ];
        }
        if let Some(line) = self.lines.get_mut(word.slot(NAME_LINES)) {
            line.bytes.rotate_right(1);
            line.symbols.rotate_right(1);
            line.lens.rotate_right(1);
            (line.bytes[0], line.symbols[0]) = (word.bytes, symbol);
            line.lens[0] = u8::try_from(word.len).unwrap_or(0);
        }
    }
}

/// Reads rows of the common shape.
#[derive(Debug, Clone)]
pub(super) struct RowReader {
    names: Names,
    /// Condition lists by their bytes; a newer one takes the slot of an older one.
    lists: Vec<(Word, Conditions)>,
    time_prefix: TimePrefix,
}

/// The first 11 digits of the last time, and their value: they change every tenth of a second.
#[derive(Debug, Clone, Copy, Default)]
struct TimePrefix {
    first: u64,
    last: u64,
    value: u64,
}

impl RowReader {
    pub(super) fn new() -> RowReader {
        let lists = vec![(Word::default(), Conditions::NONE); LISTS_LEN];
        RowReader {
            names: Names::default(),
            lists,
            time_prefix: TimePrefix::default(),
        }
    }

    /// The symbol of a name; `symbols` give it for one not seen lately.
    #[inline(always)]
    pub(super) fn symbol(
        &mut self,
        row: &Row<'_>,
        field: usize,
        symbols: &mut SymbolCache,
    ) -> Option<Symbol> {
        if let Some(word) = row.word(field)
            && let Some(symbol) = self.names.get(word)
        {
            return Some(symbol);
        }
        self.new_symbol(row, field, symbols)
    }

    #[cold]
    fn new_symbol(
        &mut self,
        row: &Row<'_>,
        field: usize,
        symbols: &mut SymbolCache,
    ) -> Option<Symbol> {
        let symbol = symbols.get("ticker", row.bytes(field)?).ok()?;
        if let Some(word) = row.word(field) {
            self.names.keep(word, symbol);
        }
        Some(symbol)
    }

    /// A list of conditions, in quotes or not.
    #[inline(always)]
    pub(super) fn conditions(&mut self, row: &Row<'_>, field: usize) -> Option<Conditions> {
        if row.len(field) == 0 {
            return Some(Conditions::NONE);
        }
        let word = row.list_word(field);
        if let Some(word) = word
            && let Some((list, known)) = self.lists.get(word.slot(LISTS_LEN))
            && *list == word
        {
            return Some(*known);
        }
        self.new_conditions(row.bytes(field)?, word)
    }

    #[cold]
    fn new_conditions(&mut self, text: &[u8], word: Option<Word>) -> Option<Conditions> {
        let list = conditions(unquoted(text)?).ok()?;
        if let Some(word) = word
            && let Some(slot) = self.lists.get_mut(word.slot(LISTS_LEN))
        {
            *slot = (word, list);
        }
        Some(list)
    }

    /// What the first 11 digits of a time stand for, of which these words hold the first 8 and the last 8.
    #[inline(always)]
    fn time_prefix(&mut self, first: u64, last: u64) -> Option<u64> {
        if (first, last) == (self.time_prefix.first, self.time_prefix.last) {
            return Some(self.time_prefix.value);
        }
        self.new_time_prefix(first, last)
    }

    fn new_time_prefix(&mut self, first: u64, last: u64) -> Option<u64> {
        let three = Word {
            bytes: last & u64::MAX << 40,
            len: 3,
        };
        let value = eight_digits(first.to_le_bytes())?
            .wrapping_mul(1_000)
            .wrapping_add(three.digits()?);
        self.time_prefix = TimePrefix { first, last, value };
        Some(value)
    }

    /// The trade of a row whose fields are all of the common shape.
    #[inline(always)]
    pub(super) fn trade<S: Simd>(
        &mut self,
        best: S,
        row: &Row<'_>,
        columns: &Columns,
        symbols: &mut SymbolCache,
    ) -> Option<Trade> {
        // A time of 19 digits, which those from 2001 on have.
        if row.len(columns.time) != 19 {
            return None;
        }
        let lead = self.time_prefix(row.tail(columns.time, 11), row.tail(columns.time, 8))?;
        let (price, scale) = row.word(columns.price)?.point()?;
        let (sequence, size) = (row.len(columns.sequence), row.len(columns.size));
        let (exchange, facility) = (row.len(columns.exchange), row.len(columns.facility));
        let id = row.len(columns.id);
        // Lengths of 1 to 8, and of codes up to 7, where an empty one is a zero, as its lane is.
        let spread = sequence.wrapping_sub(1) | size.wrapping_sub(1) | exchange | facility;
        if spread > 7 || id.wrapping_sub(1) > 15 || row.first(columns.id) == b'0' {
            return None;
        }
        let words = [
            row.tail(columns.time, 0),
            row.tail(columns.id, 0),
            row.tail(columns.id, 8),
            row.tail(columns.sequence, 0),
            price.bytes,
            row.tail(columns.size, 0),
            row.tail(columns.exchange, 0),
            row.tail(columns.facility, 0),
        ];
        let lens = [
            8,
            id.min(8),
            id.max(8) - 8,
            sequence,
            price.len,
            size,
            exchange,
            facility,
        ];
        let values = best.numbers(&words, &lens)?;
        let [
            last,
            id,
            upper_id,
            sequence,
            price,
            size,
            exchange,
            facility,
        ] = values;
        // At most 19 digits and 16, which are below 2^64.
        let time = lead.wrapping_mul(100_000_000).wrapping_add(u64::from(last));
        let id = u64::from(upper_id)
            .wrapping_mul(100_000_000)
            .wrapping_add(u64::from(id));
        Some(Trade {
            symbol: self.symbol(row, columns.ticker, symbols)?,
            time: time_of(time)?,
            sequence: u64::from(sequence),
            id: TradeId::from_number(id),
            price: price_of(u64::from(price).wrapping_mul(scale))?,
            size: Size::from_raw(u128::from(u64::from(size).wrapping_mul(10_000_000_000)))?,
            conditions: self.conditions(row, columns.conditions)?,
            venue: venue(u8::try_from(exchange).ok()?, u8::try_from(facility).ok()?),
            correction: row.small(columns.correction)?,
            side: Side::Unknown,
            sequenced: true,
        })
    }

    /// The trade of a row of which some number is empty, longer or no whole number; `None` when the plain way is to
    /// decide.
    #[cold]
    pub(super) fn slow_path(
        &mut self,
        row: &Row<'_>,
        columns: &Columns,
        symbols: &mut SymbolCache,
    ) -> Option<Trade> {
        Some(Trade {
            symbol: self.symbol(row, columns.ticker, symbols)?,
            time: nanos("time", row.bytes(columns.time)?).ok()?,
            sequence: whole(row.bytes(columns.sequence)?)?,
            id: trade_id(unquoted(row.bytes(columns.id)?)?),
            price: price("price", row.bytes(columns.price)?).ok()?,
            size: size("size", row.bytes(columns.size)?).ok()?,
            conditions: self.conditions(row, columns.conditions)?,
            venue: venue(row.small(columns.exchange)?, row.small(columns.facility)?),
            correction: row.small(columns.correction)?,
            side: Side::Unknown,
            sequenced: true,
        })
    }
}

#[inline(always)]
fn time_of(nanos: u64) -> Option<Timestamp> {
    let nanos = i64::try_from(nanos).ok()?;
    if nanos < TIME_MIN {
        return None;
    }
    Timestamp::from_nanos(nanos)
}

#[inline(always)]
fn venue(exchange: u8, facility: u8) -> u16 {
    u16::from(exchange) | u16::from(facility) << 8
}
