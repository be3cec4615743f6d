//! Whatever the venue does, every trade is delivered once and in its place.

use crate::live::published_trades::{ALL, Archive, Dawn, Kind, World};
use crate::live::venue::{self, Faults, Venue};
use crate::support::venue::live;
use barmill::{Symbol, Timestamp, Trade, TradeId, TradeKey};
use barmill_core::port::{Clock, FrameTap, TradeFeed};
use barmill_sources::live::{
    LiveFeed, LiveParts, LiveSettings, LiveStats, LiveSymbol, LiveSymbols,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Settings of a venue at its address, with all times scaled down.
pub(crate) fn settings(kind: Kind, url: &str) -> LiveSettings {
    let mut settings = match kind {
        Kind::Massive => live("massive", &[("key_env", "live-key")]),
        Kind::Alpaca => live(
            "alpaca",
            &[("key_id_env", "live-id"), ("secret_key_env", "live-key")],
        ),
        Kind::Binance => live("binance", &[("trades", "single")]),
        Kind::BinanceAggregate => live("binance", &[]),
        Kind::CoinbaseAdvanced => live("coinbase", &[("interface", "advanced")]),
        Kind::CoinbaseExchange => live("coinbase", &[]),
        Kind::Kraken => live("kraken", &[]),
    };
    url.clone_into(&mut settings.url);
    settings.message_every = Duration::ZERO;
    settings.message_bytes_max = 1 << 16;
    let times = &mut settings.times;
    (times.backoff_base, times.backoff_max, times.stable_after) = (MS, 4 * MS, 20 * MS);
    (times.stall_after, times.stall_after_max, times.ping_every) = (20 * MS, 40 * MS, 10 * MS);
    let gaps = &mut settings.gaps;
    (gaps.wait, gaps.settle, gaps.backoff, gaps.overlap) = (2 * MS, 8 * MS, MS, 20 * MS);
    (gaps.attempts_max, gaps.len_max, gaps.held_len_max) = (50, 64, 256);
    settings
}

/// Every symbol from the start of the tapes on.
pub(crate) fn symbols(world: &World) -> LiveSymbols {
    let start = "2026-01-05T14:30:00Z".parse().unwrap();
    let after = Some(TradeKey {
        time: start,
        sequence: 0,
        id: TradeId::NONE,
        price: barmill::Price::ZERO,
    });
    LiveSymbols::Named(
        world
            .symbols()
            .into_iter()
            .map(|symbol| LiveSymbol { symbol, after })
            .collect(),
    )
}

pub(crate) fn parts(world: &Arc<World>) -> LiveParts {
    LiveParts {
        clock: Arc::new(Dusk),
        archive: Arc::new(Archive(Arc::clone(world))),
        tap: None,
    }
}

/// A clock after every trade, so that an open hole reaches to the end of the tapes.
#[derive(Debug)]
struct Dusk;

impl Clock for Dusk {
    fn now(&self) -> Timestamp {
        Dawn.now().saturating_add(3_600_000_000_000)
    }
}

/// Takes trades until there are so many; every other call is cut short, as in a `select!`.
async fn take(feed: &mut LiveFeed, count: usize) -> BTreeMap<Symbol, Vec<Trade>> {
    let mut trades: BTreeMap<Symbol, Vec<Trade>> = BTreeMap::new();
    let (mut taken, mut calls, mut position) = (0, 0u32, 0);
    while taken < count {
        calls += 1;
        let patience = if calls.is_multiple_of(2) {
            MS
        } else {
            Duration::from_secs(20)
        };
        let Ok(batch) = tokio::time::timeout(patience, feed.next_batch()).await else {
            assert!(
                calls.is_multiple_of(2),
                "{taken} of {count} trades after 20 s; {:?}",
                feed.live_stats()()
            );
            continue;
        };
        let batch = batch.unwrap().unwrap();
        assert!(!batch.trades.is_empty() && position <= batch.position.0);
        position = batch.position.0;
        taken += batch.trades.len();
        for trade in batch.trades {
            trades.entry(trade.symbol).or_default().push(trade);
        }
    }
    trades
}

fn check(
    kind: Kind,
    delivered: &BTreeMap<Symbol, Vec<Trade>>,
    truth: &BTreeMap<Symbol, Vec<Trade>>,
) {
    for (symbol, trades) in truth {
        let found = delivered.get(symbol).map_or(&[][..], Vec::as_slice);
        let differs = found
            .iter()
            .zip(trades)
            .position(|(found, wanted)| found != wanted);
        assert_eq!(
            (found.len(), differs),
            (trades.len(), None),
            "{kind:?} {symbol}"
        );
    }
}

async fn run(
    kind: Kind,
    faults: Faults,
    change: impl FnOnce(&mut LiveSettings),
) -> (LiveStats, Venue) {
    let world = World::new(kind, 600);
    let venue = venue::start(Arc::clone(&world), faults, 11).await;
    let mut settings = settings(kind, &venue.url);
    change(&mut settings);
    let mut feed = LiveFeed::new(settings, &symbols(&world), parts(&world)).unwrap();
    let delivered = take(&mut feed, 1_800).await;
    check(kind, &delivered, &world.truth());
    (feed.live_stats()(), venue)
}

/// No stall is seen on a machine that is busy with something else.
fn patient(settings: &mut LiveSettings) {
    (settings.times.stall_after, settings.times.stall_after_max) =
        (Duration::from_mins(5), Duration::from_mins(5));
}

const EVERY_FAULT: Faults = Faults {
    disconnect_every: 60,
    duplicate_one_in: 20,
    reorder_one_in: 25,
    lose_one_in: 40,
    stall_one_in: 400,
    huge_one_in: 300,
    refusal: None,
    refuse_from: 0,
    refuse_until: 0,
};

#[tokio::test]
async fn every_trade_comes_once_and_in_order_from_every_venue_under_every_fault() {
    for kind in ALL {
        let (stats, _venue) = run(kind, EVERY_FAULT, |_| {}).await;
        assert!(
            stats.disconnects > 3 && stats.gaps.fetched > 0 && stats.gaps.unfilled == 0,
            "{stats:?}"
        );
        println!("{kind:?}: {stats:?}");
    }
}

#[tokio::test]
async fn venue_without_faults_is_served_over_one_connection() {
    for kind in ALL {
        let (stats, venue) = run(kind, Faults::default(), patient).await;
        assert_eq!((stats.disconnects, stats.gaps.unfilled), (0, 0), "{kind:?}");
        assert_eq!(
            venue.connections.load(std::sync::atomic::Ordering::Relaxed),
            1
        );
    }
}

#[tokio::test]
async fn heartbeats_alone_are_a_stall_and_lead_to_a_new_connection() {
    for kind in [Kind::Alpaca, Kind::CoinbaseAdvanced, Kind::Kraken] {
        let (stats, _venue) = run(
            kind,
            Faults {
                stall_one_in: 200,
                ..Faults::default()
            },
            |_| {},
        )
        .await;
        assert!(stats.stalls > 0, "{kind:?} {stats:?}");
    }
}

#[tokio::test]
async fn symbols_spread_over_as_many_connections_as_the_venue_needs() {
    let (_, venue) = run(Kind::Binance, Faults::default(), |settings| {
        patient(settings);
        settings.symbols_per_connection_max = 1;
    })
    .await;
    assert_eq!(
        venue.connections.load(std::sync::atomic::Ordering::Relaxed),
        3
    );
}

#[tokio::test]
async fn connection_is_given_up_before_the_venue_ends_it() {
    let lifetime = Some(25 * MS);
    let (stats, _venue) = run(Kind::Kraken, EVERY_FAULT, |settings| {
        settings.times.lifetime = lifetime;
    })
    .await;
    assert!(stats.disconnects > 3, "{stats:?}");
}

#[tokio::test]
async fn slow_consumer_closes_the_connections_and_misses_nothing() {
    for kind in [Kind::Massive, Kind::Kraken] {
        let world = World::new(kind, 600);
        let venue = venue::start(Arc::clone(&world), Faults::default(), 5).await;
        let mut settings = settings(kind, &venue.url);
        (settings.backlog_len_max, settings.batch_len_max) = (100, 20);
        let mut feed = LiveFeed::new(settings, &symbols(&world), parts(&world)).unwrap();
        let stats = feed.live_stats();
        let driver = tokio::spawn(feed.take_task().unwrap());
        while stats().overloads == 0 {
            tokio::time::sleep(MS).await;
        }
        let delivered = take(&mut feed, 1_800).await;
        check(kind, &delivered, &world.truth());
        assert!(stats().overloads > 0);
        drop(feed);
        driver.await.unwrap();
    }
}

#[derive(Debug, Default)]
struct Tape(Mutex<Vec<Vec<u8>>>);

impl FrameTap for Tape {
    fn on_frame(&self, _received: Timestamp, _connection: usize, frame: &[u8]) {
        self.0.lock().unwrap().push(frame.to_vec());
    }
}

#[tokio::test]
async fn tapped_frames_hold_what_was_received_and_no_key() {
    let world = World::new(Kind::Alpaca, 50);
    let venue = venue::start(Arc::clone(&world), Faults::default(), 5).await;
    let tap = Arc::new(Tape::default());
    let parts = LiveParts {
        tap: Some(tap.clone()),
        ..parts(&world)
    };
    let mut feed =
        LiveFeed::new(settings(Kind::Alpaca, &venue.url), &symbols(&world), parts).unwrap();
    let delivered = take(&mut feed, 150).await;
    check(Kind::Alpaca, &delivered, &world.truth());
    let frames = tap.0.lock().unwrap();
    let has_key = |frame: &Vec<u8>| String::from_utf8_lossy(frame).contains("live-key");
    assert!(!frames.is_empty() && !frames.iter().any(has_key));
}
