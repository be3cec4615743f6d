//! Recorded frames through the real decoders.

use crate::support::data;
use barmill::{Bar, BarSpec, Side, Trade, Volume};
use barmill_core::engine::aggregate::{Aggregator, AggregatorSettings};
use barmill_sources::live::{Decoder, Event};
use barmill_sources::venue::Venue;
use barmill_test_kit::Tape;
use serde_json::Value;

/// The frames of lines `<time><separator><frame>`, without those that were sent.
fn frames<'a>(bytes: &'a [u8], separator: &str) -> Vec<&'a str> {
    let text = std::str::from_utf8(bytes).unwrap();
    let received = text
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    received
        .map(|line| line.split_once(separator).unwrap().1)
        .collect()
}

fn decoder(name: &str) -> Decoder {
    Venue::by_name(name).expect("a venue").decoder()
}

fn decoded(mut decoder: Decoder, frames: &[&str]) -> Vec<Event> {
    let mut events = Vec::new();
    for frame in frames {
        decoder.decode(frame.as_bytes(), &mut events).unwrap();
    }
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Malformed(_)))
    );
    events
}

fn trades(events: &[Event]) -> Vec<Trade> {
    events
        .iter()
        .filter_map(|event| {
            if let Event::Trade(trade) = event {
                Some(*trade)
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn recorded_binance_trades_are_contiguous_and_none_is_lost() {
    let Some(bytes) = data::bytes("binance_ws/spot_btcusdt_20240808.gz") else {
        return;
    };
    let frames = frames(&bytes, " ");
    let trades = trades(&decoded(decoder("binance"), &frames));
    assert_eq!((frames.len(), trades.len()), (41_249, 9_757));
    assert!(
        trades
            .windows(2)
            .all(|pair| pair[0].sequence + 1 == pair[1].sequence)
    );
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
    let Some(bytes) = data::bytes("exchange_ws_raw/BINANCE_US.ws.1.0") else {
        return;
    };
    let frames = frames(&bytes, ": ");
    let expected = frames
        .iter()
        .filter(|frame| frame.contains(r#""e":"aggTrade""#))
        .count();
    let trades = trades(&decoded(decoder("binance"), &frames));
    assert_eq!((trades.len(), expected), (11, 11));
    assert!(
        trades
            .iter()
            .all(|trade| trade.id.raw() == trade.sequence && trade.side != Side::Unknown)
    );
}

/// The venue's own candles beside the trades: what they gain between two frames is what our bars hold.
#[test]
fn recorded_binance_us_candles_grow_by_the_bars_of_the_trades_between_them() {
    let Some(bytes) = data::bytes("exchange_ws_raw/BINANCE_US.ws.1.0") else {
        return;
    };
    let frames = frames(&bytes, ": ");
    let candles: Vec<Value> = frames
        .iter()
        .filter(|frame| frame.contains(r#""e":"kline""#))
        .map(|frame| serde_json::from_str::<Value>(frame).unwrap()["data"]["k"].take())
        .collect();
    let (first, closed, next) = (&candles[0], &candles[3], &candles[4]);
    assert_eq!((&closed["x"], &next["n"]), (&true.into(), &2.into()));
    let mut trades = trades(&decoded(decoder("binance"), &frames));
    // The first trade is the last one of the first candle.
    assert_eq!(trades.remove(0).price.to_string(), decimal(&first["c"]));
    let mut aggregator = Aggregator::new(AggregatorSettings::new(vec![BarSpec::MINUTE]));
    let mut bars = Vec::new();
    aggregator.push(&trades, &mut bars);
    aggregator.finish(&mut bars);
    let bars: Vec<Bar> = bars.into_iter().map(|update| update.bar).collect();
    assert_eq!(bars.len(), 2);
    let prices = |bar: &Bar| {
        bar.prices
            .map(|prices| [prices.open, prices.high, prices.low, prices.close])
    };
    let texts = |bar: &Bar| prices(bar).unwrap().map(|price| price.to_string());
    let [_, high, _, close] = texts(&bars[0]);
    assert_eq!([high, close], ["h", "c"].map(|name| decimal(&closed[name])));
    assert_eq!(
        texts(&bars[1]),
        ["o", "h", "l", "c"].map(|name| decimal(&next[name]))
    );
    let gained = |name: &str| hundredths(&closed[name]) - hundredths(&first[name]);
    let raw = |volume: Volume| i128::try_from(volume.raw() / 100_000_000).unwrap();
    assert_eq!(
        (raw(bars[0].volume), raw(bars[0].buy_volume)),
        (gained("v"), gained("V"))
    );
    assert_eq!(
        (raw(bars[1].volume), raw(bars[1].buy_volume)),
        (hundredths(&next["v"]), hundredths(&next["V"]))
    );
    assert_eq!((bars[0].trades, bars[1].trades), (8, 2));
}

/// The venue's decimal as ours are written.
fn decimal(value: &Value) -> String {
    value
        .as_str()
        .unwrap()
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// A decimal of two places and zeros, in hundredths.
fn hundredths(value: &Value) -> i128 {
    let (whole, places) = value.as_str().unwrap().split_once('.').unwrap();
    assert!(places[2..].bytes().all(|byte| byte == b'0'), "{value}");
    format!("{whole}{}", &places[..2]).parse().unwrap()
}

#[test]
fn recorded_coinbase_matches_are_contiguous_per_product() {
    let Some(bytes) = data::bytes("exchange_ws_raw/COINBASE.ws.28.0") else {
        return;
    };
    let events = decoded(decoder("coinbase"), &frames(&bytes, ": "));
    let snapshots = events
        .iter()
        .filter(|event| matches!(event, Event::Snapshot(_)))
        .count();
    let mut trades = trades(&events);
    assert_eq!((trades.len(), snapshots), (97, 10));
    trades.sort_by_key(|trade| (trade.symbol, trade.sequence));
    let is_next = |pair: &[Trade]| {
        pair[0].symbol != pair[1].symbol || pair[0].sequence + 1 == pair[1].sequence
    };
    assert!(trades.windows(2).all(is_next));
}

#[test]
fn recorded_frames_of_kraken_version_1_are_passed_over() {
    for name in [
        "exchange_ws_raw/KRAKEN.ws.48.0",
        "exchange_ws_raw/KRAKEN.ws.49.0",
    ] {
        let Some(bytes) = data::bytes(name) else {
            return;
        };
        let events = decoded(decoder("kraken"), &frames(&bytes, ": "));
        assert!(
            events.iter().all(|event| matches!(event, Event::Other)),
            "{name}"
        );
    }
}

#[test]
fn made_binance_trades_are_decoded_among_other_events() {
    let tape = Tape::new(6, 2_000);
    let text = tape.binance_frames("BTCUSDT");
    let frames = frames(text.as_bytes(), " ");
    let trades = trades(&decoded(decoder("binance"), &frames));
    assert_eq!((frames.len(), trades.len()), (4_000, 2_000));
    let mut aggregator = Aggregator::new(AggregatorSettings::new(vec![BarSpec::MINUTE]));
    let mut bars = Vec::new();
    aggregator.push(&trades, &mut bars);
    aggregator.finish(&mut bars);
    let bars: Vec<(u64, u64)> = bars
        .iter()
        .map(|update| {
            (
                u64::try_from(update.bar.start.as_millis()).unwrap(),
                update.bar.trades,
            )
        })
        .collect();
    let naive: Vec<(u64, u64)> = tape
        .minutes()
        .iter()
        .map(|(start, bar)| (*start, bar.trades))
        .collect();
    assert_eq!(bars, naive);
}
