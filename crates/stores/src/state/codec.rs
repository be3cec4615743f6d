//! The bytes of a write item in the state file.
//!
//! Owns format 1 of bars and manifests: a version byte, a kind byte, then every field in the order of the type,
//! integers little-endian and of fixed width, text with its length before it. Exact: what is decoded equals what
//! was encoded. It does not checksum; the row around it does.

use barmill_core::model::{
    Bar, BarFlags, BarSpec, BarState, BarUpdate, Manifest, Notional, Ohlc, Origin, Price, Symbol,
    Timestamp, Volume, WriteItem,
};
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
    #[error("value has format {found}, known is {FORMAT}")]
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
    out.push(FORMAT);
    match item {
        WriteItem::Bar(update) => {
            out.push(0);
            encode_update(update, out);
        }
        WriteItem::Manifest(manifest) => {
            out.push(if manifest.origin.is_some() { 2 } else { 1 });
            encode_manifest(manifest, out);
            if let Some(Origin { source, rules }) = &manifest.origin {
                push_text(out, source);
                push_text(out, rules);
            }
        }
    }
}

/// Takes an item back from all of `bytes`.
///
/// # Errors
/// [`CodecError`] for anything that [`encode_item`] does not write.
pub fn decode_item(bytes: &[u8]) -> Result<WriteItem, CodecError> {
    let mut reader = Reader::new(bytes);
    let item = reader.item()?;
    reader.end()?;
    Ok(item)
}

fn encode_update(update: &BarUpdate, out: &mut Vec<u8>) {
    let bar = &update.bar;
    push_text(out, bar.symbol.as_str());
    encode_spec(bar.spec, out);
    out.extend_from_slice(&bar.start.as_nanos().to_le_bytes());
    out.extend_from_slice(&bar.end.as_nanos().to_le_bytes());
    out.push(u8::from(bar.prices.is_some()));
    if let Some(prices) = bar.prices {
        for price in [prices.open, prices.high, prices.low, prices.close] {
            out.extend_from_slice(&price.raw().to_le_bytes());
        }
    }
    let (high, low) = bar.notional.raw();
    out.extend_from_slice(&bar.volume.raw().to_le_bytes());
    out.extend_from_slice(&high.to_le_bytes());
    out.extend_from_slice(&low.to_le_bytes());
    out.extend_from_slice(&bar.notional_volume.raw().to_le_bytes());
    out.extend_from_slice(&bar.trades.to_le_bytes());
    out.extend_from_slice(&bar.buy_volume.raw().to_le_bytes());
    out.extend_from_slice(&bar.sell_volume.raw().to_le_bytes());
    out.extend_from_slice(&bar.first_sequence.to_le_bytes());
    out.extend_from_slice(&bar.last_sequence.to_le_bytes());
    out.push(bar.flags.bits());
    out.push(match update.state {
        BarState::Forming => 0,
        BarState::Final => 1,
        BarState::Revised => 2,
    });
    out.extend_from_slice(&update.revision.to_le_bytes());
    out.extend_from_slice(&update.trades_added.to_le_bytes());
}

fn encode_spec(spec: BarSpec, out: &mut Vec<u8>) {
    let (kind, number) = match spec {
        BarSpec::Time(length) => (0, u128::from(length.get())),
        BarSpec::Day => (1, 0),
        BarSpec::Session => (2, 0),
        BarSpec::Tick(count) => (3, u128::from(count.get())),
        BarSpec::Volume(volume) => (4, volume.raw()),
        BarSpec::Value(value) => (5, u128::from(value.raw())),
    };
    out.push(kind);
    out.extend_from_slice(&number.to_le_bytes());
}

fn encode_manifest(manifest: &Manifest, out: &mut Vec<u8>) {
    encode_spec(manifest.spec, out);
    push_date(out, manifest.date);
    push_text(out, manifest.symbol.as_str());
    push_text(out, &manifest.zone);
    out.extend_from_slice(&manifest.from.as_nanos().to_le_bytes());
    out.extend_from_slice(&manifest.to.as_nanos().to_le_bytes());
    out.push(u8::from(manifest.complete));
    out.push(u8::from(manifest.gapless));
    out.extend_from_slice(&manifest.bars.to_le_bytes());
    out.extend_from_slice(&manifest.trades.to_le_bytes());
    out.extend_from_slice(&manifest.revision.to_le_bytes());
}

/// Appends a text of at most 65,535 bytes; a longer one is cut at a character.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends a civil date.
pub(super) fn push_date(out: &mut Vec<u8>, date: jiff::civil::Date) {
    out.extend_from_slice(&date.year().to_le_bytes());
    out.extend_from_slice(&date.month().to_le_bytes());
    out.extend_from_slice(&date.day().to_le_bytes());
}

/// Takes fields off the front of bytes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (front, rest) = self.bytes.split_at_checked(len).ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (front, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(*front)
    }

    pub(super) fn byte(&mut self) -> Result<u8, CodecError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Result<u128, CodecError> {
        self.array().map(u128::from_le_bytes)
    }

    fn flag(&mut self, field: &'static str) -> Result<bool, CodecError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Field { field }),
        }
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, CodecError> {
        let len = self.array().map(u16::from_le_bytes)?;
        std::str::from_utf8(self.take(usize::from(len))?).map_err(|_| CodecError::Field { field })
    }

    pub(super) fn time(&mut self, field: &'static str) -> Result<Timestamp, CodecError> {
        let nanos = self.array().map(i64::from_le_bytes)?;
        Timestamp::from_nanos(nanos).ok_or(CodecError::Field { field })
    }

    pub(super) fn date(&mut self) -> Result<jiff::civil::Date, CodecError> {
        let year = self.array().map(i16::from_le_bytes)?;
        let month = self.array().map(i8::from_le_bytes)?;
        let day = self.array().map(i8::from_le_bytes)?;
        jiff::civil::Date::new(year, month, day).map_err(|_| CodecError::Field { field: "date" })
    }

    pub(super) fn end(&self) -> Result<(), CodecError> {
        match self.bytes.len() {
            0 => Ok(()),
            count => Err(CodecError::Long { count }),
        }
    }

    pub(super) fn item(&mut self) -> Result<WriteItem, CodecError> {
        match self.byte()? {
            FORMAT => {}
            found => return Err(CodecError::Format { found }),
        }
        match self.byte()? {
            0 => self.update().map(WriteItem::Bar),
            1 => self.manifest().map(WriteItem::Manifest),
            2 => {
                let manifest = self.manifest()?;
                let (source, rules) = (
                    self.text("source")?.to_owned(),
                    self.text("rules")?.to_owned(),
                );
                Ok(WriteItem::Manifest(Manifest {
                    origin: Some(Origin { source, rules }),
                    ..manifest
                }))
            }
            _ => Err(CodecError::Field { field: "kind" }),
        }
    }

    fn update(&mut self) -> Result<BarUpdate, CodecError> {
        let bar = Bar {
            symbol: self.symbol()?,
            spec: self.spec()?,
            start: self.time("start")?,
            end: self.time("end")?,
            prices: if self.flag("prices")? {
                Some(self.prices()?)
            } else {
                None
            },
            volume: self.volume()?,
            notional: Notional::from_raw(self.u64()?, self.u128()?),
            notional_volume: self.volume()?,
            trades: self.u64()?,
            buy_volume: self.volume()?,
            sell_volume: self.volume()?,
            first_sequence: self.u64()?,
            last_sequence: self.u64()?,
            flags: self.flags()?,
        };
        let state = match self.byte()? {
            0 => BarState::Forming,
            1 => BarState::Final,
            2 => BarState::Revised,
            _ => return Err(CodecError::Field { field: "state" }),
        };
        Ok(BarUpdate {
            bar,
            state,
            revision: self.u32()?,
            trades_added: self.u64()?,
        })
    }

    fn prices(&mut self) -> Result<Ohlc, CodecError> {
        let mut price = || self.u64().map(Price::from_raw);
        Ok(Ohlc {
            open: price()?,
            high: price()?,
            low: price()?,
            close: price()?,
        })
    }

    fn volume(&mut self) -> Result<Volume, CodecError> {
        self.u128().map(Volume::from_raw)
    }

    fn flags(&mut self) -> Result<BarFlags, CodecError> {
        let bits = self.byte()?;
        let flags = BarFlags::from_bits(bits);
        if flags.bits() == bits {
            Ok(flags)
        } else {
            Err(CodecError::Field { field: "flags" })
        }
    }

    fn symbol(&mut self) -> Result<Symbol, CodecError> {
        let name = self.text("symbol")?;
        Symbol::intern(name.as_bytes()).map_err(|_| CodecError::Field { field: "symbol" })
    }

    fn spec(&mut self) -> Result<BarSpec, CodecError> {
        let wrong = CodecError::Field { field: "spec" };
        let kind = self.byte()?;
        let number = self.u128()?;
        let short = u64::try_from(number);
        let count = short.ok().and_then(NonZeroU64::new);
        match (kind, number) {
            (0, _) => count.map(BarSpec::Time).ok_or(wrong),
            (1, 0) => Ok(BarSpec::Day),
            (2, 0) => Ok(BarSpec::Session),
            (3, _) => count.map(BarSpec::Tick).ok_or(wrong),
            (4, _) => Ok(BarSpec::Volume(Volume::from_raw(number))),
            (5, _) => short
                .map(|raw| BarSpec::Value(Price::from_raw(raw)))
                .map_err(|_| wrong),
            _ => Err(wrong),
        }
    }

    fn manifest(&mut self) -> Result<Manifest, CodecError> {
        Ok(Manifest {
            spec: self.spec()?,
            date: self.date()?,
            symbol: self.symbol()?,
            zone: self.text("zone")?.to_owned(),
            from: self.time("from")?,
            to: self.time("to")?,
            complete: self.flag("complete")?,
            gapless: self.flag("gapless")?,
            bars: self.u64()?,
            trades: self.u64()?,
            revision: self.u32()?,
            origin: None,
        })
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
