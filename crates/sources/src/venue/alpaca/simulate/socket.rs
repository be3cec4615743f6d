//! Alpaca's v2 stock feeds, as JSON.
//!
//! Wire format: the vendor's documents and Go client of 2026: arrays of objects told apart by `T`; errors have the codes
//! of the documents.

use crate::venue::simulate::protocol::{Act, Dialect, Refusal, lanes, strings};
use crate::venue::simulate::recording::Tape;
use barmill_core::model::Trade;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Trades of one frame.
const FRAME_LEN: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct Alpaca {
    is_known: bool,
    names: BTreeSet<String>,
}

fn error(code: u16, words: &str) -> String {
    json!([{"T": "error", "code": code, "msg": words}]).to_string()
}

impl Alpaca {
    fn subscription(&self) -> Act {
        let names = &self.names;
        Act::Say(
            json!([{"T": "subscription", "trades": names, "quotes": [], "bars": [], "updatedBars": [], "dailyBars": [],
                    "statuses": [], "lulds": [], "corrections": names, "cancelErrors": names}])
            .to_string(),
        )
    }
}

impl Dialect for Alpaca {
    fn greeting(&mut self, _tape: &Tape) -> Vec<Act> {
        vec![Act::Say(
            json!([{"T": "success", "msg": "connected"}]).to_string(),
        )]
    }

    fn hear(&mut self, tape: &Tape, text: &str) -> Vec<Act> {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return vec![Act::Say(error(400, "invalid syntax"))];
        };
        let names = strings(&value["trades"]);
        match value["action"].as_str() {
            Some("auth") if self.is_known => vec![Act::Say(error(403, "already authenticated"))],
            Some("auth") => {
                let is_given =
                    |name: &str| value[name].as_str().is_some_and(|text| !text.is_empty());
                vec![Act::Prove(is_given("key") && is_given("secret"))]
            }
            Some(_) if !self.is_known => vec![Act::Say(error(401, "not authenticated"))],
            Some("subscribe") => {
                self.names.extend(names.iter().map(|&name| name.to_owned()));
                let is_all = names.contains(&"*");
                let act = if is_all {
                    Act::SubscribeAll
                } else {
                    Act::Subscribe(lanes(tape, &names))
                };
                vec![act, self.subscription()]
            }
            Some("unsubscribe") => {
                self.names.retain(|name| !names.contains(&name.as_str()));
                vec![Act::Unsubscribe(lanes(tape, &names)), self.subscription()]
            }
            _ => vec![Act::Say(error(400, "invalid syntax"))],
        }
    }

    fn trades(&mut self, tape: &Tape, places: &[u32], out: &mut Vec<String>) {
        for chunk in places.chunks(FRAME_LEN) {
            let rows: Vec<String> = chunk.iter().map(|&place| row(tape.at(place))).collect();
            out.push(format!("[{}]", rows.join(",")));
        }
    }

    fn refusal(&mut self, refusal: Refusal) -> Option<String> {
        Some(match refusal {
            Refusal::Auth => error(402, "auth failed"),
            Refusal::Limit => error(406, "connection limit exceeded"),
            Refusal::Slow => error(407, "slow client"),
            Refusal::Idle => error(404, "auth timeout"),
        })
    }

    fn welcome(&mut self) -> Option<String> {
        self.is_known = true;
        Some(json!([{"T": "success", "msg": "authenticated"}]).to_string())
    }
}

/// A letter of a trade's exchange.
pub(crate) fn exchange(trade: &Trade) -> char {
    u8::try_from(trade.venue).map_or('V', char::from)
}

/// The condition letters as JSON texts, and the tape, as the rules number them: a letter is its byte less 32, the tapes
/// A, B, C and O are 97 to 100.
pub(crate) fn conditions(trade: &Trade) -> (Vec<String>, &'static str) {
    let bits = trade.conditions.bits();
    let has = |bit: &u8| bits >> bit & 1 == 1;
    let letter = |bit: u8| Value::String(char::from(bit + 32).to_string()).to_string();
    let tapes = [(97, "A"), (98, "B"), (99, "C"), (100, "O")];
    let tape = tapes
        .iter()
        .find(|(bit, _)| has(bit))
        .map_or("C", |(_, tape)| tape);
    ((0u8..96).filter(has).map(letter).collect(), tape)
}

fn row(trade: &Trade) -> String {
    let Trade {
        symbol,
        price,
        size,
        time,
        ..
    } = trade;
    let (letters, tape) = conditions(trade);
    format!(
        r#"{{"T":"t","S":"{symbol}","i":{},"x":"{}","p":{price},"s":{size},"c":[{}],"z":"{tape}","t":"{time}"}}"#,
        trade.id.raw(),
        exchange(trade),
        letters.join(","),
    )
}
