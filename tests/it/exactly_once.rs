//! A bar reaches the store once and in its newest version, whatever the network does and whoever else writes.

use std::sync::Arc;
use std::time::Duration;

use barmill::internals::pipeline::clock::SystemClock;
use barmill::{Bar, BarFlags, BarState, BarUpdate, Notional, Ohlc, Price, Size, Timestamp, Volume};
use barmill_core::port::{Remedy, WriteItem};
use barmill_stores::{
    FenceSettings, Guard, Opened, StoreSettings, ValueForm, View, ViewKind, ViewSettings, connect,
};
use jiff::tz::TimeZone;
use redis::Value;
use secrecy::SecretString;

use crate::support::fault::{Fault, Rule, Stage};
use crate::support::redis::RedisServer;
use crate::support::upstash::{TOKEN, UpstashServer};

const MINUTE_NS: i64 = 60_000_000_000;
const KINDS: [ViewKind; 4] = [
    ViewKind::SymbolDay,
    ViewKind::Minute,
    ViewKind::KeyPerBar,
    ViewKind::Stream,
];

fn update(minute: i64, revision: u32) -> BarUpdate {
    let first: Timestamp = "2025-10-15T13:30:00Z".parse().unwrap();
    let start = first.saturating_add(minute * MINUTE_NS);
    let price: Price = "10.5".parse().unwrap();
    let size: Size = "100".parse().unwrap();
    let volume: Volume = "100".parse().unwrap();
    let bar = Bar {
        symbol: "AAPL".parse().unwrap(),
        spec: "1m".parse().unwrap(),
        start,
        end: start.saturating_add(MINUTE_NS),
        prices: Some(Ohlc {
            open: price,
            high: price,
            low: price,
            close: price,
        }),
        volume,
        notional: Notional::of(price, size),
        notional_volume: volume,
        trades: 1 + u64::from(revision),
        buy_volume: Volume::ZERO,
        sell_volume: Volume::ZERO,
        first_sequence: 1,
        last_sequence: 1,
        flags: BarFlags::default(),
    };
    let state = if revision == 0 {
        BarState::Final
    } else {
        BarState::Revised
    };
    BarUpdate {
        bar,
        state,
        revision,
        trades_added: 1,
    }
}

async fn open(server: &UpstashServer, kind: ViewKind, holder: Option<&str>) -> Opened {
    let guard = holder.map_or(Guard::Off, |holder| {
        let (holder, ttl) = (holder.to_owned(), Duration::from_secs(30));
        Guard::Fence(FenceSettings {
            holder,
            ttl,
            take_over: true,
        })
    });
    let token = Some(SecretString::from(TOKEN));
    let settings = StoreSettings {
        token,
        guard,
        ..StoreSettings::default()
    };
    let mut view = ViewSettings::new(kind, TimeZone::UTC).unwrap();
    view.value = ValueForm::JsonFull;
    let view = View::new(view, &["1m".parse().unwrap()]).unwrap();
    connect(
        &server.url().parse().unwrap(),
        view,
        &settings,
        Arc::new(SystemClock),
    )
    .await
    .unwrap()
}

/// Writes until the store has answered for every item; returns how many attempts that took.
async fn write(store: &Opened, updates: &[BarUpdate]) -> u32 {
    let items: Vec<WriteItem> = updates.iter().copied().map(WriteItem::Bar).collect();
    for attempt in 1..10 {
        match store.sink.write(&items).await {
            Ok(results) => {
                assert!(results.iter().all(Result::is_ok), "{results:?}");
                return attempt;
            }
            Err(error) => assert!(matches!(error.remedy, Remedy::Retry { .. }), "{error:?}"),
        }
    }
    panic!("no answer after nine attempts");
}

/// Start and trades of each bar that a reader sees.
async fn bars(store: &Opened) -> Vec<(Timestamp, u64)> {
    let reader = store.reader.as_ref().unwrap();
    let date = "2025-10-15".parse().unwrap();
    let bars = reader
        .day("AAPL".parse().unwrap(), "1m".parse().unwrap(), date)
        .await
        .unwrap();
    bars.iter()
        .map(|bar| (bar.start, bar.detail.unwrap().trades))
        .collect()
}

#[tokio::test]
async fn a_lost_answer_leaves_what_an_uninterrupted_run_leaves() {
    let script = [
        update(0, 0),
        update(1, 0),
        update(0, 1),
        update(2, 0),
        update(1, 1),
        update(3, 0),
    ];
    for kind in KINDS {
        for holder in [None, Some("a")] {
            let (calm, rough) = (RedisServer::start(), RedisServer::start());
            let servers = [UpstashServer::start(&calm), UpstashServer::start(&rough)];
            let stores = [
                open(&servers[0], kind, holder).await,
                open(&servers[1], kind, holder).await,
            ];
            for step in script.chunks(2) {
                write(&stores[0], step).await;
            }
            for (index, step) in script.chunks(3).enumerate() {
                for stage in [Stage::AfterApply, Stage::Midway, Stage::BeforeApply] {
                    servers[1].inject(Rule::next(Fault::Reset).at(stage));
                }
                assert!(write(&stores[1], step).await > 3, "{kind} {index}");
                // A restart goes on from a checkpoint that is behind what was written.
                write(&stores[1], &script[..3 * (index + 1)]).await;
            }
            assert_eq!(
                bars(&stores[0]).await,
                bars(&stores[1]).await,
                "{kind} {holder:?}"
            );
            if kind == ViewKind::Stream {
                let all = ["XRANGE", "bars:1m:AAPL", "-", "+"];
                assert_eq!(calm.command(&all), rough.command(&all), "ids and order too");
                assert_eq!(calm.command(&["XLEN", "bars:1m:AAPL"]), Value::Int(6));
            }
        }
    }
}

#[tokio::test]
async fn a_lost_answer_about_the_lease_does_not_raise_its_number_twice() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let store = open(&server, ViewKind::SymbolDay, Some("a")).await;
    // The script is not known yet: the second request is the one that takes the lease.
    server.inject(
        Rule::next(Fault::Reset)
            .at(Stage::AfterApply)
            .when(|commands| commands[0][0] == b"EVAL"),
    );
    store.sink.open().await.unwrap_err();
    store.sink.open().await.unwrap();
    let number = redis.command(&["HGET", "fence:barmill", "number"]);
    assert_eq!(number, Value::BulkString(b"1".to_vec()));
}

#[tokio::test]
async fn a_store_that_forgot_its_scripts_is_told_them_again() {
    let mut redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    for kind in KINDS {
        let store = open(&server, kind, Some("a")).await;
        write(&store, &[update(0, 0)]).await;
        redis.restart();
        write(&store, &[update(0, 0), update(1, 0)]).await;
        assert_eq!(bars(&store).await.len(), 2, "{kind}");
    }
}

#[tokio::test]
async fn two_writers_that_fight_leave_the_newest_bars_and_one_of_them() {
    for kind in KINDS {
        let redis = RedisServer::start();
        let server = UpstashServer::start(&redis);
        let sleeper = open(&server, kind, Some("sleeper")).await;
        write(&sleeper, &[update(0, 0), update(1, 0)]).await;
        let heir = open(&server, kind, Some("heir")).await;
        write(&heir, &[update(0, 1), update(1, 0), update(2, 0)]).await;
        let before = bars(&heir).await;
        // What the sleeper still had in hand: an older bar, and a newer one.
        for late in [update(0, 0), update(2, 7)] {
            let results = sleeper.sink.write(&[WriteItem::Bar(late)]).await.unwrap();
            let error = results[0].as_ref().unwrap_err();
            assert_eq!(error.remedy, Remedy::Fatal);
            assert!(error.reason.contains("heir has number 2"), "{error}");
        }
        assert_eq!(bars(&heir).await, before, "{kind}");
    }
}
