//! Frames of the live venues in memory: barmill's decoders, and `serde_json` with a typed struct per venue beside them.
//!
//! The baseline reads what a trade needs (symbol, time, price, size, identity), exactly, and nothing else: no
//! conditions, no side, no counting of lost messages.

use super::Line;
use barmill::{Price, Size, Symbol, Timestamp};
use barmill_sources::live::{Decoder, Event};
use barmill_sources::venue::Venue;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::hint::black_box;
use std::time::Instant;

const FRAMES: u64 = 10_000;
const ROUNDS: usize = 20;

/// One frame of the venue, as its documents show it.
fn frame(venue: &str, id: u64) -> String {
    match venue {
        "massive" => format!(
            r#"[{{"ev":"T","sym":"MSFT","x":4,"i":"{id}","z":3,"p":114.{},"s":100,"ds":"100","c":[0,12],"t":{},"q":{id}}}]"#,
            100 + id % 900,
            1_536_036_818_784 + id
        ),
        "alpaca" => format!(
            r#"[{{"T":"t","i":{id},"S":"AAPL","x":"D","p":126.{},"s":1,"t":"2021-02-22T15:51:44.{:09}Z","c":["@","I"],"z":"C"}}]"#,
            100 + id % 900,
            id * 97
        ),
        "binance" => format!(
            r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":{id},"p":"61837.{}000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}}}"#,
            10 + id % 90
        ),
        "coinbase" => format!(
            r#"{{"channel":"market_trades","client_id":"","timestamp":"2023-02-09T20:19:35.39625135Z","sequence_num":{id},"events":[{{"type":"update","trades":[{{"trade_id":"{id}","product_id":"ETH-USD","price":"1260.{}","size":"0.3","side":"BUY","time":"2019-08-14T20:42:27.265111Z"}}]}}]}}"#,
            10 + id % 90
        ),
        "kraken" => format!(
            r#"{{"channel":"trade","type":"update","data":[{{"symbol":"MATIC/USD","side":"sell","price":0.51{},"qty":1423.46326700,"ord_type":"market","trade_id":{id},"timestamp":"2023-09-25T07:49:37.708706Z"}}]}}"#,
            10 + id % 90
        ),
        other => panic!("no venue is called {other}"),
    }
}

/// The venue's frames, each with one trade.
pub(crate) fn frames(venue: &str) -> Vec<String> {
    (0..FRAMES).map(|id| frame(venue, id)).collect()
}

/// The venue's decoder.
pub(crate) fn decoder(venue: &str) -> Decoder {
    Venue::by_name(venue).expect("a venue").decoder()
}

/// Decodes the frames and tells how many of them end in a trade.
pub(crate) fn decode(mut decoder: Decoder, frames: &[String], events: &mut Vec<Event>) -> usize {
    let mut trades = 0;
    for frame in frames {
        events.clear();
        let read = decoder.decode(black_box(frame.as_bytes()), events);
        trades += usize::from(read.is_ok() && matches!(events.last(), Some(Event::Trade(_))));
    }
    trades
}

#[derive(Deserialize)]
struct Massive<'a> {
    sym: &'a str,
    i: &'a str,
    #[serde(borrow)]
    p: &'a RawValue,
    ds: &'a str,
    t: i64,
}

#[derive(Deserialize)]
struct Alpaca<'a> {
    #[serde(rename = "S")]
    symbol: &'a str,
    i: u64,
    #[serde(borrow)]
    p: &'a RawValue,
    #[serde(borrow)]
    s: &'a RawValue,
    t: &'a str,
}

#[derive(Deserialize)]
struct Binance<'a> {
    #[serde(borrow)]
    data: BinanceTrade<'a>,
}

#[derive(Deserialize)]
struct BinanceTrade<'a> {
    s: &'a str,
    t: u64,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    time: i64,
}

#[derive(Deserialize)]
struct Coinbase<'a> {
    #[serde(borrow)]
    events: Vec<CoinbaseEvent<'a>>,
}

#[derive(Deserialize)]
struct CoinbaseEvent<'a> {
    #[serde(borrow)]
    trades: Vec<CoinbaseTrade<'a>>,
}

#[derive(Deserialize)]
struct CoinbaseTrade<'a> {
    trade_id: &'a str,
    product_id: &'a str,
    price: &'a str,
    size: &'a str,
    time: &'a str,
}

#[derive(Deserialize)]
struct Kraken<'a> {
    #[serde(borrow)]
    data: Vec<KrakenTrade<'a>>,
}

#[derive(Deserialize)]
struct KrakenTrade<'a> {
    symbol: &'a str,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
    trade_id: u64,
    timestamp: &'a str,
}

/// What the baseline makes of one frame.
type Read = (Symbol, Timestamp, Price, Size, u64);

fn made(symbol: &str, time: Option<Timestamp>, price: &str, size: &str, id: u64) -> Option<Read> {
    let symbol = Symbol::intern(symbol.as_bytes()).ok()?;
    Some((
        symbol,
        time?,
        Price::parse(price.as_bytes()).ok()?,
        Size::parse(size.as_bytes()).ok()?,
        id,
    ))
}

/// Reads the one trade of a frame with `serde_json`.
pub(crate) fn by_serde(venue: &str, text: &str) -> Option<Read> {
    match venue {
        "massive" => {
            let [row]: [Massive<'_>; 1] = serde_json::from_str(text).ok()?;
            made(
                row.sym,
                Timestamp::from_millis(row.t),
                row.p.get(),
                row.ds,
                row.i.parse().ok()?,
            )
        }
        "alpaca" => {
            let [row]: [Alpaca<'_>; 1] = serde_json::from_str(text).ok()?;
            made(
                row.symbol,
                row.t.parse().ok(),
                row.p.get(),
                row.s.get(),
                row.i,
            )
        }
        "binance" => {
            let row = serde_json::from_str::<Binance<'_>>(text).ok()?.data;
            made(row.s, Timestamp::from_millis(row.time), row.p, row.q, row.t)
        }
        "coinbase" => {
            let event = serde_json::from_str::<Coinbase<'_>>(text)
                .ok()?
                .events
                .pop()?;
            let row = event.trades.first()?;
            made(
                row.product_id,
                row.time.parse().ok(),
                row.price,
                row.size,
                row.trade_id.parse().ok()?,
            )
        }
        _ => {
            let row = serde_json::from_str::<Kraken<'_>>(text).ok()?.data.pop()?;
            made(
                row.symbol,
                row.timestamp.parse().ok(),
                row.price.get(),
                row.qty.get(),
                row.trade_id,
            )
        }
    }
}

fn timed(venue: &str, mut round: impl FnMut(&[String]) -> usize) -> Line {
    let frames = frames(venue);
    assert_eq!(
        round(&frames),
        frames.len(),
        "every frame of {venue} has a trade"
    );
    let start = Instant::now();
    let items = (0..ROUNDS).map(|_| round(&frames)).sum();
    Line {
        ns: start.elapsed().as_nanos(),
        items,
        rest: String::new(),
    }
}

pub(super) fn ours(venue: &str) -> Line {
    let mut events = Vec::new();
    timed(venue, |frames| decode(decoder(venue), frames, &mut events))
}

pub(super) fn serde(venue: &str) -> Line {
    timed(venue, |frames| {
        frames
            .iter()
            .filter(|frame| black_box(by_serde(venue, frame)).is_some())
            .count()
    })
}
