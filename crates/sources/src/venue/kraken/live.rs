//! Kraken v2: the `trade` channel.
//!
//! Each symbol of a subscription is answered on its own.

use super::wire::Frame;
use crate::json::{self, DecodeError, Reader};
use crate::venue::VenueSettings;
use crate::venue::live::decoder::MessageCount;
use crate::venue::live::event::{Ack, Event, RefusalKind};
use crate::venue::live::script::{Script, message};
use serde_json::json;

/// Asks for the trades of each symbol, without the snapshot; each is confirmed.
pub(crate) fn script(_settings: &VenueSettings, chunks: &[&[&str]]) -> Script {
    let subscribe = |names: &&[&str]| json!({"method": "subscribe", "params": {"channel": "trade", "symbol": names, "snapshot": false}});
    Script {
        ping: Some(message(&json!({"method": "ping"}))),
        ..Script::open(chunks.iter().map(subscribe)).with_ack_per_symbol(chunks)
    }
}

pub(crate) fn decode(
    text: &[u8],
    _count: &mut MessageCount,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(text, 0);
    // Version 1 sends arrays, which say nothing here.
    if reader.peek() == Some(b'[') {
        reader.skip()?;
        events.push(Event::Other);
        return Ok(reader.end()?);
    }
    let frame: Frame<'_> = json::from_slice(text)?;
    if frame.channel.bytes() != b"trade" {
        events.push(frame.event());
        return Ok(());
    }
    let wrap = if frame.kind.bytes() == b"snapshot" {
        Event::Snapshot
    } else {
        Event::Trade
    };
    let rows = frame.data.0.iter();
    events.extend(rows.map(|row| row.trade().map_or_else(Event::Malformed, wrap)));
    Ok(())
}

impl Frame<'_> {
    fn event(&self) -> Event {
        if !self.error.is_missing() {
            return self.refused();
        }
        match (self.method.bytes(), self.channel.bytes()) {
            (b"subscribe", _) if self.success.bytes() == b"true" => Event::Subscribed(Ack::More(1)),
            (b"pong", _) | (_, b"heartbeat") => Event::Heartbeat,
            _ => Event::Other,
        }
    }

    fn refused(&self) -> Event {
        let text = self.error.words();
        let kind = if text.starts_with("Already subscribed") {
            return Event::Subscribed(Ack::More(1));
        } else if text.contains("Currency pair") || text.contains("symbol") {
            RefusalKind::Symbol
        } else {
            RefusalKind::Other
        };
        let symbol = self.symbol.words();
        let is_named = symbol.is_empty() || text.contains(&symbol);
        if is_named {
            Event::refused(kind, text)
        } else {
            Event::refused(kind, format!("{text} ({symbol})"))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::venue::kraken::VENUE;
    use crate::venue::live::event::{Ack, Event, RefusalKind};
    use barmill_core::model::Side;

    fn event(frame: &str) -> Event {
        let mut events = Vec::new();
        VENUE
            .decoder()
            .decode(frame.as_bytes(), &mut events)
            .unwrap();
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
        assert_eq!(event(accepted), Event::Subscribed(Ack::More(1)));
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
