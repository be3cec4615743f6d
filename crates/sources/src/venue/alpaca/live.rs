//! Alpaca: the v2 stock feeds, as JSON.
//!
//! Every frame is an array of records told apart by `T`: `t` trade, `c` correction, `x` cancel or error, `success`,
//! `subscription`, `error`.

use super::wire::Record;
use crate::json::DecodeError;
use crate::venue::VenueSettings;
use crate::venue::live::decoder::{MessageCount, each_record};
use crate::venue::live::event::{Ack, Correction, Event, RefusalKind};
use crate::venue::live::script::{Script, message};
use barmill_core::model::Trade;
use serde_json::json;

/// Proves who we are, then asks for the trades of each symbol; each is confirmed.
pub(crate) fn script(settings: &VenueSettings, chunks: &[&[&str]]) -> Script {
    let (key, secret) = (
        settings.exposed("key_id_env"),
        settings.exposed("secret_key_env"),
    );
    let auth = json!({"action": "auth", "key": key, "secret": secret});
    let subscribe = |names: &&[&str]| json!({"action": "subscribe", "trades": names});
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
        match self.kind.bytes() {
            b"t" => self.trade(0).map_or_else(Event::Malformed, Event::Trade),
            b"x" => {
                let code = if self.a.bytes() == b"E" { 11 } else { 10 };
                changed(self.trade(code).map(|original| (original, None)))
            }
            b"c" => changed(self.correction()),
            b"subscription" => Event::Subscribed(Ack::Total(self.trades.0.len())),
            b"success" if self.msg.bytes() == b"connected" => Event::Greeting,
            b"success" if self.msg.bytes() == b"authenticated" => Event::AuthOk,
            b"error" => self.refused(),
            _ => Event::Other,
        }
    }

    /// Codes of the documents: 402 key, 404 time-out, 405 symbols, 406 connections, 407 slow, 408 and 409 plan, 410 feed, 411 scope.
    fn refused(&self) -> Event {
        let kind = match self.code.bytes() {
            b"402" => RefusalKind::Auth,
            b"405" => RefusalKind::SymbolLimit,
            b"406" => RefusalKind::ConnectionLimit,
            b"407" => RefusalKind::SlowClient,
            b"408" | b"409" | b"410" | b"411" => RefusalKind::Plan,
            // Already authenticated: nothing is wrong.
            b"403" => return Event::Other,
            _ => RefusalKind::Other,
        };
        Event::refused(kind, format!("{} {}", self.code.words(), self.msg.words()))
    }
}

fn changed(pair: Result<(Trade, Option<Trade>), DecodeError>) -> Event {
    let correction = |(original, corrected)| {
        Event::Correction(Box::new(Correction {
            original,
            corrected,
        }))
    };
    pair.map_or_else(Event::Malformed, correction)
}

#[cfg(test)]
mod tests {
    use crate::venue::alpaca::VENUE;
    use crate::venue::live::event::{Ack, Event, RefusalKind};

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
        let frame = r#"[{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,"s":1,
            "t":"2021-02-22T15:51:44.208123456Z","c":["@","I"],"z":"C"}]"#;
        let [Event::Trade(trade)] = &events(frame)[..] else {
            panic!("one trade")
        };
        assert_eq!(
            (trade.symbol.as_str(), trade.id.raw(), trade.venue),
            ("AAPL", 96_921, u16::from(b'D'))
        );
        assert_eq!(trade.conditions.bits(), 1 << 32 | 1 << 41 | 1 << 99);
        assert_eq!(trade.time.to_string(), "2021-02-22T15:51:44.208123456Z");
        assert!(!trade.sequenced);
    }

    #[test]
    fn correction_names_the_old_trade_and_the_new_one() {
        let frame = r#"[{"T":"c","S":"EEM","x":"M","oi":52983525033527,"op":39.1582,"os":440000,"oc":[" ","7"],
            "ci":52983525034326,"cp":39.1809,"cs":440000,"cc":[" ","7"],"z":"B","t":"2023-04-06T14:25:06.542305024Z"}]"#;
        let [Event::Correction(pair)] = &events(frame)[..] else {
            panic!("one correction")
        };
        let corrected = pair.corrected.unwrap();
        assert_eq!(
            (pair.original.correction, pair.original.id.raw()),
            (11, 52_983_525_033_527)
        );
        assert_eq!(
            (corrected.correction, corrected.id.raw()),
            (12, 52_983_525_034_326)
        );
        assert_eq!(corrected.price.to_string(), "39.1809");
    }

    #[test]
    fn cancel_and_error_have_their_own_codes() {
        let record = |action: &str| {
            let frame = format!(
                r#"[{{"T":"x","S":"GOOGL","i":465,"x":"D","p":105.31,"s":300,"a":"{action}","z":"C","t":"2023-04-06T13:15:42.83540958Z"}}]"#
            );
            let Event::Correction(pair) = events(&frame).remove(0) else {
                panic!("a cancel")
            };
            assert_eq!(pair.corrected, None);
            pair.original.correction
        };
        assert_eq!((record("C"), record("E")), (10, 11));
    }

    #[test]
    fn control_messages_are_told_apart() {
        let frame = r#"[{"T":"success","msg":"connected"},{"T":"success","msg":"authenticated"},
            {"T":"subscription","trades":["A","B"],"quotes":["A"]},{"T":"error","code":402,"msg":"auth failed"},
            {"T":"error","code":406,"msg":"connection limit exceeded"},{"T":"error","code":500,"msg":"internal"}]"#;
        let found = events(frame);
        assert_eq!(
            found[..3],
            [
                Event::Greeting,
                Event::AuthOk,
                Event::Subscribed(Ack::Total(2))
            ]
        );
        let kinds: Vec<RefusalKind> = found[3..]
            .iter()
            .filter_map(|event| {
                if let Event::Refused(refusal) = event {
                    Some(refusal.kind)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(
            kinds,
            [
                RefusalKind::Auth,
                RefusalKind::ConnectionLimit,
                RefusalKind::Other
            ]
        );
    }
}
