//! Trades in JSON: Massive and Kraken REST rows, Binance WebSocket frames.
//!
//! Wire formats: Massive `/v3/trades` rows (vendor's `OpenAPI` description, July 2026), Kraken
//! `/0/public/Trades` rows `[price, volume, time, side, order type, misc, trade id]`, Binance spot
//! `@trade` events, raw or in a combined stream. Numbers are read from their digits, never through a
//! floating-point number: Kraken's time is a JSON number of seconds with up to nine places.

use super::decoder::{RecordDecoder, SymbolCache};
use super::error::{Fault, ValueError};
use super::fields::{by_magnitude, instant, price, size, whole};
use super::massive_csv::trade_id;
use barmill_core::model::{Conditions, Price, Side, Symbol, Trade, TradeId};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

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
pub(super) struct MassiveJson {
    symbol: Symbol,
}

impl MassiveJson {
    pub(super) fn new(symbol: Symbol) -> MassiveJson {
        MassiveJson { symbol }
    }
}

impl RecordDecoder for MassiveJson {
    fn decode(&mut self, record: &[u8], ordinal: u64) -> Result<Option<Trade>, Fault> {
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

/// Decodes rows of `/0/public/Trades`.
#[derive(Debug, Default)]
pub(super) struct KrakenJson {
    symbols: SymbolCache,
    symbol: Option<Symbol>,
}

impl KrakenJson {
    /// Names the pair of the rows that follow.
    pub(super) fn set_pair(&mut self, pair: &[u8]) -> Result<(), Fault> {
        self.symbol = Some(self.symbols.get("pair", pair)?);
        Ok(())
    }
}

type KrakenRow<'a> = (
    &'a RawValue,
    &'a RawValue,
    &'a RawValue,
    &'a str,
    IgnoredAny,
    IgnoredAny,
    Option<&'a RawValue>,
);

impl RecordDecoder for KrakenJson {
    fn decode(&mut self, record: &[u8], _ordinal: u64) -> Result<Option<Trade>, Fault> {
        let (price_text, size_text, time, side, _, _, id): KrakenRow<'_> = parse(record)?;
        let symbol = self
            .symbol
            .ok_or_else(|| Fault::new("pair", b"", ValueError::Shape { expected: "there" }))?;
        let id_text = id.map_or(&b""[..], unquoted);
        let id = whole(id_text)
            .ok_or_else(|| Fault::new("trade_id", id_text, ValueError::NotInteger))?;
        // A price's nine places are exactly the nanoseconds of a second.
        let time = unquoted(time);
        let nanos = Price::parse(time)
            .map_err(|error| Fault::new("time", time, error))?
            .raw();
        Ok(Some(Trade {
            symbol,
            time: instant("time", time, nanos)?,
            sequence: id,
            id: TradeId::from_number(id),
            price: price("price", unquoted(price_text))?,
            size: size("volume", unquoted(size_text))?,
            conditions: Conditions::NONE,
            venue: 0,
            correction: 0,
            side: match side {
                "b" => Side::Buy,
                "s" => Side::Sell,
                other => {
                    let reason = ValueError::Neither {
                        first: "b",
                        second: "s",
                    };
                    return Err(Fault::new("side", other.as_bytes(), reason));
                }
            },
            sequenced: true,
        }))
    }
}

#[derive(Debug, Deserialize)]
struct BinanceFrame<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct BinanceEvent<'a> {
    e: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
struct BinanceTrade<'a> {
    s: &'a str,
    t: u64,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    time: u64,
    m: bool,
}

/// Decodes lines `<receive ns> <frame>`; frames of other events are no trades.
#[derive(Debug, Clone)]
pub(super) struct BinanceWs {
    symbols: SymbolCache,
    mark: Finder<'static>,
}

impl BinanceWs {
    pub(super) fn new() -> BinanceWs {
        BinanceWs {
            symbols: SymbolCache::default(),
            mark: Finder::new(br#""trade""#),
        }
    }
}

impl RecordDecoder for BinanceWs {
    fn decode(&mut self, line: &[u8], _ordinal: u64) -> Result<Option<Trade>, Fault> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let frame = match &line[digits..] {
            [b' ', frame @ ..] if digits > 0 => frame,
            _ => {
                return Err(Fault::new(
                    "row",
                    line,
                    ValueError::Shape {
                        expected: "a receive time and a frame",
                    },
                ));
            }
        };
        // Most frames are book updates; only those with this word are worth parsing.
        if self.mark.find(frame).is_none() {
            return Ok(None);
        }
        let event = parse::<BinanceFrame<'_>>(frame)?
            .data
            .map_or(frame, |data| data.get().as_bytes());
        if parse::<BinanceEvent<'_>>(event)?.e != Some("trade") {
            return Ok(None);
        }
        let trade: BinanceTrade<'_> = parse(event)?;
        Ok(Some(Trade {
            symbol: self.symbols.get("s", trade.s.as_bytes())?,
            time: by_magnitude("T", trade.time.to_string().as_bytes(), trade.time)?,
            sequence: trade.t,
            id: TradeId::from_number(trade.t),
            price: price("p", trade.p.as_bytes())?,
            size: size("q", trade.q.as_bytes())?,
            conditions: Conditions::NONE,
            venue: 0,
            correction: 0,
            side: if trade.m { Side::Sell } else { Side::Buy },
            sequenced: true,
        }))
    }
}

fn parse<'a, T: Deserialize<'a>>(record: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(record).map_err(|error| Fault::new("row", record, error))
}

/// The digits of a number, whether it is written as a JSON number or as a string.
fn unquoted(value: &RawValue) -> &[u8] {
    match value.get().as_bytes() {
        b"null" => b"",
        [b'"', inner @ .., b'"'] => inner,
        number => number,
    }
}

#[cfg(test)]
mod tests {
    use super::{BinanceWs, KrakenJson, MassiveJson};
    use crate::file::decoder::RecordDecoder;
    use crate::file::error::Fault;
    use barmill_core::model::{Side, Trade};

    fn text(result: Result<Option<Trade>, Fault>) -> Result<Option<Trade>, String> {
        result.map_err(|fault| fault.to_string())
    }

    #[test]
    fn kraken_time_is_exact_to_the_nanosecond() {
        let mut decoder = KrakenJson::default();
        decoder.set_pair(b"XBTUSDT").unwrap();
        let row = br#"["105433.60000","0.00027625",1762820035.982277754,"s","l","",10218208]"#;
        let trade = text(decoder.decode(row, 0)).unwrap().unwrap();
        assert_eq!(trade.time.as_nanos(), 1_762_820_035_982_277_754);
        assert_eq!(
            (trade.id.raw(), trade.side, trade.symbol.as_str()),
            (10_218_208, Side::Sell, "XBTUSDT")
        );
        assert_eq!(
            (trade.price.to_string(), trade.size.to_string()),
            ("105433.6".into(), "0.00027625".into())
        );
    }

    #[test]
    fn kraken_faults_name_their_field() {
        let mut decoder = KrakenJson::default();
        decoder.set_pair(b"XBTUSDT").unwrap();
        for (row, want) in [
            (
                r#"["1","1",1762820035.1234567891,"s","l","",1]"#,
                "time \"1762820035.1234567891\" more than 9 decimal places",
            ),
            (
                r#"["1","1",1762820035,"x","l","",1]"#,
                "side \"x\" is neither b nor s",
            ),
            (
                r#"["0","1",1762820035,"b","l","",1]"#,
                "price \"0\" price is zero",
            ),
            (
                r#"["1","1",1762820035,"b","l","",null]"#,
                "trade_id \"\" is no whole number of 1 to 19 digits",
            ),
        ] {
            assert_eq!(text(decoder.decode(row.as_bytes(), 0)), Err(want.into()));
        }
        assert!(
            text(decoder.decode(b"[1]", 0))
                .unwrap_err()
                .contains("is not the expected JSON")
        );
    }

    #[test]
    fn massive_row_prefers_the_decimal_size() {
        let row = br#"{"conditions":[12,37],"exchange":4,"id":"71","price":156.43,"sequence_number":9,
            "participant_timestamp":1,"sip_timestamp":1651181822461979400,"size":0,"decimal_size":"0.25","trf_id":3}"#;
        let trade = text(MassiveJson::new("AAPL".parse().unwrap()).decode(row, 0))
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

    #[test]
    fn frames_of_other_events_are_no_trades() {
        let mut decoder = BinanceWs::new();
        for frame in [
            r#"{"data":{"e":"depthUpdate"}}"#,
            r#"{"data":{"e":"x","a":"trade"}}"#,
            r#"{"result":null,"id":1}"#,
        ] {
            assert_eq!(
                text(decoder.decode(format!("1 {frame}").as_bytes(), 0)),
                Ok(None),
                "{frame}"
            );
        }
        let raw = r#"7 {"e":"trade","E":1,"s":"BTCUSDT","t":5,"p":"1.5","q":"2","T":1723161255342,"m":false,"M":true}"#;
        let trade = text(decoder.decode(raw.as_bytes(), 0)).unwrap().unwrap();
        assert_eq!(
            (trade.id.raw(), trade.side, trade.time.as_millis()),
            (5, Side::Buy, 1_723_161_255_342)
        );
        assert!(text(decoder.decode(b"no frame", 0)).is_err());
    }
}
