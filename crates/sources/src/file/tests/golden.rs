//! Real recorded files.

use super::{all, settings, shared};
use crate::file::TradeReader;
use barmill_core::model::{Price, Side, Timestamp, Trade, Volume};
use std::collections::BTreeSet;

fn read(path: &str, symbols: &[&str]) -> Option<Vec<Trade>> {
    let mut settings = settings("auto", symbols);
    settings.paths = vec![shared(path)?];
    Some(all(TradeReader::new(settings)).unwrap())
}

fn ids_are_contiguous(trades: &[Trade]) -> bool {
    trades
        .windows(2)
        .all(|pair| pair[0].id.raw() + 1 == pair[1].id.raw())
}

#[test]
fn kraken_response_is_complete() {
    let Some(trades) = read("kraken_xbtusdt/http_trades.json", &[]) else {
        return;
    };
    assert_eq!(trades.len(), 1000);
    assert!(ids_are_contiguous(&trades));
    let (first, last) = (trades[0], trades[999]);
    assert_eq!((first.id.raw(), last.id.raw()), (10_218_208, 10_219_207));
    assert_eq!(first.time.as_nanos(), 1_762_795_433_971_744_500);
    assert_eq!(
        (first.price, first.side),
        ("105433.6".parse::<Price>().unwrap(), Side::Buy)
    );
    assert_eq!(last.time.as_nanos(), 1_762_820_035_982_277_900);
    assert!(
        trades
            .iter()
            .all(|trade| trade.symbol.as_str() == "XBTUSDT" && trade.sequenced)
    );
}

#[test]
fn binance_frames_are_complete() {
    let Some(trades) = read("binance_ws/spot_btcusdt_20240808.gz", &[]) else {
        return;
    };
    assert_eq!(trades.len(), 9_757);
    assert!(ids_are_contiguous(&trades));
    assert_eq!(
        (trades[0].id.raw(), trades[0].side),
        (3_735_683_259, Side::Sell)
    );
    assert_eq!(trades[0].time.as_millis(), 1_723_161_255_342);
}

#[test]
fn lean_ticks_are_complete() {
    let Some(trades) = read("lean_us_equity/tick_spy_20131007_trade.zip", &[]) else {
        return;
    };
    assert_eq!(trades.len(), 250_601);
    assert_eq!(trades[0].symbol.as_str(), "SPY");
    assert_eq!(trades[0].time.to_string(), "2013-10-07T08:00:00.464Z");
    assert_eq!(trades[0].price.to_string(), "167.41");
    assert!(trades.windows(2).all(|pair| pair[0].key() < pair[1].key()));
    let mut volume = Volume::ZERO;
    for trade in &trades {
        volume += trade.size;
    }
    assert_eq!(volume.to_string(), "97062721");
}

#[test]
fn massive_page_gives_its_two_trades() {
    let Some(trades) = read("polygon_fixtures/v3_trades_AAPL_limit=2.json", &["AAPL"]) else {
        return;
    };
    assert_eq!(trades.len(), 2);
    assert_eq!(trades[0].time.as_nanos(), 1_651_181_822_461_979_400);
    assert_eq!(
        (trades[0].price.to_string(), trades[1].price.to_string()),
        ("156.43".into(), "157.43".into())
    );
    let venue = |exchange, facility| u16::from_le_bytes([exchange, facility]);
    assert_eq!(
        (trades[0].venue, trades[1].venue),
        (venue(11, 3), venue(12, 3))
    );
    assert_eq!(trades[0].conditions.bits(), 1 << 12 | 1 << 37);
}

#[test]
fn sample_of_the_repository_is_twenty_minutes_of_three_symbols() {
    let bytes = include_bytes!("../../../../../examples/data/sample-trades.csv");
    assert!(bytes.len() <= 200_000);
    let trades = super::read(bytes, "auto", &[]).unwrap();
    assert_eq!(trades.len(), 2000);
    let symbols: BTreeSet<&str> = trades.iter().map(|trade| trade.symbol.as_str()).collect();
    assert_eq!(
        symbols.into_iter().collect::<Vec<_>>(),
        ["AAPL", "MSFT", "SPY"]
    );
    let bounds: [Timestamp; 2] =
        ["2025-10-15T13:30:00Z", "2025-10-15T13:50:00Z"].map(|time| time.parse().unwrap());
    assert!(
        trades
            .iter()
            .all(|trade| bounds[0] <= trade.time && trade.time < bounds[1])
    );
    assert!(trades.is_sorted_by_key(|trade| trade.time));
}

#[test]
fn several_files_are_one_feed_in_the_order_of_their_trades() {
    let (Some(spy), Some(ibm)) = (
        shared("lean_us_equity/tick_spy_20131007_trade.zip"),
        shared("lean_us_equity/tick_ibm_20131008_trade.zip"),
    ) else {
        return;
    };
    let mut settings = settings("lean-tick", &[]);
    settings.paths = vec![ibm, spy];
    let trades = all(TradeReader::new(settings)).unwrap();
    let spy = trades
        .iter()
        .take_while(|trade| trade.symbol.as_str() == "SPY")
        .count();
    assert_eq!(spy, 250_601, "the earlier day, though it was given last");
    assert!(
        trades
            .windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence),
        "places go on over files"
    );
}
