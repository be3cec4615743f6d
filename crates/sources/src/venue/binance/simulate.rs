//! Simulated Binance spot: the server side of its history and socket.
//!
//! Wire formats: the venue's public documents of 2026-07. Every trade is an aggregate of its own, with its number. The
//! history is `/api/v3/aggTrades`, `/api/v3/historicalTrades` and `/api/v3/trades`; the socket has `@trade` and `@aggTrade`,
//! raw below `/ws` and combined below `/stream`, and pings every 20 seconds. Times are milliseconds, or microseconds where
//! `X-MBX-TIME-UNIT` or `?timeUnit=MICROSECOND` asks for them.

use crate::venue::simulate::{
    Action, Numbering, Published, Refusal, Reply, Request, Simulation, VenueProtocol, joined, ok,
    reply, send, strings,
};
use barmill_core::model::{Side, Symbol, Timestamp, Trade};
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Trades of a page unless asked otherwise, and at most.
const LIMIT: (usize, usize) = (500, 1_000);

/// The simulated side of the venue.
pub(super) const SIMULATION: Simulation = Simulation {
    numbering: Numbering::Contiguous,
    resolution_ns: 1_000,
    socket_path: "/stream",
    socket_query: "?timeUnit=MICROSECOND",
    client_settings: &[("trades", "single")],
    example: |example| {
        let (base_url, symbol) = (example.base_url, example.symbol);
        let from = example.span.0.as_millis();
        format!("curl '{base_url}/api/v3/aggTrades?symbol={symbol}&startTime={from}&limit=3'")
    },
    restate: |_| {},
    idle_max: None,
    ping_every: Some(Duration::from_secs(20)),
    protocol: |request| Box::new(Binance::new(request)),
    answer,
    too_many: || {
        let mut reply = reply(
            StatusCode::TOO_MANY_REQUESTS,
            r#"{"code":-1003,"msg":"Too many requests; please use WebSocket Streams for live updates."}"#,
        );
        let pause = HeaderValue::from_static("1");
        reply.headers_mut().insert(RETRY_AFTER, pause);
        reply
    },
};

fn answer(request: &Request<'_>) -> Reply {
    let (weight, reply) = match request.path.as_str() {
        "/api/v3/ping" => (1, ok("{}")),
        "/api/v3/time" => {
            let published = &request.published;
            let newest = published
                .recording
                .trades()
                .get(published.len.saturating_sub(1));
            let newest = newest.map_or(0, |trade| trade.time.as_millis());
            (1, ok(json!({"serverTime": newest})))
        }
        "/api/v3/exchangeInfo" => {
            let symbol = |symbol: &Symbol| json!({"symbol": symbol.as_str(), "status": "TRADING"});
            let symbols: Vec<_> = request.published.symbols().iter().map(symbol).collect();
            (1, ok(json!({"timezone": "UTC", "symbols": symbols})))
        }
        "/api/v3/aggTrades" => (4, trades(request, aggregate_row)),
        "/api/v3/historicalTrades" | "/api/v3/trades" => (25, trades(request, single_row)),
        _ => (1, reply(StatusCode::NOT_FOUND, "")),
    };
    let mut reply = reply;
    reply
        .headers_mut()
        .insert("x-mbx-used-weight-1m", weight.into());
    reply
}

fn trades(request: &Request<'_>, row: fn(&Trade, i64) -> String) -> Reply {
    let refused = |code: i32, message: &str| {
        reply(
            StatusCode::BAD_REQUEST,
            json!({"code": code, "msg": message}),
        )
    };
    let Some(name) = request.get("symbol") else {
        return refused(-1102, "Mandatory parameter 'symbol' was not sent.");
    };
    let Some(symbol) = request.published.symbol(name) else {
        return refused(-1121, "Invalid symbol.");
    };
    page(request, symbol, row).unwrap_or_else(|name| {
        let message = format!("Illegal characters found in parameter '{name}'.");
        refused(-1100, &message)
    })
}

fn page(
    request: &Request<'_>,
    symbol: Symbol,
    row: fn(&Trade, i64) -> String,
) -> Result<Reply, &'static str> {
    let limit = request
        .number("limit")?
        .unwrap_or(LIMIT.0)
        .clamp(1, LIMIT.1);
    let history = request.published.history(symbol);
    let first: Option<u64> = request.number("fromId")?;
    let (start, end) = (time(request, "startTime")?, time(request, "endTime")?);
    let end = end.map_or(history.len(), |end| {
        history.count_while(|trade| trade.time <= end)
    });
    let start = match (first, start) {
        (Some(first), _) => history.count_while(|trade| trade.sequence < first),
        (None, Some(start)) => history.count_while(|trade| trade.time < start),
        (None, None) => end.saturating_sub(limit),
    };
    let unit = request.header("x-mbx-time-unit");
    let page = history.slice(start..end).iter().take(limit);
    let rows = joined(page, |trade| row(trade, clock(trade, unit)));
    Ok(ok(format!("[{rows}]")))
}

/// Milliseconds or microseconds, told apart by magnitude.
fn time(request: &Request<'_>, name: &'static str) -> Result<Option<Timestamp>, &'static str> {
    let Some(value) = request.number::<i64>(name)? else {
        return Ok(None);
    };
    let time = match value {
        100_000_000_000_000.. => Timestamp::from_micros(value),
        // An end in milliseconds includes the whole of its last one.
        _ if name == "endTime" => {
            Timestamp::from_millis(value).map(|time| time.saturating_add(999_999))
        }
        _ => Timestamp::from_millis(value),
    };
    time.map(Some).ok_or(name)
}

/// The time of a trade in the unit that a client has named.
fn clock(trade: &Trade, unit: &str) -> i64 {
    if unit.eq_ignore_ascii_case("MICROSECOND") {
        trade.time.as_nanos() / 1_000
    } else {
        trade.time.as_millis()
    }
}

fn single_row(trade: &Trade, time: i64) -> String {
    let (price, size, number) = (trade.price, trade.size, trade.sequence);
    let is_maker = trade.side == Side::Sell;
    format!(
        r#"{{"id":{number},"price":"{price}","qty":"{size}","quoteQty":"0","time":{time},"isBuyerMaker":{is_maker},"isBestMatch":true}}"#
    )
}

fn aggregate_row(trade: &Trade, time: i64) -> String {
    let (price, size, number) = (trade.price, trade.size, trade.sequence);
    let is_maker = trade.side == Side::Sell;
    format!(
        r#"{{"a":{number},"p":"{price}","q":"{size}","f":{number},"l":{number},"T":{time},"m":{is_maker},"M":true}}"#
    )
}

#[derive(Debug)]
struct Binance {
    is_combined: bool,
    unit: String,
    /// Streams asked for in the address.
    asked: Vec<String>,
    singles: BTreeSet<Symbol>,
    aggregates: BTreeSet<Symbol>,
}

impl Binance {
    fn new(request: &Request<'_>) -> Binance {
        let in_path = request.path.strip_prefix("/ws/").map(|stream| vec![stream]);
        let asked = request
            .get("streams")
            .map(|streams| streams.split('/').collect());
        let asked = asked.or(in_path).unwrap_or_default();
        Binance {
            is_combined: !request.path.starts_with("/ws"),
            unit: request.get("timeUnit").unwrap_or_default().to_owned(),
            asked: asked.into_iter().map(str::to_owned).collect(),
            singles: BTreeSet::new(),
            aggregates: BTreeSet::new(),
        }
    }

    /// Notes streams and gives the symbols of those that are known; other streams are confirmed and stay silent.
    fn note(
        &mut self,
        published: &Published<'_>,
        streams: &[&str],
        is_wanted: bool,
    ) -> Vec<Symbol> {
        let mut found = Vec::new();
        for stream in streams {
            let Some((name, kind)) = stream.split_once('@') else {
                continue;
            };
            let set = match kind {
                "trade" => &mut self.singles,
                "aggTrade" => &mut self.aggregates,
                _ => continue,
            };
            let Some(symbol) = published.symbol(name) else {
                continue;
            };
            let _was_there = if is_wanted {
                set.insert(symbol)
            } else {
                set.remove(&symbol)
            };
            found.push(symbol);
        }
        found
    }

    fn message(&self, trade: &Trade, kind: &str, data: String) -> String {
        if !self.is_combined {
            return data;
        }
        let stream = stream(trade.symbol, kind);
        format!(r#"{{"stream":"{stream}","data":{data}}}"#)
    }

    fn single(&self, trade: &Trade) -> String {
        let (symbol, price, size, number) = (trade.symbol, trade.price, trade.size, trade.sequence);
        let (time, is_maker) = (clock(trade, &self.unit), trade.side == Side::Sell);
        let data = format!(
            r#"{{"e":"trade","E":{time},"s":"{symbol}","t":{number},"p":"{price}","q":"{size}","T":{time},"m":{is_maker},"M":true}}"#
        );
        self.message(trade, "trade", data)
    }

    fn aggregate(&self, trade: &Trade) -> String {
        let (symbol, price, size, number) = (trade.symbol, trade.price, trade.size, trade.sequence);
        let (time, is_maker) = (clock(trade, &self.unit), trade.side == Side::Sell);
        let data = format!(
            r#"{{"e":"aggTrade","E":{time},"s":"{symbol}","a":{number},"p":"{price}","q":"{size}","f":{number},"l":{number},"T":{time},"m":{is_maker},"M":true}}"#
        );
        self.message(trade, "aggTrade", data)
    }
}

/// The name of a stream.
fn stream(symbol: Symbol, kind: &str) -> String {
    format!("{}@{kind}", symbol.as_str().to_ascii_lowercase())
}

impl VenueProtocol for Binance {
    fn greeting(&mut self, published: &Published<'_>) -> Vec<Action> {
        let asked = std::mem::take(&mut self.asked);
        if asked.is_empty() {
            return Vec::new();
        }
        let streams: Vec<&str> = asked.iter().map(String::as_str).collect();
        vec![Action::Subscribe(self.note(published, &streams, true))]
    }

    fn on_text(&mut self, published: &Published<'_>, text: &str) -> Vec<Action> {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            let error = json!({"code": 3, "msg": "Invalid JSON: syntax error"});
            return vec![send(json!({"error": error}))];
        };
        let ack = |result: Value| send(json!({"result": result, "id": value["id"]}));
        let streams = strings(&value["params"]);
        match value["method"].as_str() {
            Some("SUBSCRIBE") => {
                let symbols = self.note(published, &streams, true);
                vec![Action::Subscribe(symbols), ack(Value::Null)]
            }
            Some("UNSUBSCRIBE") => {
                let mut symbols = self.note(published, &streams, false);
                symbols.retain(|symbol| {
                    !self.singles.contains(symbol) && !self.aggregates.contains(symbol)
                });
                vec![Action::Unsubscribe(symbols), ack(Value::Null)]
            }
            Some("LIST_SUBSCRIPTIONS") => {
                let singles = self.singles.iter().map(|&symbol| stream(symbol, "trade"));
                let aggregates = self.aggregates.iter();
                let aggregates = aggregates.map(|&symbol| stream(symbol, "aggTrade"));
                vec![ack(json!(singles.chain(aggregates).collect::<Vec<_>>()))]
            }
            _ => {
                let error = json!({"code": 2, "msg": "Invalid request: unknown method"});
                vec![send(json!({"error": error, "id": value["id"]}))]
            }
        }
    }

    fn trades(&mut self, _now: Timestamp, trades: &[&Trade]) -> Vec<String> {
        let mut out = Vec::with_capacity(trades.len());
        for trade in trades {
            if self.singles.contains(&trade.symbol) {
                out.push(self.single(trade));
            }
            if self.aggregates.contains(&trade.symbol) {
                out.push(self.aggregate(trade));
            }
        }
        out
    }

    fn refusal(&self, refusal: Refusal) -> Option<String> {
        let error = json!({"code": 0, "msg": "Unable to subscribe: access is refused"});
        (refusal == Refusal::Auth).then(|| json!({"error": error, "id": null}).to_string())
    }
}
