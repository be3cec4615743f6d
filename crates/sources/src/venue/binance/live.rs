//! Binance spot: `@trade` and `@aggTrade`, raw and combined.
//!
//! Wire format (binance-spot-api-docs, web-socket-streams.md, 2026-07): a combined frame wraps the event as
//! `{"stream":..,"data":{..}}`. Times are milliseconds, or microseconds where the address asks for them; they are told
//! apart by magnitude. `m` says that the buyer was the maker, so that the taker sold. Identities are contiguous per
//! symbol and kind of stream, and serve as the sequence.

use crate::venue::VenueSettings;
use crate::venue::live::decoder::Decoder;
use crate::venue::live::event::{Ack, Event, Refusal, RefusalKind};
use crate::venue::live::scan::Cursor;
use crate::venue::live::script::Script;
use crate::venue::live::value::{DecodeError, Field};
use barmill_core::model::{Conditions, Side, Trade, TradeId};
use serde_json::json;

/// Asks for the stream of each symbol that the setting `trades` names; each message is confirmed.
pub(crate) fn script(settings: &VenueSettings, chunks: &[&[&str]]) -> Script {
    let kind = match settings.get("trades") {
        "single" => "trade",
        _ => "aggTrade",
    };
    let message = |(number, names): (usize, &&[&str])| {
        let params: Vec<String> = names
            .iter()
            .map(|name| format!("{}@{kind}", name.to_ascii_lowercase()))
            .collect();
        json!({"method": "SUBSCRIBE", "params": params, "id": number + 1}).to_string()
    };
    Script::open(
        chunks.iter().enumerate().map(message).collect(),
        None,
        decoder(),
    )
}

pub(crate) fn decoder() -> Decoder {
    Decoder::stateless(decode)
}

#[derive(Default)]
struct Record<'a> {
    e: Field<'a>,
    s: Field<'a>,
    /// `t` of a trade, `a` of an aggregate.
    id: Field<'a>,
    aggregate_id: Field<'a>,
    p: Field<'a>,
    q: Field<'a>,
    time: Field<'a>,
    m: Field<'a>,
    code: Field<'a>,
    msg: Field<'a>,
    request: Field<'a>,
    is_error: bool,
}

pub(crate) fn decode(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(frame);
    let mut record = Record::default();
    cursor.object(|key, cursor| record.take(key, cursor))?;
    cursor.end()?;
    events.push(record.event());
    Ok(())
}

impl<'a> Record<'a> {
    fn take(&mut self, key: &[u8], cursor: &mut Cursor<'a>) -> Result<(), DecodeError> {
        let is_object = cursor.peek() == Some(b'{');
        if is_object && matches!(key, b"data" | b"error") {
            self.is_error |= key == b"error";
            return cursor.object(|key, cursor| self.take_scalar(key, cursor));
        }
        self.take_scalar(key, cursor)
    }

    fn take_scalar(&mut self, key: &[u8], cursor: &mut Cursor<'a>) -> Result<(), DecodeError> {
        if matches!(cursor.peek(), Some(b'{' | b'[')) {
            cursor.skip()?;
            return Ok(());
        }
        let value = Field::read(cursor)?;
        match key {
            b"e" => self.e = value,
            b"s" => self.s = value,
            b"t" => self.id = value,
            b"a" => self.aggregate_id = value,
            b"p" => self.p = value,
            b"q" => self.q = value,
            b"T" => self.time = value,
            b"m" => self.m = value,
            b"code" => self.code = value,
            b"msg" => self.msg = value,
            b"id" => self.request = value,
            _ => {}
        }
        Ok(())
    }

    fn event(&self) -> Event {
        match self.e.bytes() {
            b"trade" => self
                .trade(self.id, "t")
                .map_or_else(Event::Malformed, Event::Trade),
            b"aggTrade" => self
                .trade(self.aggregate_id, "a")
                .map_or_else(Event::Malformed, Event::Trade),
            b"serverShutdown" => Event::Refused(Refusal {
                kind: RefusalKind::Shutdown,
                text: "server shutdown".into(),
            }),
            _ if self.is_error || !self.code.is_missing() => Event::Refused(Refusal {
                kind: RefusalKind::Other,
                text: format!("{} {}", self.code.words(), self.msg.words()),
            }),
            _ if self.e.is_missing() && !self.request.is_missing() => {
                Event::Subscribed(Ack::Message)
            }
            _ => Event::Other,
        }
    }

    fn trade(&self, id: Field<'_>, name: &'static str) -> Result<Trade, DecodeError> {
        let id = id.whole(name)?;
        Ok(Trade {
            symbol: self.s.symbol("s")?,
            time: self.time.epoch("T")?,
            sequence: id,
            id: TradeId::from_number(id),
            price: self.p.price("p")?,
            size: self.q.size("q")?,
            conditions: Conditions::NONE,
            venue: 0,
            correction: 0,
            side: match self.m.bytes() {
                b"true" => Side::Sell,
                b"false" => Side::Buy,
                _ => return Err(self.m.unknown("m")),
            },
            sequenced: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::venue::live::event::{Ack, Event, RefusalKind};
    use barmill_core::model::Side;

    fn event(frame: &str) -> Event {
        let mut events = Vec::new();
        decode(frame.as_bytes(), &mut events).unwrap();
        events.remove(0)
    }

    #[test]
    fn raw_and_combined_frames_are_the_same_trade() {
        let raw = r#"{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}"#;
        let combined = event(&format!(r#"{{"stream":"btcusdt@trade","data":{raw}}}"#));
        assert_eq!(event(raw), combined);
        let Event::Trade(trade) = combined else {
            panic!("a trade")
        };
        assert_eq!(
            (trade.sequence, trade.id.raw(), trade.side),
            (3_735_683_259, 3_735_683_259, Side::Sell)
        );
        assert_eq!(trade.time.as_nanos(), 1_723_161_255_342_000_000);
    }

    #[test]
    fn aggregates_have_their_own_identity_and_microseconds_are_seen() {
        let frame = r#"{"stream":"x@aggTrade","data":{"e":"aggTrade","E":1,"s":"OMGBUSD","a":425085,"p":"13.8048","q":"2.1","f":439577,"l":439578,"T":1633998288467123,"m":false,"M":true}}"#;
        let Event::Trade(trade) = event(frame) else {
            panic!("a trade")
        };
        assert_eq!((trade.sequence, trade.side), (425_085, Side::Buy));
        assert_eq!(trade.time.as_nanos(), 1_633_998_288_467_123_000);
    }

    #[test]
    fn other_messages_are_told_apart() {
        assert_eq!(
            event(r#"{"result":null,"id":3}"#),
            Event::Subscribed(Ack::Message)
        );
        assert_eq!(
            event(r#"{"stream":"x@depth","data":{"e":"depthUpdate","b":[["1","2"]],"a":[]}}"#),
            Event::Other
        );
        for (frame, kind) in [
            (r#"{"code":2,"msg":"Invalid request"}"#, RefusalKind::Other),
            (
                r#"{"error":{"code":3,"msg":"Invalid JSON"},"id":1}"#,
                RefusalKind::Other,
            ),
            (
                r#"{"e":"serverShutdown","E":1770123456789}"#,
                RefusalKind::Shutdown,
            ),
        ] {
            assert!(
                matches!(event(frame), Event::Refused(refusal) if refusal.kind == kind),
                "{frame}"
            );
        }
    }
}
