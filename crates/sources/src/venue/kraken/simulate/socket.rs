//! Kraken's v2 `trade` channel: numbers as JSON numbers, times in microseconds.
//!
//! Wire format: docs.kraken.com, 2026. A snapshot of the newest 50 trades comes unless it is declined; a heartbeat comes
//! about once a second.

use crate::venue::simulate::protocol::{Act, Dialect, Refusal, strings};
use crate::venue::simulate::recording::Tape;
use barmill_core::model::{Side, Trade};
use serde_json::{Value, json};
use std::time::Duration;

/// Trades of one message.
const MESSAGE_LEN: usize = 50;

#[derive(Debug, Default)]
pub(crate) struct Kraken {
    has_asked: bool,
}

impl Kraken {
    fn subscribe(&mut self, tape: &Tape, value: &Value) -> Vec<Act> {
        let params = &value["params"];
        if params["channel"] != "trade" {
            let error =
                json!({"error": "Channel not supported", "method": "subscribe", "success": false});
            return vec![Act::Say(error.to_string())];
        }
        self.has_asked = true;
        let wants_snapshot = params["snapshot"] != false;
        let mut acts = Vec::new();
        for name in strings(&params["symbol"]) {
            let Some(lane) = tape.lane(name) else {
                let error = format!("Currency pair not supported {name}");
                acts.push(Act::Say(
                    json!({"error": error, "method": "subscribe", "success": false, "symbol": name})
                        .to_string(),
                ));
                continue;
            };
            let result = json!({"channel": "trade", "snapshot": wants_snapshot, "symbol": name});
            acts.push(Act::Subscribe(vec![lane]));
            acts.push(Act::Say(
                json!({"method": "subscribe", "result": result, "success": true}).to_string(),
            ));
            if wants_snapshot {
                acts.push(Act::Snapshot(vec![lane]));
            }
        }
        acts
    }
}

impl Dialect for Kraken {
    fn greeting(&mut self, _tape: &Tape) -> Vec<Act> {
        let status = json!({"channel": "status", "type": "update", "data": [{"api_version": "v2", "system": "online"}]});
        vec![Act::Say(status.to_string())]
    }

    fn hear(&mut self, tape: &Tape, text: &str) -> Vec<Act> {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        match value["method"].as_str() {
            Some("ping") => {
                let id = value["req_id"]
                    .as_u64()
                    .map_or_else(String::new, |id| format!(r#","req_id":{id}"#));
                vec![Act::Say(format!(r#"{{"method":"pong"{id}}}"#))]
            }
            Some("subscribe") => self.subscribe(tape, &value),
            Some("unsubscribe") => {
                let names = strings(&value["params"]["symbol"]);
                let lanes = crate::venue::simulate::protocol::lanes(tape, &names);
                let ack = |name: &&str| {
                    let result = json!({"channel": "trade", "symbol": name});
                    Act::Say(
                        json!({"method": "unsubscribe", "result": result, "success": true})
                            .to_string(),
                    )
                };
                std::iter::once(Act::Unsubscribe(lanes))
                    .chain(names.iter().map(ack))
                    .collect()
            }
            _ => vec![Act::Say(
                json!({"error": "Malformed request", "success": false}).to_string(),
            )],
        }
    }

    fn trades(&mut self, tape: &Tape, places: &[u32], out: &mut Vec<String>) {
        out.extend(
            places
                .chunks(MESSAGE_LEN)
                .map(|chunk| message(tape, chunk, "update")),
        );
    }

    fn snapshot(&mut self, tape: &Tape, places: &[u32], out: &mut Vec<String>) {
        out.push(message(tape, places, "snapshot"));
    }

    fn heartbeat(&mut self, _tape: &Tape, _newest: &dyn Fn(usize) -> Option<u32>) -> Vec<String> {
        if self.has_asked {
            vec![r#"{"channel":"heartbeat"}"#.to_owned()]
        } else {
            Vec::new()
        }
    }

    fn refusal(&mut self, refusal: Refusal) -> Option<String> {
        let words = match refusal {
            Refusal::Auth => "EGeneral:Permission denied",
            Refusal::Limit => "EService:Too many connections",
            Refusal::Slow | Refusal::Idle => return None,
        };
        Some(json!({"error": words, "method": "subscribe", "success": false}).to_string())
    }

    /// A connection without subscriptions is not ended by the venue.
    fn patience(&self) -> Duration {
        Duration::from_hours(24)
    }
}

fn message(tape: &Tape, places: &[u32], kind: &str) -> String {
    let rows: Vec<String> = places.iter().map(|&place| row(tape.at(place))).collect();
    format!(
        r#"{{"channel":"trade","type":"{kind}","data":[{}]}}"#,
        rows.join(",")
    )
}

fn row(trade: &Trade) -> String {
    let Trade {
        symbol,
        price,
        size,
        sequence,
        ..
    } = trade;
    let side = if trade.side == Side::Buy {
        "buy"
    } else {
        "sell"
    };
    let micros = trade.time.as_nanos() % 1_000;
    let time = trade.time.saturating_sub(micros);
    format!(
        r#"{{"symbol":"{symbol}","side":"{side}","price":{price},"qty":{size},"ord_type":"limit","trade_id":{sequence},"timestamp":"{time}"}}"#
    )
}
