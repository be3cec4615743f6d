//! Finds the ends of fields and rows in one pass over the bytes, 64 at a time.
//!
//! The pass finds commas outside quotes and ends of lines together, so that no line pays for a search of its own.
//! Lines whose quotes do not close on them are not its business: it says so, and the caller reads them one by one.

#![expect(
    clippy::inline_always,
    reason = "only what is inside `simd::dispatch` is compiled for the newer processor"
)]

use crate::file::csv::simd::{CHUNK_LEN, Marks, Simd};
use std::ops::Range;

/// Bytes looked at in one scan at most.
pub(super) const PIECE_LEN: usize = 8 * 1024;
/// Ends written at once: the usual row has fewer in 64 bytes, so that the loop rarely turns twice.
const STEP: usize = 12;
/// Room that one chunk needs at most.
const ROOM_LEN: usize = CHUNK_LEN.next_multiple_of(STEP);
/// Offsets seen of a row at once: the end before it, and up to 15 of its own.
pub(super) const ROW_LEN: usize = 16;

/// The ends of fields and rows in some lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// The offset before the first row, so that every field begins behind an end; then where each field ends, the last
    /// one of a row at its end of line. With room for as many as there are bytes.
    ends: Vec<u32>,
    count: u32,
    /// For each row, where in `ends` its last one is; with the same room.
    rows: Vec<u32>,
    row_count: usize,
}

impl Index {
    /// Finds the ends in a piece of `lines`, which has less than 2^32 bytes: whole lines, each with its end of line, of
    /// [`PIECE_LEN`] bytes at most. Offsets count from the start of `lines`. `false` when a quote does not close on its
    /// line.
    #[inline(always)]
    pub(super) fn scan<S: Simd>(&mut self, best: S, lines: &[u8], piece: Range<usize>) -> bool {
        if self.ends.is_empty() {
            self.ends.resize(PIECE_LEN + ROOM_LEN + ROW_LEN, 0);
            self.rows.resize(PIECE_LEN + 2, 0);
        }
        let mut at = u32::try_from(piece.start).unwrap_or(u32::MAX);
        self.ends[0] = at.wrapping_sub(1);
        (self.count, self.row_count) = (1, 0);
        let mut open = 0u64;
        let (chunks, rest) = lines[piece].as_chunks::<CHUNK_LEN>();
        for chunk in chunks {
            if !self.take(best, chunk, at, &mut open) {
                return false;
            }
            at = at.wrapping_add(64);
        }
        if rest.is_empty() {
            return true;
        }
        // Zeros end neither field nor row.
        let mut chunk = [0u8; CHUNK_LEN];
        chunk[..rest.len()].copy_from_slice(rest);
        self.take(best, &chunk, at, &mut open)
    }

    /// The rows found, in order.
    #[inline(always)]
    pub(super) fn rows(&self) -> impl Iterator<Item = Found<'_>> {
        Rows {
            ends: &self.ends,
            lasts: self.rows.get(..self.row_count).unwrap_or_default().iter(),
            before: 0,
        }
    }

    /// Notes the ends in one chunk that starts at byte `at`; `open` is all ones while a quote is open.
    #[inline(always)]
    fn take<S: Simd>(&mut self, best: S, chunk: &[u8; CHUNK_LEN], at: u32, open: &mut u64) -> bool {
        let Marks {
            commas,
            lines,
            quotes,
        } = best.marks(chunk);
        // No branch for chunks without quotes: whether there are any is as good as random.
        let inside = best.running_xor(quotes) ^ *open;
        if lines & inside != 0 {
            return false;
        }
        *open = (inside.cast_signed() >> 63).cast_unsigned();
        let ends = commas & !inside | lines;
        self.note_rows(ends, lines) && self.note_ends(ends, at)
    }

    /// Notes which of the ends of a chunk are the last of a row: two at once, since one more or less is random too.
    #[inline(always)]
    fn note_rows(&mut self, ends: u64, mut lines: u64) -> bool {
        let mut left = lines.count_ones();
        loop {
            let Some(room) = self
                .rows
                .get_mut(self.row_count..)
                .and_then(<[u32]>::first_chunk_mut)
            else {
                return false;
            };
            let rest = lines & lines.wrapping_sub(1);
            *room = [lines, rest].map(|lines| {
                let up_to_lowest = lines ^ lines.wrapping_sub(1);
                self.count
                    .wrapping_add((ends & up_to_lowest).count_ones())
                    .wrapping_sub(1)
            });
            if left <= 2 {
                self.row_count += left as usize;
                return true;
            }
            self.row_count += 2;
            left -= 2;
            lines = rest & rest.wrapping_sub(1);
        }
    }

    #[inline(always)]
    fn note_ends(&mut self, mut ends: u64, at: u32) -> bool {
        let before = self.count as usize;
        self.count = self.count.wrapping_add(ends.count_ones());
        let Some(room) = self
            .ends
            .get_mut(before..)
            .and_then(<[u32]>::first_chunk_mut::<ROOM_LEN>)
        else {
            return false;
        };
        for step in room.as_chunks_mut::<STEP>().0 {
            if ends == 0 {
                break;
            }
            for slot in step {
                *slot = at.wrapping_add(ends.trailing_zeros());
                ends &= ends.wrapping_sub(1);
            }
        }
        true
    }
}

/// The rows of an [`Index`] that are still to come.
struct Rows<'a> {
    ends: &'a [u32],
    lasts: std::slice::Iter<'a, u32>,
    /// Where the end before the next row is.
    before: usize,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    /// How many fields it has.
    pub(super) count: usize,
    /// The end before it with the first 15 of its own; what is behind the row's end is not its own.
    pub(super) ends: Option<&'a [u32; ROW_LEN]>,
    all: &'a [u32],
}

impl<'a> Iterator for Rows<'a> {
    type Item = Found<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Found<'a>> {
        let last = *self.lasts.next()? as usize;
        let count = last.wrapping_sub(self.before);
        let all = self.ends.get(self.before..).unwrap_or_default();
        self.before = last;
        Some(Found {
            count,
            ends: all.first_chunk(),
            all,
        })
    }
}

impl Found<'_> {
    /// The bytes of the row, its end of line included.
    pub(super) fn line<'l>(&self, lines: &'l [u8]) -> &'l [u8] {
        let behind = |number: usize| {
            self.all
                .get(number)
                .map_or(0, |end| end.wrapping_add(1) as usize)
        };
        lines.get(behind(0)..behind(self.count)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Index;
    use crate::file::csv::simd::SCALAR;
    use proptest::prelude::*;

    /// The plain form: the ends of each row, or nothing when a quote does not close.
    fn plain(lines: &[u8]) -> Option<Vec<Vec<u32>>> {
        let (mut rows, mut row, mut open) = (Vec::new(), Vec::new(), false);
        for (at, byte) in (0u32..).zip(lines) {
            match byte {
                b'"' => open = !open,
                b',' if !open => row.push(at),
                b'\n' if open => return None,
                b'\n' => {
                    row.push(at);
                    rows.push(std::mem::take(&mut row));
                }
                _ => {}
            }
        }
        Some(rows)
    }

    proptest! {
        #[test]
        fn ends_equal_the_plain_form(
            text in r#"([a-z0-9,]{0,30}|"[a-z,]{0,9}",?|[,]{0,90})(\n|\n\n|,)"#,
            texts in proptest::collection::vec(r#"[a-z0-9,\n]{0,80}|("[a-z,]{0,9}",?|[a-z]{1,9},){0,9}\n|"?\n"#, 0..12),
        ) {
            let lines = format!("{text}{}\n", texts.concat());
            let mut index = Index::default();
            let is_whole = index.scan(SCALAR, lines.as_bytes(), 0..lines.len());
            let plain = plain(lines.as_bytes());
            prop_assert_eq!(is_whole, plain.is_some());
            let (plain, mut before) = (plain.unwrap_or_default(), u32::MAX);
            if !is_whole {
                return Ok(());
            }
            prop_assert_eq!(index.rows().count(), plain.len());
            for (found, ends) in index.rows().zip(&plain) {
                let (count, own) = (found.count, found.ends.unwrap());
                prop_assert_eq!((count, own[0]), (ends.len(), before));
                let line = before.wrapping_add(1) as usize..=ends[count - 1] as usize;
                prop_assert_eq!(found.line(lines.as_bytes()), &lines.as_bytes()[line]);
                prop_assert_eq!(&own[1..=count.min(15)], &ends[..count.min(15)]);
                before = ends[count - 1];
            }
        }
    }
}
