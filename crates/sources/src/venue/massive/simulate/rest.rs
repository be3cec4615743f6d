//! `/v3/trades/{ticker}`: by SIP timestamp, newest first unless asked otherwise, pages by `next_url`.
//!
//! Wire format: the vendor's public description of 2026-07. A cursor holds the filters and the place: the number of rows
//! that the filters give before it, so that it keeps its place inside one nanosecond.

use crate::venue::simulate::request::{Ask, Reply};
use barmill_core::model::{Timestamp, Trade, TradeId};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

/// Trades of a page unless asked otherwise, and at most.
const LIMIT: (usize, usize) = (1_000, 50_000);

/// What is asked for: places in nanoseconds, `from` included, `to` excluded.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    from: i64,
    to: i64,
    is_ascending: bool,
    limit: usize,
    skip: usize,
}

pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    let segments = ask.segments();
    let ["v3", "trades", ticker] = segments[..] else {
        return error(ask, 404, "ERROR", "not found");
    };
    let has_key = ask.get("apiKey").is_some_and(|key| !key.is_empty())
        || ask
            .header("authorization")
            .and_then(|text| text.strip_prefix("Bearer "))
            .is_some_and(|key| !key.is_empty());
    if !has_key {
        return error(ask, 401, "ERROR", "API Key was not provided");
    }
    match wanted(ask) {
        Ok(wanted) => page(ask, ticker, wanted),
        Err(name) => error(ask, 400, "ERROR", &format!("'{name}' is not valid")),
    }
}

fn error(ask: &Ask<'_>, status: u16, word: &str, text: &str) -> Reply {
    let id = format!("simulated{}", ask.number);
    Reply::status(
        status,
        json!({"status": word, "request_id": id, "error": text}).to_string(),
    )
}

fn wanted(ask: &Ask<'_>) -> Result<Wanted, &'static str> {
    if let Some(cursor) = ask.get("cursor") {
        return read_cursor(cursor).ok_or("cursor");
    }
    let limit = ask.number("limit")?.unwrap_or(LIMIT.0);
    if !(1..=LIMIT.1).contains(&limit) {
        return Err("limit");
    }
    let mut wanted = Wanted {
        from: 0,
        to: i64::MAX,
        is_ascending: false,
        limit,
        skip: 0,
    };
    wanted.is_ascending = match ask.get("order") {
        Some("asc") => true,
        Some("desc") | None => false,
        Some(_) => return Err("order"),
    };
    for (name, is_start, step) in [
        ("timestamp.gte", true, 0),
        ("timestamp.gt", true, 1),
        ("timestamp.lte", false, 1),
        ("timestamp.lt", false, 0),
    ] {
        let Some(text) = ask.get(name) else { continue };
        let nanos = instant(text).ok_or(name)?.saturating_add(step);
        if is_start {
            wanted.from = wanted.from.max(nanos);
        } else {
            wanted.to = wanted.to.min(nanos);
        }
    }
    if let Some(text) = ask.get("timestamp") {
        wanted.from = instant(text).ok_or("timestamp")?;
        let is_day = text.len() == 10 && text.contains('-');
        wanted.to = wanted
            .from
            .saturating_add(if is_day { 86_400_000_000_000 } else { 1 });
    }
    Ok(wanted)
}

/// Nanoseconds, an RFC 3339 text or a UTC day.
fn instant(text: &str) -> Option<i64> {
    if let Ok(nanos) = text.parse() {
        return Some(nanos);
    }
    let text = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    text.parse::<Timestamp>().ok().map(Timestamp::as_nanos)
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
        text.split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    let limit = get("limit")?
        .parse()
        .ok()
        .filter(|limit| (1..=LIMIT.1).contains(limit))?;
    Some(Wanted {
        from: get("timestamp.gte")?.parse().ok()?,
        to: get("timestamp.lt")?.parse().ok()?,
        is_ascending: get("order")? == "asc",
        limit,
        skip: get("ap")?.parse().ok()?,
    })
}

fn page(ask: &Ask<'_>, ticker: &str, wanted: Wanted) -> Reply {
    let tape = ask.tape;
    let places = tape
        .lane(ticker)
        .map_or(&[][..], |lane| tape.places(lane, ask.visible));
    let start = places.partition_point(|&place| tape.at(place).time.as_nanos() < wanted.from);
    let end = places
        .partition_point(|&place| tape.at(place).time.as_nanos() < wanted.to)
        .max(start);
    let inside = &places[start..end];
    let after = wanted.skip.min(inside.len());
    let chosen: Vec<u32> = if wanted.is_ascending {
        inside
            .iter()
            .skip(after)
            .take(wanted.limit)
            .copied()
            .collect()
    } else {
        inside
            .iter()
            .rev()
            .skip(after)
            .take(wanted.limit)
            .copied()
            .collect()
    };
    let rows: Vec<String> = chosen.iter().map(|&place| row(tape.at(place))).collect();
    let skip = after + rows.len();
    let next = if skip < inside.len() {
        let cursor = write_cursor(&Wanted { skip, ..wanted });
        format!(r#","next_url":"{}{}?cursor={cursor}""#, ask.base, ask.path)
    } else {
        String::new()
    };
    Reply::page(format!(
        r#"{{"results":[{}],"status":"OK","request_id":"simulated{}"{next}}}"#,
        rows.join(","),
        ask.number,
    ))
}

fn row(trade: &Trade) -> String {
    let Trade {
        price,
        size,
        sequence,
        venue,
        correction,
        ..
    } = trade;
    let nanos = trade.time.as_nanos();
    let (exchange, facility) = (venue & 0xff, venue >> 8);
    let id = if trade.id == TradeId::NONE {
        String::new()
    } else {
        trade.id.raw().to_string()
    };
    let bits = trade.conditions.bits();
    let conditions: Vec<String> = (0..128)
        .filter(|bit| bits >> bit & 1 == 1)
        .map(|bit: u32| bit.to_string())
        .collect();
    let conditions = if bits == 0 {
        String::new()
    } else {
        format!(r#""conditions":[{}],"#, conditions.join(","))
    };
    let correction = if *correction == 0 {
        String::new()
    } else {
        format!(r#""correction":{correction},"#)
    };
    let facility = if facility == 0 {
        String::new()
    } else {
        format!(r#","trf_id":{facility},"trf_timestamp":{nanos}"#)
    };
    format!(
        r#"{{{conditions}{correction}"decimal_size":"{size}","exchange":{exchange},"id":"{id}","participant_timestamp":{nanos},"price":{price},"sequence_number":{sequence},"sip_timestamp":{nanos},"size":{size},"tape":3{facility}}}"#
    )
}
