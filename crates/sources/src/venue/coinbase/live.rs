//! Coinbase: `market_trades` of Advanced Trade and `matches` of Exchange.
//!
//! Advanced counts the messages of a connection and lists trades newest first; they come out in the order of their
//! identities. Exchange tells the newest identity of a product in its heartbeat.

use super::wire::{Batch, Frame};
use crate::json::{self, DecodeError};
use crate::venue::VenueSettings;
use crate::venue::live::decoder::MessageCount;
use crate::venue::live::event::{Ack, Event, RefusalKind};
use crate::venue::live::script::Script;
use serde_json::json;

/// Asks for the trades by the interface that the setting `interface` names; each message is confirmed.
pub(crate) fn script(settings: &VenueSettings, chunks: &[&[&str]]) -> Script {
    let advanced = |names: &&[&str]| json!({"type": "subscribe", "product_ids": names, "channel": "market_trades"});
    let exchange = |names: &&[&str]| json!({"type": "subscribe", "product_ids": names, "channels": ["matches", "heartbeat"]});
    match settings.get("interface") {
        "advanced" => {
            // Quiet channels are closed after a minute without heartbeats.
            let heartbeats = json!({"type": "subscribe", "channel": "heartbeats"});
            Script::open(chunks.iter().map(advanced).chain([heartbeats]))
        }
        _ => Script::open(chunks.iter().map(exchange)),
    }
}

pub(crate) fn decode(
    text: &[u8],
    count: &mut MessageCount,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let frame: Frame<'_> = json::from_slice(text)?;
    if frame.channel.is_missing() {
        events.push(frame.exchange_event());
        return Ok(());
    }
    if let Ok(number) = frame.sequence_num.whole("sequence_num")
        && let messages @ 1.. = count.note(number)
    {
        events.push(Event::Lost { messages });
    }
    match frame.channel.bytes() {
        b"market_trades" => market_trades(&frame.events.0, events),
        b"subscriptions" => events.push(Event::Subscribed(Ack::More(1))),
        b"heartbeats" => events.push(Event::Heartbeat),
        _ => events.push(Event::Other),
    }
    Ok(())
}

fn market_trades(batches: &[Batch<'_>], events: &mut Vec<Event>) {
    let start = events.len();
    for batch in batches {
        let wrap = if batch.kind.bytes() == b"snapshot" {
            Event::Snapshot
        } else {
            Event::Trade
        };
        let rows = batch.trades.0.iter();
        events.extend(rows.map(|row| row.trade().map_or_else(Event::Malformed, wrap)));
    }
    let sequence = |event: &Event| event.trade().map_or(0, |trade| trade.sequence);
    if let Some(found) = events.get_mut(start..) {
        found.sort_by_key(sequence);
    }
}

impl Frame<'_> {
    fn exchange_event(&self) -> Event {
        match self.kind.bytes() {
            b"match" => self.trade().map_or_else(Event::Malformed, Event::Trade),
            b"last_match" => self.trade().map_or_else(Event::Malformed, Event::Snapshot),
            b"heartbeat" => self.newest().unwrap_or(Event::Heartbeat),
            b"subscriptions" => Event::Subscribed(Ack::More(1)),
            b"error" => self.refused(),
            _ => Event::Other,
        }
    }

    fn newest(&self) -> Option<Event> {
        let symbol = self.product_id.symbol("product_id").ok()?;
        let sequence = self
            .last_trade_id
            .whole("last_trade_id")
            .ok()
            .filter(|sequence| *sequence > 0)?;
        Some(Event::Newest { symbol, sequence })
    }

    fn refused(&self) -> Event {
        let text = format!("{} {}", self.message.words(), self.reason.words());
        let is_about = |word: &str| text.to_ascii_lowercase().contains(word);
        let kind = if is_about("not a valid product")
            || is_about("invalid product")
            || is_about("delisted")
        {
            RefusalKind::Symbol
        } else if is_about("authentication failure") || is_about("unauthorized") {
            RefusalKind::Auth
        } else {
            RefusalKind::Other
        };
        Event::refused(kind, text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use crate::venue::coinbase::VENUE;
    use crate::venue::live::Decoder;
    use crate::venue::live::event::{Ack, Event, RefusalKind};
    use barmill_core::model::Side;

    fn events(decoder: &mut Decoder, frame: &str) -> Vec<Event> {
        let mut events = Vec::new();
        decoder.decode(frame.as_bytes(), &mut events).unwrap();
        events
    }

    fn market_trades(sequence_num: u64, kind: &str) -> String {
        let row = |id: u64| {
            format!(
                r#"{{"product_id":"ETH-USD","trade_id":"{id}","price":"1260.01","size":"0.3","time":"2019-08-14T20:42:27.265Z","side":"SELL"}}"#
            )
        };
        format!(
            r#"{{"channel":"market_trades","client_id":"","timestamp":"2023-02-09T20:19:35.39625135Z","sequence_num":{sequence_num},"events":[{{"type":"{kind}","trades":[{},{}]}}]}}"#,
            row(12),
            row(11)
        )
    }

    #[test]
    fn trades_listed_newest_first_come_out_in_order() {
        let found = events(&mut VENUE.decoder(), &market_trades(0, "update"));
        let [Event::Trade(first), Event::Trade(second)] = &found[..] else {
            panic!("two trades")
        };
        assert_eq!(
            (first.sequence, second.sequence, first.side),
            (11, 12, Side::Buy)
        );
        assert!(matches!(
            events(&mut VENUE.decoder(), &market_trades(0, "snapshot"))[0],
            Event::Snapshot(_)
        ));
    }

    #[test]
    fn skipped_messages_of_a_connection_are_counted() {
        let mut decoder = VENUE.decoder();
        assert_eq!(events(&mut decoder, &market_trades(4, "update")).len(), 2);
        assert_eq!(
            events(&mut decoder, &market_trades(7, "update"))[0],
            Event::Lost { messages: 2 }
        );
        assert_eq!(events(&mut decoder, &market_trades(8, "update")).len(), 2);
    }

    #[test]
    fn exchange_messages_are_told_apart() {
        let mut decoder = VENUE.decoder();
        let mut event = |frame: &str| events(&mut decoder, frame).remove(0);
        let row = r#""trade_id":10,"side":"sell","size":"5.23512","price":"400.23","product_id":"BTC-USD","sequence":50,"time":"2014-11-07T08:19:27.028459Z""#;
        let Event::Trade(trade) = event(&format!(r#"{{"type":"match",{row}}}"#)) else {
            panic!("a trade")
        };
        assert_eq!((trade.sequence, trade.side), (10, Side::Buy));
        assert!(matches!(
            event(&format!(r#"{{"type":"last_match",{row}}}"#)),
            Event::Snapshot(_)
        ));
        let newest = event(
            r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}"#,
        );
        assert_eq!(
            newest,
            Event::Newest {
                symbol: "BTC-USD".parse().unwrap(),
                sequence: 20
            }
        );
        assert_eq!(
            event(r#"{"type":"subscriptions","channels":[{"name":"matches"}]}"#),
            Event::Subscribed(Ack::More(1))
        );
        let refused = event(
            r#"{"type":"error","message":"Failed to subscribe","reason":"X-Y is not a valid product"}"#,
        );
        assert!(matches!(refused, Event::Refused(refusal) if refusal.kind == RefusalKind::Symbol));
    }
}
