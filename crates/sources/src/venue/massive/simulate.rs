//! Simulated Massive (formerly Polygon): the server side of its history and socket.
//!
//! Wire formats: the vendor's public descriptions and clients of 2026-07. `/v3/trades/{ticker}` goes by SIP timestamp, newest
//! first unless asked otherwise, with pages by `next_url`; a cursor holds the filters and the number of rows that they give
//! before it, so that it keeps its position inside one nanosecond. The stocks cluster sends arrays of events, `T` for a trade
//! with its time in milliseconds; a topic of another kind than `T.` is confirmed and stays silent, as an unknown ticker does.

use crate::venue::simulate::{
    Action, Numbering, Published, Refusal, Reply, Request, Simulation, VenueProtocol, bits, joined,
    ok, reply, send,
};
use barmill_core::model::{Timestamp, Trade, TradeId};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

/// Trades of a page unless asked otherwise, and at most.
const LIMIT: (usize, usize) = (1_000, 50_000);
/// Trades of one frame.
const FRAME_LEN: usize = 100;
const DAY_NS: i64 = 86_400_000_000_000;

/// The simulated side of the venue.
pub(super) const SIMULATION: Simulation = Simulation {
    numbering: Numbering::Ascending,
    resolution_ns: 1,
    socket_path: "/stocks",
    socket_query: "",
    client_settings: &[],
    example: |example| {
        let (base_url, symbol) = (example.base_url, example.symbol);
        let from = example.span.0.as_nanos();
        format!(
            "curl -H 'Authorization: Bearer any' '{base_url}/v3/trades/{symbol}?timestamp.gte={from}&order=asc&limit=3'"
        )
    },
    restate: |_| {},
    idle_max: Some(Duration::from_secs(10)),
    ping_every: None,
    protocol: |_| Box::new(Massive::default()),
    answer,
    too_many: || {
        reply(
            StatusCode::TOO_MANY_REQUESTS,
            r#"{"status":"ERROR","request_id":"simulated","error":"You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue."}"#,
        )
    },
};

/// What is asked for: times in nanoseconds, `from` included, `to` excluded.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    from: i64,
    to: i64,
    is_ascending: bool,
    limit: usize,
    skip: usize,
}

fn answer(request: &Request<'_>) -> Reply {
    let refused = |status, error: &str| {
        let id = format!("simulated{}", request.number);
        reply(
            status,
            json!({"status": "ERROR", "request_id": id, "error": error}),
        )
    };
    let ["v3", "trades", ticker] = request.segments()[..] else {
        return refused(StatusCode::NOT_FOUND, "not found");
    };
    let bearer = request.header("authorization").strip_prefix("Bearer ");
    let keys = [request.get("apiKey"), bearer];
    if keys.iter().flatten().all(|key| key.is_empty()) {
        return refused(StatusCode::UNAUTHORIZED, "API Key was not provided");
    }
    match wanted(request) {
        Ok(wanted) => page(request, ticker, wanted),
        Err(name) => refused(StatusCode::BAD_REQUEST, &format!("'{name}' is not valid")),
    }
}

fn wanted(request: &Request<'_>) -> Result<Wanted, &'static str> {
    if let Some(cursor) = request.get("cursor") {
        return read_cursor(cursor).ok_or("cursor");
    }
    let limit = request.number("limit")?.unwrap_or(LIMIT.0);
    if !(1..=LIMIT.1).contains(&limit) {
        return Err("limit");
    }
    let is_ascending = match request.get("order") {
        Some("asc") => true,
        Some("desc") | None => false,
        Some(_) => return Err("order"),
    };
    let nanos = |name: &'static str, step: i64| {
        let instant = |text| {
            instant(text)
                .map(|nanos| nanos.saturating_add(step))
                .ok_or(name)
        };
        request.get(name).map(instant).transpose()
    };
    let starts = [nanos("timestamp.gte", 0)?, nanos("timestamp.gt", 1)?];
    let ends = [nanos("timestamp.lte", 1)?, nanos("timestamp.lt", 0)?];
    let mut from = starts.into_iter().flatten().fold(0, i64::max);
    let mut to = ends.into_iter().flatten().fold(i64::MAX, i64::min);
    if let Some(text) = request.get("timestamp") {
        let is_day = text.len() == 10 && text.contains('-');
        from = instant(text).ok_or("timestamp")?;
        to = from.saturating_add(if is_day { DAY_NS } else { 1 });
    }
    Ok(Wanted {
        from,
        to,
        is_ascending,
        limit,
        skip: 0,
    })
}

/// Nanoseconds, an RFC 3339 text or a UTC day.
fn instant(text: &str) -> Option<i64> {
    let time = match text.len() {
        _ if text.parse::<i64>().is_ok() => return text.parse().ok(),
        10 => format!("{text}T00:00:00Z").parse(),
        _ => text.parse(),
    };
    time.ok().map(Timestamp::as_nanos)
}

fn write_cursor(wanted: &Wanted) -> String {
    let Wanted {
        from,
        to,
        is_ascending,
        limit,
        skip,
    } = wanted;
    let order = if *is_ascending { "asc" } else { "desc" };
    BASE64_URL_SAFE_NO_PAD.encode(format!(
        "ap={skip}&as=&limit={limit}&order={order}&sort=timestamp&timestamp.gte={from}&timestamp.lt={to}"
    ))
}

fn read_cursor(text: &str) -> Option<Wanted> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let get = |name: &str| {
        let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let limit = get("limit")?.parse().ok();
    Some(Wanted {
        from: get("timestamp.gte")?.parse().ok()?,
        to: get("timestamp.lt")?.parse().ok()?,
        is_ascending: get("order")? == "asc",
        limit: limit.filter(|limit| (1..=LIMIT.1).contains(limit))?,
        skip: get("ap")?.parse().ok()?,
    })
}

fn page(request: &Request<'_>, ticker: &str, wanted: Wanted) -> Reply {
    let symbol = request.published.symbol(ticker);
    let history = symbol.map(|symbol| request.published.history(symbol));
    let history = history.unwrap_or_default();
    let start = history.count_while(|trade| trade.time.as_nanos() < wanted.from);
    let end = history.count_while(|trade| trade.time.as_nanos() < wanted.to);
    let inside = history.slice(start..end);
    let first = wanted.skip.min(inside.len());
    let skip = inside.len().min(first + wanted.limit);
    let rows = if wanted.is_ascending {
        joined(inside.slice(first..skip).iter(), page_row)
    } else {
        let newest = inside.slice(inside.len() - skip..inside.len() - first);
        joined(newest.iter().rev(), page_row)
    };
    let next = if skip < inside.len() {
        let cursor = write_cursor(&Wanted { skip, ..wanted });
        let (host, path) = (request.header("host"), &request.path);
        format!(r#","next_url":"http://{host}{path}?cursor={cursor}""#)
    } else {
        String::new()
    };
    let number = request.number;
    ok(format!(
        r#"{{"results":[{rows}],"status":"OK","request_id":"simulated{number}"{next}}}"#
    ))
}

fn page_row(trade: &Trade) -> String {
    let (price, size, number) = (trade.price, trade.size, trade.sequence);
    let (nanos, exchange, facility) = (trade.time.as_nanos(), exchange(trade), facility(trade));
    let id = id(trade).unwrap_or_default();
    let conditions = optional(conditions(trade), |list| {
        format!(r#""conditions":[{list}],"#)
    });
    let correction = Some(trade.correction).filter(|number| *number != 0);
    let correction = optional(correction, |number| format!(r#""correction":{number},"#));
    let facility = optional(facility, |facility| {
        format!(r#","trf_id":{facility},"trf_timestamp":{nanos}"#)
    });
    format!(
        r#"{{{conditions}{correction}"decimal_size":"{size}","exchange":{exchange},"id":"{id}","participant_timestamp":{nanos},"price":{price},"sequence_number":{number},"sip_timestamp":{nanos},"size":{size},"tape":3{facility}}}"#
    )
}

/// The text of a field that is left out where there is nothing to say.
fn optional<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(String::new, text)
}

fn id(trade: &Trade) -> Option<String> {
    (trade.id != TradeId::NONE).then(|| trade.id.raw().to_string())
}

fn exchange(trade: &Trade) -> u16 {
    trade.venue & 0xff
}

/// The trade reporting facility.
fn facility(trade: &Trade) -> Option<u16> {
    Some(trade.venue >> 8).filter(|facility| *facility != 0)
}

/// The numbers of the conditions with commas between them.
fn conditions(trade: &Trade) -> Option<String> {
    let numbers = bits(trade.conditions.bits(), 0..128).map(|bit| bit.to_string());
    let numbers = numbers.collect::<Vec<_>>().join(",");
    Some(numbers).filter(|numbers| !numbers.is_empty())
}

#[derive(Debug, Default)]
struct Massive {
    is_known: bool,
}

impl VenueProtocol for Massive {
    fn greeting(&mut self, _published: &Published<'_>) -> Vec<Action> {
        vec![send(status("connected", "Connected Successfully"))]
    }

    fn on_text(&mut self, published: &Published<'_>, text: &str) -> Vec<Action> {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let params = value["params"].as_str().unwrap_or_default();
        let topics: Vec<&str> = params.split(',').map(str::trim).collect();
        let names = topics.iter().filter_map(|topic| topic.strip_prefix("T."));
        let names: Vec<&str> = names.collect();
        match value["action"].as_str() {
            Some("auth") => vec![Action::Authenticate(!params.is_empty())],
            Some("subscribe" | "unsubscribe") if !self.is_known => {
                let refused = status("auth_required", "authentication required");
                vec![send(refused), Action::Close]
            }
            Some("subscribe") => {
                let ack = |topic| send(status("success", &format!("subscribed to: {topic}")));
                let mut actions = vec![Action::Subscribe(published.known_or_all(&names))];
                actions.extend(topics.into_iter().map(ack));
                actions
            }
            Some("unsubscribe") => {
                let ack = status("success", &format!("unsubscribed to: {params}"));
                vec![Action::Unsubscribe(published.known(&names)), send(ack)]
            }
            _ => vec![send(status("error", "unknown action"))],
        }
    }

    fn trades(&mut self, _now: Timestamp, trades: &[&Trade]) -> Vec<String> {
        let frame = |trades: &[&Trade]| format!("[{}]", joined(trades.iter().copied(), socket_row));
        trades.chunks(FRAME_LEN).map(frame).collect()
    }

    fn refusal(&self, refusal: Refusal) -> Option<String> {
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

    fn on_authenticated(&mut self) -> Option<String> {
        self.is_known = true;
        Some(status("auth_success", "authenticated"))
    }
}

fn status(status: &str, message: &str) -> String {
    json!([{"ev": "status", "status": status, "message": message}]).to_string()
}

fn socket_row(trade: &Trade) -> String {
    let (symbol, price, size, number) = (trade.symbol, trade.price, trade.size, trade.sequence);
    let (millis, exchange, facility) = (trade.time.as_millis(), exchange(trade), facility(trade));
    let whole = size.raw() / 10_000_000_000;
    let id = optional(id(trade), |id| format!(r#""i":"{id}","#));
    let conditions = optional(conditions(trade), |list| format!(r#""c":[{list}],"#));
    let facility = optional(facility, |facility| {
        format!(r#","trfi":{facility},"trft":{millis}"#)
    });
    format!(
        r#"{{"ev":"T","sym":"{symbol}","x":{exchange},{id}"z":3,"p":{price},"s":{whole},"ds":"{size}",{conditions}"t":{millis},"q":{number}{facility}}}"#
    )
}
