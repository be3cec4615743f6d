//! `/api/v3/aggTrades`, `/api/v3/historicalTrades`, `/api/v3/trades`, and the time.
//!
//! Wire format: the venue's public documents of 2026-07. Every trade is an aggregate of its own, with its number. Times
//! are milliseconds, or microseconds where `X-MBX-TIME-UNIT` asks for them.

use crate::venue::simulate::request::{Ask, Reply};
use barmill_core::model::{Side, Timestamp, Trade};
use serde_json::json;

/// Trades of a page unless asked otherwise, and at most.
const LIMIT: (usize, usize) = (500, 1_000);

pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    let weight = match ask.path.as_str() {
        "/api/v3/aggTrades" => 4,
        "/api/v3/historicalTrades" | "/api/v3/trades" => 25,
        _ => 1,
    };
    let reply = match ask.path.as_str() {
        "/api/v3/ping" => Ok(Reply::page("{}".to_owned())),
        "/api/v3/time" => {
            let newest = ask
                .tape
                .trades()
                .get(ask.visible.saturating_sub(1))
                .map_or(0, |trade| trade.time.as_millis());
            Ok(Reply::page(json!({"serverTime": newest}).to_string()))
        }
        "/api/v3/exchangeInfo" => {
            let symbol = |symbol| json!({"symbol": symbol, "status": "TRADING"});
            let symbols: Vec<_> = ask.tape.symbols().map(|one| symbol(one.as_str())).collect();
            Ok(Reply::page(
                json!({"timezone": "UTC", "symbols": symbols}).to_string(),
            ))
        }
        "/api/v3/aggTrades" => page(ask, false),
        "/api/v3/historicalTrades" | "/api/v3/trades" => page(ask, true),
        _ => Ok(Reply::status(404, "")),
    };
    let mut reply = reply.unwrap_or_else(|(code, words)| {
        Reply::status(400, json!({"code": code, "msg": words}).to_string())
    });
    reply
        .headers
        .push(("x-mbx-used-weight-1m", weight.to_string()));
    reply
}

type Refused = (i32, String);

fn page(ask: &Ask<'_>, is_single: bool) -> Result<Reply, Refused> {
    let tape = ask.tape;
    let bad = |name: &'static str| {
        (
            -1100,
            format!("Illegal characters found in parameter '{name}'."),
        )
    };
    let name = ask.get("symbol").ok_or((
        -1102,
        "Mandatory parameter 'symbol' was not sent.".to_owned(),
    ))?;
    let lane = tape
        .lane(name)
        .ok_or((-1121, "Invalid symbol.".to_owned()))?;
    let limit: usize = ask.number("limit").map_err(bad)?.unwrap_or(LIMIT.0);
    let limit = limit.clamp(1, LIMIT.1);
    let places = tape.places(lane, ask.visible);
    let first: Option<u64> = ask.number("fromId").map_err(bad)?;
    let start = time(ask, "startTime").map_err(bad)?;
    let end = time(ask, "endTime").map_err(bad)?;
    let end = end.map_or(places.len(), |end| {
        places.partition_point(|&place| tape.at(place).time <= end)
    });
    let start = match (first, start) {
        (Some(first), _) => places.partition_point(|&place| tape.at(place).sequence < first),
        (None, Some(start)) => places.partition_point(|&place| tape.at(place).time < start),
        (None, None) => end.saturating_sub(limit),
    };
    let chosen = places.get(start..end).unwrap_or_default();
    let is_micro = ask
        .header("x-mbx-time-unit")
        .is_some_and(|unit| unit.eq_ignore_ascii_case("MICROSECOND"));
    let rows: Vec<String> = chosen
        .iter()
        .take(limit)
        .map(|&place| row(tape.at(place), is_single, is_micro))
        .collect();
    Ok(Reply::page(format!("[{}]", rows.join(","))))
}

/// Milliseconds or microseconds, told apart by magnitude.
fn time(ask: &Ask<'_>, name: &'static str) -> Result<Option<Timestamp>, &'static str> {
    let Some(value) = ask.number::<i64>(name)? else {
        return Ok(None);
    };
    let is_milli = value < 100_000_000_000_000;
    let time = if is_milli {
        Timestamp::from_millis(value)
    } else {
        Timestamp::from_micros(value)
    };
    // An end in milliseconds includes the whole of its last one.
    let widen = if is_milli && name == "endTime" {
        999_999
    } else {
        0
    };
    time.map(|time| Some(time.saturating_add(widen)))
        .ok_or(name)
}

fn row(trade: &Trade, is_single: bool, is_micro: bool) -> String {
    let Trade {
        price,
        size,
        sequence: number,
        ..
    } = trade;
    let time = if is_micro {
        trade.time.as_nanos() / 1_000
    } else {
        trade.time.as_millis()
    };
    let is_maker = trade.side == Side::Sell;
    if is_single {
        return format!(
            r#"{{"id":{number},"price":"{price}","qty":"{size}","quoteQty":"0","time":{time},"isBuyerMaker":{is_maker},"isBestMatch":true}}"#
        );
    }
    format!(
        r#"{{"a":{number},"p":"{price}","q":"{size}","f":{number},"l":{number},"T":{time},"m":{is_maker},"M":true}}"#
    )
}
