//! Parses field values: numbers, instants, identities, symbols and lists of conditions.

use super::error::{RecordError, ValueError};
pub(crate) use crate::digits::{ZEROS, eight_digits, whole};
use barmill_core::model::{Conditions, Price, Size, Symbol, Timestamp, TradeId};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// 1990-01-01T00:00:00Z: before it no file of trades was recorded.
pub(crate) const TIME_MIN: i64 = 631_152_000_000_000_000;

/// A whole number, or the fault that names its field.
#[inline]
pub(crate) fn integer(field: &'static str, text: &[u8]) -> Result<u64, RecordError> {
    whole(text).ok_or_else(|| RecordError::new(field, text, ValueError::NotInteger))
}

/// A whole number up to 255; zero where the field is empty.
#[inline]
pub(crate) fn small(field: &'static str, text: &[u8]) -> Result<u8, RecordError> {
    match text {
        [] => Ok(0),
        [digit @ b'0'..=b'9'] => Ok(digit - b'0'),
        _ => {
            u8::try_from(integer(field, text)?).map_err(|_| above(field, text, u64::from(u8::MAX)))
        }
    }
}

/// A whole number up to 65,535; zero where the field is empty.
#[inline]
pub(crate) fn medium(field: &'static str, text: &[u8]) -> Result<u16, RecordError> {
    if text.is_empty() {
        return Ok(0);
    }
    u16::try_from(integer(field, text)?).map_err(|_| above(field, text, u64::from(u16::MAX)))
}

/// The refusal of a number that is larger than its field holds.
pub(crate) fn above(field: &'static str, text: &[u8], max: u64) -> RecordError {
    RecordError::new(field, text, ValueError::Above { max })
}

/// A price above zero.
#[inline]
pub(crate) fn price(field: &'static str, text: &[u8]) -> Result<Price, RecordError> {
    match Price::parse(text) {
        Ok(Price::ZERO) => Err(RecordError::new(field, text, ValueError::PriceZero)),
        Ok(price) => Ok(price),
        Err(error) => Err(RecordError::new(field, text, error)),
    }
}

/// A size.
#[inline]
pub(crate) fn size(field: &'static str, text: &[u8]) -> Result<Size, RecordError> {
    // Most sizes are small whole numbers.
    if let Some(whole) = whole(text)
        && text.len() <= 12
        && let Some(size) = Size::from_raw(u128::from(whole) * 10_000_000_000)
    {
        return Ok(size);
    }
    Size::parse(text).map_err(|error| RecordError::new(field, text, error))
}

/// An instant of `nanos` since the Unix epoch, from 1990 on.
#[inline]
pub(crate) fn instant(
    field: &'static str,
    text: &[u8],
    nanos: u64,
) -> Result<Timestamp, RecordError> {
    i64::try_from(nanos)
        .ok()
        .filter(|nanos| TIME_MIN <= *nanos)
        .and_then(Timestamp::from_nanos)
        .ok_or_else(|| RecordError::new(field, text, ValueError::Time))
}

/// Nanoseconds since the Unix epoch as text.
#[inline]
pub(crate) fn nanos(field: &'static str, text: &[u8]) -> Result<Timestamp, RecordError> {
    instant(field, text, integer(field, text)?)
}

/// Milliseconds, microseconds or nanoseconds since the Unix epoch.
///
/// From 1990 to 2262 the three units have 12 to 13, 15 to 16 and 18 to 19 digits, so the value tells its unit.
pub(crate) fn by_magnitude(
    field: &'static str,
    text: &[u8],
    value: u64,
) -> Result<Timestamp, RecordError> {
    let scale = match value {
        0..10_000_000_000_000 => 1_000_000,
        10_000_000_000_000..10_000_000_000_000_000 => 1_000,
        10_000_000_000_000_000.. => 1,
    };
    instant(field, text, value.saturating_mul(scale))
}

/// [`TradeId::from_text`] with the common case first: digits without a leading zero.
#[inline]
pub(crate) fn trade_id(text: &[u8]) -> TradeId {
    match text {
        [] => TradeId::NONE,
        [b'1'..=b'9', ..] if text.len() <= 18 => {
            whole(text).map_or_else(|| TradeId::from_text(text), TradeId::from_number)
        }
        _ => TradeId::from_text(text),
    }
}

#[inline]
pub(crate) fn conditions(text: &[u8]) -> Result<Conditions, RecordError> {
    let mut conditions = Conditions::NONE;
    if text.is_empty() {
        return Ok(conditions);
    }
    let mut number = 0;
    let mut digits = 0;
    for &byte in text.iter().chain(b",") {
        match byte {
            b'0'..=b'9' if digits < 3 => {
                number = number * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            b',' if digits > 0 => {
                conditions = conditions
                    .with(number)
                    .ok_or_else(|| above("conditions", text, 127))?;
                (number, digits) = (0, 0);
            }
            // Some writers put a blank behind the comma.
            b' ' if digits == 0 => {}
            _ => {
                return Err(RecordError::shape(
                    "conditions",
                    text,
                    "a list of condition numbers",
                ));
            }
        }
    }
    Ok(conditions)
}

/// The symbols seen, in front of the shared table and its lock; the last one first of all.
#[derive(Debug, Clone)]
pub(crate) struct SymbolCache {
    last: Option<Symbol>,
    seen: HashMap<&'static [u8], Symbol, FixedState>,
}

impl Default for SymbolCache {
    fn default() -> SymbolCache {
        SymbolCache {
            last: None,
            seen: HashMap::with_hasher(FixedState::with_seed(0)),
        }
    }
}

impl SymbolCache {
    #[inline]
    pub(crate) fn get(&mut self, field: &'static str, name: &[u8]) -> Result<Symbol, RecordError> {
        if let Some(last) = self.last
            && last.as_str().as_bytes() == name
        {
            return Ok(last);
        }
        let symbol = if let Some(symbol) = self.seen.get(name) {
            *symbol
        } else {
            let symbol = Symbol::intern(name)
                .map_err(|error| RecordError::new(field, name, ValueError::from(error)))?;
            self.seen.insert(symbol.as_str().as_bytes(), symbol);
            symbol
        };
        self.last = Some(symbol);
        Ok(symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::{by_magnitude, conditions, price, size, trade_id};
    use barmill_core::model::{Size, TradeId};
    use proptest::prelude::*;

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
        fn size_equals_the_general_parser(text in "[0-9]{0,22}|[0-9]{0,5}[.][0-9]{0,12}|[ -~]{0,6}") {
            prop_assert_eq!(size("size", text.as_bytes()).ok(), Size::parse(text.as_bytes()).ok());
        }

        #[test]
        fn identity_equals_the_plain_form(text in "[0-9]{1,20}|[a-z0-9]{1,20}") {
            prop_assert_eq!(trade_id(text.as_bytes()), TradeId::from_text(text.as_bytes()));
        }

        #[test]
        fn conditions_are_the_set_of_their_numbers(numbers in proptest::collection::vec(0u32..128, 1..5)) {
            let text: Vec<String> = numbers.iter().map(u32::to_string).collect();
            let bits = numbers.iter().fold(0u128, |bits, number| bits | 1 << number);
            prop_assert_eq!(conditions(text.join(",").as_bytes()).unwrap().bits(), bits);
        }
    }
}
