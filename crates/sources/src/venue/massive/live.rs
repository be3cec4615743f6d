//! Massive, formerly Polygon: the stocks cluster.
//!
//! Every frame is an array of records.

use super::wire::Record;
use crate::json::DecodeError;
use crate::venue::VenueSettings;
use crate::venue::live::decoder::{MessageCount, each_record};
use crate::venue::live::event::{Ack, Event, RefusalKind};
use crate::venue::live::script::{Script, message};
use barmill_core::model::Symbol;
use serde_json::json;

/// Proves who we are, then asks for the trades of each symbol as `T.SYMBOL`; each is confirmed.
pub(crate) fn script(settings: &VenueSettings, chunks: &[&[&str]]) -> Script {
    let auth = json!({"action": "auth", "params": settings.exposed("key_env")});
    let subscribe = |names: &&[&str]| {
        let topics: Vec<String> = names.iter().map(|name| format!("T.{name}")).collect();
        json!({"action": "subscribe", "params": topics.join(",")})
    };
    Script {
        auth: Some(message(&auth)),
        ..Script::open(chunks.iter().map(subscribe)).with_ack_per_symbol(chunks)
    }
}

pub(crate) fn decode(
    frame: &[u8],
    _count: &mut MessageCount,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    each_record(frame, |record: Record<'_>| events.push(record.event()))
}

impl Record<'_> {
    fn event(&self) -> Event {
        match self.ev.bytes() {
            b"T" => self.trade().map_or_else(Event::Malformed, Event::Trade),
            b"status" => self.status(),
            _ => Event::Other,
        }
    }

    fn status(&self) -> Event {
        let kind = match self.status.bytes() {
            b"connected" => return Event::Greeting,
            b"auth_success" => return Event::AuthOk,
            b"success" => return self.subscribed(),
            b"auth_failed" if contains(self.message.bytes(), b"plan") => RefusalKind::Plan,
            b"auth_failed" => RefusalKind::Auth,
            b"max_connections" => RefusalKind::ConnectionLimit,
            _ if contains(self.message.bytes(), b"not authorized") => {
                let symbols = self.topics();
                if !symbols.is_empty() {
                    let text = self.message.words();
                    return Event::SymbolsRefused { symbols, text };
                }
                RefusalKind::Plan
            }
            _ => RefusalKind::Other,
        };
        let text = format!("{}: {}", self.status.words(), self.message.words());
        Event::refused(kind, text)
    }

    /// The symbols of the topics `T.SYMBOL` in a message.
    fn topics(&self) -> Vec<Symbol> {
        let words = self.message.bytes().split(|byte| b" ,:;".contains(byte));
        let topics = words.filter_map(|word| word.strip_prefix(b"T."));
        topics
            .filter_map(|name| Symbol::intern(name).ok())
            .collect()
    }

    /// One confirmation per subscription, or one for several joined by commas.
    fn subscribed(&self) -> Event {
        match self.message.bytes().strip_prefix(b"subscribed to:") {
            Some(names) => Event::Subscribed(Ack::More(names.split(|byte| *byte == b',').count())),
            None => Event::Other,
        }
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use crate::venue::live::event::{Ack, Event, RefusalKind};
    use crate::venue::massive::VENUE;

    fn events(frame: &str) -> Vec<Event> {
        let mut events = Vec::new();
        VENUE
            .decoder()
            .decode(frame.as_bytes(), &mut events)
            .unwrap();
        events
    }

    #[test]
    fn trade_keeps_every_field_of_the_wire() {
        let frame = r#"[{"ev":"T","sym":"MSFT","x":4,"i":"12345","z":3,"p":114.125,"s":0,"ds":"0.25","c":[0,12],
            "t":1536036818784,"q":3681328,"trfi":201,"trft":1536036818700}]"#;
        let [Event::Trade(trade)] = &events(frame)[..] else {
            panic!("one trade")
        };
        assert_eq!(
            (trade.symbol.as_str(), trade.venue, trade.sequence),
            ("MSFT", 4 | 201 << 8, 3_681_328)
        );
        assert_eq!(
            (trade.price.to_string(), trade.size.to_string()),
            ("114.125".into(), "0.25".into())
        );
        assert_eq!(
            (trade.id.raw(), trade.conditions.bits()),
            (12_345, 1 | 1 << 12)
        );
        assert_eq!(trade.time.as_nanos(), 1_536_036_818_784_000_000);
    }

    #[test]
    fn one_bad_trade_does_not_hide_its_neighbours() {
        let good = r#"{"ev":"T","sym":"A","x":1,"i":"1","p":1,"s":1,"t":1536036818784,"q":1}"#;
        let bad = good.replace(r#""p":1"#, r#""p":-1"#);
        let found = events(&format!("[{good},{bad},{good}]"));
        assert!(matches!(
            &found[..],
            [Event::Trade(_), Event::Malformed(_), Event::Trade(_)]
        ));
    }

    #[test]
    fn topic_that_is_not_authorized_is_refused_alone() {
        let frame =
            br#"[{"ev":"status","status":"error","message":"not authorized: T.AAPL,T.BRK.B"}]"#;
        let mut events = Vec::new();
        VENUE.decoder().decode(frame, &mut events).unwrap();
        let symbols = ["AAPL", "BRK.B"].map(|name| name.parse().unwrap()).to_vec();
        let text = "not authorized: T.AAPL,T.BRK.B".to_owned();
        assert_eq!(events, [Event::SymbolsRefused { symbols, text }]);
    }

    #[test]
    fn statuses_tell_the_key_from_the_plan_and_the_limit() {
        let status = |status: &str, message: &str| {
            let frame = format!(r#"[{{"ev":"status","status":"{status}","message":"{message}"}}]"#);
            events(&frame).remove(0)
        };
        let kind = |event| {
            if let Event::Refused(refusal) = event {
                Some(refusal.kind)
            } else {
                None
            }
        };
        assert_eq!(
            status("connected", "Connected Successfully"),
            Event::Greeting
        );
        assert_eq!(
            status("success", "subscribed to: T.A,T.B"),
            Event::Subscribed(Ack::More(2))
        );
        assert_eq!(
            kind(status("auth_failed", "authentication failed")),
            Some(RefusalKind::Auth)
        );
        assert_eq!(
            kind(status(
                "auth_failed",
                "Your plan doesn't include websocket access."
            )),
            Some(RefusalKind::Plan)
        );
        assert_eq!(
            kind(status("max_connections", "exceeded")),
            Some(RefusalKind::ConnectionLimit)
        );
        assert_eq!(
            kind(status("auth_timeout", "timed out")),
            Some(RefusalKind::Other)
        );
    }
}
