//! Simulated Alpaca: the server side of its history and socket.
//!
//! Wire formats: the vendor's public description, documents and Go client of 2026. `/v2/stocks/trades` and
//! `/v2/stocks/{symbol}/trades` include both ends, are sorted by symbol and time, and have pages by token; a token names
//! symbol, time, exchange and identity of the last row, as the vendor's does. The v2 stock feeds send arrays of objects told
//! apart by `T`; errors have the codes of the documents.

use crate::venue::simulate::{
    Action, Numbering, Published, Refusal, Reply, Request, Simulation, VenueProtocol, bits, joined,
    ok, reply, send, strings,
};
use barmill_core::model::{Timestamp, Trade};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Trades of a page unless asked otherwise, and at most.
const LIMIT: (usize, usize) = (1_000, 10_000);
/// Trades of one frame.
const FRAME_LEN: usize = 100;

/// The simulated side of the venue.
pub(super) const SIMULATION: Simulation = Simulation {
    numbering: Numbering::None,
    resolution_ns: 1,
    socket_path: "/v2/sip",
    socket_query: "",
    client_settings: &[],
    example: |example| {
        let (base_url, symbol, (from, to)) = (example.base_url, example.symbol, example.span);
        format!(
            "curl -H 'APCA-API-KEY-ID: any' -H 'APCA-API-SECRET-KEY: any' \
             '{base_url}/v2/stocks/trades?symbols={symbol}&start={from}&end={to}&limit=3'"
        )
    },
    restate: |trade| {
        trade.sequence = 0;
        if !(0x20..0x7f).contains(&trade.venue) {
            trade.venue = u16::from(b'V');
        }
    },
    idle_max: Some(Duration::from_secs(10)),
    ping_every: None,
    protocol: |_| Box::new(Alpaca::default()),
    answer,
    too_many: || {
        let status = StatusCode::TOO_MANY_REQUESTS;
        reply(status, r#"{"message":"too many requests."}"#)
    },
};

fn answer(request: &Request<'_>) -> Reply {
    let (names, is_single) = match request.segments()[..] {
        ["v2", "stocks", "trades"] => (request.get("symbols").unwrap_or_default(), false),
        ["v2", "stocks", name, "trades"] => (name, true),
        _ => return refused(StatusCode::NOT_FOUND, 40_410_000, "not found"),
    };
    let keys = ["apca-api-key-id", "apca-api-secret-key"];
    if keys.iter().any(|key| request.header(key).is_empty()) {
        return reply(StatusCode::FORBIDDEN, r#"{"message":"forbidden."}"#);
    }
    trades(request, names, is_single).unwrap_or_else(|name| {
        let message = format!("invalid {name}");
        refused(StatusCode::BAD_REQUEST, 40_010_001, &message)
    })
}

fn refused(status: StatusCode, code: u32, message: &str) -> Reply {
    reply(status, json!({"code": code, "message": message}))
}

fn instant(request: &Request<'_>, name: &'static str) -> Result<Option<Timestamp>, &'static str> {
    let instant = |text: &str| match text.len() {
        10 => format!("{text}T00:00:00Z").parse(),
        _ => text.parse(),
    };
    let text = request.get(name);
    text.map(|text| instant(text).map_err(|_| name)).transpose()
}

/// The rank of a trade among those of its symbol.
fn rank(trade: &Trade) -> (Timestamp, u64) {
    (trade.time, trade.id.raw())
}

fn trades(request: &Request<'_>, names: &str, is_single: bool) -> Result<Reply, &'static str> {
    let from = instant(request, "start")?.unwrap_or(Timestamp::EPOCH);
    let to = instant(request, "end")?.unwrap_or(Timestamp::MAX);
    let limit = request.number("limit")?.unwrap_or(LIMIT.0);
    if !(1..=LIMIT.1).contains(&limit) {
        return Err("limit");
    }
    let after = request.get("page_token");
    let after = after.map(|token| read_token(token).ok_or("page_token"));
    let after = after.transpose()?;
    let mut names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    let (mut room, mut token, mut more) = (limit, None, None);
    let mut out: Vec<(&str, String)> = Vec::new();
    for name in names {
        let Some(symbol) = request.published.symbol(name) else {
            continue;
        };
        if after.as_ref().is_some_and(|(last, _)| name < last.as_str()) {
            continue;
        }
        let history = request.published.history(symbol);
        let start = history.count_while(|trade| trade.time < from);
        let end = history.count_while(|trade| trade.time <= to);
        let mut trades: Vec<&Trade> = history.slice(start..end).iter().collect();
        trades.sort_by_key(|trade| rank(trade));
        if let Some((_, last)) = after.as_ref().filter(|(symbol, _)| symbol == name) {
            trades.drain(..trades.partition_point(|trade| rank(trade) <= *last));
        }
        let len = room.min(trades.len());
        room -= len;
        if let Some(last) = trades[..len].last() {
            token = Some(write_token(name, last));
            out.push((name, joined(trades[..len].iter().copied(), page_row)));
        }
        if len < trades.len() {
            more = token;
            break;
        }
    }
    let token = json!(more);
    if is_single {
        let (name, rows) = out.into_iter().next().unwrap_or_default();
        return Ok(ok(format!(
            r#"{{"trades":[{rows}],"symbol":"{name}","next_page_token":{token}}}"#
        )));
    }
    let rows = out
        .iter()
        .map(|(name, rows)| format!(r#""{name}":[{rows}]"#));
    let rows = rows.collect::<Vec<_>>().join(",");
    Ok(ok(format!(
        r#"{{"trades":{{{rows}}},"next_page_token":{token}}}"#
    )))
}

fn write_token(name: &str, last: &Trade) -> String {
    let (time, exchange, id) = (last.time, exchange(last), last.id.raw());
    BASE64_STANDARD.encode(format!("{name}|{time}|{exchange}|{id:020}"))
}

fn read_token(text: &str) -> Option<(String, (Timestamp, u64))> {
    let text = String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?;
    let parts: Vec<&str> = text.split('|').collect();
    let [name, time, _, id] = parts[..] else {
        return None;
    };
    Some((name.to_owned(), (time.parse().ok()?, id.parse().ok()?)))
}

fn page_row(trade: &Trade) -> String {
    let (id, price, size, time) = (trade.id.raw(), trade.price, trade.size, trade.time);
    let (exchange, conditions, tape) = (exchange(trade), conditions(trade), tape(trade));
    let update = match trade.correction {
        12 => r#","u":"corrected""#,
        1 | 7 | 11 => r#","u":"incorrect""#,
        8 | 10 => r#","u":"canceled""#,
        _ => "",
    };
    format!(
        r#"{{"t":"{time}","x":"{exchange}","p":{price},"s":{size},"c":[{conditions}],"i":{id},"z":"{tape}"{update}}}"#
    )
}

/// The letter of a trade's exchange.
fn exchange(trade: &Trade) -> char {
    u8::try_from(trade.venue).map_or('V', char::from)
}

/// The condition letters as JSON texts; the rules number a letter by its byte less 32.
fn conditions(trade: &Trade) -> String {
    let letter = |bit: u8| json!(char::from(bit + 32)).to_string();
    let letters = bits(trade.conditions.bits(), 0..96).map(letter);
    letters.collect::<Vec<_>>().join(",")
}

/// The tape; the rules number A, B, C and O from 97 to 100.
fn tape(trade: &Trade) -> char {
    let tape = bits(trade.conditions.bits(), 97..101).next();
    tape.map_or('C', |bit| ['A', 'B', 'C', 'O'][usize::from(bit - 97)])
}

#[derive(Debug, Default)]
struct Alpaca {
    is_known: bool,
    names: BTreeSet<String>,
}

impl Alpaca {
    fn subscription(&self) -> Action {
        let names = &self.names;
        send(json!([{
            "T": "subscription", "trades": names, "quotes": [], "bars": [], "updatedBars": [],
            "dailyBars": [], "statuses": [], "lulds": [], "corrections": names, "cancelErrors": names,
        }]))
    }
}

impl VenueProtocol for Alpaca {
    fn greeting(&mut self, _published: &Published<'_>) -> Vec<Action> {
        vec![send(success("connected"))]
    }

    fn on_text(&mut self, published: &Published<'_>, text: &str) -> Vec<Action> {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return vec![send(error(400, "invalid syntax"))];
        };
        let names = strings(&value["trades"]);
        match value["action"].as_str() {
            Some("auth") if self.is_known => vec![send(error(403, "already authenticated"))],
            Some("auth") => {
                let is_given = |name| value[name].as_str().is_some_and(|text| !text.is_empty());
                vec![Action::Authenticate(is_given("key") && is_given("secret"))]
            }
            Some(_) if !self.is_known => vec![send(error(401, "not authenticated"))],
            Some("subscribe") => {
                self.names.extend(names.iter().map(|&name| name.to_owned()));
                let symbols = published.known_or_all(&names);
                vec![Action::Subscribe(symbols), self.subscription()]
            }
            Some("unsubscribe") => {
                self.names.retain(|name| !names.contains(&name.as_str()));
                let symbols = published.known(&names);
                vec![Action::Unsubscribe(symbols), self.subscription()]
            }
            _ => vec![send(error(400, "invalid syntax"))],
        }
    }

    fn trades(&mut self, _now: Timestamp, trades: &[&Trade]) -> Vec<String> {
        let frame = |trades: &[&Trade]| format!("[{}]", joined(trades.iter().copied(), socket_row));
        trades.chunks(FRAME_LEN).map(frame).collect()
    }

    fn refusal(&self, refusal: Refusal) -> Option<String> {
        Some(match refusal {
            Refusal::Auth => error(402, "auth failed"),
            Refusal::Limit => error(406, "connection limit exceeded"),
            Refusal::Slow => error(407, "slow client"),
            Refusal::Idle => error(404, "auth timeout"),
        })
    }

    fn on_authenticated(&mut self) -> Option<String> {
        self.is_known = true;
        Some(success("authenticated"))
    }
}

fn success(message: &str) -> String {
    json!([{"T": "success", "msg": message}]).to_string()
}

fn error(code: u16, message: &str) -> String {
    json!([{"T": "error", "code": code, "msg": message}]).to_string()
}

fn socket_row(trade: &Trade) -> String {
    let (symbol, id, price) = (trade.symbol, trade.id.raw(), trade.price);
    let (size, time) = (trade.size, trade.time);
    let (exchange, conditions, tape) = (exchange(trade), conditions(trade), tape(trade));
    format!(
        r#"{{"T":"t","S":"{symbol}","i":{id},"x":"{exchange}","p":{price},"s":{size},"c":[{conditions}],"z":"{tape}","t":"{time}"}}"#
    )
}
