//! Alpaca: the v2 stock feeds, as JSON.
//!
//! Wire format (docs.alpaca.markets, real-time stock pricing data, 2026; official Go client): every frame is an array
//! of objects told apart by `T`: `t` trade, `c` correction, `x` cancel or error, `success`, `subscription`, `error`.
//! A condition is one character; its number here is its byte less 32, and the tape is one condition more: 97 for A,
//! 98 for B, 99 for C, 100 for O. There is no sequence, so trades of one nanosecond are ordered by identity.

use crate::venue::VenueSettings;
use crate::venue::live::decoder::Decoder;
use crate::venue::live::event::{Ack, Correction, Event, Refusal, RefusalKind};
use crate::venue::live::scan::Cursor;
use crate::venue::live::script::{Expected, Script};
use crate::venue::live::value::{DecodeError, Field};
use barmill_core::model::{Conditions, Side, Trade, TradeId};
use secrecy::ExposeSecret;
use serde_json::json;

/// The number of tape A among the conditions.
const TAPE_A: u32 = 97;

/// Proves who we are, then asks for the trades of each symbol; each is confirmed.
pub(crate) fn script(settings: &VenueSettings, chunks: &[&[&str]]) -> Script {
    let secret = |name| {
        settings
            .secret(name)
            .map_or("", |secret| secret.expose_secret())
    };
    let auth =
        json!({"action": "auth", "key": secret("key_id_env"), "secret": secret("secret_key_env")});
    let subscribe = |names: &&[&str]| json!({"action": "subscribe", "trades": names}).to_string();
    Script::secret(
        &auth,
        chunks.iter().map(subscribe).collect(),
        Expected::symbols(chunks),
        decoder(),
    )
}

pub(crate) fn decoder() -> Decoder {
    Decoder::stateless(decode)
}

#[derive(Default)]
struct Record<'a> {
    kind: Field<'a>,
    symbol: Field<'a>,
    exchange: Field<'a>,
    time: Field<'a>,
    tape: Field<'a>,
    /// `i`, `p`, `s`, `c` of a trade or cancel.
    plain: Print<'a>,
    /// `oi`, `op`, `os`, `oc` of a correction.
    original: Print<'a>,
    /// `ci`, `cp`, `cs`, `cc` of a correction.
    corrected: Print<'a>,
    action: Field<'a>,
    msg: Field<'a>,
    code: Field<'a>,
    trades: usize,
}

#[derive(Default)]
struct Print<'a> {
    id: Field<'a>,
    price: Field<'a>,
    size: Field<'a>,
    conditions: Conditions,
    unknown_condition: Option<Field<'a>>,
}

pub(crate) fn decode(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(frame);
    cursor.array(|cursor| {
        let mut record = Record::default();
        cursor.object(|key, cursor| record.take(key, cursor))?;
        events.push(record.event());
        Ok::<(), DecodeError>(())
    })?;
    Ok(cursor.end()?)
}

impl<'a> Record<'a> {
    fn take(&mut self, key: &[u8], cursor: &mut Cursor<'a>) -> Result<(), DecodeError> {
        if matches!(cursor.peek(), Some(b'{' | b'[')) {
            return self.take_nested(key, cursor);
        }
        let value = Field::read(cursor)?;
        match key {
            b"T" => self.kind = value,
            b"S" => self.symbol = value,
            b"x" => self.exchange = value,
            b"t" => self.time = value,
            b"z" => self.tape = value,
            b"a" => self.action = value,
            b"msg" => self.msg = value,
            b"code" => self.code = value,
            b"i" => self.plain.id = value,
            b"p" => self.plain.price = value,
            b"s" => self.plain.size = value,
            b"oi" => self.original.id = value,
            b"op" => self.original.price = value,
            b"os" => self.original.size = value,
            b"ci" => self.corrected.id = value,
            b"cp" => self.corrected.price = value,
            b"cs" => self.corrected.size = value,
            _ => {}
        }
        Ok(())
    }

    fn take_nested(&mut self, key: &[u8], cursor: &mut Cursor<'a>) -> Result<(), DecodeError> {
        match (key, cursor.peek()) {
            (b"c", Some(b'[')) => self.plain.take_conditions(cursor),
            (b"oc", Some(b'[')) => self.original.take_conditions(cursor),
            (b"cc", Some(b'[')) => self.corrected.take_conditions(cursor),
            (b"trades", Some(b'[')) => cursor.array(|cursor| {
                self.trades += 1;
                cursor.skip()?;
                Ok(())
            }),
            _ => {
                cursor.skip()?;
                Ok(())
            }
        }
    }

    fn event(&self) -> Event {
        match self.kind.bytes() {
            b"t" => self
                .trade(&self.plain, 0)
                .map_or_else(Event::Malformed, Event::Trade),
            b"x" => {
                let code = if self.action.bytes() == b"E" { 11 } else { 10 };
                self.trade(&self.plain, code)
                    .map_or_else(Event::Malformed, Event::Cancel)
            }
            b"c" => self
                .correction()
                .map_or_else(Event::Malformed, |pair| Event::Correction(Box::new(pair))),
            b"subscription" => Event::Subscribed(Ack::Total(self.trades)),
            b"success" if self.msg.bytes() == b"connected" => Event::Greeting,
            b"success" if self.msg.bytes() == b"authenticated" => Event::AuthOk,
            b"error" => self.refused(),
            _ => Event::Other,
        }
    }

    fn correction(&self) -> Result<Correction, DecodeError> {
        Ok(Correction {
            original: self.trade(&self.original, 11)?,
            corrected: self.trade(&self.corrected, 12)?,
        })
    }

    fn trade(&self, print: &Print<'_>, correction: u8) -> Result<Trade, DecodeError> {
        if let Some(condition) = print.unknown_condition {
            return Err(condition.unknown("c"));
        }
        Ok(Trade {
            symbol: self.symbol.symbol("S")?,
            time: self.time.rfc3339("t")?,
            sequence: 0,
            id: if print.id.bytes().is_empty() {
                TradeId::NONE
            } else {
                TradeId::from_text(print.id.bytes())
            },
            price: print.price.price("p")?,
            size: print.size.size("s")?,
            conditions: self.with_tape(print.conditions)?,
            venue: self.exchange.bytes().first().copied().map_or(0, u16::from),
            correction,
            side: Side::Unknown,
            sequenced: false,
        })
    }

    fn with_tape(&self, conditions: Conditions) -> Result<Conditions, DecodeError> {
        let number = match self.tape.bytes() {
            b"A" => TAPE_A,
            b"B" => TAPE_A + 1,
            b"C" => TAPE_A + 2,
            b"O" => TAPE_A + 3,
            // The overnight feeds have letters of their own, which no rule table knows.
            _ => return Ok(conditions),
        };
        conditions
            .with(number)
            .ok_or_else(|| self.tape.unknown("z"))
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
        Event::Refused(Refusal {
            kind,
            text: format!("{} {}", self.code.words(), self.msg.words()),
        })
    }
}

impl<'a> Print<'a> {
    fn take_conditions(&mut self, cursor: &mut Cursor<'a>) -> Result<(), DecodeError> {
        cursor.array(|cursor| {
            let field = Field::read(cursor)?;
            let number = match field.bytes() {
                [byte @ b' '..=b'~'] => Some(u32::from(byte - b' ')),
                _ => None,
            };
            match number.and_then(|number| self.conditions.with(number)) {
                Some(conditions) => self.conditions = conditions,
                None => self.unknown_condition = Some(field),
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::venue::live::event::{Ack, Event, RefusalKind};

    fn events(frame: &str) -> Vec<Event> {
        let mut events = Vec::new();
        decode(frame.as_bytes(), &mut events).unwrap();
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
        assert_eq!(
            (pair.original.correction, pair.original.id.raw()),
            (11, 52_983_525_033_527)
        );
        assert_eq!(
            (pair.corrected.correction, pair.corrected.id.raw()),
            (12, 52_983_525_034_326)
        );
        assert_eq!(pair.corrected.price.to_string(), "39.1809");
    }

    #[test]
    fn cancel_and_error_have_their_own_codes() {
        let record = |action: &str| {
            let frame = format!(
                r#"[{{"T":"x","S":"GOOGL","i":465,"x":"D","p":105.31,"s":300,"a":"{action}","z":"C","t":"2023-04-06T13:15:42.83540958Z"}}]"#
            );
            let Event::Cancel(trade) = events(&frame).remove(0) else {
                panic!("a cancel")
            };
            trade.correction
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
