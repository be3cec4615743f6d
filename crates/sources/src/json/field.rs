//! Parses the members of a row: exact numbers, instants, names and codes.
//!
//! Deliberately rounds nothing: what does not fit is an error that names the member and its text. A member that is
//! `null`, or nests, counts as missing.

use super::reader::JsonError;
use crate::digits::whole;
use barmill_core::model::{
    Conditions, DecimalError, Price, Side, Size, Symbol, SymbolError, Timestamp, Trade, TradeId,
};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Characters of a refused text that are kept.
const TEXT_LEN_MAX: usize = 80;
/// Numbers of time below this are milliseconds, in which it is the year 5138.
const MICROS_MIN: i64 = 100_000_000_000_000;
/// Numbers of time below this are microseconds, at or above it nanoseconds: the years 5138 and 1973.
const NANOS_MIN: i64 = 100_000_000_000_000_000;

/// Why a frame, or one trade in it, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame is no JSON of the venue's shape.
    #[error("frame has an unexpected form")]
    Json(#[from] JsonError),
    /// A trade lacks a field.
    #[error("field {field} is missing")]
    Missing {
        /// The venue's name of the field.
        field: &'static str,
    },
    /// A field holds what no trade has.
    #[error("field {field} is {text:?}")]
    Field {
        /// The venue's name of the field.
        field: &'static str,
        /// The start of its text.
        text: String,
        /// What is wrong with it.
        #[source]
        source: FieldError,
    },
}

/// What is wrong with the text of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// No exact number.
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    /// No name.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// A price of zero.
    #[error("price is zero")]
    ZeroPrice,
    /// No whole number, or too large a one.
    #[error("value is not a whole number in its range")]
    Whole,
    /// No instant from 1970 to 2262.
    #[error("value is not an instant from 1970 to 2262")]
    Time,
    /// A word the venue's documents do not have; those that it may be.
    #[error("value is not one of the documented ones")]
    Word(&'static [&'static str]),
}

/// The text of one member, without quotes and with its escapes, or its absence.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Field<'a>(Option<&'a [u8]>);

impl<'a> Field<'a> {
    /// A member that is there and says nothing.
    pub(crate) const EMPTY: Field<'static> = Field(Some(b""));

    pub(crate) fn new(text: &'a [u8]) -> Field<'a> {
        Field(Some(text))
    }

    /// The text; empty when the field is missing.
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0.unwrap_or_default()
    }

    pub(crate) fn is_missing(self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn or(self, other: Field<'a>) -> Field<'a> {
        Field(self.0.or(other.0))
    }

    /// The text for people, shortened.
    pub(crate) fn words(self) -> String {
        shorten(self.bytes())
    }

    fn required(self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        self.0.ok_or(DecodeError::Missing { field })
    }

    /// A price above zero.
    pub(crate) fn price(self, field: &'static str) -> Result<Price, DecodeError> {
        let text = self.required(field)?;
        match Price::parse(text) {
            Ok(Price::ZERO) => Err(refused(field, text, FieldError::ZeroPrice)),
            Ok(price) => Ok(price),
            Err(error) => Err(refused(field, text, error)),
        }
    }

    pub(crate) fn size(self, field: &'static str) -> Result<Size, DecodeError> {
        let text = self.required(field)?;
        Size::parse(text).map_err(|error| refused(field, text, error))
    }

    /// A name, in which a venue may have escaped its slashes.
    pub(crate) fn symbol(self, field: &'static str) -> Result<Symbol, DecodeError> {
        let text = self.required(field)?;
        let symbol = if text.contains(&b'\\') {
            let plain: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\\').collect();
            Symbol::intern(&plain)
        } else {
            Symbol::intern(text)
        };
        symbol.map_err(|error| refused(field, text, error))
    }

    /// An identity; none where the field is missing or empty.
    pub(crate) fn id(self) -> TradeId {
        match self.bytes() {
            b"" => TradeId::NONE,
            text => TradeId::from_text(text),
        }
    }

    /// A number of at most 19 digits.
    pub(crate) fn whole(self, field: &'static str) -> Result<u64, DecodeError> {
        let text = self.required(field)?;
        whole(text).ok_or_else(|| refused(field, text, FieldError::Whole))
    }

    /// A number below 256; zero where the field is missing.
    pub(crate) fn small(self, field: &'static str) -> Result<u8, DecodeError> {
        if self.is_missing() {
            return Ok(0);
        }
        let number = self.whole(field)?;
        u8::try_from(number).map_err(|_| refused(field, self.bytes(), FieldError::Whole))
    }

    /// Milliseconds, microseconds or nanoseconds since the epoch, told apart by their magnitude.
    pub(crate) fn epoch(self, field: &'static str) -> Result<Timestamp, DecodeError> {
        let number = i64::try_from(self.whole(field)?).unwrap_or(i64::MAX);
        let time = match number {
            ..MICROS_MIN => Timestamp::from_millis(number),
            MICROS_MIN..NANOS_MIN => Timestamp::from_micros(number),
            NANOS_MIN.. => Timestamp::from_nanos(number),
        };
        time.ok_or_else(|| refused(field, self.bytes(), FieldError::Time))
    }

    /// Milliseconds since the epoch.
    pub(crate) fn millis(self, field: &'static str) -> Result<Timestamp, DecodeError> {
        let number = i64::try_from(self.whole(field)?).ok();
        let time = number.and_then(Timestamp::from_millis);
        time.ok_or_else(|| refused(field, self.bytes(), FieldError::Time))
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn nanos(self, field: &'static str) -> Result<Timestamp, DecodeError> {
        let text = self.required(field)?;
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let number = whole(digits).ok_or_else(|| refused(field, text, FieldError::Whole))?;
        let number = i64::try_from(number).ok().filter(|_| digits == text);
        let time = number.and_then(Timestamp::from_nanos);
        time.ok_or_else(|| refused(field, text, FieldError::Time))
    }

    /// Seconds since the epoch with up to nine places, which are a decimal of the same scale as a price.
    pub(crate) fn seconds(self, field: &'static str) -> Result<Timestamp, DecodeError> {
        let text = self.required(field)?;
        let seconds = Price::parse(text).map_err(|error| refused(field, text, error))?;
        let nanos = i64::try_from(seconds.raw()).ok();
        let time = nanos.and_then(Timestamp::from_nanos);
        time.ok_or_else(|| refused(field, text, FieldError::Time))
    }

    /// RFC 3339 text.
    pub(crate) fn rfc3339(self, field: &'static str) -> Result<Timestamp, DecodeError> {
        let text = self.required(field)?;
        if let Some(time) = plain_utc(text) {
            return Ok(time);
        }
        let general = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok());
        general.ok_or_else(|| refused(field, text, FieldError::Time))
    }

    /// The error of a word that is none of these.
    pub(crate) fn unknown(
        self,
        field: &'static str,
        known: &'static [&'static str],
    ) -> DecodeError {
        refused(field, self.bytes(), FieldError::Word(known))
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Field<'a>, D::Error> {
        let ignore = Each(|IgnoredAny| {}, PhantomData);
        let text = deserializer.deserialize_any(ignore)?;
        Ok(text.unwrap_or_default())
    }
}

/// The items of an array; none of anything else.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T>, D::Error> {
        let mut items = Vec::new();
        deserializer.deserialize_any(Each(|item| items.push(item), PhantomData))?;
        Ok(List(items))
    }
}

/// Takes each item of an array; of anything else, gives the text, if it is no nest.
struct Each<F, T>(F, PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<F, T> {
    type Value = Option<Field<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self::Value, A::Error> {
        while let Some(item) = items.next_element()? {
            (self.0)(item);
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_borrowed_bytes<E>(self, text: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Some(Field::new(text)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A list of sale conditions, each a number from 0 to 127 or, with `LETTERS`, one printable letter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Codes<'a, const LETTERS: bool> {
    known: Conditions,
    unknown: Option<Field<'a>>,
}

impl<'a, const LETTERS: bool> Codes<'a, LETTERS> {
    /// Adds the condition that a code stands for.
    pub(crate) fn add(&mut self, code: Field<'a>) {
        let number = match (LETTERS, code.bytes()) {
            (true, [letter @ b' '..=b'~']) => Some(u32::from(letter - b' ')),
            (true, _) => None,
            (false, digits) => whole(digits).and_then(|number| u32::try_from(number).ok()),
        };
        match number.and_then(|number| self.known.with(number)) {
            Some(conditions) => self.known = conditions,
            None => self.unknown = Some(code),
        }
    }

    /// The set, if every code is one.
    pub(crate) fn conditions(&self, field: &'static str) -> Result<Conditions, DecodeError> {
        let known: &[&str] = if LETTERS {
            &["one printable letter"]
        } else {
            &["a condition from 0 to 127"]
        };
        match self.unknown {
            Some(code) => Err(code.unknown(field, known)),
            None => Ok(self.known),
        }
    }
}

impl<'de: 'a, 'a, const LETTERS: bool> Deserialize<'de> for Codes<'a, LETTERS> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut codes = Codes::default();
        let other = deserializer.deserialize_any(Each(|code| codes.add(code), PhantomData))?;
        codes.unknown = codes.unknown.or(other);
        Ok(codes)
    }
}

/// A trade of a venue that numbers its trades, of which all else is still to be said.
pub(crate) fn numbered(symbol: Symbol, number: u64) -> Trade {
    Trade {
        symbol,
        time: Timestamp::EPOCH,
        sequence: number,
        id: TradeId::from_number(number),
        price: Price::ZERO,
        size: Size::ZERO,
        conditions: Conditions::NONE,
        venue: 0,
        correction: 0,
        side: Side::Unknown,
        sequenced: true,
    }
}

fn refused(field: &'static str, text: &[u8], source: impl Into<FieldError>) -> DecodeError {
    DecodeError::Field {
        field,
        text: shorten(text),
        source: source.into(),
    }
}

fn shorten(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .take(TEXT_LEN_MAX)
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

/// `YYYY-MM-DDThh:mm:ss[.f{1,9}]Z`, the form all venues write; anything else is left to the calendar library.
fn plain_utc(text: &[u8]) -> Option<Timestamp> {
    let (civil, rest) = text.split_at_checked(19)?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| civil[at] != mark) {
        return None;
    }
    let number = |at: usize, len: usize| i64::try_from(whole(&civil[at..at + len])?).ok();
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if !(1970..2262).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=month_len(year, month)).contains(&day)
    {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanos = match rest {
        b"Z" => 0,
        [b'.', digits @ .., b'Z'] if digits.len() <= 9 => {
            let scale = 10i64.pow(u32::try_from(9 - digits.len()).ok()?);
            i64::try_from(whole(digits)?).ok()? * scale
        }
        _ => return None,
    };
    let seconds = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Timestamp::from_nanos(seconds * 1_000_000_000 + nanos)
}

fn month_len(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March so that the leap day is
/// the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, Field, FieldError, plain_utc};
    use barmill_core::model::Timestamp;
    use proptest::prelude::*;

    fn field(text: &str) -> Field<'_> {
        Field::new(text.as_bytes())
    }

    #[test]
    fn epochs_are_told_apart_by_magnitude() {
        let millis = field("1723161255342").epoch("T").unwrap();
        assert_eq!(millis.as_nanos(), 1_723_161_255_342_000_000);
        assert_eq!(
            field("1723161255342001").epoch("T").unwrap().as_nanos(),
            1_723_161_255_342_001_000
        );
    }

    #[test]
    fn faults_name_the_field_and_its_text() {
        let fault = field("0.000").price("p").unwrap_err();
        assert_eq!(fault.to_string(), r#"field p is "0.000""#);
        assert!(matches!(
            fault,
            DecodeError::Field {
                source: FieldError::ZeroPrice,
                ..
            }
        ));
        assert_eq!(
            Field::default().size("q").unwrap_err().to_string(),
            "field q is missing"
        );
    }

    #[test]
    fn prices_no_trade_has_are_refused() {
        for text in ["0", "0.0", "-1", "NaN", "1e308", "0.0000000001", ""] {
            assert!(field(text).price("p").is_err(), "{text}");
        }
    }

    #[test]
    fn escaped_slashes_of_a_name_are_read() {
        assert_eq!(
            field("BTC\\/USD").symbol("symbol").unwrap().as_str(),
            "BTC/USD"
        );
    }

    #[test]
    fn instants_that_are_none_are_refused() {
        for text in [
            "2023-02-29T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01",
            "1969-12-31T23:59:59Z",
            "",
        ] {
            assert!(field(text).rfc3339("t").is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_agrees_with_the_calendar_library(nanos in 0i64..9_200_000_000_000_000_000) {
            let time = Timestamp::from_nanos(nanos).unwrap();
            prop_assert_eq!(plain_utc(time.to_string().as_bytes()), Some(time));
        }
    }
}
