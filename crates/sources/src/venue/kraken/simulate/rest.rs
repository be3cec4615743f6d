//! `/0/public/Trades`: since a nanosecond, excluded; a row's time in seconds, `last` the nanosecond of the last row.
//!
//! Wire format: the venue's public documents of 2026 and a recorded reply.

use crate::venue::simulate::request::{Ask, Reply};
use barmill_core::model::{Side, Trade};
use serde_json::json;

/// Trades of a page at most, and unless asked otherwise.
const LIMIT: usize = 1_000;

pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    if ask.path == "/0/public/AssetPairs" {
        let pair = |name: &str| {
            let pair =
                json!({"altname": name.replace('/', ""), "wsname": name, "status": "online"});
            (name.to_owned(), pair)
        };
        let pairs: serde_json::Map<_, _> =
            ask.tape.symbols().map(|one| pair(one.as_str())).collect();
        return Reply::page(json!({"error": [], "result": pairs}).to_string());
    }
    if ask.path != "/0/public/Trades" {
        return refused("EGeneral:Unknown method");
    }
    let name = ask.get("pair").unwrap_or_default();
    let Some(lane) = ask.tape.lane(name) else {
        return refused("EQuery:Unknown asset pair");
    };
    let (Ok(count), Ok(since)) = (ask.number::<usize>("count"), ask.number::<i64>("since")) else {
        return refused("EGeneral:Invalid arguments");
    };
    let count = count.unwrap_or(LIMIT).clamp(1, LIMIT);
    let places = ask.tape.places(lane, ask.visible);
    // Seconds, where it is too small for nanoseconds.
    let since = since.map(|since| {
        if since < 100_000_000_000 {
            since.saturating_mul(1_000_000_000)
        } else {
            since
        }
    });
    let start = match since {
        Some(since) => places.partition_point(|&place| ask.tape.at(place).time.as_nanos() <= since),
        None => places.len().saturating_sub(count),
    };
    let chosen: Vec<&Trade> = places[start..]
        .iter()
        .take(count)
        .map(|&place| ask.tape.at(place))
        .collect();
    let last = chosen
        .last()
        .map_or(since.unwrap_or(0), |trade| trade.time.as_nanos());
    let rows: Vec<String> = chosen.iter().map(|trade| row(trade)).collect();
    let pair = ask.tape.symbol(lane);
    Reply::page(format!(
        r#"{{"error":[],"result":{{"{pair}":[{}],"last":"{last}"}}}}"#,
        rows.join(",")
    ))
}

fn refused(error: &str) -> Reply {
    Reply::page(json!({"error": [error]}).to_string())
}

fn row(trade: &Trade) -> String {
    let Trade {
        price,
        size,
        sequence,
        ..
    } = trade;
    let nanos = trade.time.as_nanos();
    let text = format!(
        "{}.{:07}",
        nanos / 1_000_000_000,
        nanos % 1_000_000_000 / 100
    );
    let seconds = text.trim_end_matches('0').trim_end_matches('.');
    let side = if trade.side == Side::Buy { "b" } else { "s" };
    format!(r#"["{price}","{size}",{seconds},"{side}","l","",{sequence}]"#)
}
