//! Decimal text to scaled integers and back, exactly.
//!
//! One parser for every number that comes from outside: plain decimals (`255.12`), and the exponent
//! form that JSON writers use for small numbers (`1e-7`). Nothing is rounded: a digit that does not
//! fit the scale is an error, a trailing zero is not.

/// Why a text is not an exact number of the asked scale.
///
/// See the example of [`Price`](crate::model::Price).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// No digit at all.
    #[error("number is empty")]
    Empty,
    /// A byte that no decimal has, `offset` bytes from the start.
    #[error("byte {offset} is not part of a decimal number")]
    NotDecimal {
        /// Bytes before the offending one.
        offset: usize,
    },
    /// A minus sign where only zero and above make sense.
    #[error("number is negative")]
    Negative,
    /// Non-zero digits beyond the scale; keeping them would need rounding.
    #[error("more than {places} decimal places")]
    TooPrecise {
        /// Decimal places that fit.
        places: u32,
    },
    /// Larger than the type holds.
    #[error("number is too large")]
    TooLarge,
}

/// Parses `text` as a non-negative decimal and returns it times `10^places`.
///
/// # Errors
/// Every variant of [`DecimalError`]; the caller names the field and the text.
pub(super) fn parse_scaled(text: &[u8], places: u32) -> Result<u128, DecimalError> {
    match parse_plain(text, places) {
        Some(value) => Ok(value),
        None => parse_general(text, places),
    }
}

/// The common case in one pass: at most 18 digits, at most `places` of them after the point.
fn parse_plain(text: &[u8], places: u32) -> Option<u128> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let mut value: u64 = 0;
    let mut point: Option<usize> = None;
    for (index, &byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if byte == b'.' && point.is_none() && index > 0 {
            point = Some(index);
        } else {
            return None;
        }
    }
    if text.len() == 19 && point.is_none() {
        return None;
    }
    let fraction = match point {
        Some(index) => u32::try_from(text.len() - index - 1).ok()?,
        None => 0,
    };
    if fraction > places || (point.is_some() && fraction == 0) {
        return None;
    }
    Some(u128::from(value) * u128::from(POWERS[(places - fraction) as usize]))
}

const POWERS: [u64; 20] = {
    let mut powers = [1u64; 20];
    let mut index = 1;
    while index < 20 {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// Every other accepted form: long digit strings, trailing zeros beyond the scale, exponents.
fn parse_general(text: &[u8], places: u32) -> Result<u128, DecimalError> {
    let (mantissa, exponent) = split_exponent(text)?;
    let mut value: u128 = 0;
    let mut seen_digit = false;
    let mut point = false;
    // Decimal places still to fill; below zero a digit must be zero to be dropped without loss.
    let room_max = i64::from(places) + exponent;
    let mut room = room_max;
    for (offset, &byte) in mantissa.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                seen_digit = true;
                if point {
                    room -= 1;
                }
                value = push_digit(value, byte - b'0', point && room < 0, places)?;
            }
            b'.' if !point && seen_digit => point = true,
            b'-' if offset == 0 => return Err(DecimalError::Negative),
            _ => return Err(DecimalError::NotDecimal { offset }),
        }
    }
    if !seen_digit {
        return Err(DecimalError::Empty);
    }
    if mantissa.last() == Some(&b'.') {
        return Err(DecimalError::NotDecimal {
            offset: mantissa.len() - 1,
        });
    }
    // Digits that were dropped are behind every kept one: they leave nothing to fill.
    shift(value, room.max(0).min(room_max), places)
}

fn push_digit(value: u128, digit: u8, beyond: bool, places: u32) -> Result<u128, DecimalError> {
    match (beyond, digit) {
        (true, 0) => Ok(value),
        (true, _) => Err(DecimalError::TooPrecise { places }),
        (false, _) => value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u128::from(digit)))
            .ok_or(DecimalError::TooLarge),
    }
}

fn shift(value: u128, places_left: i64, places: u32) -> Result<u128, DecimalError> {
    if value == 0 {
        return Ok(0);
    }
    if places_left >= 0 {
        return u32::try_from(places_left)
            .ok()
            .and_then(|power| 10u128.checked_pow(power))
            .and_then(|scale| value.checked_mul(scale))
            .ok_or(DecimalError::TooLarge);
    }
    let drop = u32::try_from(-places_left)
        .ok()
        .and_then(|power| 10u128.checked_pow(power));
    match drop {
        Some(scale) if value.is_multiple_of(scale) => Ok(value / scale),
        Some(_) | None => Err(DecimalError::TooPrecise { places }),
    }
}

fn split_exponent(text: &[u8]) -> Result<(&[u8], i64), DecimalError> {
    let Some(at) = text.iter().position(|byte| matches!(byte, b'e' | b'E')) else {
        return Ok((text, 0));
    };
    let mut digits = &text[at + 1..];
    let mut sign = 1;
    if let [first @ (b'+' | b'-'), rest @ ..] = digits {
        sign = if *first == b'-' { -1 } else { 1 };
        digits = rest;
    }
    if digits.is_empty() || digits.len() > 4 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::NotDecimal { offset: at });
    }
    let exponent = digits
        .iter()
        .fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Ok((&text[..at], sign * exponent))
}

/// Appends the shortest exact text of `value / 10^places`: no trailing zeros, a digit before the point. At most 19
/// places.
pub(super) fn push_scaled(out: &mut Vec<u8>, value: u128, places: usize) {
    let scale = POWERS[places];
    let mut whole = itoa::Buffer::new();
    let (whole, fraction) = match u64::try_from(value) {
        // Most values fit 64 bits, where a division is many times cheaper.
        Ok(value) => (whole.format(value / scale), value % scale),
        Err(_) => (
            whole.format(value / u128::from(scale)),
            u64::try_from(value % u128::from(scale)).unwrap_or(0),
        ),
    };
    out.extend_from_slice(whole.as_bytes());
    if fraction > 0 {
        push_fraction(out, fraction, places);
    }
}

/// Appends the point and the digits of a part below one that is not zero.
fn push_fraction(out: &mut Vec<u8>, fraction: u64, places: usize) {
    let (mut rest, mut len) = (fraction, places);
    if rest.is_multiple_of(10_000) {
        (rest, len) = (rest / 10_000, len - 4);
    }
    while rest.is_multiple_of(10) {
        (rest, len) = (rest / 10, len - 1);
    }
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(rest).as_bytes();
    out.push(b'.');
    out.resize(out.len() + len - digits.len(), b'0');
    out.extend_from_slice(digits);
}

/// Text and number of a type of raw units: what a parsed or shown value has in common whatever it counts.
macro_rules! decimal_text {
    ($type:ty, $places:expr) => {
        impl $type {
            /// Appends the canonical decimal text.
            pub fn push_text(self, out: &mut Vec<u8>) {
                super::decimal::push_scaled(out, u128::from(self.0), $places);
            }
        }

        impl std::str::FromStr for $type {
            type Err = super::DecimalError;

            fn from_str(text: &str) -> Result<$type, super::DecimalError> {
                <$type>::parse(text.as_bytes())
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut text = Vec::with_capacity(40);
                self.push_text(&mut text);
                f.write_str(&String::from_utf8_lossy(&text))
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}
pub(super) use decimal_text;

#[cfg(test)]
mod tests {
    use super::{DecimalError, parse_scaled, push_scaled};
    use proptest::prelude::*;

    fn text(value: u128, places: usize) -> String {
        let mut out = Vec::new();
        push_scaled(&mut out, value, places);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn accepted_forms_are_exact() {
        for (given, want) in [
            ("0", 0),
            ("1", 1_000_000_000),
            ("255.12", 255_120_000_000),
            ("0.000000001", 1),
            ("105433.60000", 105_433_600_000_000),
            ("1.0000000000000", 1_000_000_000),
            ("1e-7", 100),
            ("1.5E-05", 15_000),
            ("12e2", 1_200_000_000_000),
            ("1200e-2", 12_000_000_000),
            ("10.0e-10", 1),
            ("1200.00e-11", 12),
            ("00012.5", 12_500_000_000),
        ] {
            assert_eq!(parse_scaled(given.as_bytes(), 9), Ok(want), "{given}");
        }
    }

    #[test]
    fn refused_forms_say_why() {
        for (given, want) in [
            ("", DecimalError::Empty),
            ("-1", DecimalError::Negative),
            (".5", DecimalError::NotDecimal { offset: 0 }),
            ("5.", DecimalError::NotDecimal { offset: 1 }),
            ("1.2.3", DecimalError::NotDecimal { offset: 3 }),
            ("NaN", DecimalError::NotDecimal { offset: 0 }),
            ("1e", DecimalError::NotDecimal { offset: 1 }),
            ("0.0000000001", DecimalError::TooPrecise { places: 9 }),
            ("1e-10", DecimalError::TooPrecise { places: 9 }),
            ("1.0e-10", DecimalError::TooPrecise { places: 9 }),
            ("1e300", DecimalError::TooLarge),
        ] {
            assert_eq!(parse_scaled(given.as_bytes(), 9), Err(want), "{given}");
        }
        assert_eq!(parse_scaled(&[b'9'; 60], 9), Err(DecimalError::TooLarge));
    }

    proptest! {
        #[test]
        fn text_to_number_to_text_is_the_identity(value in any::<u64>(), places in 0usize..12) {
            let canonical = text(u128::from(value), places);
            let parsed = parse_scaled(canonical.as_bytes(), u32::try_from(places).unwrap());
            prop_assert_eq!(parsed, Ok(u128::from(value)));
        }

        #[test]
        fn wide_text_to_number_to_text_is_the_identity(value in 0u128..1 << 120, zeros in 0u32..30, places in 0usize..20) {
            let value = value - value % 10u128.pow(zeros);
            let canonical = text(value, places);
            prop_assert!(!canonical.contains('.') || !canonical.ends_with(['0', '.']), "{}", canonical);
            let parsed = parse_scaled(canonical.as_bytes(), u32::try_from(places).unwrap());
            prop_assert_eq!(parsed, Ok(value));
        }

        #[test]
        fn exponent_moves_the_point(whole in 0u32.., fraction in 0u32.., zeros in 0usize..12, exponent in -12i32..4) {
            let mantissa = format!("{whole}.{fraction:010}{}", "0".repeat(zeros));
            // 24 places hold every digit of it.
            let plain = parse_scaled(mantissa.as_bytes(), 12).unwrap();
            let moved = parse_scaled(format!("{mantissa}e{exponent}").as_bytes(), 24);
            prop_assert_eq!(moved, Ok(plain * 10u128.pow(u32::try_from(exponent + 12).unwrap())));
        }

        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let _verdict = parse_scaled(&bytes, 9);
        }
    }
}
