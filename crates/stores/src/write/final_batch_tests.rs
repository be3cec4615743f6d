//! Claims about bars and manifests in one request, on a real redis-server.

use crate::open::{StoreSettings, connect};
use crate::test_servers::{RedisServer, RestServer};
use crate::testing::{FakeClock, manifest, update};
use crate::{View, ViewKind, ViewSettings};
use barmill_core::port::{BarSink, Remedy, WriteItem};
use jiff::tz::TimeZone;
use redis::AsyncCommands;
use secrecy::SecretString;
use std::sync::Arc;

const MANIFEST: &str = "manifest:barmill:1m:2025-10-15";

async fn open(url: &str, kind: ViewKind) -> Arc<dyn BarSink> {
    let view = ViewSettings::new(kind, TimeZone::get("America/New_York").unwrap()).unwrap();
    let view = View::new(view, &["1m".parse().unwrap()]).unwrap();
    let settings = StoreSettings {
        token: Some(SecretString::from("canary")),
        ..StoreSettings::default()
    };
    let clock = Arc::new(FakeClock::at("2025-10-15T20:00:00Z"));
    connect(&url.parse().unwrap(), view, &settings, clock)
        .await
        .unwrap()
        .sink
}

/// Bars of these symbols, and a manifest of each behind them.
fn closing(symbols: &[&str], minutes: i64) -> Vec<WriteItem> {
    let first: barmill_core::model::Timestamp = "2025-10-15T13:30:00Z".parse().unwrap();
    let start = |minute: i64| first.saturating_add(minute * 60_000_000_000).to_string();
    let bar = |symbol: &str, minute| WriteItem::Bar(update(symbol, "1m", &start(minute)));
    let bars = symbols
        .iter()
        .flat_map(|symbol| (0..minutes).map(move |minute| bar(symbol, minute)));
    let manifests = symbols
        .iter()
        .map(|symbol| WriteItem::Manifest(manifest(symbol, "1m")));
    bars.chain(manifests).collect()
}

#[tokio::test]
async fn bars_and_their_manifests_take_one_request_over_resp_and_rest() {
    let redis = RedisServer::start(&[]);
    let server = RestServer::start(&redis, false).await;
    for url in [redis.url(), format!("http://127.0.0.1:{}", server.port)] {
        for (kind, key) in [
            (ViewKind::SymbolDay, "bars:1m:2025-10-15:A"),
            (ViewKind::Minute, "bars:1m:2025-10-15:09:30"),
            (ViewKind::KeyPerBar, "intraday:barmill:2025-10-15:A:09:30"),
        ] {
            let sink = open(&url, kind).await;
            assert!(sink.joins_manifests());
            // More fields than Lua takes arguments.
            let items = closing(&["A", "B"], 700);
            let results = sink.write(&items).await.unwrap();
            assert!(
                results.len() == items.len() && results.iter().all(Result::is_ok),
                "{url} {kind}"
            );
            assert_eq!(
                (sink.stats().requests, sink.cost(&items).requests),
                (1, 1),
                "{url} {kind}"
            );
            let mut redis = redis.connection().await;
            let ttls: [i64; 2] = [
                redis.ttl(key).await.unwrap(),
                redis.ttl(MANIFEST).await.unwrap(),
            ];
            assert!(
                ttls.iter().all(|ttl| (7_190..=7_200).contains(ttl)),
                "{url} {kind}: {ttls:?}"
            );
            let mut told: Vec<String> = redis.hkeys(MANIFEST).await.unwrap();
            told.sort();
            assert_eq!(told, ["A", "B"]);
            let _flushed: () = redis::cmd("FLUSHALL")
                .query_async(&mut redis)
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn no_manifest_is_written_when_a_bar_is_not() {
    let redis = RedisServer::start(&[]);
    let server = RestServer::start(&redis, false).await;
    let _set: () = redis
        .connection()
        .await
        .set("bars:1m:2025-10-15:BAD", "a string")
        .await
        .unwrap();
    for url in [redis.url(), format!("http://127.0.0.1:{}", server.port)] {
        let sink = open(&url, ViewKind::SymbolDay).await;
        let results = sink.write(&closing(&["A", "BAD", "B"], 2)).await.unwrap();
        let remedies: Vec<Option<Remedy>> = results
            .iter()
            .map(|result| result.as_ref().err().map(|error| error.remedy))
            .collect();
        let (refused, again) = (Some(Remedy::Refuse), Some(Remedy::Retry { after: None }));
        assert_eq!(
            remedies,
            [
                None, None, refused, refused, None, None, again, again, again
            ],
            "{url}"
        );
        assert!(
            results[2]
                .as_ref()
                .unwrap_err()
                .reason
                .starts_with("WRONGTYPE")
        );
        let mut redis = redis.connection().await;
        let (bars, told): (usize, bool) = (
            redis.hlen("bars:1m:2025-10-15:B").await.unwrap(),
            redis.exists(MANIFEST).await.unwrap(),
        );
        assert_eq!((bars, told), (2, false), "{url}");
    }
}

#[tokio::test]
async fn a_store_without_scripts_gets_the_bars_and_is_asked_again_for_the_manifests() {
    let redis = RedisServer::start(&["--rename-command", "EVAL", ""]);
    let sink = open(&redis.url(), ViewKind::SymbolDay).await;
    let results = sink.write(&closing(&["A"], 3)).await.unwrap();
    assert!(results[..3].iter().all(Result::is_ok), "{results:?}");
    assert_eq!(
        results[3].as_ref().unwrap_err().remedy,
        Remedy::Retry { after: None }
    );
    let mut redis = redis.connection().await;
    let (bars, told): (usize, bool) = (
        redis.hlen("bars:1m:2025-10-15:A").await.unwrap(),
        redis.exists(MANIFEST).await.unwrap(),
    );
    assert_eq!((bars, told), (3, false));
}

#[tokio::test]
async fn streams_and_notices_beside_the_bars_keep_manifests_apart() {
    let redis = RedisServer::start(&[]);
    for kind in [ViewKind::Stream, ViewKind::Publish] {
        assert!(!open(&redis.url(), kind).await.joins_manifests(), "{kind}");
    }
}
