//! Kraken v2: the `trade` channel.
//!
//! Wire format (docs.kraken.com, spot WebSocket v2 `trade`, 2026): `{"channel":"trade","type":"update","data":[..]}`;
//! `qty` and `price` are JSON numbers, read from their text. `side` is the taker's. Identities are contiguous per symbol
//! and serve as the sequence. Each symbol of a subscription is answered on its own.

use crate::venue::VenueSettings;
use crate::venue::live::decoder::Decoder;
use crate::venue::live::event::{Ack, Event, Refusal, RefusalKind};
use crate::venue::live::scan::Cursor;
use crate::venue::live::script::{Expected, Script};
use crate::venue::live::value::{DecodeError, Field};
use barmill_core::model::{Conditions, Side, Trade, TradeId};
use serde_json::json;

/// Asks for the trades of each symbol, without the snapshot; each is confirmed.
pub(crate) fn script(_settings: &VenueSettings, chunks: &[&[&str]]) -> Script {
    let subscribe = |names: &&[&str]| {
        json!({"method": "subscribe", "params": {"channel": "trade", "symbol": names, "snapshot": false}})
            .to_string()
    };
    let ping = Some(json!({"method": "ping"}).to_string());
    Script {
        expected: Expected::symbols(chunks),
        ..Script::open(chunks.iter().map(subscribe).collect(), ping, decoder())
    }
}

pub(crate) fn decoder() -> Decoder {
    Decoder::stateless(decode)
}

#[derive(Default)]
struct Frame<'a> {
    channel: Field<'a>,
    kind: Field<'a>,
    method: Field<'a>,
    success: Field<'a>,
    error: Field<'a>,
    symbol: Field<'a>,
    data: &'a [u8],
}

#[derive(Default)]
struct Row<'a> {
    symbol: Field<'a>,
    side: Field<'a>,
    price: Field<'a>,
    qty: Field<'a>,
    trade_id: Field<'a>,
    timestamp: Field<'a>,
}

pub(crate) fn decode(text: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(text);
    // Version 1 sends arrays, which say nothing here.
    if cursor.peek() == Some(b'[') {
        cursor.skip()?;
        events.push(Event::Other);
        return Ok(cursor.end()?);
    }
    let mut frame = Frame::default();
    cursor.object(|key, cursor| frame.take(key, cursor))?;
    cursor.end()?;
    if frame.channel.bytes() == b"trade" {
        return trades(&frame, events);
    }
    events.push(frame.event());
    Ok(())
}

fn trades(frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let wrap = if frame.kind.bytes() == b"snapshot" {
        Event::Snapshot
    } else {
        Event::Trade
    };
    Cursor::new(frame.data).array(|cursor| {
        let mut row = Row::default();
        cursor.object(|key, cursor| row.take(key, cursor))?;
        events.push(row.trade().map_or_else(Event::Malformed, wrap));
        Ok(())
    })
}

impl<'a> Frame<'a> {
    fn take(&mut self, key: &[u8], cursor: &mut Cursor<'a>) -> Result<(), DecodeError> {
        match (key, cursor.peek()) {
            (b"data", _) => self.data = cursor.skip()?,
            (_, Some(b'{' | b'[')) => _ = cursor.skip()?,
            (b"channel", _) => self.channel = Field::read(cursor)?,
            (b"type", _) => self.kind = Field::read(cursor)?,
            (b"method", _) => self.method = Field::read(cursor)?,
            (b"success", _) => self.success = Field::read(cursor)?,
            (b"error", _) => self.error = Field::read(cursor)?,
            (b"symbol", _) => self.symbol = Field::read(cursor)?,
            _ => _ = cursor.skip()?,
        }
        Ok(())
    }

    fn event(&self) -> Event {
        if !self.error.is_missing() && self.error.bytes() != b"null" {
            return self.refused();
        }
        match (self.method.bytes(), self.channel.bytes()) {
            (b"subscribe", _) if self.success.bytes() == b"true" => {
                Event::Subscribed(Ack::Symbols(1))
            }
            (b"pong", _) | (_, b"heartbeat") => Event::Heartbeat,
            _ => Event::Other,
        }
    }

    fn refused(&self) -> Event {
        let text = self.error.words();
        let kind = if text.starts_with("Already subscribed") {
            return Event::Subscribed(Ack::Symbols(1));
        } else if text.contains("Currency pair") || text.contains("symbol") {
            RefusalKind::Symbol
        } else {
            RefusalKind::Other
        };
        let symbol = self.symbol.words();
        let is_named = symbol.is_empty() || text.contains(&symbol);
        let text = if is_named {
            text
        } else {
            format!("{text} ({symbol})")
        };
        Event::Refused(Refusal { kind, text })
    }
}

impl<'a> Row<'a> {
    fn take(&mut self, key: &[u8], cursor: &mut Cursor<'a>) -> Result<(), DecodeError> {
        let field = match key {
            b"symbol" => &mut self.symbol,
            b"side" => &mut self.side,
            b"price" => &mut self.price,
            b"qty" => &mut self.qty,
            b"trade_id" => &mut self.trade_id,
            b"timestamp" => &mut self.timestamp,
            _ => {
                cursor.skip()?;
                return Ok(());
            }
        };
        *field = Field::read(cursor)?;
        Ok(())
    }

    fn trade(&self) -> Result<Trade, DecodeError> {
        let id = self.trade_id.whole("trade_id")?;
        Ok(Trade {
            symbol: self.symbol.symbol("symbol")?,
            time: self.timestamp.rfc3339("timestamp")?,
            sequence: id,
            id: TradeId::from_number(id),
            price: self.price.price("price")?,
            size: self.qty.size("qty")?,
            conditions: Conditions::NONE,
            venue: 0,
            correction: 0,
            side: match self.side.bytes() {
                b"buy" => Side::Buy,
                b"sell" => Side::Sell,
                _ => return Err(self.side.unknown("side")),
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
    fn numbers_are_read_from_their_text() {
        let frame = r#"{"channel":"trade","type":"update","data":[{"symbol":"MATIC/USD","side":"sell","price":0.51170000,
            "qty":1e-7,"ord_type":"market","trade_id":4665906,"timestamp":"2023-09-25T07:49:37.708706Z"}]}"#;
        let Event::Trade(trade) = event(frame) else {
            panic!("a trade")
        };
        assert_eq!(
            (trade.price.to_string(), trade.size.to_string()),
            ("0.5117".into(), "0.0000001".into())
        );
        assert_eq!((trade.sequence, trade.side), (4_665_906, Side::Sell));
        assert_eq!(trade.time.as_nanos(), 1_695_628_177_708_706_000);
    }

    #[test]
    fn control_messages_are_told_apart() {
        let accepted = r#"{"method":"subscribe","result":{"channel":"trade","snapshot":false,"symbol":"BTC/USD"},"success":true}"#;
        assert_eq!(event(accepted), Event::Subscribed(Ack::Symbols(1)));
        assert_eq!(event(r#"{"channel":"heartbeat"}"#), Event::Heartbeat);
        assert_eq!(
            event(r#"{"method":"pong","req_id":1,"success":true}"#),
            Event::Heartbeat
        );
        assert_eq!(
            event(r#"{"channel":"status","type":"update","data":[{"system":"online"}]}"#),
            Event::Other
        );
        let refused = event(
            r#"{"error":"Currency pair not supported XBT/USD","method":"subscribe","success":false,"symbol":"XBT/USD"}"#,
        );
        assert!(matches!(refused, Event::Refused(refusal) if refusal.kind == RefusalKind::Symbol));
    }
}
