//! The fields of a row: their positions, and their bytes as numbers.
//!
//! Numbers are read 8 digits at a time from the 8 bytes that end with the field, those before it blanked out. Whatever
//! is of no common shape is `None`, and left to who called.

#![expect(
    clippy::inline_always,
    reason = "only what is inside `simd::dispatch` is compiled for the newer processor"
)]

use super::index::ROW_LEN;
use crate::file::values::{ZEROS, eight_digits, small};
use barmill_core::model::Price;

/// An odd number whose products are spread evenly over their upper bits: 2^64 divided by the golden ratio.
const HASH_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The up to 8 bytes of a short text and their count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Word {
    pub(super) bytes: u64,
    pub(super) len: u32,
}

impl Word {
    /// The number, if all bytes are digits.
    #[inline(always)]
    pub(super) fn digits(self) -> Option<u64> {
        let blank = !(u64::MAX << (64 - 8 * self.len));
        eight_digits((self.bytes | ZEROS & blank).to_le_bytes())
    }

    /// The digits of a number with or without a point, and what they are multiplied by to become a price.
    #[inline(always)]
    pub(super) fn point(self) -> Option<(Word, u64)> {
        let points = self.bytes ^ POINTS;
        // The lowest byte of the point, as its highest bit.
        let found = points.wrapping_sub(ONES) & !points & HIGHS;
        if found == 0 {
            return Some((self, 1_000_000_000));
        }
        let place = found.trailing_zeros() / 8;
        let places = 7 - place;
        if places == 0 || place + self.len <= 8 {
            return None;
        }
        // The digits before the point move over it; the word then has one digit less.
        let upper = u64::MAX << (8 * place);
        let (before, behind) = (self.bytes & !upper, self.bytes & upper << 8);
        let scale = *SCALES.get(places as usize)?;
        Some((
            Word {
                bytes: behind | before << 8,
                len: self.len - 1,
            },
            scale,
        ))
    }

    #[inline(always)]
    pub(super) fn slot(self, len: usize) -> usize {
        let hash = (self.bytes ^ u64::from(self.len)).wrapping_mul(HASH_FACTOR);
        // The upper half of a product by `len` is below it.
        ((hash >> 32) as usize * len) >> 32
    }
}

/// Bytes of a row read at once at most, its end of line not counted.
const ROW_BYTES_MAX: u32 = 255;
/// Bytes before a row that are read with it, so that every field has 8 bytes that end with it.
const BEFORE: usize = 8;
/// The longest row, those before it, and as many behind it, so that no offset in a row needs a check of bounds.
pub(super) const WINDOW_LEN: usize = 272;

/// One row and the bytes around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// The row begins at byte 8.
    window: &'a [u8; WINDOW_LEN],
    /// The end before the row, then those of its fields.
    ends: &'a [u32; ROW_LEN],
}

impl<'a> Row<'a> {
    /// The row of `count` fields with these ends in `lines`; `scratch` holds it where `lines` has too little around it.
    #[inline(always)]
    pub(super) fn new(
        lines: &'a [u8],
        ends: &'a [u32; ROW_LEN],
        count: usize,
        scratch: &'a mut [u8; WINDOW_LEN],
    ) -> Option<Row<'a>> {
        let start = ends[0].wrapping_add(1);
        let len = ends.get(count)?.wrapping_sub(start);
        if len > ROW_BYTES_MAX {
            return None;
        }
        let window = lines
            .get((start as usize).wrapping_sub(BEFORE)..)
            .and_then(<[u8]>::first_chunk);
        let window = match window {
            Some(window) => window,
            None => fill(scratch, lines.get(start as usize..)?.get(..len as usize)?)?,
        };
        Some(Row { window, ends })
    }

    /// Where a field starts and ends, from the start of the row; a column that is not there is beyond the row, and
    /// reads as an empty field.
    #[inline(always)]
    fn span(&self, field: usize) -> (u32, u32) {
        let start = self.ends[0].wrapping_add(1);
        match self.ends.get(field..) {
            Some([before, end, ..]) => (
                before.wrapping_add(1).wrapping_sub(start),
                end.wrapping_sub(start),
            ),
            Some(_) | None => (0, 0),
        }
    }

    /// Bytes of a field.
    #[inline(always)]
    pub(super) fn len(&self, field: usize) -> u32 {
        let (start, end) = self.span(field);
        end.wrapping_sub(start)
    }

    /// The 8 bytes that end so many bytes before the end of a field, the last one highest.
    #[inline(always)]
    pub(super) fn tail(&self, field: usize, before_end: u32) -> u64 {
        let (_, end) = self.span(field);
        let at = (end.wrapping_sub(before_end) & ROW_BYTES_MAX) as usize;
        match self.window[at..].first_chunk() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => 0,
        }
    }

    /// The first byte of a field, or what follows an empty one.
    #[inline(always)]
    pub(super) fn first(&self, field: usize) -> u8 {
        let (start, _) = self.span(field);
        self.window[(start & ROW_BYTES_MAX) as usize + BEFORE]
    }

    /// A field of 1 to 8 bytes.
    #[inline(always)]
    pub(super) fn word(&self, field: usize) -> Option<Word> {
        let len = self.len(field);
        if len.wrapping_sub(1) >= 8 {
            return None;
        }
        Some(Word {
            bytes: self.tail(field, 0) & u64::MAX << (64 - 8 * len),
            len,
        })
    }

    /// A whole number up to 255; zero where the field is empty.
    #[inline(always)]
    pub(super) fn small(&self, field: usize) -> Option<u8> {
        match self.len(field) {
            0 => Some(0),
            1 => {
                let digit = self.first(field).wrapping_sub(b'0');
                if digit <= 9 { Some(digit) } else { None }
            }
            _ => small("", self.bytes(field)?).ok(),
        }
    }

    /// A list with the quotes around it, or where that is too long, without them.
    #[inline(always)]
    pub(super) fn list_word(&self, field: usize) -> Option<Word> {
        let len = self.len(field);
        if len <= 8 {
            return self.word(field);
        }
        let is_quoted = self.first(field) == b'"' && self.tail(field, 0) >> 56 == u64::from(b'"');
        if len > 10 || !is_quoted {
            return None;
        }
        Some(Word {
            bytes: self.tail(field, 1) & u64::MAX << (64 - 8 * (len - 2)),
            len: len - 2,
        })
    }

    /// A field of any length.
    #[inline(always)]
    pub(super) fn bytes(&self, field: usize) -> Option<&'a [u8]> {
        let (start, end) = self.span(field);
        self.window
            .get(start as usize + BEFORE..end as usize + BEFORE)
    }
}

/// A copy of a row at the edge of its lines.
#[cold]
fn fill<'a>(scratch: &'a mut [u8; WINDOW_LEN], row: &[u8]) -> Option<&'a [u8; WINDOW_LEN]> {
    scratch
        .get_mut(BEFORE..)?
        .get_mut(..row.len())?
        .copy_from_slice(row);
    Some(scratch)
}

/// A field without the quotes around it; `None` where they do not close.
pub(super) fn unquoted(field: &[u8]) -> Option<&[u8]> {
    match field {
        [b'"', inner @ .., b'"'] => Some(inner),
        [b'"', ..] => None,
        _ => Some(field),
    }
}

/// The point, a one and the highest bit in each byte.
const POINTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
/// What digits with so many decimal places are multiplied by, up to the nine of a price.
const SCALES: [u64; 8] = [
    1_000_000_000,
    100_000_000,
    10_000_000,
    1_000_000,
    100_000,
    10_000,
    1_000,
    100,
];

/// A price of raw units, above zero.
#[inline(always)]
pub(super) fn price_of(raw: u64) -> Option<Price> {
    if raw == 0 {
        None
    } else {
        Some(Price::from_raw(raw))
    }
}
