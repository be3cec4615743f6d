//! Tests of the whole path from bytes to trades.

mod chunks;
mod containers;
mod feed;
mod generated;
mod golden;
mod lines;
mod recording;
mod robust;

use super::{FileError, FileFeedSettings, Format, OnBadRow, TradeReader};
use barmill_core::model::{Symbol, Timestamp, Trade};
pub(super) use barmill_test_kit::recorded as shared;
use std::fmt::Write;
use std::io::Cursor;

pub(super) const HEADER: &str = "ticker,conditions,correction,exchange,id,participant_timestamp,price,\
                                 sequence_number,sip_timestamp,size,tape,trf_id,trf_timestamp";

/// A small stock file of `count` rows over three symbols.
pub(super) fn stock_file(count: u64) -> Vec<u8> {
    let mut text = format!("{HEADER}\n");
    for row in 0..count {
        let symbol = ["AAPL", "BRK.B", "A"][usize::try_from(row % 3).unwrap()];
        let conditions = ["", "37", "\"14,37,41\""][usize::try_from(row / 3 % 3).unwrap()];
        let time = 1_760_535_000_000_000_000 + row * 1_000_003;
        writeln!(
            text,
            "{symbol},{conditions},0,4,{id},{time},{price}.{cents:02},{row},{time},{size},3,201,0",
            id = 7000 + row,
            price = 250 + row % 7,
            cents = row % 100,
            size = 1 + row % 500,
        )
        .unwrap();
    }
    text.into_bytes()
}

pub(super) fn settings(format: &str, symbols: &[&str]) -> FileFeedSettings {
    let symbols: Vec<Symbol> = symbols
        .iter()
        .map(|symbol| symbol.parse().unwrap())
        .collect();
    let mut settings = FileFeedSettings::new(Vec::new());
    // Tests do not depend on the day on which they run.
    settings.time_max = Timestamp::MAX;
    settings.format = Format::choice(format).unwrap();
    settings.symbols = if symbols.is_empty() {
        None
    } else {
        Some(symbols)
    };
    settings
}

pub(super) fn reader(bytes: &[u8], settings: FileFeedSettings) -> TradeReader {
    TradeReader::from_reader("test", Box::new(Cursor::new(bytes.to_vec())), settings)
}

/// Every trade, or the first error.
pub(super) fn all(reader: TradeReader) -> Result<Vec<Trade>, FileError> {
    let mut trades = Vec::new();
    for batch in reader {
        trades.extend(batch?);
    }
    Ok(trades)
}

/// Every trade of a stream in a format.
pub(super) fn read(bytes: &[u8], format: &str, symbols: &[&str]) -> Result<Vec<Trade>, FileError> {
    all(reader(bytes, settings(format, symbols)))
}

/// One valid file of each layout, with the symbols it needs.
pub(super) fn valid_files() -> Vec<(&'static str, Vec<u8>, Vec<&'static str>)> {
    let kraken = r#"{"error":[],"result":{"XBTUSDT":[["1.5","2",1762795433.97,"b","l","",7],["1.6","2",1762795434,"s","l","",8]],"last":"1"}}"#;
    let massive = r#"{"status":"OK","results":[{"conditions":[12],"exchange":4,"id":"1","price":1.5,"sequence_number":9,"sip_timestamp":1651181822461979400,"size":10}]}"#;
    let trades =
        "1,2.5,3,7.5,1735689600012345,True,True\n2,2.5,3,7.5,1735689600012346,False,True\n";
    let aggregated = "26129,0.01633102,4.7,27781,27781,1498793709153,true,true\n";
    let frames = "1 {\"data\":{\"e\":\"trade\",\"s\":\"BTCUSDT\",\"t\":5,\"p\":\"1.5\",\"q\":\"2\",\"T\":1723161255342,\"m\":false}}\n";
    vec![
        ("massive-csv", stock_file(30), vec![]),
        ("massive-json", massive.into(), vec!["AAPL"]),
        ("binance-trades", trades.into(), vec!["BTCUSDT"]),
        ("binance-aggtrades", aggregated.into(), vec!["BTCUSDT"]),
        ("binance-ws", frames.into(), vec![]),
        ("kraken-json", kraken.into(), vec![]),
        ("recording", recording::recorded(&stock_file(30)), vec![]),
    ]
}

#[test]
fn every_layout_is_read_without_being_named() {
    for (format, bytes, symbols) in valid_files() {
        let named = read(&bytes, format, &symbols).unwrap();
        assert!(!named.is_empty(), "{format}");
        assert_eq!(read(&bytes, "auto", &symbols).unwrap(), named, "{format}");
    }
}

#[test]
fn bad_rows_are_counted_and_the_first_twenty_kept() {
    let mut text = stock_file(9);
    for _ in 0..30 {
        text.extend_from_slice(b"A,,0,4,1,1,-1,1,1760535000000000000,1,3,0,0\n");
    }
    let mut skipping = settings("auto", &[]);
    skipping.on_bad_row = OnBadRow::Skip;
    let mut skipped = reader(&text, skipping);
    let trades: usize = skipped.by_ref().map(|batch| batch.unwrap().len()).sum();
    assert_eq!(
        (trades, skipped.stats().malformed, skipped.bad_rows().len()),
        (9, 30, 20)
    );
    let stopped = read(&text, "auto", &[]).unwrap_err();
    assert_eq!(
        stopped.to_string(),
        "read test, line 11: price \"-1\": number is negative; correct the row, or skip such rows with \
         --on-bad-row skip"
    );
}
