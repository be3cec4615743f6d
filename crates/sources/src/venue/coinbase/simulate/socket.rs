//! Coinbase: `market_trades` of Advanced Trade and `matches` of Exchange, told apart by how the client subscribes.
//!
//! Wire formats: docs.cdp.coinbase.com, 2026. `side` is the maker's. Advanced counts its messages and lists trades newest
//! first; it begins with a snapshot. Exchange begins with a `last_match`, and its `heartbeat` tells the newest identity.

use crate::venue::simulate::protocol::{Act, Dialect, Refusal, lanes, strings};
use crate::venue::simulate::recording::Tape;
use barmill_core::model::{Side, Timestamp, Trade};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Trades of one message.
const MESSAGE_LEN: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Api {
    #[default]
    Unknown,
    Advanced,
    Exchange,
}

#[derive(Debug, Default)]
pub(crate) struct Coinbase {
    api: Api,
    now: Timestamp,
    /// Messages sent.
    messages: u64,
    has_heartbeats: bool,
    beats: u64,
    lanes: BTreeSet<usize>,
}

impl Coinbase {
    /// A message of Advanced Trade, with its number.
    fn message(&mut self, channel: &str, events: &str) -> String {
        let (number, now) = (self.messages, self.now);
        self.messages += 1;
        format!(
            r#"{{"channel":"{channel}","client_id":"","timestamp":"{now}","sequence_num":{number},"events":{events}}}"#
        )
    }

    fn advanced(&mut self, tape: &Tape, value: &Value, names: &[&str]) -> Vec<Act> {
        match value["channel"].as_str() {
            Some("heartbeats") => {
                self.has_heartbeats = true;
                let events = json!([{"subscriptions": {"heartbeats": ["heartbeats"]}}]).to_string();
                vec![Act::Say(self.message("subscriptions", &events))]
            }
            Some("market_trades") => {
                let lanes = lanes(tape, names);
                self.lanes.extend(&lanes);
                let events = json!([{"subscriptions": {"market_trades": names}}]).to_string();
                vec![
                    Act::Subscribe(lanes.clone()),
                    Act::Snapshot(lanes),
                    Act::Say(self.message("subscriptions", &events)),
                ]
            }
            _ => vec![Act::Say(failure("unknown channel"))],
        }
    }

    fn exchange(&mut self, tape: &Tape, value: &Value, names: &[&str]) -> Vec<Act> {
        if let Some(unknown) = names.iter().find(|name| tape.lane(name).is_none()) {
            return vec![Act::Say(failure(&format!(
                "{unknown} is not a valid product"
            )))];
        }
        let channels = strings(&value["channels"]);
        self.has_heartbeats |= channels.contains(&"heartbeat");
        let channels: Vec<Value> = channels
            .iter()
            .map(|name| json!({"name": name, "product_ids": names}))
            .collect();
        let lanes = lanes(tape, names);
        self.lanes.extend(&lanes);
        let ack = json!({"type": "subscriptions", "channels": channels}).to_string();
        vec![
            Act::Subscribe(lanes.clone()),
            Act::Say(ack),
            Act::Snapshot(lanes),
        ]
    }

    fn events(&mut self, tape: &Tape, places: &[u32], kind: &str) -> String {
        let rows: Vec<String> = places
            .iter()
            .rev()
            .map(|&place| row(tape.at(place)))
            .collect();
        self.message(
            "market_trades",
            &format!(r#"[{{"type":"{kind}","trades":[{}]}}]"#, rows.join(",")),
        )
    }
}

fn failure(reason: &str) -> String {
    json!({"type": "error", "message": "Failed to subscribe", "reason": reason}).to_string()
}

impl Dialect for Coinbase {
    fn at(&mut self, now: Timestamp) {
        self.now = now;
    }

    fn greeting(&mut self, _tape: &Tape) -> Vec<Act> {
        Vec::new()
    }

    fn hear(&mut self, tape: &Tape, text: &str) -> Vec<Act> {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let names = strings(&value["product_ids"]);
        match value["type"].as_str() {
            Some("subscribe") if value["channel"].is_string() => {
                self.api = Api::Advanced;
                self.advanced(tape, &value, &names)
            }
            Some("subscribe") => {
                self.api = Api::Exchange;
                self.exchange(tape, &value, &names)
            }
            Some("unsubscribe") => {
                let lanes = lanes(tape, &names);
                self.lanes.retain(|lane| !lanes.contains(lane));
                let ack = match self.api {
                    Api::Advanced => self.message("subscriptions", "[]"),
                    Api::Exchange | Api::Unknown => {
                        json!({"type": "subscriptions", "channels": []}).to_string()
                    }
                };
                vec![Act::Unsubscribe(lanes), Act::Say(ack)]
            }
            _ => vec![Act::Say(failure("malformed message"))],
        }
    }

    fn trades(&mut self, tape: &Tape, places: &[u32], out: &mut Vec<String>) {
        if self.api == Api::Exchange {
            out.extend(places.iter().map(|&place| matched(tape.at(place), "match")));
            return;
        }
        for chunk in places.chunks(MESSAGE_LEN) {
            out.push(self.events(tape, chunk, "update"));
        }
    }

    fn snapshot(&mut self, tape: &Tape, places: &[u32], out: &mut Vec<String>) {
        if self.api == Api::Advanced {
            out.push(self.events(tape, places, "snapshot"));
        } else if let Some(&newest) = places.last() {
            out.push(matched(tape.at(newest), "last_match"));
        }
    }

    fn heartbeat(&mut self, tape: &Tape, newest: &dyn Fn(usize) -> Option<u32>) -> Vec<String> {
        if !self.has_heartbeats {
            return Vec::new();
        }
        self.beats += 1;
        if self.api == Api::Advanced {
            let (now, beats) = (self.now, self.beats);
            let events = format!(r#"[{{"current_time":"{now}","heartbeat_counter":{beats}}}]"#);
            return vec![self.message("heartbeats", &events)];
        }
        let keepalive = |lane: &usize| {
            let trade = tape.at(newest(*lane)?);
            let (number, product, time) = (trade.sequence, tape.symbol(*lane), trade.time);
            Some(format!(
                r#"{{"type":"heartbeat","sequence":{number},"last_trade_id":{number},"product_id":"{product}","time":"{time}"}}"#
            ))
        };
        self.lanes.iter().filter_map(keepalive).collect()
    }

    fn refusal(&mut self, refusal: Refusal) -> Option<String> {
        match refusal {
            Refusal::Auth => Some(failure("authentication failure")),
            Refusal::Limit => Some(failure("too many connections")),
            Refusal::Slow | Refusal::Idle => None,
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }
}

fn maker(trade: &Trade) -> &'static str {
    if trade.side == Side::Buy {
        "sell"
    } else {
        "buy"
    }
}

fn row(trade: &Trade) -> String {
    let Trade {
        symbol,
        price,
        size,
        time,
        sequence,
        ..
    } = trade;
    let side = if trade.side == Side::Buy {
        "SELL"
    } else {
        "BUY"
    };
    format!(
        r#"{{"trade_id":"{sequence}","product_id":"{symbol}","price":"{price}","size":"{size}","side":"{side}","time":"{time}"}}"#
    )
}

fn matched(trade: &Trade, kind: &str) -> String {
    let Trade {
        symbol,
        price,
        size,
        time,
        sequence,
        ..
    } = trade;
    format!(
        r#"{{"type":"{kind}","trade_id":{sequence},"maker_order_id":"m","taker_order_id":"t","side":"{}","size":"{size}","price":"{price}","product_id":"{symbol}","sequence":{sequence},"time":"{time}"}}"#,
        maker(trade)
    )
}
