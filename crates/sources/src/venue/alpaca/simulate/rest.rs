//! `/v2/stocks/trades` and `/v2/stocks/{symbol}/trades`: both ends included, sorted by symbol and time, pages by token.
//!
//! Wire format: the vendor's public description and Go client of 2026. A token names symbol, time, exchange and identity
//! of the last row, as the vendor's does.

use super::socket::{conditions, exchange};
use crate::venue::simulate::request::{Ask, Reply};
use barmill_core::model::{Timestamp, Trade};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Trades of a page unless asked otherwise, and at most.
const LIMIT: (usize, usize) = (1_000, 10_000);

pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    let segments = ask.segments();
    let (names, is_single) = match segments[..] {
        ["v2", "stocks", "trades"] => (ask.get("symbols").unwrap_or_default().to_owned(), false),
        ["v2", "stocks", name, "trades"] => (name.to_owned(), true),
        _ => return refused(404, 40_410_000, "not found"),
    };
    let is_known = |name| ask.header(name).is_some_and(|key| !key.is_empty());
    if !is_known("apca-api-key-id") || !is_known("apca-api-secret-key") {
        return Reply::status(403, r#"{"message":"forbidden."}"#);
    }
    match page(ask, &names, is_single) {
        Ok(reply) => reply,
        Err(name) => refused(400, 40_010_001, &format!("invalid {name}")),
    }
}

fn refused(status: u16, code: u32, words: &str) -> Reply {
    Reply::status(status, json!({"code": code, "message": words}).to_string())
}

fn instant(ask: &Ask<'_>, name: &'static str) -> Result<Option<Timestamp>, &'static str> {
    let Some(text) = ask.get(name) else {
        return Ok(None);
    };
    let text = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    text.parse().map(Some).map_err(|_| name)
}

/// The rank of a trade among those of its symbol.
fn rank(trade: &Trade) -> (Timestamp, u64) {
    (trade.time, trade.id.raw())
}

fn page(ask: &Ask<'_>, names: &str, is_single: bool) -> Result<Reply, &'static str> {
    let tape = ask.tape;
    let from = instant(ask, "start")?.unwrap_or(Timestamp::EPOCH);
    let to = instant(ask, "end")?.unwrap_or(Timestamp::MAX);
    let limit = ask.number("limit")?.unwrap_or(LIMIT.0);
    if !(1..=LIMIT.1).contains(&limit) {
        return Err("limit");
    }
    let after = ask
        .get("page_token")
        .map(|token| read_token(token).ok_or("page_token"))
        .transpose()?;
    let mut symbols: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    symbols.sort_unstable();
    let mut room: usize = limit;
    let mut out: Vec<(String, Vec<String>)> = Vec::new();
    let mut token = None;
    for name in symbols {
        let Some(lane) = tape.lane(name) else {
            continue;
        };
        if after
            .as_ref()
            .is_some_and(|(symbol, _)| name < symbol.as_str())
        {
            continue;
        }
        let mut trades: Vec<&Trade> = tape
            .places(lane, ask.visible)
            .iter()
            .map(|&place| tape.at(place))
            .filter(|trade| from <= trade.time && trade.time <= to)
            .collect();
        trades.sort_by_key(|trade| rank(trade));
        let start = match &after {
            Some((symbol, last)) if symbol == name => {
                trades.partition_point(|trade| rank(trade) <= *last)
            }
            Some(_) | None => 0,
        };
        let rest = &trades[start..];
        let chosen = &rest[..room.min(rest.len())];
        room -= chosen.len();
        if let Some(last) = chosen.last() {
            token = Some(write_token(name, last));
            out.push((
                name.to_owned(),
                chosen.iter().map(|trade| row(trade)).collect(),
            ));
        }
        if chosen.len() < rest.len() {
            return Ok(reply(&out, token, is_single));
        }
    }
    Ok(reply(&out, None, is_single))
}

fn reply(rows: &[(String, Vec<String>)], token: Option<String>, is_single: bool) -> Reply {
    let token = token.map_or(Value::Null, Value::String);
    let body = if is_single {
        let (name, rows) = rows
            .first()
            .map_or(("", String::new()), |(name, rows)| (name, rows.join(",")));
        format!(r#"{{"trades":[{rows}],"symbol":"{name}","next_page_token":{token}}}"#)
    } else {
        let rows: Vec<String> = rows
            .iter()
            .map(|(name, rows)| format!(r#""{name}":[{}]"#, rows.join(",")))
            .collect();
        format!(
            r#"{{"trades":{{{}}},"next_page_token":{token}}}"#,
            rows.join(",")
        )
    };
    Reply::page(body)
}

fn write_token(name: &str, last: &Trade) -> String {
    BASE64_STANDARD.encode(format!(
        "{name}|{}|{}|{:020}",
        last.time,
        exchange(last),
        last.id.raw()
    ))
}

fn read_token(text: &str) -> Option<(String, (Timestamp, u64))> {
    let text = String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?;
    let parts: Vec<&str> = text.split('|').collect();
    let [name, time, _, id] = parts[..] else {
        return None;
    };
    Some((name.to_owned(), (time.parse().ok()?, id.parse().ok()?)))
}

fn row(trade: &Trade) -> String {
    let Trade {
        price,
        size,
        time,
        correction,
        ..
    } = trade;
    let (letters, tape) = conditions(trade);
    let update = match correction {
        12 => r#","u":"corrected""#,
        1 | 7 | 11 => r#","u":"incorrect""#,
        8 | 10 => r#","u":"canceled""#,
        _ => "",
    };
    format!(
        r#"{{"t":"{time}","x":"{}","p":{price},"s":{size},"c":[{}],"i":{},"z":"{tape}"{update}}}"#,
        exchange(trade),
        letters.join(","),
        trade.id.raw(),
    )
}
