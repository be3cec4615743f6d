//! The common shape of a Massive row, read at once.
//!
//! The fast way beside [`super::massive_csv`], which stays the one that decides: whatever is not of the common shape,
//! and everything that is wrong, is left to it. So this way has no errors, and must give the same trade or none.
//!
//! Numbers are read 8 digits at a time from the 8 bytes that end with the field, those before it blanked out;
//! names and lists of conditions are looked up by their bytes as one number. What bounds a row is the arithmetic of
//! its ten fields, about 30 instructions each.

use super::fields::{ZEROS, eight_digits, price, size, whole};
use super::massive_csv::trade_id;
use crate::model::{Conditions, Price, Size, Symbol, Timestamp, TradeId};

/// Slots of the table of names; above the symbols of the US tape, so that most have a slot of their own.
const NAMES_LEN: usize = 1 << 13;
/// Slots of the table of condition lists, of which a day has some hundred and uses a few.
const LISTS_LEN: usize = 1 << 8;
/// An odd number whose products are spread evenly over their upper bits: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const TIME_MIN: u64 = 631_152_000_000_000_000;

/// The up to 8 bytes of a short text and their count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Word {
    bytes: u64,
    len: u32,
}

impl Word {
    /// The text `start..end` of 1 to 8 bytes, the byte that ends it highest and what is before it zero.
    #[inline]
    fn of(bytes: &[u8], start: usize, end: usize) -> Option<Word> {
        let len = end.wrapping_sub(start);
        if len.wrapping_sub(1) >= 8 {
            return None;
        }
        let word = u64::from_le_bytes(*bytes.get(..end)?.last_chunk::<8>()?);
        let len = u32::try_from(len).ok()?;
        Some(Word { bytes: word & u64::MAX << (64 - 8 * len), len })
    }

    /// The number, if all bytes are digits.
    #[inline]
    fn digits(self) -> Option<u64> {
        let blank = !(u64::MAX << (64 - 8 * self.len));
        eight_digits((self.bytes | ZEROS & blank).to_le_bytes())
    }

    #[inline]
    fn slot(self, len: usize) -> usize {
        let hash = (self.bytes ^ u64::from(self.len)).wrapping_mul(SPREAD);
        // The upper half of a product by `len` is below it.
        ((hash >> 32) as usize * len) >> 32
    }
}

/// What short texts stand for, by their bytes; a newer text takes the slot of an older one.
#[derive(Debug, Clone)]
struct Seen<T> {
    /// No text has the length zero, so an empty slot meets none.
    slots: Vec<(Word, T)>,
}

impl<T: Copy + Default> Seen<T> {
    fn new(len: usize) -> Seen<T> {
        Seen { slots: vec![(Word::default(), T::default()); len] }
    }

    #[inline]
    fn get(&mut self, word: Word, read: impl FnOnce() -> Option<T>) -> Option<T> {
        let index = word.slot(self.slots.len());
        let slot = self.slots.get_mut(index)?;
        if slot.0 != word {
            *slot = (word, read()?);
        }
        Some(slot.1)
    }
}

/// Reads rows of the common shape.
#[derive(Debug, Clone)]
pub(super) struct MassiveRows {
    names: Seen<Option<Symbol>>,
    lists: Seen<Conditions>,
    /// The first 8 digits of the last time, and their value: they change every 100 seconds.
    lead: (u64, u64),
}

impl MassiveRows {
    pub(super) fn new() -> MassiveRows {
        MassiveRows { names: Seen::new(NAMES_LEN), lists: Seen::new(LISTS_LEN), lead: (0, 0) }
    }

    /// The symbol of a name; `read` gives it for one not seen lately.
    #[inline]
    pub(super) fn symbol(
        &mut self,
        text: Text<'_>,
        read: impl FnOnce(&[u8]) -> Option<Symbol>,
    ) -> Option<Symbol> {
        match text.word() {
            Some(word) => self.names.get(word, || read(text.bytes()?).map(Some))?,
            None => read(text.bytes()?),
        }
    }

    /// A list of conditions, in quotes or not.
    #[inline]
    pub(super) fn conditions(
        &mut self,
        text: Text<'_>,
        read: impl FnOnce(&[u8]) -> Option<Conditions>,
    ) -> Option<Conditions> {
        if text.is_empty() {
            return Some(Conditions::NONE);
        }
        let inner = text.unquoted()?;
        match inner.word() {
            Some(word) => self.lists.get(word, || read(inner.bytes()?)),
            None => read(inner.bytes()?),
        }
    }

    /// A time of 19 digits, which those from 2001 on have.
    #[inline]
    pub(super) fn nanos(&mut self, text: Text<'_>) -> Option<Timestamp> {
        let (lead, rest) = text.bytes()?.split_first_chunk::<8>()?;
        let (middle, rest) = rest.split_first_chunk::<8>()?;
        if rest.len() != 3 {
            return None;
        }
        let word = u64::from_le_bytes(*lead);
        if word != self.lead.0 {
            self.lead = (word, eight_digits(*lead)?);
        }
        let last = Text { start: text.end - 3, ..text }.word()?.digits()?;
        let upper = self.lead.1.wrapping_mul(100_000_000).wrapping_add(eight_digits(*middle)?);
        // At most 19 digits, which are below 2^64.
        let nanos = upper.wrapping_mul(1_000).wrapping_add(last);
        if nanos < TIME_MIN {
            return None;
        }
        Timestamp::from_nanos(i64::try_from(nanos).ok()?)
    }
}

/// A field within the lines it was found in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) lines: &'a [u8],
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> Text<'a> {
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.end <= self.start
    }

    #[inline]
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        self.lines.get(self.start..self.end)
    }

    #[inline]
    fn word(self) -> Option<Word> {
        Word::of(self.lines, self.start, self.end)
    }

    /// Without the quotes around it.
    #[inline]
    fn unquoted(self) -> Option<Text<'a>> {
        if self.lines.get(self.start) != Some(&b'"') {
            return Some(self);
        }
        match self.bytes()? {
            [b'"', .., b'"'] => Some(Text { start: self.start + 1, end: self.end - 1, ..self }),
            _ => None,
        }
    }

    /// A whole number.
    #[inline]
    pub(super) fn number(self) -> Option<u64> {
        match self.word() {
            Some(word) => word.digits(),
            None => whole(self.bytes()?),
        }
    }

    /// A whole number up to 255; zero where the field is empty.
    #[inline]
    pub(super) fn small(self) -> Option<u8> {
        match self.bytes()? {
            [] => Some(0),
            [digit] => Some(digit.wrapping_sub(b'0')).filter(|digit| *digit <= 9),
            _ => u8::try_from(self.word()?.digits()?).ok(),
        }
    }

    /// An identity, mostly a number.
    #[inline]
    pub(super) fn id(self) -> Option<TradeId> {
        match self.long_number() {
            Some(number) => Some(TradeId::from_number(number)),
            None => Some(trade_id(self.unquoted()?.bytes()?)),
        }
    }

    /// A whole number of at most 16 digits without leading zeros.
    #[inline]
    fn long_number(self) -> Option<u64> {
        if self.lines.get(self.start) == Some(&b'0') {
            return None;
        }
        if let Some(word) = self.word() {
            return word.digits();
        }
        let middle = self.end.checked_sub(8)?;
        let lead = Word::of(self.lines, self.start, middle)?.digits()?;
        let rest = Word::of(self.lines, middle, self.end)?.digits()?;
        Some(lead.wrapping_mul(100_000_000).wrapping_add(rest))
    }

    /// A price above zero.
    #[inline]
    pub(super) fn price(self) -> Option<Price> {
        let Some(word) = self.word() else { return price("price", self.bytes()?).ok() };
        let points = word.bytes ^ POINTS;
        // The lowest byte of the point, as its highest bit.
        let found = points.wrapping_sub(ONES) & !points & HIGHS;
        if found == 0 {
            let whole = word.digits()?;
            return (whole != 0).then(|| Price::from_raw(whole.wrapping_mul(1_000_000_000)));
        }
        let place = found.trailing_zeros() / 8;
        let places = 7 - place;
        if places == 0 || place <= 8 - word.len {
            return None;
        }
        // The digits before the point move over it; the word then has one digit less.
        let before = word.bytes & !(u64::MAX << (8 * place));
        let behind = word.bytes & u64::MAX << (8 * place) << 8;
        let digits = Word { bytes: behind | before << 8, len: word.len - 1 }.digits()?;
        let scaled = digits.wrapping_mul(*SCALES.get(places as usize)?);
        (scaled != 0).then(|| Price::from_raw(scaled))
    }

    /// A size, mostly a small whole number.
    #[inline]
    pub(super) fn size(self) -> Option<Size> {
        match self.word().and_then(Word::digits) {
            Some(whole) => Size::from_raw(u128::from(whole.wrapping_mul(10_000_000_000))),
            None => size("size", self.bytes()?).ok(),
        }
    }
}

/// The point, a one and the highest bit in each byte.
const POINTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
/// What digits with so many decimal places are multiplied by, up to the nine of a price.
const SCALES: [u64; 8] = [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100];
