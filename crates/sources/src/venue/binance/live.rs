//! Binance spot: `@trade` and `@aggTrade`, raw and combined.

use super::wire::{Frame, Problem};
use crate::json::{self, DecodeError};
use crate::venue::VenueSettings;
use crate::venue::live::decoder::MessageCount;
use crate::venue::live::event::{Ack, Event, RefusalKind};
use crate::venue::live::script::Script;
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
        json!({"method": "SUBSCRIBE", "params": params, "id": number + 1})
    };
    Script::open(chunks.iter().enumerate().map(message))
}

pub(crate) fn decode(
    text: &[u8],
    _count: &mut MessageCount,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let frame: Frame<'_> = json::from_slice(text)?;
    let (Problem { code, msg }, request) = (frame.error, frame.id);
    let event = frame.event(text)?;
    let (code, msg) = (code.or(event.code), msg.or(event.msg));
    events.push(match event.trade() {
        Some(trade) => trade.map_or_else(Event::Malformed, Event::Trade),
        None if event.e.bytes() == b"serverShutdown" => {
            Event::refused(RefusalKind::Shutdown, "server shutdown")
        }
        None if !code.is_missing() => {
            let text = format!("{} {}", code.words(), msg.words());
            Event::refused(RefusalKind::Other, text)
        }
        None if event.e.is_missing() && !request.is_missing() => Event::Subscribed(Ack::More(1)),
        None => Event::Other,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::venue::binance::VENUE;
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
            Event::Subscribed(Ack::More(1))
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
