//! Massive `/v3/trades` REST answer, also inside `data`, where a proxy wraps it.
//!
//! Wire format: objects in the array `results` (vendor's `OpenAPI` description, July 2026). They do not name their
//! symbol. Numbers are read from their digits, never through a floating-point number.

use super::descriptor::{Descriptor, Open, TextDecoder, column};
use super::detect::Sample;
use crate::file::error::{FileError, RecordError};
use crate::file::json_rows::{JsonRows, Rows};
use crate::file::row_decoder::{Response, RowDecoder, parse, unquoted};
use crate::file::text::TextInput;
use crate::file::values::{instant, price, size, trade_id};
use barmill_core::model::{Conditions, Side, Symbol, Trade};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "massive-json",
    summary: "Massive `/v3/trades` REST answer, also inside `data`",
    columns: &[
        column(
            "sip_timestamp",
            "event time, ns since the Unix epoch; else `participant_timestamp`",
        ),
        column("price", "exact decimal"),
        column("decimal_size", "exact decimal; else `size`"),
        column(
            "sequence_number",
            "order within the symbol; else the place in the input",
        ),
        column("id", "identity, with `exchange` and `trf_id`"),
        column("conditions", "array of sale conditions, 0 to 127"),
        column("correction", "correction code, 0 to 255"),
    ],
    vendor: Some("massive"),
    is_us_equity: true,
    needs_symbol: true,
    is_like,
    open: Open::Text(open),
};

fn is_like(sample: &Sample<'_>) -> bool {
    sample.has_member("\"results\"")
}

fn open(text: &mut TextInput) -> Result<Option<TextDecoder>, FileError> {
    let symbol = text.symbol(None)?;
    Ok(Some(TextDecoder::Rows(Response {
        rows: JsonRows::new(Rows::MassiveResults),
        decoder: Box::new(MassiveJson { symbol }),
    })))
}

/// The set of a JSON array of condition numbers.
#[derive(Debug, Clone, Copy, Default)]
struct ConditionSet(Conditions);

impl<'de> Deserialize<'de> for ConditionSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ConditionSet, D::Error> {
        struct Numbers;

        impl<'de> Visitor<'de> for Numbers {
            type Value = ConditionSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of condition numbers from 0 to 127")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut numbers: A,
            ) -> Result<ConditionSet, A::Error> {
                let mut set = Conditions::NONE;
                while let Some(number) = numbers.next_element::<u32>()? {
                    set = set
                        .with(number)
                        .ok_or_else(|| A::Error::custom("condition is above 127"))?;
                }
                Ok(ConditionSet(set))
            }
        }

        deserializer.deserialize_seq(Numbers)
    }
}

#[derive(Debug, Deserialize)]
struct MassiveRow<'a> {
    conditions: Option<ConditionSet>,
    #[serde(default)]
    correction: u8,
    #[serde(borrow)]
    decimal_size: Option<&'a RawValue>,
    #[serde(default)]
    exchange: u8,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    participant_timestamp: Option<u64>,
    #[serde(borrow)]
    price: &'a RawValue,
    sequence_number: Option<u64>,
    sip_timestamp: Option<u64>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(default)]
    trf_id: u8,
}

/// Decodes rows of `/v3/trades`, which do not name their symbol.
#[derive(Debug)]
struct MassiveJson {
    symbol: Symbol,
}

impl RowDecoder for MassiveJson {
    fn set_key(&mut self, _results: &[u8]) -> Result<(), RecordError> {
        Ok(())
    }

    fn decode(&mut self, record: &[u8], ordinal: u64) -> Result<Option<Trade>, RecordError> {
        let row: MassiveRow<'_> = parse(record)?;
        let time = row.sip_timestamp.or(row.participant_timestamp).unwrap_or(0);
        let size_text = row.decimal_size.or(row.size).map_or(&b""[..], unquoted);
        Ok(Some(Trade {
            symbol: self.symbol,
            time: instant("sip_timestamp", time.to_string().as_bytes(), time)?,
            sequence: row.sequence_number.unwrap_or(ordinal),
            id: trade_id(row.id.map_or(b"", unquoted)),
            price: price("price", unquoted(row.price))?,
            size: size("size", size_text)?,
            conditions: row.conditions.unwrap_or_default().0,
            venue: u16::from(row.exchange) | u16::from(row.trf_id) << 8,
            correction: row.correction,
            side: Side::Unknown,
            sequenced: row.sequence_number.is_some(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::MassiveJson;
    use crate::file::error::RecordError;
    use crate::file::row_decoder::RowDecoder;
    use barmill_core::model::Trade;

    fn text(result: Result<Option<Trade>, RecordError>) -> Result<Option<Trade>, String> {
        result.map_err(|error| error.to_string())
    }

    #[test]
    fn massive_row_prefers_the_decimal_size() {
        let row = br#"{"conditions":[12,37],"exchange":4,"id":"71","price":156.43,"sequence_number":9,
            "participant_timestamp":1,"sip_timestamp":1651181822461979400,"size":0,"decimal_size":"0.25","trf_id":3}"#;
        let trade = text(
            MassiveJson {
                symbol: "AAPL".parse().unwrap(),
            }
            .decode(row, 0),
        )
        .unwrap()
        .unwrap();
        assert_eq!(
            (trade.size.to_string(), trade.price.to_string()),
            ("0.25".into(), "156.43".into())
        );
        assert_eq!(
            (trade.venue, trade.sequence, trade.id.raw()),
            (4 | 3 << 8, 9, 71)
        );
        assert_eq!(
            (trade.time.as_nanos(), trade.conditions.bits()),
            (1_651_181_822_461_979_400, 1 << 12 | 1 << 37)
        );
    }
}
