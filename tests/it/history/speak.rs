//! The venues' protocols, spoken from a tape.

use crate::history::recording::{Print, at};
use crate::history::server::Hit;
use serde_json::{Value, json};

/// A number as JSON text with all its digits.
fn number(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn page<'a>(prints: impl Iterator<Item = &'a Print>, limit: usize) -> Vec<&'a Print> {
    prints.take(limit).collect()
}

fn massive_row(print: &Print) -> Value {
    json!({
        "conditions": [12, 37], "correction": 0, "exchange": 4, "trf_id": 201, "tape": 3,
        "id": print.number.to_string(), "sequence_number": print.number,
        "participant_timestamp": print.nanos - 7, "sip_timestamp": print.nanos,
        "price": number(&print.price), "size": 0, "decimal_size": print.size,
    })
}

/// Massive: a cursor carries the filters and the place.
pub(crate) fn massive(tape: &[Print], hit: &Hit) -> String {
    let (from, to, limit, skip): (i64, i64, usize, usize) = match hit.get("cursor") {
        Some(cursor) => {
            let parts: Vec<i64> = cursor
                .split('_')
                .map(|part| part.parse().unwrap())
                .collect();
            (
                parts[0],
                parts[1],
                parts[2].try_into().unwrap(),
                parts[3].try_into().unwrap(),
            )
        }
        None => (
            hit.number("timestamp.gte").unwrap_or(0),
            hit.number("timestamp.lt").unwrap(),
            hit.number("limit").unwrap(),
            0,
        ),
    };
    let inside = || {
        tape.iter()
            .filter(|print| from <= print.nanos && print.nanos < to)
    };
    let is_falling = hit.get("order") == Some("desc");
    let rows: Vec<Value> = if is_falling {
        inside().rev().take(limit).map(massive_row).collect()
    } else {
        inside().skip(skip).take(limit).map(massive_row).collect()
    };
    let mut reply = json!({"status": "OK", "request_id": "r"});
    if skip + rows.len() < inside().count() {
        let cursor = format!("{from}_{to}_{limit}_{}", skip + rows.len());
        reply["next_url"] = json!(format!("{}{}?cursor={cursor}", hit.base, hit.path));
    }
    reply["results"] = json!(rows);
    reply.to_string()
}

/// A proxy of Massive that wraps the reply and forwards filters, but no cursor.
pub(crate) fn proxy(tape: &[Print], hit: &Hit) -> String {
    let mut hit = hit.clone();
    hit.query.remove("cursor");
    let inner: Value = serde_json::from_str(&massive(tape, &hit)).unwrap();
    json!({"success": true, "data": inner}).to_string()
}

/// Alpaca: the token carries the place.
pub(crate) fn alpaca(tape: &[Print], hit: &Hit) -> String {
    let nanos = |name: &str| {
        hit.get(name)
            .unwrap()
            .parse::<barmill::Timestamp>()
            .unwrap()
            .as_nanos()
    };
    let (from, to) = (nanos("start"), nanos("end"));
    let limit: usize = hit.number("limit").unwrap();
    let skip: usize = hit.number("page_token").unwrap_or(0);
    let inside = || {
        tape.iter()
            .filter(|print| from <= print.nanos && print.nanos <= to)
    };
    let rows: Vec<Value> = inside()
        .skip(skip)
        .take(limit)
        .map(|print| {
            json!({"t": at(print.nanos).to_string(), "x": "V", "p": number(&print.price), "s": number(&print.size),
                   "c": ["@", "I"], "i": print.number, "z": "C"})
        })
        .collect();
    let token = (skip + rows.len() < inside().count()).then(|| (skip + rows.len()).to_string());
    json!({"trades": {hit.get("symbols").unwrap(): rows}, "next_page_token": token}).to_string()
}

/// Binance, both histories; every print is an aggregate of one, numbered by 1,000,000 more as a single.
pub(crate) fn binance(tape: &[Print], hit: &Hit) -> String {
    let is_single = hit.path.ends_with("historicalTrades");
    let shift = if is_single { 1_000_000 } else { 0 };
    let limit: usize = hit.number("limit").unwrap();
    let start = hit
        .number::<i64>("startTime")
        .map(|millis| millis * 1_000_000);
    let first: u64 = hit.number("fromId").unwrap_or(0);
    let rows = page(
        tape.iter().filter(|print| {
            start.is_none_or(|start| start <= print.nanos) && first <= print.number + shift
        }),
        limit,
    );
    let rows = rows.into_iter().map(|print| {
        if is_single {
            json!({"id": print.number + shift, "price": print.price, "qty": print.size, "quoteQty": "1",
                   "time": print.nanos / 1_000, "isBuyerMaker": !print.is_buy, "isBestMatch": true})
        } else {
            let single = print.number + 1_000_000;
            json!({"a": print.number, "p": print.price, "q": print.size, "f": single, "l": single,
                   "T": print.nanos / 1_000, "m": !print.is_buy, "M": true})
        }
    });
    Value::Array(rows.collect()).to_string()
}

/// Coinbase: newest first, before the number `after`.
pub(crate) fn coinbase(tape: &[Print], hit: &Hit) -> String {
    let limit: usize = hit.number("limit").unwrap();
    let after: u64 = hit.number("after").unwrap_or(u64::MAX);
    let rows = page(
        tape.iter().rev().filter(|print| print.number < after),
        limit,
    );
    let rows = rows.into_iter().map(|print| {
        json!({"time": at(print.nanos).to_string(), "trade_id": print.number, "price": print.price,
               "size": print.size, "side": if print.is_buy { "sell" } else { "buy" }})
    });
    Value::Array(rows.collect()).to_string()
}

/// Kraken: since a nanosecond, exclusive; the rows' times are cut to 100 ns, as the venue's are.
pub(crate) fn kraken(tape: &[Print], hit: &Hit) -> String {
    let limit: usize = hit.number("count").unwrap();
    let since: i64 = hit.number("since").unwrap();
    let rows = page(tape.iter().filter(|print| since < print.nanos), limit);
    let last = rows.last().map_or(since, |print| print.nanos).to_string();
    let rows = rows.into_iter().map(|print| {
        let text = format!(
            "{}.{:07}",
            print.nanos / 1_000_000_000,
            print.nanos % 1_000_000_000 / 100
        );
        let seconds = text.trim_end_matches('0').trim_end_matches('.');
        let side = if print.is_buy { "b" } else { "s" };
        format!(
            r#"["{}","{}",{seconds},"{side}","m","",{}]"#,
            print.price, print.size, print.number
        )
    });
    let rows: Vec<String> = rows.collect();
    format!(
        r#"{{"error":[],"result":{{"XXBTZUSD":[{}],"last":"{last}"}}}}"#,
        rows.join(",")
    )
}
