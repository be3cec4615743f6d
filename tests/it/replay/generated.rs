//! Replayed files of each vendor's layout give the bars of a naive model; the files are made, so any clone has them.

use crate::support::program::Program;
use barmill_test_kit::{MadeBar, Tape};
use std::collections::BTreeMap;

/// An exact decimal in units of so many places.
fn units(text: &str, places: usize) -> u64 {
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    let behind = behind.trim_end_matches('0');
    assert!(behind.len() <= places, "{text}");
    format!("{whole}{behind:0<places$}")
        .parse()
        .expect("a decimal")
}

/// A row of `symbol,spec,start,end,open,high,low,close,volume,vwap,trades,revision,state`.
fn row(line: &str) -> (u64, MadeBar) {
    let cells: Vec<&str> = line.split(',').collect();
    let start: jiff::Timestamp = cells[2].parse().expect("a time");
    let bar = MadeBar {
        prices: [4, 5, 6, 7].map(|index| units(cells[index], 4)),
        volume: units(cells[8], 0),
        trades: cells[10].parse().expect("a count"),
    };
    (u64::try_from(start.as_millisecond()).expect("a time"), bar)
}

/// What `bars --output csv` prints for a replayed file.
fn replayed(file: &str, text: &str, symbol: &str, trades: usize) -> BTreeMap<u64, MadeBar> {
    let program = Program::new();
    std::fs::write(program.folder().join(file), text).expect("the file");
    let replay = [
        "replay",
        file,
        "--symbol",
        symbol,
        "--bars",
        "1m",
        "--rules",
        "all",
        "--sink",
        "embedded:store",
    ];
    assert_eq!(program.counts(&replay)["trades"], trades, "{file}");
    let csv = program.ok(&[
        "bars",
        "--sink",
        "embedded:store",
        "--symbol",
        symbol,
        "--output",
        "csv",
        "--from",
        "2025-10-15",
        "--to",
        "2025-10-16",
    ]);
    csv.lines().skip(1).map(row).collect()
}

#[test]
fn minutes_of_every_layout_equal_the_naive_model() {
    let tape = Tape::new(3, 1_500);
    let minutes = tape.minutes();
    assert!(minutes.len() > 20, "{}", minutes.len());
    for (file, text, symbol) in [
        ("day.csv", tape.massive_csv("AAPL"), "AAPL"),
        ("page.json", tape.massive_json(), "AAPL"),
        (
            "BTCUSDT-trades-2025-10-15.csv",
            tape.binance_csv(),
            "BTCUSDT",
        ),
        ("frames.txt", tape.binance_frames("BTCUSDT"), "BTCUSDT"),
        ("trades.json", tape.kraken_json("XBTUSD"), "XBTUSD"),
        ("20251015_spy_Trade_Tick.csv", tape.lean_csv(), "SPY"),
    ] {
        assert_eq!(
            replayed(file, &text, symbol, tape.trades.len()),
            minutes,
            "{file}"
        );
    }
}
