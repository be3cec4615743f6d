//! Kraken's recorded trades give the candles that Kraken itself published for them.
//!
//! The record holds 1000 trades in 274 minutes and is cut off inside the first of these, so that minute cannot match.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::data::recorded;
use crate::support::program::Program;

/// One candle: start in milliseconds, then open, high, low, close and volume as numbers of 1e-9, and the trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candle {
    prices: [i128; 4],
    volume: i128,
    count: u64,
}

/// A candle with its vwap, by the second it starts at.
type Candles = BTreeMap<i64, (Candle, i128)>;

/// An exact decimal in units of 1e-9.
fn nano(text: &str) -> i128 {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let places = places.trim_end_matches('0');
    assert!(places.len() <= 9, "{text}");
    format!("{whole}{places:0<9}").parse().expect("a decimal")
}

/// The venue's rows: `[time, open, high, low, close, vwap, volume, count]`.
fn published() -> Option<Candles> {
    let text = std::fs::read(recorded("kraken_xbtusdt/http_ohlc.json")?).expect("the candles");
    let answer: Value = serde_json::from_slice(&text).expect("JSON");
    let rows = answer["result"]["XBTUSDT"].as_array().expect("rows");
    let candle = |row: &Value| {
        let field = |index: usize| nano(row[index].as_str().expect("a decimal"));
        let candle = Candle {
            prices: [1, 2, 3, 4].map(field),
            volume: field(6),
            count: row[7].as_u64().expect("a count"),
        };
        (row[0].as_i64().expect("a time"), (candle, field(5)))
    };
    Some(rows.iter().map(candle).collect())
}

/// What `bars --output csv` prints for the replayed trades.
fn made(format: &str, set: &[&str]) -> Option<Candles> {
    let trades = recorded("kraken_xbtusdt/http_trades.json")?;
    let program = Program::new();
    let trades = trades.to_str().expect("a path");
    let replay = [
        "replay",
        trades,
        "--format",
        format,
        "--symbol",
        "XBTUSDT",
        "--sink",
        "embedded:store",
    ];
    assert_eq!(program.counts(&[&replay, set].concat())["trades"], 1000);
    let read = [
        "bars",
        "--sink",
        "embedded:store",
        "--symbol",
        "XBTUSDT",
        "--output",
        "csv",
    ];
    let csv = program.ok(&[&read[..], &["--from", "2025-11-10", "--to", "2025-11-12"]].concat());
    Some(csv.lines().skip(1).map(row).collect())
}

/// A row of `symbol,spec,start,end,open,high,low,close,volume,vwap,trades,revision,state`.
fn row(line: &str) -> (i64, (Candle, i128)) {
    let cells: Vec<&str> = line.split(',').collect();
    let start: jiff::Timestamp = cells[2].parse().expect("a time");
    let candle = Candle {
        prices: [4, 5, 6, 7].map(|index| nano(cells[index])),
        volume: nano(cells[8]),
        count: cells[10].parse().expect("a count"),
    };
    let vwap = if cells[9].is_empty() {
        0
    } else {
        nano(cells[9])
    };
    (start.as_second(), (candle, vwap))
}

fn matches(made: &Candles, published: &Candles) -> usize {
    made.iter()
        .filter(|(start, made)| published.get(start).is_some_and(|its| its.0 == made.0))
        .count()
}

fn minutes_with_trades_equal_the_venue_s(format: &str) {
    let (Some(published), Some(made)) = (published(), made(format, &[])) else {
        return;
    };
    assert_eq!(made.len(), 274);
    assert_eq!(matches(&made, &published), 273);
    let (cut_off, _) = made.first_key_value().expect("bars");
    assert_ne!(
        published[cut_off].0, made[cut_off].0,
        "the record begins inside this minute"
    );
    for (start, (_, vwap)) in made.iter().skip(1) {
        // The venue prints the vwap with one place.
        assert!(
            (vwap - published[start].1).abs() <= nano("0.1"),
            "{start}: {vwap} {}",
            published[start].1
        );
    }
}

#[test]
fn minutes_with_trades_equal_the_venue_s_candles() {
    minutes_with_trades_equal_the_venue_s("kraken-json");
}

#[test]
fn the_format_is_told_from_the_content() {
    minutes_with_trades_equal_the_venue_s("auto");
}

#[test]
fn filled_minutes_equal_the_venue_s_flat_candles() {
    let made = made("kraken-json", &["--set", "bars.fill=previous-close"]);
    let (Some(published), Some(made)) = (published(), made) else {
        return;
    };
    let (first, last) = (
        *made.first_key_value().unwrap().0,
        *made.last_key_value().unwrap().0,
    );
    assert_eq!(
        published
            .range(first..=last)
            .filter(|(_, its)| its.0.count == 0)
            .count(),
        137
    );
    assert_eq!(made.values().filter(|its| its.0.count == 0).count(), 137);
    assert_eq!(made.len(), 274 + 137);
    assert_eq!(matches(&made, &published), 273 + 137);
}
