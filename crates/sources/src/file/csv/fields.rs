//! The fields of one delimited line: the slow path.
//!
//! Owns the split of a line at its commas (RFC 4180 quoting, without line breaks inside quotes), 64 bytes at once; the
//! tests compare it with the byte-by-byte form.

use super::simd::{mask, running_xor};
use crate::file::error::{RecordError, ValueError};

/// Fields of the longest line; the layouts have at most 13.
pub(crate) const FIELDS_MAX: usize = 64;
/// Ends written at once: the usual line has fewer commas in 64 bytes, so that the loop does not branch.
const STEP: usize = 8;

/// The commas of one line.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    /// Where each field ends; the next one starts a byte later. The last step may write beyond the maximum.
    ends: [u32; FIELDS_MAX + STEP],
    count: usize,
}

impl Default for Fields {
    fn default() -> Fields {
        Fields {
            ends: [0; FIELDS_MAX + STEP],
            count: 0,
        }
    }
}

impl Fields {
    /// Finds the fields of the line; refuses a quote that does not close, and more than 64 fields.
    pub(crate) fn split(&mut self, line: &[u8]) -> Result<(), RecordError> {
        self.count = 0;
        // All ones while a quote is open.
        let mut open = 0u64;
        let mut at = 0;
        let (chunks, rest) = line.as_chunks::<64>();
        for chunk in chunks {
            self.push_commas(mask(chunk, b','), mask(chunk, b'"'), at, &mut open);
            at += 64;
        }
        if let (false, Some(last)) = (rest.is_empty(), line.last_chunk::<64>()) {
            // The chunk overlaps the one before; what that one has seen is shifted out.
            let seen = 64 - rest.len();
            self.push_commas(
                mask(last, b',') >> seen,
                mask(last, b'"') >> seen,
                at,
                &mut open,
            );
        } else if !rest.is_empty() {
            let mut chunk = [0u8; 64];
            chunk[..rest.len()].copy_from_slice(rest);
            self.push_commas(mask(&chunk, b','), mask(&chunk, b'"'), at, &mut open);
        }
        if open != 0 {
            return Err(RecordError::new("row", line, ValueError::Quote));
        }
        if self.count >= FIELDS_MAX {
            let reason = ValueError::FieldCount {
                count: self.count + 1,
                expected: FIELDS_MAX,
            };
            return Err(RecordError::new("row", line, reason));
        }
        // A record is far shorter than 2^32 bytes.
        self.ends[self.count] = u32::try_from(line.len()).unwrap_or(u32::MAX);
        self.count += 1;
        Ok(())
    }

    /// Finds the fields of a row that must have `count` of them.
    #[inline]
    pub(crate) fn split_row(&mut self, line: &[u8], count: usize) -> Result<(), RecordError> {
        self.split(line)?;
        if self.count == count {
            return Ok(());
        }
        let reason = ValueError::FieldCount {
            count: self.count,
            expected: count,
        };
        Err(RecordError::new("row", line, reason))
    }

    #[inline]
    fn push_commas(&mut self, mut commas: u64, quotes: u64, at: u32, open: &mut u64) {
        if quotes != 0 || *open != 0 {
            let inside = running_xor(quotes) ^ *open;
            commas &= !inside;
            *open = if inside >> 63 == 1 { u64::MAX } else { 0 };
        }
        let end = self.count + commas.count_ones() as usize;
        while self.count < end {
            let Some(step) = self
                .ends
                .get_mut(self.count..)
                .and_then(<[u32]>::first_chunk_mut::<STEP>)
            else {
                break;
            };
            for slot in step {
                *slot = at + commas.trailing_zeros();
                commas &= commas.wrapping_sub(1);
            }
            self.count += STEP;
        }
        self.count = end;
    }

    /// Fields of the line, at least one.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The first field of a header that has one of these names.
    pub(crate) fn position(&self, header: &[u8], names: &[&str]) -> Option<usize> {
        (0..self.count).find(|&index| {
            let field = self.get(header, index).trim_ascii();
            names.iter().any(|name| name.as_bytes() == field)
        })
    }

    /// One field, without the quotes around it; empty when the line has fewer fields.
    #[inline]
    pub(crate) fn get<'a>(&self, line: &'a [u8], index: usize) -> &'a [u8] {
        if index >= self.count {
            return &[];
        }
        let start = if index == 0 {
            0
        } else {
            self.ends[index - 1] as usize + 1
        };
        match &line[start..self.ends[index] as usize] {
            [b'"', inner @ .., b'"'] => inner,
            field => field,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;
    use proptest::prelude::*;

    fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut fields = Fields::default();
        fields.split(line).ok()?;
        Some(
            (0..fields.count())
                .map(|index| fields.get(line, index).to_vec())
                .collect(),
        )
    }

    /// The plain form: one byte after another.
    fn split_plainly(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut fields = vec![Vec::new()];
        let mut open = false;
        for &byte in line {
            open ^= byte == b'"';
            if byte == b',' && !open {
                fields.push(Vec::new());
            } else {
                fields.last_mut().unwrap().push(byte);
            }
        }
        for field in &mut fields {
            if field.len() > 1 && field[0] == b'"' && field.last() == Some(&b'"') {
                *field = field[1..field.len() - 1].to_vec();
            }
        }
        (!open && fields.len() <= super::FIELDS_MAX).then_some(fields)
    }

    #[test]
    fn quoted_commas_do_not_split() {
        let fields = split(br#"A,"12,37",0,"",11"#).unwrap();
        let fields: Vec<&str> = fields
            .iter()
            .map(|field| std::str::from_utf8(field).unwrap())
            .collect();
        assert_eq!(fields, ["A", "12,37", "0", "", "11"]);
        assert!(split(br#"A,"12,37"#).is_none());
    }

    #[test]
    fn fields_beyond_the_maximum_are_refused() {
        let line = |fields: usize| vec!["7"; fields].join(",");
        assert_eq!(
            split(line(64).as_bytes()).map(|fields| fields.len()),
            Some(64)
        );
        for fields in [65, 66, 72, 73, 1000] {
            assert!(split(line(fields).as_bytes()).is_none(), "{fields}");
        }
    }

    proptest! {
        #[test]
        fn split_equals_the_plain_form(line in r#"[a-c0-9,",]{0,200}"#) {
            prop_assert_eq!(split(line.as_bytes()), split_plainly(line.as_bytes()));
        }
    }
}
