//! Exact decimals by moving digits in a text.

use barmill::{Price, Size, Timestamp};

/// The value of `text` times `10^places`, when it is a non-negative decimal without more places.
pub fn scaled(text: &[u8], places: usize) -> Option<u128> {
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    // Where the point of the result stands among the digits.
    let point = i64::try_from(whole.len()).ok()? + exponent + i64::try_from(places).ok()?;
    let trimmed = digits.trim_end_matches('0');
    if trimmed.bytes().all(|byte| byte == b'0') {
        return Some(0);
    }
    let missing = point - i64::try_from(trimmed.len()).ok()?;
    if missing < 0 {
        return None;
    }
    // A number of more than forty digits does not fit in any case.
    let zeros = "0".repeat(usize::try_from(missing).ok()?);
    format!("{trimmed}{zeros}")
        .trim_start_matches('0')
        .parse()
        .ok()
}

fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && (1..=4).contains(&digits.len())).then(|| text.parse().ok())?
}

/// A price above zero.
pub fn price(text: &[u8]) -> Option<Price> {
    let raw = u64::try_from(scaled(text, 9)?).ok()?;
    (raw > 0).then(|| Price::from_raw(raw))
}

/// A size.
pub fn size(text: &[u8]) -> Option<Size> {
    Size::from_raw(scaled(text, 10)?)
}

/// A whole number of 1 to 19 digits.
pub fn whole(text: &[u8]) -> Option<u64> {
    let is_number = (1..=19).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// Nanoseconds since the epoch, from 1990 on.
pub fn instant(nanos: u128) -> Option<Timestamp> {
    let nanos = i64::try_from(nanos)
        .ok()
        .filter(|nanos| 631_152_000_000_000_000 <= *nanos)?;
    Timestamp::from_nanos(nanos)
}

/// Milliseconds, microseconds or nanoseconds since the epoch, told by the count of digits.
pub fn instant_by_digits(value: u64) -> Option<Timestamp> {
    instant(
        u128::from(value)
            * if value < 10_000_000_000_000 {
                1_000_000
            } else if value < 10_000_000_000_000_000 {
                1_000
            } else {
                1
            },
    )
}
