//! Live decoding alone: frames in memory to trades, and recorded Binance frames where they are at hand.
//!
//! Run with `cargo bench --bench live`; items are trades, bytes are those of the frames.

#![allow(clippy::print_stderr, reason = "what was left out is told")]

use barmill_sources::live::{Decoder, Event};
use barmill_sources::venue::Venue;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use std::io::Read;

const TRADES: usize = 10_000;

fn main() {
    divan::main();
}

fn frames(row: impl Fn(u64) -> String) -> Vec<String> {
    (0..TRADES as u64).map(row).collect()
}

#[expect(
    clippy::expect_used,
    reason = "a benchmark names only venues there are"
)]
fn decoder(name: &str) -> Decoder {
    Venue::by_name(name).expect("a venue").decoder()
}

fn run(bencher: Bencher<'_, '_>, venue: &str, frames: &[String]) {
    let bytes: usize = frames.iter().map(String::len).sum();
    let decode = |decoder: &mut Decoder, events: &mut Vec<Event>| {
        let mut trades = 0usize;
        for frame in frames {
            events.clear();
            let read = decoder.decode(black_box(frame.as_bytes()), events);
            trades += usize::from(read.is_ok() && matches!(events.last(), Some(Event::Trade(_))));
        }
        trades
    };
    let trades = decode(&mut decoder(venue), &mut Vec::new());
    bencher
        .counter(ItemsCount::new(trades))
        .counter(BytesCount::new(bytes))
        .bench_local(|| decode(&mut decoder(venue), &mut Vec::new()));
}

#[divan::bench]
fn massive(bencher: Bencher<'_, '_>) {
    let row = |id: u64| {
        format!(
            r#"[{{"ev":"T","sym":"MSFT","x":4,"i":"{id}","z":3,"p":114.{},"s":100,"ds":"100","c":[0,12],"t":{},"q":{id}}}]"#,
            100 + id % 900,
            1_536_036_818_784 + id
        )
    };
    run(bencher, "massive", &frames(row));
}

#[divan::bench]
fn alpaca(bencher: Bencher<'_, '_>) {
    let row = |id: u64| {
        format!(
            r#"[{{"T":"t","i":{id},"S":"AAPL","x":"D","p":126.{},"s":1,"t":"2021-02-22T15:51:44.{:09}Z","c":["@","I"],"z":"C"}}]"#,
            100 + id % 900,
            id * 97
        )
    };
    run(bencher, "alpaca", &frames(row));
}

#[divan::bench]
fn binance(bencher: Bencher<'_, '_>) {
    let row = |id: u64| {
        format!(
            r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":{id},"p":"61837.{}000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}}}"#,
            10 + id % 90
        )
    };
    run(bencher, "binance", &frames(row));
}

#[divan::bench]
fn coinbase(bencher: Bencher<'_, '_>) {
    let row = |id: u64| {
        format!(
            r#"{{"channel":"market_trades","client_id":"","timestamp":"2023-02-09T20:19:35.39625135Z","sequence_num":{id},"events":[{{"type":"update","trades":[{{"trade_id":"{id}","product_id":"ETH-USD","price":"1260.{}","size":"0.3","side":"BUY","time":"2019-08-14T20:42:27.265111Z"}}]}}]}}"#,
            10 + id % 90
        )
    };
    run(bencher, "coinbase", &frames(row));
}

#[divan::bench]
fn kraken(bencher: Bencher<'_, '_>) {
    let row = |id: u64| {
        format!(
            r#"{{"channel":"trade","type":"update","data":[{{"symbol":"MATIC/USD","side":"sell","price":0.51{},"qty":1423.46326700,"ord_type":"market","trade_id":{id},"timestamp":"2023-09-25T07:49:37.708706Z"}}]}}"#,
            10 + id % 90
        )
    };
    run(bencher, "kraken", &frames(row));
}

/// Trades among book updates, as a combined stream brings them; the time is that of all frames.
#[divan::bench]
fn binance_recorded(bencher: Bencher<'_, '_>) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/binance_ws/spot_btcusdt_20240808.gz"
    );
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text));
    if read.is_err() {
        eprintln!("skipped: {path} is not there");
    }
    let frames: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, frame)| frame.to_owned())
        .collect();
    run(bencher, "binance", &frames);
}
