//! The bytes of a write item in the state file.
//!
//! Owns format 1 of bars and manifests: a version byte, a kind byte, then every field in the order of the type,
//! integers little-endian and of fixed width, text with its length before it. Exact: what is decoded equals what
//! was encoded. It does not checksum; the row around it does. A record names its fields once, for both ways; the
//! derives of serialization crates do not fit, as the types are another crate's and the bytes are those on disk.

use barmill_core::model::{
    Bar, BarFlags, BarSpec, BarState, BarUpdate, Manifest, Notional, Ohlc, Origin, Price, Symbol,
    Timestamp, Volume, WriteItem,
};
use barmill_core::port::Position;
use jiff::civil::Date;
use std::num::NonZeroU64;

/// The format that is written, and the only one known.
const FORMAT: u8 = 1;

/// Why bytes are not a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end inside a field.
    #[error("value ends too early")]
    Short,
    /// Bytes are left after the last field.
    #[error("value has {count} bytes too many")]
    Long {
        /// The bytes that are left.
        count: usize,
    },
    /// A format this program does not know.
    #[error("value has format {found}, supported is {FORMAT}")]
    Format {
        /// The format in the bytes.
        found: u8,
    },
    /// A field holds what its type does not allow.
    #[error("field {field} of the value is out of its range")]
    Field {
        /// The field.
        field: &'static str,
    },
}

/// Appends the bytes of an item.
pub fn encode_item(item: &WriteItem, out: &mut Vec<u8>) {
    item.put(out);
}

/// Takes an item back from all of `bytes`.
///
/// # Errors
/// [`CodecError`] for anything that [`encode_item`] does not write.
pub fn decode_item(bytes: &[u8]) -> Result<WriteItem, CodecError> {
    decode(bytes)
}

/// Takes a value back from all of `bytes`.
pub(super) fn decode<T: Field>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut reader = Reader { bytes };
    let value = T::take(&mut reader, "value")?;
    match reader.bytes.len() {
        0 => Ok(value),
        count => Err(CodecError::Long { count }),
    }
}

/// A part of a value.
pub(super) trait Field: Sized {
    /// Appends its bytes.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes it off the front of bytes; errors call it by `name`.
    fn take(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, CodecError>;
}

/// Bytes that are not yet taken.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (front, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(*front)
    }

    fn text(&mut self, field: &'static str) -> Result<&'a str, CodecError> {
        let len = usize::from(u16::take(self, field)?);
        let (front, rest) = self.bytes.split_at_checked(len).ok_or(CodecError::Short)?;
        self.bytes = rest;
        std::str::from_utf8(front).map_err(|_| CodecError::Field { field })
    }
}

/// Appends a text of at most 65,535 bytes; a longer one is cut at a character.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    u16::try_from(text.len()).unwrap_or(u16::MAX).put(out);
    out.extend_from_slice(text.as_bytes());
}

/// Records, field by field in this order.
macro_rules! record {
    ($type:ident { $($field:ident),+ $(,)? } $(without $absent:ident)?) => {
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)+
            }

            fn take(reader: &mut Reader<'_>, _name: &'static str) -> Result<$type, CodecError> {
                Ok($type {
                    $($field: Field::take(reader, stringify!($field))?,)+
                    $($absent: None,)?
                })
            }
        }
    };
}

pub(super) use record;

/// Integers, little-endian.
macro_rules! integers {
    ($($type:ident)+) => {$(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(reader: &mut Reader<'_>, _name: &'static str) -> Result<$type, CodecError> {
                reader.array().map($type::from_le_bytes)
            }
        }
    )+};
}

/// Values that stand for one of another type: how it is told, and how it is made again, where it may be refused.
macro_rules! standing_for {
    ($($type:ident: $raw:ty, $to:expr, $from:expr;)+) => {$(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let to: fn(&$type) -> $raw = $to;
                to(self).put(out);
            }

            fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<$type, CodecError> {
                let from: fn($raw) -> Option<$type> = $from;
                from(<$raw>::take(reader, field)?).ok_or(CodecError::Field { field })
            }
        }
    )+};
}

integers!(u8 i8 u16 i16 u32 u64 i64 u128);
record!(Ohlc {
    open,
    high,
    low,
    close
});
record!(Bar {
    symbol,
    spec,
    start,
    end,
    prices,
    volume,
    notional,
    notional_volume,
    trades,
    buy_volume,
    sell_volume,
    first_sequence,
    last_sequence,
    flags
});
record!(BarUpdate {
    bar,
    state,
    revision,
    trades_added
});
record!(Manifest { spec, date, symbol, zone, from, to, complete, gapless, bars, trades, revision } without origin);
record!(Origin { source, rules });

standing_for! {
    bool: u8, |flag| u8::from(*flag), |raw| (raw < 2).then_some(raw == 1);
    Price: u64, |price| price.raw(), |raw| Some(Price::from_raw(raw));
    Volume: u128, |volume| volume.raw(), |raw| Some(Volume::from_raw(raw));
    Notional: (u64, u128), |notional| notional.raw(), |(high, low)| Some(Notional::from_raw(high, low));
    Timestamp: i64, |time| time.as_nanos(), Timestamp::from_nanos;
    Position: u64, |position| position.0, |raw| Some(Position(raw));
    Date: (i16, (i8, i8)), |date| (date.year(), (date.month(), date.day())),
        |(year, (month, day))| Date::new(year, month, day).ok();
    BarSpec: (u8, u128), spec_number, numbered_spec;
    BarFlags: u8, |flags| flags.bits(), |raw| Some(BarFlags::from_bits(raw)).filter(|flags| flags.bits() == raw);
    BarState: u8, |state| match state {
        BarState::Forming => 0,
        BarState::Final => 1,
        BarState::Revised => 2,
    }, |raw| [BarState::Forming, BarState::Final, BarState::Revised].get(usize::from(raw)).copied();
}

impl<A: Field, B: Field> Field for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(reader: &mut Reader<'_>, name: &'static str) -> Result<(A, B), CodecError> {
        Ok((A::take(reader, name)?, B::take(reader, name)?))
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(reader: &mut Reader<'_>, name: &'static str) -> Result<Option<T>, CodecError> {
        let is_some = bool::take(reader, name)?;
        is_some.then(|| T::take(reader, name)).transpose()
    }
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }

    fn take(reader: &mut Reader<'_>, name: &'static str) -> Result<String, CodecError> {
        reader.text(name).map(str::to_owned)
    }
}

impl Field for Symbol {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self.as_str(), out);
    }

    fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<Symbol, CodecError> {
        let name = reader.text(field)?;
        Symbol::intern(name.as_bytes()).map_err(|_| CodecError::Field { field })
    }
}

fn spec_number(spec: &BarSpec) -> (u8, u128) {
    match *spec {
        BarSpec::Time(length) => (0, u128::from(length.get())),
        BarSpec::Day => (1, 0),
        BarSpec::Session => (2, 0),
        BarSpec::Tick(count) => (3, u128::from(count.get())),
        BarSpec::Volume(volume) => (4, volume.raw()),
        BarSpec::Value(value) => (5, u128::from(value.raw())),
    }
}

fn numbered_spec((kind, number): (u8, u128)) -> Option<BarSpec> {
    let short = u64::try_from(number).ok();
    let count = short.and_then(NonZeroU64::new);
    match (kind, number) {
        (0, _) => count.map(BarSpec::Time),
        (1, 0) => Some(BarSpec::Day),
        (2, 0) => Some(BarSpec::Session),
        (3, _) => count.map(BarSpec::Tick),
        (4, _) => Some(BarSpec::Volume(Volume::from_raw(number))),
        (5, _) => short.map(|raw| BarSpec::Value(Price::from_raw(raw))),
        _ => None,
    }
}

impl Field for WriteItem {
    fn put(&self, out: &mut Vec<u8>) {
        FORMAT.put(out);
        match self {
            WriteItem::Bar(update) => {
                0u8.put(out);
                update.put(out);
            }
            WriteItem::Manifest(manifest) => {
                (1 + u8::from(manifest.origin.is_some())).put(out);
                manifest.put(out);
                if let Some(origin) = &manifest.origin {
                    origin.put(out);
                }
            }
        }
    }

    fn take(reader: &mut Reader<'_>, name: &'static str) -> Result<WriteItem, CodecError> {
        match u8::take(reader, name)? {
            FORMAT => {}
            found => return Err(CodecError::Format { found }),
        }
        match u8::take(reader, name)? {
            0 => BarUpdate::take(reader, name).map(WriteItem::Bar),
            1 => Manifest::take(reader, name).map(WriteItem::Manifest),
            2 => {
                let manifest = Manifest::take(reader, name)?;
                let origin = Some(Origin::take(reader, name)?);
                Ok(WriteItem::Manifest(Manifest { origin, ..manifest }))
            }
            _ => Err(CodecError::Field { field: "kind" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bar_item, items};
    use super::{CodecError, decode_item, encode_item};
    use proptest::prelude::*;

    fn bytes_of(item: &barmill_core::model::WriteItem) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_item(item, &mut bytes);
        bytes
    }

    #[test]
    fn unknown_format_and_kind_are_refused() {
        let mut bytes = bytes_of(&bar_item(1));
        bytes[1] = 9;
        assert_eq!(
            decode_item(&bytes),
            Err(CodecError::Field { field: "kind" })
        );
        bytes[0] = 2;
        assert_eq!(decode_item(&bytes), Err(CodecError::Format { found: 2 }));
    }

    #[test]
    fn cut_and_padded_bytes_are_refused() {
        let mut bytes = bytes_of(&bar_item(1));
        for len in 0..bytes.len() {
            assert_eq!(
                decode_item(&bytes[..len]),
                Err(CodecError::Short),
                "{len} bytes"
            );
        }
        bytes.push(0);
        assert_eq!(decode_item(&bytes), Err(CodecError::Long { count: 1 }));
    }

    proptest! {
        #[test]
        fn every_item_round_trips(item in items()) {
            prop_assert_eq!(decode_item(&bytes_of(&item)), Ok(item));
        }

        #[test]
        fn any_bytes_are_answered_without_a_panic(item in items(), at: usize, byte: u8, noise: Vec<u8>) {
            let mut bytes = bytes_of(&item);
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(other) = decode_item(&bytes) {
                prop_assert_eq!(bytes_of(&other), bytes);
            }
            let _verdict = decode_item(&noise);
        }
    }
}
