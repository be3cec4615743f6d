//! Massive's stocks cluster: arrays of events, `T` for a trade with its time in milliseconds.
//!
//! Wire format: the vendor's clients and WebSocket description of 2026-07. A topic of another kind than `T.` is confirmed
//! and stays silent, as an unknown ticker does.

use crate::venue::simulate::protocol::{Act, Dialect, Refusal, lanes};
use crate::venue::simulate::recording::Tape;
use barmill_core::model::{Trade, TradeId};
use serde_json::{Value, json};

/// Trades of one frame.
const FRAME_LEN: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct Massive {
    is_known: bool,
}

fn status(status: &str, message: &str) -> String {
    json!([{"ev": "status", "status": status, "message": message}]).to_string()
}

impl Dialect for Massive {
    fn greeting(&mut self, _tape: &Tape) -> Vec<Act> {
        vec![Act::Say(status("connected", "Connected Successfully"))]
    }

    fn hear(&mut self, tape: &Tape, text: &str) -> Vec<Act> {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let params = value["params"].as_str().unwrap_or_default();
        match value["action"].as_str() {
            Some("auth") => vec![Act::Prove(!params.is_empty())],
            Some("subscribe" | "unsubscribe") if !self.is_known => {
                vec![
                    Act::Say(status("auth_required", "authentication required")),
                    Act::Leave,
                ]
            }
            Some("subscribe") => {
                let topics: Vec<&str> = params.split(',').map(str::trim).collect();
                let names: Vec<&str> = topics
                    .iter()
                    .filter_map(|topic| topic.strip_prefix("T."))
                    .collect();
                let mut acts = vec![if names.contains(&"*") {
                    Act::SubscribeAll
                } else {
                    Act::Subscribe(lanes(tape, &names))
                }];
                let ack =
                    |topic: &&str| Act::Say(status("success", &format!("subscribed to: {topic}")));
                acts.extend(topics.iter().map(ack));
                acts
            }
            Some("unsubscribe") => {
                let names: Vec<&str> = params
                    .split(',')
                    .filter_map(|topic| topic.trim().strip_prefix("T."))
                    .collect();
                vec![
                    Act::Unsubscribe(lanes(tape, &names)),
                    Act::Say(status("success", &format!("unsubscribed to: {params}"))),
                ]
            }
            _ => vec![Act::Say(status("error", "unknown action"))],
        }
    }

    fn trades(&mut self, tape: &Tape, places: &[u32], out: &mut Vec<String>) {
        for chunk in places.chunks(FRAME_LEN) {
            let rows: Vec<String> = chunk.iter().map(|&place| row(tape.at(place))).collect();
            out.push(format!("[{}]", rows.join(",")));
        }
    }

    fn refusal(&mut self, refusal: Refusal) -> Option<String> {
        match refusal {
            Refusal::Auth => Some(status("auth_failed", "authentication failed")),
            Refusal::Limit => Some(status(
                "max_connections",
                "Maximum number of websocket connections exceeded. You have reached the connection limit for your account.",
            )),
            Refusal::Idle => Some(status("auth_timeout", "authentication timed out")),
            Refusal::Slow => None,
        }
    }

    fn welcome(&mut self) -> Option<String> {
        self.is_known = true;
        Some(status("auth_success", "authenticated"))
    }
}

fn row(trade: &Trade) -> String {
    let Trade {
        symbol,
        price,
        size,
        sequence,
        venue,
        ..
    } = trade;
    let (exchange, facility, millis) = (venue & 0xff, venue >> 8, trade.time.as_millis());
    let whole = size.raw() / 10_000_000_000;
    let id = if trade.id == TradeId::NONE {
        String::new()
    } else {
        format!(r#""i":"{}","#, trade.id.raw())
    };
    let bits = trade.conditions.bits();
    let conditions: Vec<String> = (0..128)
        .filter(|bit| bits >> bit & 1 == 1)
        .map(|bit: u32| bit.to_string())
        .collect();
    let conditions = if bits == 0 {
        String::new()
    } else {
        format!(r#""c":[{}],"#, conditions.join(","))
    };
    let facility = if facility == 0 {
        String::new()
    } else {
        format!(r#","trfi":{facility},"trft":{millis}"#)
    };
    format!(
        r#"{{"ev":"T","sym":"{symbol}","x":{exchange},{id}"z":3,"p":{price},"s":{whole},"ds":"{size}",{conditions}"t":{millis},"q":{sequence}{facility}}}"#
    )
}
