//! Fields of a delimited line, and the numbers in them.
//!
//! Owns the split of one line at its commas (RFC 4180 quoting, without line breaks inside quotes) and the
//! fast reading of whole numbers, 8 digits at once in plain integers; the tests compare both with the byte-by-byte
//! form.

use super::error::{Fault, ValueError};
use super::lanes::{mask, running_xor};
use barmill_core::model::{Price, Size, Timestamp};

/// 1990-01-01T00:00:00Z: before it no file of trades was recorded.
const TIME_MIN: i64 = 631_152_000_000_000_000;

/// Fields of the longest line; the layouts have at most 13.
pub(super) const FIELDS_MAX: usize = 64;
/// Ends written at once: the usual line has fewer commas in 64 bytes, so that the loop does not branch.
const STEP: usize = 8;

/// The commas of one line.
#[derive(Debug, Clone)]
pub(super) struct Fields {
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
    pub(super) fn split(&mut self, line: &[u8]) -> Result<(), Fault> {
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
            return Err(Fault::new("row", line, ValueError::Quote));
        }
        if self.count >= FIELDS_MAX {
            let reason = ValueError::FieldCount {
                count: self.count + 1,
                expected: FIELDS_MAX,
            };
            return Err(Fault::new("row", line, reason));
        }
        // A record is far shorter than 2^32 bytes.
        self.ends[self.count] = u32::try_from(line.len()).unwrap_or(u32::MAX);
        self.count += 1;
        Ok(())
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
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// One field, without the quotes around it; empty when the line has fewer fields.
    #[inline]
    pub(super) fn get<'a>(&self, line: &'a [u8], index: usize) -> &'a [u8] {
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

/// Reads a whole number of 1 to 19 digits.
#[inline]
pub(super) fn whole(text: &[u8]) -> Option<u64> {
    let (Some(first), 8..=19) = (text.first_chunk::<8>(), text.len()) else {
        return few_digits(text);
    };
    // The digits before the whole words, moved behind as many zeros as make a word of them.
    let lead_bits = 8 * u32::try_from(text.len() % 8).unwrap_or(0);
    let mut value = 0;
    if lead_bits > 0 {
        let lead = u64::from_le_bytes(*first) << (64 - lead_bits) | ZEROS >> lead_bits;
        value = eight_digits(lead.to_le_bytes())?;
    }
    // Nineteen digits stay below 2^64, so nothing wraps.
    let (words, _) = text[text.len() % 8..].as_chunks::<8>();
    for &word in words {
        value = value
            .wrapping_mul(100_000_000)
            .wrapping_add(eight_digits(word)?);
    }
    Some(value)
}

/// Eight times the digit 0.
pub(super) const ZEROS: u64 = 0x3030_3030_3030_3030;

fn few_digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 7 {
        return None;
    }
    text.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| value.wrapping_mul(10).wrapping_add(u64::from(digit)))
    })
}

/// Eight digits at once, by pairs, quads and halves.
#[expect(
    clippy::inline_always,
    reason = "only what is inside `on_best` is compiled for the newer processor"
)]
#[inline(always)]
pub(super) fn eight_digits(word: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(word);
    let high = word & 0xf0f0_f0f0_f0f0_f0f0;
    // Adding 6 carries out of the low half of a byte exactly when it is above 9.
    let carried = word.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if high != ZEROS || carried != high {
        return None;
    }
    let digits = word & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((quads.wrapping_mul(10_000) + (quads >> 32)) & 0xffff_ffff)
}

/// A whole number, or the fault that names its field.
#[inline]
pub(super) fn integer(field: &'static str, text: &[u8]) -> Result<u64, Fault> {
    whole(text).ok_or_else(|| Fault::new(field, text, ValueError::NotInteger))
}

/// A whole number up to 255; zero where the field is empty.
#[inline]
pub(super) fn small(field: &'static str, text: &[u8]) -> Result<u8, Fault> {
    match text {
        [] => Ok(0),
        [digit @ b'0'..=b'9'] => Ok(digit - b'0'),
        _ => u8::try_from(integer(field, text)?).map_err(|_| {
            Fault::new(
                field,
                text,
                ValueError::Above {
                    max: u64::from(u8::MAX),
                },
            )
        }),
    }
}

/// A price above zero.
#[inline]
pub(super) fn price(field: &'static str, text: &[u8]) -> Result<Price, Fault> {
    match Price::parse(text) {
        Ok(Price::ZERO) => Err(Fault::new(field, text, ValueError::PriceZero)),
        Ok(price) => Ok(price),
        Err(error) => Err(Fault::new(field, text, error)),
    }
}

/// A size.
#[inline]
pub(super) fn size(field: &'static str, text: &[u8]) -> Result<Size, Fault> {
    // Most sizes are small whole numbers.
    if let Some(whole) = whole(text)
        && text.len() <= 12
        && let Some(size) = Size::from_raw(u128::from(whole) * 10_000_000_000)
    {
        return Ok(size);
    }
    Size::parse(text).map_err(|error| Fault::new(field, text, error))
}

/// An instant of `nanos` since the Unix epoch, from 1990 on.
#[inline]
pub(super) fn instant(field: &'static str, text: &[u8], nanos: u64) -> Result<Timestamp, Fault> {
    i64::try_from(nanos)
        .ok()
        .filter(|nanos| TIME_MIN <= *nanos)
        .and_then(Timestamp::from_nanos)
        .ok_or_else(|| Fault::new(field, text, ValueError::Time))
}

/// Nanoseconds since the Unix epoch as text.
#[inline]
pub(super) fn nanos(field: &'static str, text: &[u8]) -> Result<Timestamp, Fault> {
    instant(field, text, integer(field, text)?)
}

/// Milliseconds, microseconds or nanoseconds since the Unix epoch.
///
/// From 1990 to 2262 the three units have 12 to 13, 15 to 16 and 18 to 19 digits, so the value tells its unit.
pub(super) fn by_magnitude(
    field: &'static str,
    text: &[u8],
    value: u64,
) -> Result<Timestamp, Fault> {
    let scale = match value {
        0..10_000_000_000_000 => 1_000_000,
        10_000_000_000_000..10_000_000_000_000_000 => 1_000,
        10_000_000_000_000_000.. => 1,
    };
    instant(field, text, value.saturating_mul(scale))
}

#[cfg(test)]
mod tests {
    use super::{Fields, by_magnitude, price, size, whole};
    use barmill_core::model::Size;
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

    #[test]
    fn time_unit_follows_from_the_value() {
        let time = |value| {
            by_magnitude("time", b"", value)
                .map(|time| time.to_string())
                .ok()
        };
        assert_eq!(
            time(1_735_689_600_123),
            Some("2025-01-01T00:00:00.123Z".into())
        );
        assert_eq!(
            time(1_735_689_600_123_456),
            Some("2025-01-01T00:00:00.123456Z".into())
        );
        assert_eq!(
            time(1_735_689_600_123_456_789),
            Some("2025-01-01T00:00:00.123456789Z".into())
        );
        for value in [0, 1_735_689_600, 99_999_999_999_999, u64::MAX] {
            assert_eq!(time(value), None, "{value}");
        }
    }

    #[test]
    fn price_must_be_above_zero() {
        for text in ["0", "0.000", "-1", "NaN", "", "inf", "1,5"] {
            assert!(price("price", text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn split_equals_the_plain_form(line in r#"[a-c0-9,",]{0,200}"#) {
            prop_assert_eq!(split(line.as_bytes()), split_plainly(line.as_bytes()));
        }

        #[test]
        fn whole_number_equals_the_standard_parser(text in "[0-9]{0,21}|[ -~]{0,10}|[0-9]{3,8}[ -~][0-9]{3,8}") {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() < 20;
            prop_assert_eq!(whole(text.as_bytes()), text.parse().ok().filter(|_| plain));
        }

        #[test]
        fn size_equals_the_general_parser(text in "[0-9]{0,22}|[0-9]{0,5}[.][0-9]{0,12}|[ -~]{0,6}") {
            prop_assert_eq!(size("size", text.as_bytes()).ok(), Size::parse(text.as_bytes()).ok());
        }
    }
}
