//! The fields of a row of lines: where they are, and their bytes as numbers.
//!
//! Numbers are read 8 digits at a time from the 8 bytes that end with the field, those before it blanked out. Whatever
//! is of no common shape is `None`, and left to who called.

#![expect(
    clippy::inline_always,
    reason = "only what is inside `on_best` is compiled for the newer processor"
)]

use super::fields::{ZEROS, eight_digits, price, size, whole};
use super::index::ROW_LEN;
use super::massive_csv::trade_id;
use crate::model::{Price, Size, TradeId};

/// An odd number whose products are spread evenly over their upper bits: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The up to 8 bytes of a short text and their count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Word {
    pub(super) bytes: u64,
    pub(super) len: u32,
}

impl Word {
    /// The text `start..end` of 1 to 8 bytes, the byte that ends it highest and what is before it zero.
    #[inline(always)]
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
    #[inline(always)]
    pub(super) fn digits(self) -> Option<u64> {
        let blank = !(u64::MAX << (64 - 8 * self.len));
        eight_digits((self.bytes | ZEROS & blank).to_le_bytes())
    }

    #[inline(always)]
    pub(super) fn slot(self, len: usize) -> usize {
        let hash = (self.bytes ^ u64::from(self.len)).wrapping_mul(SPREAD);
        // The upper half of a product by `len` is below it.
        ((hash >> 32) as usize * len) >> 32
    }
}

/// The ends of one row within the lines it was found in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) lines: &'a [u8],
    /// The end before the row, then those of its fields.
    pub(super) ends: &'a [u32; ROW_LEN],
}

impl<'a> Row<'a> {
    /// One field; a column that is not there is beyond the row, and reads as an empty field.
    #[inline(always)]
    pub(super) fn field(self, index: usize) -> Text<'a> {
        match self.ends.get(index..) {
            Some([before, end, ..]) => {
                Text { lines: self.lines, start: before.wrapping_add(1) as usize, end: *end as usize }
            }
            Some(_) | None => Text { lines: self.lines, start: 0, end: 0 },
        }
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
    #[inline(always)]
    pub(super) fn is_empty(self) -> bool {
        self.end <= self.start
    }

    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.end.wrapping_sub(self.start)
    }

    #[inline(always)]
    pub(super) fn has_leading_zero(self) -> bool {
        self.lines.get(self.start) == Some(&b'0')
    }

    #[inline(always)]
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        self.lines.get(self.start..self.end)
    }

    /// The 8 bytes that end with a text of 1 to 8.
    #[inline(always)]
    pub(super) fn tail(self) -> Option<u64> {
        if self.len().wrapping_sub(1) >= 8 {
            return None;
        }
        Some(u64::from_le_bytes(*self.lines.get(..self.end)?.last_chunk::<8>()?))
    }

    #[inline(always)]
    pub(super) fn word(self) -> Option<Word> {
        Word::of(self.lines, self.start, self.end)
    }

    /// A list with the quotes around it, or where that is too long, without them.
    #[inline(always)]
    pub(super) fn list_word(self) -> Option<Word> {
        match self.word() {
            Some(word) => Some(word),
            None => self.unquoted()?.word(),
        }
    }

    /// Without the quotes around it.
    #[inline(always)]
    pub(super) fn unquoted(self) -> Option<Text<'a>> {
        if self.lines.get(self.start) != Some(&b'"') {
            return Some(self);
        }
        match self.bytes()? {
            [b'"', .., b'"'] => Some(Text { start: self.start + 1, end: self.end - 1, ..self }),
            _ => None,
        }
    }

    /// A whole number.
    pub(super) fn number(self) -> Option<u64> {
        match self.word() {
            Some(word) => word.digits(),
            None => whole(self.bytes()?),
        }
    }

    /// A whole number up to 255; zero where the field is empty.
    #[inline(always)]
    pub(super) fn small(self) -> Option<u8> {
        match self.bytes()? {
            [] => Some(0),
            [digit] => Some(digit.wrapping_sub(b'0')).filter(|digit| *digit <= 9),
            _ => u8::try_from(self.word()?.digits()?).ok(),
        }
    }

    /// An identity, mostly a number.
    pub(super) fn id(self) -> Option<TradeId> {
        match self.long_number() {
            Some(number) => Some(TradeId::from_number(number)),
            None => Some(trade_id(self.unquoted()?.bytes()?)),
        }
    }

    /// A whole number of at most 16 digits without leading zeros.
    fn long_number(self) -> Option<u64> {
        if self.has_leading_zero() {
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
    pub(super) fn price(self) -> Option<Price> {
        match self.point() {
            Some((digits, scale)) => price_of(digits.digits()?.wrapping_mul(scale)),
            None => price("price", self.bytes()?).ok(),
        }
    }

    /// The digits of a number with or without a point, and what they are multiplied by to become a price.
    #[inline(always)]
    pub(super) fn point(self) -> Option<(Word, u64)> {
        let word = self.word()?;
        let points = word.bytes ^ POINTS;
        // The lowest byte of the point, as its highest bit.
        let found = points.wrapping_sub(ONES) & !points & HIGHS;
        if found == 0 {
            return Some((word, 1_000_000_000));
        }
        let place = found.trailing_zeros() / 8;
        let places = 7 - place;
        if places == 0 || place <= 8 - word.len {
            return None;
        }
        // The digits before the point move over it; the word then has one digit less.
        let before = word.bytes & !(u64::MAX << (8 * place));
        let behind = word.bytes & u64::MAX << (8 * place) << 8;
        let scale = *SCALES.get(places as usize)?;
        Some((Word { bytes: behind | before << 8, len: word.len - 1 }, scale))
    }

    /// A size, mostly a small whole number.
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

/// A price of raw units, above zero.
#[inline(always)]
pub(super) fn price_of(raw: u64) -> Option<Price> {
    if raw == 0 { None } else { Some(Price::from_raw(raw)) }
}
