//! A quiet symbol is told to be so, and a stalled feed tells nothing.

use crate::live::faults::{parts, settings, symbols};
use crate::live::published_trades::{Kind, World};
use crate::live::venue::{self, Faults};
use barmill::{Symbol, Timestamp};
use barmill_core::port::{ControlEvent, TradeFeed};
use barmill_sources::live::{IdleEnd, IdleSettings, LiveFeed};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SECOND_NS: i64 = 1_000_000_000;

fn feed(kind: Kind, world: &Arc<World>, url: &str) -> LiveFeed {
    let mut settings = settings(kind, url);
    (settings.times.stall_after, settings.times.stall_after_max) =
        (Duration::from_mins(5), Duration::from_mins(5));
    settings.idle_closing = IdleSettings {
        ends: vec![IdleEnd::Window(Duration::from_secs(1))],
        slack: Duration::from_millis(5),
    };
    LiveFeed::new(settings, &symbols(world), parts(world)).unwrap()
}

/// Reads until every trade is there and every symbol is told to be quiet past its last one's window.
async fn read_all(feed: &mut LiveFeed, world: &World) -> BTreeMap<Symbol, Timestamp> {
    let (mut trades, mut told) = (0, BTreeMap::new());
    while trades < 1_800 || told.len() < 3 || told.values().any(|before| *before < end(world)) {
        let batch = tokio::time::timeout(Duration::from_mins(1), feed.next_batch()).await;
        let batch = batch.expect("more to come").unwrap().unwrap();
        trades += batch.trades.len();
        for event in batch.events {
            let ControlEvent::Quiet { symbol, before } = event else {
                panic!("nothing was changed")
            };
            told.insert(symbol, before);
        }
    }
    told
}

/// End of the window of the last trades.
fn end(world: &World) -> Timestamp {
    let last = world
        .truth()
        .values()
        .filter_map(|trades| trades.last())
        .map(|trade| trade.time)
        .max();
    let start = last.unwrap().as_nanos().div_euclid(SECOND_NS) * SECOND_NS;
    Timestamp::from_nanos(start + SECOND_NS).unwrap()
}

#[tokio::test]
async fn archive_tells_that_nothing_more_comes_of_a_silent_market() {
    for kind in [Kind::Massive, Kind::Kraken] {
        let world = World::new(kind, 600);
        let venue = venue::start(Arc::clone(&world), Faults::default(), 5).await;
        let mut feed = feed(kind, &world, &venue.url);
        read_all(&mut feed, &world).await;
        assert_eq!(venue.connections.load(Ordering::Relaxed), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn silent_feed_tells_nothing_while_the_archive_cannot_be_asked() {
    let world = World::new(Kind::Kraken, 600);
    let venue = venue::start(Arc::clone(&world), Faults::default(), 5).await;
    let mut feed = feed(Kind::Kraken, &world, &venue.url);
    let stats = feed.live_stats();
    let driver = tokio::spawn(feed.take_task().unwrap());
    let mut trades = 0;
    while trades < 1_800 {
        trades += feed.next_batch().await.unwrap().unwrap().trades.len();
    }
    world.is_archive_shut.store(true, Ordering::Relaxed);
    let before = stats().requests;
    while stats().requests < before + 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(stats().gaps.unfilled, 0, "no trade is known to be missing");
    let batch = tokio::time::timeout(Duration::from_millis(50), feed.next_batch()).await;
    assert!(batch.is_err(), "nothing is told: {batch:?}");
    drop(feed);
    driver.await.unwrap();
}
