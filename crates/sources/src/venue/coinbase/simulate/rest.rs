//! `/products/{id}/trades`: newest first, by number only, with the cursors in headers.
//!
//! Wire format: the venue's public documents of 2026; `side` is the maker's.

use crate::venue::simulate::request::{Ask, Reply};
use barmill_core::model::{Side, Trade};
use serde_json::json;

/// Trades of a page at most, and unless asked otherwise.
const LIMIT: usize = 1_000;

pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    let segments = ask.segments();
    if segments[..] == ["products"] {
        let product = |symbol| json!({"id": symbol, "status": "online"});
        let products: Vec<_> = ask
            .tape
            .symbols()
            .map(|one| product(one.as_str()))
            .collect();
        return Reply::page(json!(products).to_string());
    }
    let ["products", product, "trades"] = segments[..] else {
        return Reply::status(404, r#"{"message":"Route not found"}"#);
    };
    let Some(lane) = ask.tape.lane(product) else {
        return Reply::status(404, r#"{"message":"NotFound"}"#);
    };
    let parameters = (|| {
        Ok::<_, &str>((
            ask.number::<usize>("limit")?,
            ask.number::<u64>("after")?,
            ask.number::<u64>("before")?,
        ))
    })();
    let Ok((limit, after, before)) = parameters else {
        return Reply::status(400, r#"{"message":"invalid parameter"}"#);
    };
    let limit = limit.unwrap_or(LIMIT).clamp(1, LIMIT);
    let places = ask.tape.places(lane, ask.visible);
    let number = |place: &u32| ask.tape.at(*place).sequence;
    let end = after.map_or(places.len(), |after| {
        places.partition_point(|place| number(place) < after)
    });
    let start = before
        .map_or(0, |before| {
            places.partition_point(|place| number(place) <= before)
        })
        .min(end);
    let chosen: Vec<&Trade> = places[start..end]
        .iter()
        .rev()
        .take(limit)
        .map(|&place| ask.tape.at(place))
        .collect();
    let rows: Vec<String> = chosen.iter().map(|trade| row(trade)).collect();
    let mut headers = Vec::new();
    if let (Some(newest), Some(oldest)) = (chosen.first(), chosen.last()) {
        headers.push(("cb-before", newest.sequence.to_string()));
        headers.push(("cb-after", oldest.sequence.to_string()));
    }
    Reply {
        headers,
        ..Reply::page(format!("[{}]", rows.join(",")))
    }
}

fn row(trade: &Trade) -> String {
    let Trade {
        price,
        size,
        time,
        sequence,
        ..
    } = trade;
    let side = if trade.side == Side::Buy {
        "sell"
    } else {
        "buy"
    };
    format!(
        r#"{{"time":"{time}","trade_id":{sequence},"price":"{price}","size":"{size}","side":"{side}"}}"#
    )
}
