//! Recorded frames through the real decoders.

use barmill::adapter::live::{Decoder, Event};
use barmill::{Side, Trade};
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

fn data(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
        return Some(bytes);
    }
    Some(fs::read(path).unwrap())
}

/// The frames of lines `<time><separator><frame>`, without those that were sent.
fn frames<'a>(bytes: &'a [u8], separator: &str) -> Vec<&'a str> {
    let text = std::str::from_utf8(bytes).unwrap();
    let received = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    received.map(|line| line.split_once(separator).unwrap().1).collect()
}

fn decoded(mut decoder: Decoder, frames: &[&str]) -> Vec<Event> {
    let mut events = Vec::new();
    for frame in frames {
        decoder.decode(frame.as_bytes(), &mut events).unwrap();
    }
    assert!(!events.iter().any(|event| matches!(event, Event::Malformed(_))));
    events
}

fn trades(events: &[Event]) -> Vec<Trade> {
    events
        .iter()
        .filter_map(|event| if let Event::Trade(trade) = event { Some(*trade) } else { None })
        .collect()
}

#[test]
fn recorded_binance_trades_are_contiguous_and_none_is_lost() {
    let Some(bytes) = data("binance_ws/spot_btcusdt_20240808.gz") else { return };
    let frames = frames(&bytes, " ");
    let trades = trades(&decoded(Decoder::binance(), &frames));
    assert_eq!((frames.len(), trades.len()), (41_249, 9_757));
    assert!(trades.windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence));
    assert!(trades.windows(2).all(|pair| pair[0].key() < pair[1].key()));
    println!(
        "{} frames, {} trades, ids {}..={}",
        frames.len(),
        trades.len(),
        trades[0].sequence,
        trades[9_756].sequence
    );
}

#[test]
fn recorded_binance_us_aggregates_are_decoded_among_other_events() {
    let Some(bytes) = data("exchange_ws_raw/BINANCE_US.ws.1.0") else { return };
    let frames = frames(&bytes, ": ");
    let expected = frames.iter().filter(|frame| frame.contains(r#""e":"aggTrade""#)).count();
    let trades = trades(&decoded(Decoder::binance(), &frames));
    assert_eq!((trades.len(), expected), (11, 11));
    assert!(trades.iter().all(|trade| trade.id.raw() == trade.sequence && trade.side != Side::Unknown));
}

#[test]
fn recorded_coinbase_matches_are_contiguous_per_product() {
    let Some(bytes) = data("exchange_ws_raw/COINBASE.ws.28.0") else { return };
    let events = decoded(Decoder::coinbase(), &frames(&bytes, ": "));
    let snapshots = events.iter().filter(|event| matches!(event, Event::Snapshot(_))).count();
    let mut trades = trades(&events);
    assert_eq!((trades.len(), snapshots), (97, 10));
    trades.sort_by_key(|trade| (trade.symbol, trade.sequence));
    let is_next =
        |pair: &[Trade]| pair[0].symbol != pair[1].symbol || pair[0].sequence + 1 == pair[1].sequence;
    assert!(trades.windows(2).all(is_next));
}

#[test]
fn recorded_frames_of_kraken_version_1_are_passed_over() {
    for name in ["exchange_ws_raw/KRAKEN.ws.48.0", "exchange_ws_raw/KRAKEN.ws.49.0"] {
        let Some(bytes) = data(name) else { return };
        let events = decoded(Decoder::kraken(), &frames(&bytes, ": "));
        assert!(events.iter().all(|event| matches!(event, Event::Other)), "{name}");
    }
}
