//! The common shape of a Massive row, read at once.
//!
//! The fast way beside [`super::massive_csv`], which stays the one that decides: whatever is not of the common shape,
//! and everything that is wrong, is left to it. So this way has no errors, and must give the same trade or none.
//!
//! The numbers of a row, of up to 8 digits each, are read together; names and lists of conditions are looked up by
//! their bytes as one number. What bounds a row is to take its ten fields out, about 40 instructions each.

#![expect(
    clippy::inline_always,
    reason = "only what is inside `on_best` is compiled for the newer processor"
)]

use super::decoder::SymbolCache;
use super::fields::{ZEROS, eight_digits};
use super::lanes::{NUMBERS, numbers};
use super::massive_csv::conditions;
use super::massive_fields::{Text, Word, price_of};
use crate::model::{Conditions, Price, Size, Symbol, Timestamp, TradeId};

/// Lines of the table of names; with those in each line, above the symbols of the US tape.
const NAME_LINES: usize = 1 << 12;
/// Slots of the table of condition lists, of which a day has some hundred and uses a few.
const LISTS_LEN: usize = 1 << 8;
const TIME_MIN: u64 = 631_152_000_000_000_000;

/// Symbols by the bytes of their names: one line of the cache holds the names that share it, the newest first.
#[derive(Debug, Clone, Default)]
struct Names {
    lines: Vec<NameLine>,
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct NameLine([Name; 4]);

#[derive(Debug, Clone, Copy)]
struct Name {
    bytes: u64,
    len: u32,
    symbol: Symbol,
}

impl Names {
    /// Looks a name up; no text has the length zero, so an empty place meets none.
    #[inline(always)]
    fn get(&self, word: Word) -> Option<Symbol> {
        for name in &self.lines.get(word.slot(NAME_LINES))?.0 {
            if name.bytes == word.bytes && name.len == word.len {
                return Some(name.symbol);
            }
        }
        None
    }

    #[cold]
    fn keep(&mut self, word: Word, symbol: Symbol) {
        if self.lines.is_empty() {
            self.lines = vec![NameLine([Name { bytes: 0, len: 0, symbol }; 4]); NAME_LINES];
        }
        if let Some(line) = self.lines.get_mut(word.slot(NAME_LINES)) {
            line.0.rotate_right(1);
            line.0[0] = Name { bytes: word.bytes, len: word.len, symbol };
        }
    }
}

/// Reads rows of the common shape.
#[derive(Debug, Clone)]
pub(super) struct MassiveRows {
    names: Names,
    /// Condition lists by their bytes; a newer one takes the slot of an older one.
    lists: Vec<(Word, Conditions)>,
    /// The first 8 digits of the last time, and their value: they change every 100 seconds.
    lead: (u64, u64),
}

impl MassiveRows {
    pub(super) fn new() -> MassiveRows {
        let lists = vec![(Word::default(), Conditions::NONE); LISTS_LEN];
        MassiveRows { names: Names::default(), lists, lead: (0, 0) }
    }

    /// The symbol of a name; `symbols` give it for one not seen lately.
    #[inline(always)]
    pub(super) fn symbol(&mut self, text: Text<'_>, symbols: &mut SymbolCache) -> Option<Symbol> {
        if let Some(word) = text.word()
            && let Some(symbol) = self.names.get(word)
        {
            return Some(symbol);
        }
        self.new_symbol(text, symbols)
    }

    #[cold]
    fn new_symbol(&mut self, text: Text<'_>, symbols: &mut SymbolCache) -> Option<Symbol> {
        let symbol = symbols.get("ticker", text.bytes()?).ok()?;
        if let Some(word) = text.word() {
            self.names.keep(word, symbol);
        }
        Some(symbol)
    }

    /// A list of conditions, in quotes or not.
    #[inline(always)]
    pub(super) fn conditions(&mut self, text: Text<'_>) -> Option<Conditions> {
        if text.is_empty() {
            return Some(Conditions::NONE);
        }
        if let Some(word) = text.list_word()
            && let Some((list, known)) = self.lists.get(word.slot(LISTS_LEN))
            && *list == word
        {
            return Some(*known);
        }
        self.new_conditions(text)
    }

    #[cold]
    fn new_conditions(&mut self, text: Text<'_>) -> Option<Conditions> {
        let list = conditions(text.unquoted()?.bytes()?).ok()?;
        if let Some(word) = text.list_word()
            && let Some(slot) = self.lists.get_mut(word.slot(LISTS_LEN))
        {
            *slot = (word, list);
        }
        Some(list)
    }

    /// What the first 8 digits of a time stand for.
    #[inline(always)]
    fn lead(&mut self, digits: [u8; 8]) -> Option<u64> {
        let word = u64::from_le_bytes(digits);
        if word != self.lead.0 {
            self.lead = (word, eight_digits(digits)?);
        }
        Some(self.lead.1)
    }

    /// The numbers of a row; `None` when the plain way is to decide.
    #[inline(always)]
    pub(super) fn numbers(&mut self, texts: &Texts<'_>) -> Option<Numbers> {
        let mut lanes = Lanes::ZEROS;
        // A time of 19 digits, which those from 2001 on have: 8, 8 and 3.
        let [lead, middle, ..] = texts.time.bytes()?.as_chunks::<8>().0 else { return None };
        if texts.time.len() != 19 {
            return None;
        }
        let lead = self.lead(*lead)?;
        lanes.words[TIME_MIDDLE] = u64::from_le_bytes(*middle);
        lanes.set(TIME_LAST, Text { start: texts.time.end - 3, ..texts.time }.word()?);
        let price = texts.price.point();
        if let Some((digits, _)) = price {
            lanes.set(PRICE, digits);
        }
        let mut is_common = price.is_some();
        is_common &= lanes.set_text(SEQUENCE, texts.sequence);
        is_common &= lanes.set_text(SIZE, texts.size);
        is_common &= lanes.set_text(ID, texts.id) && !texts.id.has_leading_zero();
        // An empty code is a zero, as the lane is.
        is_common &= texts.exchange.is_empty() || lanes.set_text(EXCHANGE, texts.exchange);
        is_common &= texts.facility.is_empty() || lanes.set_text(FACILITY, texts.facility);
        let (Some(values), Some((_, scale)), true) = (numbers(&lanes.words, &lanes.before), price, is_common)
        else {
            return uncommon(texts, lead);
        };
        let value = |lane: usize| u64::from(values[lane]);
        Some(Numbers {
            time: time(lead, value(TIME_MIDDLE), value(TIME_LAST))?,
            sequence: value(SEQUENCE),
            id: TradeId::from_number(value(ID)),
            price: price_of(value(PRICE).wrapping_mul(scale))?,
            size: Size::from_raw(u128::from(value(SIZE).wrapping_mul(10_000_000_000)))?,
            exchange: u8::try_from(values[EXCHANGE]).ok()?,
            facility: u8::try_from(values[FACILITY]).ok()?,
        })
    }
}

/// The numbers of a row of which some field is empty, longer than 8 bytes or no whole number.
#[cold]
fn uncommon(texts: &Texts<'_>, lead: u64) -> Option<Numbers> {
    let middle = Text { start: texts.time.start + 8, end: texts.time.end - 3, ..texts.time };
    let last = Text { start: texts.time.end - 3, ..texts.time };
    Some(Numbers {
        time: time(lead, middle.number()?, last.number()?)?,
        sequence: texts.sequence.number()?,
        id: texts.id.id()?,
        price: texts.price.price()?,
        size: texts.size.size()?,
        exchange: texts.exchange.small()?,
        facility: texts.facility.small()?,
    })
}

#[inline(always)]
fn time(lead: u64, middle: u64, last: u64) -> Option<Timestamp> {
    // At most 19 digits, which are below 2^64.
    let upper = lead.wrapping_mul(100_000_000).wrapping_add(middle);
    let nanos = upper.wrapping_mul(1_000).wrapping_add(last);
    if nanos < TIME_MIN {
        return None;
    }
    Timestamp::from_nanos(i64::try_from(nanos).ok()?)
}

/// The fields of a row that are numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'a> {
    pub(super) time: Text<'a>,
    pub(super) sequence: Text<'a>,
    pub(super) id: Text<'a>,
    pub(super) price: Text<'a>,
    pub(super) size: Text<'a>,
    pub(super) exchange: Text<'a>,
    pub(super) facility: Text<'a>,
}

/// What they say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) time: Timestamp,
    pub(super) sequence: u64,
    pub(super) id: TradeId,
    pub(super) price: Price,
    pub(super) size: Size,
    pub(super) exchange: u8,
    pub(super) facility: u8,
}

const TIME_MIDDLE: usize = 0;
const TIME_LAST: usize = 1;
const SEQUENCE: usize = 2;
const ID: usize = 3;
const PRICE: usize = 4;
const SIZE: usize = 5;
const EXCHANGE: usize = 6;
const FACILITY: usize = 7;

/// Eight numbers of up to 8 digits, see [`numbers`].
struct Lanes {
    words: [u64; NUMBERS],
    before: [u64; NUMBERS],
}

impl Lanes {
    const ZEROS: Lanes = Lanes { words: [ZEROS; NUMBERS], before: [0; NUMBERS] };

    #[inline(always)]
    fn set(&mut self, lane: usize, word: Word) {
        self.words[lane] = word.bytes;
        self.before[lane] = 64 - 8 * u64::from(word.len);
    }

    /// Takes a text of 1 to 8 bytes, and no other.
    #[inline(always)]
    fn set_text(&mut self, lane: usize, text: Text<'_>) -> bool {
        match text.tail() {
            Some(tail) => {
                self.words[lane] = tail;
                self.before[lane] = 64 - 8 * text.len() as u64;
                true
            }
            None => false,
        }
    }
}
