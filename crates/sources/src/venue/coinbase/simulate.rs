//! Simulated Coinbase: the server side of its history and sockets (Exchange, and Advanced Trade for live trades).
//!
//! Wire formats: docs.cdp.coinbase.com, 2026. `side` is the maker's. `/products/{id}/trades` lists trades newest first, by
//! number only, with the cursors in headers. `market_trades` of Advanced Trade and `matches` of Exchange are told apart by
//! how the client subscribes. Advanced counts its messages and lists trades newest first; it begins with a snapshot.
//! Exchange begins with a `last_match`, and its `heartbeat` tells the newest identity.

use crate::venue::simulate::{
    Action, Numbering, Published, Refusal, Reply, Request, Simulation, VenueProtocol, joined, ok,
    reply, send, strings,
};
use barmill_core::model::{Side, Symbol, Timestamp, Trade};
use hyper::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Trades of a page at most, and unless asked otherwise.
const LIMIT: usize = 1_000;
/// Trades of one message.
const MESSAGE_LEN: usize = 50;

/// The simulated side of the venue.
pub(super) const SIMULATION: Simulation = Simulation {
    numbering: Numbering::Contiguous,
    resolution_ns: 1_000,
    socket_path: "/",
    socket_query: "",
    client_settings: &[],
    example: |example| {
        let (base_url, symbol) = (example.base_url, example.symbol);
        format!("curl '{base_url}/products/{symbol}/trades?limit=3'")
    },
    restate: |_| {},
    idle_max: Some(Duration::from_secs(5)),
    ping_every: None,
    protocol: |_| Box::new(Coinbase::default()),
    answer,
    too_many: || refused(StatusCode::TOO_MANY_REQUESTS, "Public rate limit exceeded"),
};

fn answer(request: &Request<'_>) -> Reply {
    match request.segments()[..] {
        ["products"] => {
            let product = |symbol: &Symbol| json!({"id": symbol.as_str(), "status": "online"});
            let products: Vec<_> = request.published.symbols().iter().map(product).collect();
            ok(json!(products))
        }
        ["products", product, "trades"] => match request.published.symbol(product) {
            Some(product) => trades(request, product)
                .unwrap_or_else(|_| refused(StatusCode::BAD_REQUEST, "invalid parameter")),
            None => refused(StatusCode::NOT_FOUND, "NotFound"),
        },
        _ => refused(StatusCode::NOT_FOUND, "Route not found"),
    }
}

fn refused(status: StatusCode, message: &str) -> Reply {
    reply(status, json!({"message": message}))
}

fn trades(request: &Request<'_>, product: Symbol) -> Result<Reply, &'static str> {
    let limit = request.number("limit")?.unwrap_or(LIMIT).clamp(1, LIMIT);
    let (after, before) = (request.number::<u64>("after")?, request.number("before")?);
    let history = request.published.history(product);
    let end = after.map_or(history.len(), |after| {
        history.count_while(|trade| trade.sequence < after)
    });
    let start = before.map_or(0, |before| {
        history.count_while(|trade| trade.sequence <= before)
    });
    let page = history.slice(start..end).newest(limit);
    let mut reply = ok(format!("[{}]", joined(page.iter().rev(), page_row)));
    let (newest, oldest) = (page.iter().next_back(), page.iter().next());
    for (cursor, trade) in [("cb-before", newest), ("cb-after", oldest)] {
        if let Some(trade) = trade {
            reply.headers_mut().insert(cursor, trade.sequence.into());
        }
    }
    Ok(reply)
}

/// The maker's side.
fn maker(trade: &Trade) -> &'static str {
    if trade.side == Side::Buy {
        "sell"
    } else {
        "buy"
    }
}

fn page_row(trade: &Trade) -> String {
    let (price, size, time, number) = (trade.price, trade.size, trade.time, trade.sequence);
    let maker = maker(trade);
    format!(
        r#"{{"time":"{time}","trade_id":{number},"price":"{price}","size":"{size}","side":"{maker}"}}"#
    )
}

#[derive(Debug, Default)]
struct Coinbase {
    /// Which interface the client has chosen by how it subscribed.
    is_advanced: bool,
    /// Messages of Advanced Trade.
    messages: u64,
    has_heartbeats: bool,
    heartbeats: u64,
    products: BTreeSet<Symbol>,
}

impl Coinbase {
    /// A message of Advanced Trade, with its number.
    fn message(&mut self, now: Timestamp, channel: &str, events: &str) -> String {
        let number = self.messages;
        self.messages += 1;
        format!(
            r#"{{"channel":"{channel}","client_id":"","timestamp":"{now}","sequence_num":{number},"events":{events}}}"#
        )
    }

    fn market_trades(&mut self, now: Timestamp, kind: &str, trades: &[&Trade]) -> String {
        let rows = joined(trades.iter().rev().copied(), advanced_row);
        let events = format!(r#"[{{"type":"{kind}","trades":[{rows}]}}]"#);
        self.message(now, "market_trades", &events)
    }

    fn subscribe_advanced(&mut self, published: &Published<'_>, value: &Value) -> Vec<Action> {
        let names = strings(&value["product_ids"]);
        match value["channel"].as_str() {
            Some("heartbeats") => {
                self.has_heartbeats = true;
                let events = json!([{"subscriptions": {"heartbeats": ["heartbeats"]}}]).to_string();
                vec![send(self.message(published.now, "subscriptions", &events))]
            }
            Some("market_trades") => {
                let products = published.known(&names);
                self.products.extend(&products);
                let events = json!([{"subscriptions": {"market_trades": names}}]).to_string();
                vec![
                    Action::Subscribe(products.clone()),
                    Action::Snapshot(products),
                    send(self.message(published.now, "subscriptions", &events)),
                ]
            }
            _ => vec![send(failure("unknown channel"))],
        }
    }

    fn subscribe_exchange(&mut self, published: &Published<'_>, value: &Value) -> Vec<Action> {
        let names = strings(&value["product_ids"]);
        if let Some(unknown) = names.iter().find(|name| published.symbol(name).is_none()) {
            return vec![send(failure(&format!("{unknown} is not a valid product")))];
        }
        let channels = strings(&value["channels"]);
        self.has_heartbeats |= channels.contains(&"heartbeat");
        let channel = |name| json!({"name": name, "product_ids": names});
        let channels: Vec<Value> = channels.into_iter().map(channel).collect();
        let products = published.known(&names);
        self.products.extend(&products);
        vec![
            Action::Subscribe(products.clone()),
            send(json!({"type": "subscriptions", "channels": channels})),
            Action::Snapshot(products),
        ]
    }
}

impl VenueProtocol for Coinbase {
    fn on_text(&mut self, published: &Published<'_>, text: &str) -> Vec<Action> {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        match value["type"].as_str() {
            Some("subscribe") => {
                self.is_advanced = value["channel"].is_string();
                if self.is_advanced {
                    self.subscribe_advanced(published, &value)
                } else {
                    self.subscribe_exchange(published, &value)
                }
            }
            Some("unsubscribe") => {
                let products = published.known(&strings(&value["product_ids"]));
                self.products.retain(|product| !products.contains(product));
                let ack = if self.is_advanced {
                    self.message(published.now, "subscriptions", "[]")
                } else {
                    json!({"type": "subscriptions", "channels": []}).to_string()
                };
                vec![Action::Unsubscribe(products), send(ack)]
            }
            _ => vec![send(failure("malformed message"))],
        }
    }

    fn trades(&mut self, now: Timestamp, trades: &[&Trade]) -> Vec<String> {
        if self.is_advanced {
            let messages = trades.chunks(MESSAGE_LEN);
            return messages
                .map(|trades| self.market_trades(now, "update", trades))
                .collect();
        }
        trades
            .iter()
            .map(|trade| exchange_match("match", trade))
            .collect()
    }

    fn snapshot(&mut self, now: Timestamp, trades: &[&Trade]) -> Vec<String> {
        if self.is_advanced {
            return vec![self.market_trades(now, "snapshot", trades)];
        }
        let newest = trades
            .last()
            .map(|trade| exchange_match("last_match", trade));
        newest.into_iter().collect()
    }

    fn heartbeat(&mut self, published: &Published<'_>) -> Vec<String> {
        if !self.has_heartbeats {
            return Vec::new();
        }
        self.heartbeats += 1;
        if self.is_advanced {
            let (now, count) = (published.now, self.heartbeats);
            let events = format!(r#"[{{"current_time":"{now}","heartbeat_counter":{count}}}]"#);
            return vec![self.message(now, "heartbeats", &events)];
        }
        let heartbeat = |product: &Symbol| {
            let newest = published.history(*product).iter().next_back()?;
            let (number, time) = (newest.sequence, newest.time);
            Some(format!(
                r#"{{"type":"heartbeat","sequence":{number},"last_trade_id":{number},"product_id":"{product}","time":"{time}"}}"#
            ))
        };
        self.products.iter().filter_map(heartbeat).collect()
    }

    fn refusal(&self, refusal: Refusal) -> Option<String> {
        match refusal {
            Refusal::Auth => Some(failure("authentication failure")),
            Refusal::Limit => Some(failure("too many connections")),
            Refusal::Slow | Refusal::Idle => None,
        }
    }
}

fn failure(reason: &str) -> String {
    json!({"type": "error", "message": "Failed to subscribe", "reason": reason}).to_string()
}

fn advanced_row(trade: &Trade) -> String {
    let (symbol, price, size, time) = (trade.symbol, trade.price, trade.size, trade.time);
    let (number, maker) = (trade.sequence, maker(trade).to_ascii_uppercase());
    format!(
        r#"{{"trade_id":"{number}","product_id":"{symbol}","price":"{price}","size":"{size}","side":"{maker}","time":"{time}"}}"#
    )
}

fn exchange_match(kind: &str, trade: &Trade) -> String {
    let (symbol, price, size, time) = (trade.symbol, trade.price, trade.size, trade.time);
    let (number, maker) = (trade.sequence, maker(trade));
    format!(
        r#"{{"type":"{kind}","trade_id":{number},"maker_order_id":"m","taker_order_id":"t","side":"{maker}","size":"{size}","price":"{price}","product_id":"{symbol}","sequence":{number},"time":"{time}"}}"#
    )
}
