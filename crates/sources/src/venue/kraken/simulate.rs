//! Simulated Kraken spot: the server side of its history and socket.
//!
//! Wire formats: docs.kraken.com of 2026 and a recorded reply. `/0/public/Trades` begins after a nanosecond; a row's time
//! is in seconds, and `last` is the nanosecond of the last row. The v2 `trade` channel has numbers as JSON numbers and times
//! in microseconds; a snapshot of the newest trades comes unless it is declined, a heartbeat about once a second.

use crate::venue::simulate::{
    Action, Numbering, Published, Refusal, Reply, Request, Simulation, VenueProtocol, joined, ok,
    send, strings,
};
use barmill_core::model::{Side, Timestamp, Trade};
use serde_json::{Value, json};

/// Trades of a page at most, and unless asked otherwise.
const LIMIT: usize = 1_000;
/// Trades of one message.
const MESSAGE_LEN: usize = 50;

/// The simulated side of the venue.
pub(super) const SIMULATION: Simulation = Simulation {
    numbering: Numbering::Contiguous,
    resolution_ns: 100,
    socket_path: "/v2",
    socket_query: "",
    client_settings: &[],
    example: |example| {
        let (base_url, symbol) = (example.base_url, example.symbol);
        let since = example.span.0.as_nanos().saturating_sub(1);
        format!("curl '{base_url}/0/public/Trades?pair={symbol}&since={since}&count=3'")
    },
    restate: |_| {},
    idle_max: None,
    ping_every: None,
    protocol: |_| Box::new(Kraken::default()),
    answer,
    too_many: || refused("EGeneral:Too many requests"),
};

fn answer(request: &Request<'_>) -> Reply {
    match request.path.as_str() {
        "/0/public/AssetPairs" => {
            let pair = |name: &str| {
                let short = name.replace('/', "");
                let pair = json!({"altname": short, "wsname": name, "status": "online"});
                (name.to_owned(), pair)
            };
            let symbols = request.published.symbols().iter();
            let pairs: serde_json::Map<_, _> = symbols.map(|one| pair(one.as_str())).collect();
            ok(json!({"error": [], "result": pairs}))
        }
        "/0/public/Trades" => trades(request).unwrap_or_else(refused),
        _ => refused("EGeneral:Unknown method"),
    }
}

fn trades(request: &Request<'_>) -> Result<Reply, &'static str> {
    let pair = request.get("pair").unwrap_or_default();
    let pair = request.published.symbol(pair);
    let pair = pair.ok_or("EQuery:Unknown asset pair")?;
    let invalid = |_| "EGeneral:Invalid arguments";
    let count: Option<usize> = request.number("count").map_err(invalid)?;
    let count = count.unwrap_or(LIMIT).clamp(1, LIMIT);
    let since: Option<i64> = request.number("since").map_err(invalid)?;
    // Seconds, where it is too small for nanoseconds.
    let since = since.map(|since| {
        if since < 100_000_000_000 {
            since.saturating_mul(1_000_000_000)
        } else {
            since
        }
    });
    let history = request.published.history(pair);
    let start = match since {
        Some(since) => history.count_while(|trade| trade.time.as_nanos() <= since),
        None => history.len().saturating_sub(count),
    };
    let page = history.slice(start..history.len().min(start + count));
    let last = page.iter().next_back();
    let last = last.map_or(since.unwrap_or(0), |trade| trade.time.as_nanos());
    let rows = joined(page.iter(), page_row);
    Ok(ok(format!(
        r#"{{"error":[],"result":{{"{pair}":[{rows}],"last":"{last}"}}}}"#
    )))
}

fn refused(error: &str) -> Reply {
    ok(json!({"error": [error]}))
}

fn page_row(trade: &Trade) -> String {
    let (price, size, number) = (trade.price, trade.size, trade.sequence);
    let nanos = trade.time.as_nanos();
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000 / 100);
    let seconds = format!("{seconds}.{rest:07}");
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    let taker = if trade.side == Side::Buy { "b" } else { "s" };
    format!(r#"["{price}","{size}",{seconds},"{taker}","l","",{number}]"#)
}

#[derive(Debug, Default)]
struct Kraken {
    has_asked: bool,
}

impl Kraken {
    fn subscribe(&mut self, published: &Published<'_>, params: &Value) -> Vec<Action> {
        if params["channel"] != "trade" {
            return vec![send(failed("Channel not supported"))];
        }
        self.has_asked = true;
        let wants_snapshot = params["snapshot"] != false;
        let mut actions = Vec::new();
        for name in strings(&params["symbol"]) {
            let Some(symbol) = published.symbol(name) else {
                let error = format!("Currency pair not supported {name}");
                actions.push(send(json!({
                    "error": error, "method": "subscribe", "success": false, "symbol": name,
                })));
                continue;
            };
            let result = json!({"channel": "trade", "snapshot": wants_snapshot, "symbol": name});
            actions.push(Action::Subscribe(vec![symbol]));
            actions.push(done("subscribe", &result));
            if wants_snapshot {
                actions.push(Action::Snapshot(vec![symbol]));
            }
        }
        actions
    }
}

impl VenueProtocol for Kraken {
    fn greeting(&mut self, _published: &Published<'_>) -> Vec<Action> {
        let data = json!([{"api_version": "v2", "system": "online"}]);
        vec![send(
            json!({"channel": "status", "type": "update", "data": data}),
        )]
    }

    fn on_text(&mut self, published: &Published<'_>, text: &str) -> Vec<Action> {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        match value["method"].as_str() {
            Some("ping") => {
                let id = value["req_id"].as_u64();
                let id = id.map_or_else(String::new, |id| format!(r#","req_id":{id}"#));
                vec![send(format!(r#"{{"method":"pong"{id}}}"#))]
            }
            Some("subscribe") => self.subscribe(published, &value["params"]),
            Some("unsubscribe") => {
                let names = strings(&value["params"]["symbol"]);
                let mut actions = vec![Action::Unsubscribe(published.known(&names))];
                for name in names {
                    let result = json!({"channel": "trade", "symbol": name});
                    actions.push(done("unsubscribe", &result));
                }
                actions
            }
            _ => vec![send(
                json!({"error": "Malformed request", "success": false}),
            )],
        }
    }

    fn trades(&mut self, _now: Timestamp, trades: &[&Trade]) -> Vec<String> {
        let messages = trades.chunks(MESSAGE_LEN);
        messages.map(|trades| message("update", trades)).collect()
    }

    fn snapshot(&mut self, _now: Timestamp, trades: &[&Trade]) -> Vec<String> {
        vec![message("snapshot", trades)]
    }

    fn heartbeat(&mut self, _published: &Published<'_>) -> Vec<String> {
        let heartbeat = r#"{"channel":"heartbeat"}"#.to_owned();
        self.has_asked.then_some(heartbeat).into_iter().collect()
    }

    fn refusal(&self, refusal: Refusal) -> Option<String> {
        let error = match refusal {
            Refusal::Auth => "EGeneral:Permission denied",
            Refusal::Limit => "EService:Too many connections",
            Refusal::Slow | Refusal::Idle => return None,
        };
        Some(failed(error))
    }
}

fn failed(error: &str) -> String {
    json!({"error": error, "method": "subscribe", "success": false}).to_string()
}

fn done(method: &str, result: &Value) -> Action {
    send(json!({"method": method, "result": result, "success": true}))
}

fn message(kind: &str, trades: &[&Trade]) -> String {
    let rows = joined(trades.iter().copied(), socket_row);
    format!(r#"{{"channel":"trade","type":"{kind}","data":[{rows}]}}"#)
}

fn socket_row(trade: &Trade) -> String {
    let (symbol, price, size, number) = (trade.symbol, trade.price, trade.size, trade.sequence);
    let taker = if trade.side == Side::Buy {
        "buy"
    } else {
        "sell"
    };
    let time = trade.time.saturating_sub(trade.time.as_nanos() % 1_000);
    format!(
        r#"{{"symbol":"{symbol}","side":"{taker}","price":{price},"qty":{size},"ord_type":"limit","trade_id":{number},"timestamp":"{time}"}}"#
    )
}
