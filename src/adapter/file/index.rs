//! Where the fields and rows of many lines end: one pass over their bytes, 64 at a time.
//!
//! The pass finds commas outside quotes and ends of lines together, so that no line pays for a search of its own.
//! Lines whose quotes do not close on them are not its business: it says so, and the caller reads them one by one.

#![expect(
    clippy::inline_always,
    reason = "only what is inside `on_best` is compiled for the newer processor"
)]

use super::lanes::{CHUNK_LEN, mask, running_xor};

/// Ends written at once: the usual row has fewer in 64 bytes, so that the loop rarely turns twice.
const STEP: usize = 8;
/// Room that one chunk needs at most, and a row more, so that a whole row can be seen at the end.
const ROOM_LEN: usize = CHUNK_LEN + ROW_LEN;
/// Places seen of a row at once: the end before it, and up to 15 of its own.
pub(super) const ROW_LEN: usize = 16;

/// The ends of fields and rows in some lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// The place before the first row, so that every field begins behind an end; then where each field ends, the last
    /// one of a row at its end of line; room for a chunk and a row more is at the end.
    ends: Vec<u32>,
    count: usize,
    /// For each row, where in `ends` its last one is.
    rows: Vec<u32>,
}

impl Index {
    /// Finds the ends in whole lines of less than 2^32 bytes, each with its end of line; `false` when a quote does
    /// not close on its line.
    #[inline(always)]
    pub(super) fn scan(&mut self, lines: &[u8]) -> bool {
        if self.ends.is_empty() {
            self.ends.resize(ROW_LEN, 0);
        }
        // One before the first byte.
        self.ends[0] = u32::MAX;
        self.count = 1;
        self.rows.clear();
        let mut open = 0u64;
        let (chunks, rest) = lines.as_chunks::<CHUNK_LEN>();
        let mut at = 0;
        for chunk in chunks {
            if !self.take(chunk, at, &mut open) {
                return false;
            }
            at += 64;
        }
        if rest.is_empty() {
            return true;
        }
        // Zeros end neither field nor row.
        let mut chunk = [0u8; CHUNK_LEN];
        chunk[..rest.len()].copy_from_slice(rest);
        self.take(&chunk, at, &mut open)
    }

    /// Rows found.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many fields a row has, and the end before it with the first 15 of its own; what is behind the row's end is
    /// not its own. `None` for a row that is not there.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> Option<(usize, &[u32; ROW_LEN])> {
        let before =
            row.checked_sub(1).map_or(Some(0), |before| self.rows.get(before).map(|last| *last as usize))?;
        let count = (*self.rows.get(row)? as usize).wrapping_sub(before);
        Some((count, self.ends.get(before..)?.first_chunk()?))
    }

    /// The place of a row's end of line.
    #[inline(always)]
    pub(super) fn end(&self, row: usize) -> usize {
        self.rows.get(row).and_then(|last| self.ends.get(*last as usize)).map_or(0, |end| *end as usize)
    }

    /// Notes the ends in one chunk that starts at byte `at`; `open` is all ones while a quote is open.
    #[inline(always)]
    fn take(&mut self, chunk: &[u8; CHUNK_LEN], at: u32, open: &mut u64) -> bool {
        let (mut commas, mut lines) = (mask(chunk, b','), mask(chunk, b'\n'));
        let quotes = mask(chunk, b'"');
        if quotes != 0 || *open != 0 {
            let inside = running_xor(quotes) ^ *open;
            if lines & inside != 0 {
                return false;
            }
            commas &= !inside;
            *open = if inside >> 63 == 1 { u64::MAX } else { 0 };
        }
        let mut ends = commas | lines;
        let before = self.count;
        let end = before + ends.count_ones() as usize;
        while lines != 0 {
            let place = lines.trailing_zeros();
            let behind = (ends & (u64::MAX >> (63 - place))).count_ones() as usize;
            // Fewer ends than bytes, which are fewer than 2^32.
            self.rows.push(u32::try_from(before + behind - 1).unwrap_or(u32::MAX));
            lines &= lines - 1;
        }
        if self.ends.len() < before + ROOM_LEN {
            self.ends.resize(2 * (before + ROOM_LEN), 0);
        }
        let Some(room) = self.ends.get_mut(before..).and_then(<[u32]>::first_chunk_mut::<ROOM_LEN>) else {
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
        self.count = end;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Index;
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
            let is_whole = index.scan(lines.as_bytes());
            let plain = plain(lines.as_bytes());
            prop_assert_eq!(is_whole, plain.is_some());
            let (plain, mut before) = (plain.unwrap_or_default(), u32::MAX);
            prop_assert_eq!(index.len(), if is_whole { plain.len() } else { index.len() });
            for (row, ends) in plain.iter().enumerate() {
                let (count, found) = index.row(row).unwrap();
                prop_assert_eq!((count, found[0], index.end(row)), (ends.len(), before, ends[count - 1] as usize));
                prop_assert_eq!(&found[1..=count.min(15)], &ends[..count.min(15)]);
                before = ends[count - 1];
            }
        }
    }
}
