//! Binance spot: `@trade` and `@aggTrade`, raw below `/ws` and combined below `/stream`.
//!
//! Wire format: the venue's public documents of 2026-07. Every trade is an aggregate of its own, with its number. A ping
//! comes every 20 seconds; times are milliseconds, or microseconds with `?timeUnit=MICROSECOND`.

use crate::venue::simulate::protocol::{Act, Call, Dialect, Refusal, strings};
use crate::venue::simulate::recording::Tape;
use barmill_core::model::{Side, Trade};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Binance {
    is_combined: bool,
    is_micro: bool,
    /// Streams asked for in the address.
    asked: Vec<String>,
    singles: BTreeSet<usize>,
    aggregates: BTreeSet<usize>,
}

impl Binance {
    pub(crate) fn new(call: &Call) -> Binance {
        let unit = call.query.get("timeUnit").map_or("", String::as_str);
        let asked = match call.query.get("streams") {
            Some(streams) => streams.split('/').map(str::to_owned).collect(),
            None => call
                .path
                .strip_prefix("/ws/")
                .map(str::to_owned)
                .into_iter()
                .collect(),
        };
        Binance {
            is_combined: !call.path.starts_with("/ws"),
            is_micro: unit.eq_ignore_ascii_case("MICROSECOND"),
            asked,
            singles: BTreeSet::new(),
            aggregates: BTreeSet::new(),
        }
    }

    /// Notes streams and gives the lanes of those that are known; other streams are confirmed and stay silent.
    fn note(&mut self, tape: &Tape, streams: &[&str], is_wanted: bool) -> Vec<usize> {
        let mut found = Vec::new();
        for stream in streams {
            let Some((name, kind)) = stream.split_once('@') else {
                continue;
            };
            let Some(lane) = tape.lane(name) else {
                continue;
            };
            let set = match kind {
                "trade" => &mut self.singles,
                "aggTrade" => &mut self.aggregates,
                _ => continue,
            };
            let _was_there = if is_wanted {
                set.insert(lane)
            } else {
                set.remove(&lane)
            };
            found.push(lane);
        }
        found
    }

    fn frame(&self, stream: &str, name: &str, data: String) -> String {
        if !self.is_combined {
            return data;
        }
        format!(
            r#"{{"stream":"{}@{stream}","data":{data}}}"#,
            name.to_ascii_lowercase()
        )
    }

    fn told(&self, trade: &Trade, name: &str, is_single: bool) -> String {
        let Trade {
            price,
            size,
            sequence: number,
            ..
        } = trade;
        let time = if self.is_micro {
            trade.time.as_nanos() / 1_000
        } else {
            trade.time.as_millis()
        };
        let is_maker = trade.side == Side::Sell;
        if is_single {
            let data = format!(
                r#"{{"e":"trade","E":{time},"s":"{name}","t":{number},"p":"{price}","q":"{size}","T":{time},"m":{is_maker},"M":true}}"#
            );
            return self.frame("trade", name, data);
        }
        let data = format!(
            r#"{{"e":"aggTrade","E":{time},"s":"{name}","a":{number},"p":"{price}","q":"{size}","f":{number},"l":{number},"T":{time},"m":{is_maker},"M":true}}"#
        );
        self.frame("aggTrade", name, data)
    }
}

impl Dialect for Binance {
    fn greeting(&mut self, tape: &Tape) -> Vec<Act> {
        let asked = std::mem::take(&mut self.asked);
        if asked.is_empty() {
            return Vec::new();
        }
        let streams: Vec<&str> = asked.iter().map(String::as_str).collect();
        vec![Act::Subscribe(self.note(tape, &streams, true))]
    }

    fn hear(&mut self, tape: &Tape, text: &str) -> Vec<Act> {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return vec![Act::Say(
                json!({"error": {"code": 3, "msg": "Invalid JSON: syntax error"}}).to_string(),
            )];
        };
        let ack =
            |result: Value| Act::Say(json!({"result": result, "id": value["id"]}).to_string());
        let streams = strings(&value["params"]);
        match value["method"].as_str() {
            Some("SUBSCRIBE") => {
                vec![
                    Act::Subscribe(self.note(tape, &streams, true)),
                    ack(Value::Null),
                ]
            }
            Some("UNSUBSCRIBE") => {
                let lanes = self.note(tape, &streams, false);
                let is_gone =
                    |lane: &usize| !self.singles.contains(lane) && !self.aggregates.contains(lane);
                vec![
                    Act::Unsubscribe(lanes.into_iter().filter(is_gone).collect()),
                    ack(Value::Null),
                ]
            }
            Some("LIST_SUBSCRIPTIONS") => {
                let name = |lane: &usize| tape.symbol(*lane).to_ascii_lowercase();
                let singles = self
                    .singles
                    .iter()
                    .map(|lane| format!("{}@trade", name(lane)));
                let aggregates = self
                    .aggregates
                    .iter()
                    .map(|lane| format!("{}@aggTrade", name(lane)));
                vec![ack(json!(singles.chain(aggregates).collect::<Vec<_>>()))]
            }
            _ => {
                let error = json!({"code": 2, "msg": "Invalid request: unknown method"});
                vec![Act::Say(
                    json!({"error": error, "id": value["id"]}).to_string(),
                )]
            }
        }
    }

    fn trades(&mut self, tape: &Tape, places: &[u32], out: &mut Vec<String>) {
        for &place in places {
            let lane = tape.lane_of(place as usize);
            for (set, is_single) in [(&self.singles, true), (&self.aggregates, false)] {
                if set.contains(&lane) {
                    out.push(self.told(tape.at(place), tape.symbol(lane), is_single));
                }
            }
        }
    }

    fn refusal(&mut self, refusal: Refusal) -> Option<String> {
        match refusal {
            Refusal::Auth => Some(
                json!({"error": {"code": 0, "msg": "Unable to subscribe: access is refused"}, "id": null})
                    .to_string(),
            ),
            Refusal::Limit | Refusal::Slow | Refusal::Idle => None,
        }
    }

    /// A connection without streams is not ended by the venue.
    fn patience(&self) -> Duration {
        Duration::from_hours(24)
    }

    fn ping_every(&self) -> Option<Duration> {
        Some(Duration::from_secs(20))
    }
}
