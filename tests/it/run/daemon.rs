//! Catch-up and live trades give the bars of a replay, also after `kill -9`; a refused key ends the run once.

use crate::history::server::{Hit, Reply, Server};
use crate::history::speak;
use crate::history::tape::Print;
use crate::live::venue::{self, Faults};
use crate::live::world::{Kind, World};
use crate::support::dump::{dump, is_manifest};
use crate::support::program::Program;
use crate::support::redis::RedisServer;
use barmill::adapter::clock::SystemClock;
use barmill::port::Clock;
use barmill::{Side, Trade};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Everything in a store but the manifests, which a run that was stopped does not call whole.
type Bars = BTreeMap<(String, String), String>;

/// How long a condition may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
const SYMBOLS: &str = "AAAUSDT,BBBUSDT,CCCUSDT";

/// Trades of ten minutes that end now, some of them history before the program starts.
fn world() -> Arc<World> {
    let start = SystemClock.now().saturating_sub(600_000_000_000);
    let minute = start.as_nanos() / 60_000_000_000 * 60_000_000_000;
    let world = World::at(Kind::BinanceAggregate, 900, crate::history::tape::at(minute), 2_000);
    for _ in 0..300 {
        world.publish(&world.symbols());
    }
    world
}

fn print(trade: &Trade) -> Print {
    Print {
        nanos: trade.time.as_nanos(),
        number: trade.id.raw(),
        price: trade.price.to_string(),
        size: trade.size.to_string(),
        is_buy: trade.side == Side::Buy,
    }
}

/// The venue's REST history: what is published by now.
async fn archive(world: &Arc<World>) -> Server {
    let world = Arc::clone(world);
    let answer = move |hit: &Hit| {
        let symbol = hit.get("symbol").unwrap().parse().unwrap();
        let prints: Vec<Print> = world.history(symbol).iter().map(print).collect();
        Reply::Page(speak::binance(&prints, hit))
    };
    Server::start(answer).await
}

/// The arguments of a run, with short waits.
fn arguments(archive: &Server, url: &str, redis: &RedisServer) -> Vec<String> {
    let mut arguments: Vec<String> = ["run", "--source", "binance", "--symbol", SYMBOLS, "--catch-up", "1h"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    arguments.extend(["--sink".to_owned(), redis.url(), "--json".to_owned()]);
    for setting in [
        format!("source.binance.base_url={}", archive.base),
        format!("source.binance.ws_url={url}"),
        "source.binance.requests_per_minute=10000000".to_owned(),
        "source.binance.backoff_ms=1".to_owned(),
        "live.backoff_ms=1".to_owned(),
        "live.backoff_max_ms=20".to_owned(),
        "live.gap_wait_ms=2".to_owned(),
        "live.gap_settle_ms=10".to_owned(),
        "live.gap_backoff_ms=2".to_owned(),
        "live.gap_attempts_max=200".to_owned(),
        "live.stall_ms=500".to_owned(),
        "bars.lateness_ms=10000".to_owned(),
        "live.checkpoint_every_ms=100".to_owned(),
    ] {
        arguments.extend(["--set".to_owned(), setting]);
    }
    arguments
}

/// The bars of a plain replay of every trade.
fn replayed(world: &World) -> Bars {
    let (redis, program) = (RedisServer::start(), Program::new());
    for (symbol, trades) in world.truth() {
        let mut csv = String::new();
        for Print { nanos, number, price, size, is_buy } in trades.iter().map(print) {
            let micros = nanos / 1_000;
            writeln!(
                csv,
                "{number},{price},{size},1,2,{micros},{},True",
                if is_buy { "False" } else { "True" }
            )
            .unwrap();
        }
        program.file("day.csv", csv);
        let symbol = symbol.as_str();
        let line = [
            "replay",
            "day.csv",
            "--format",
            "binance-aggtrades",
            "--symbol",
            symbol,
            "--sink",
            &redis.url(),
        ];
        program.ok(&line);
    }
    bars(&redis)
}

fn bars(redis: &RedisServer) -> Bars {
    let found = dump(redis).into_iter().filter(|((key, _), _)| !is_manifest(key));
    found.map(|(place, value)| (place, unrevised(&value))).collect()
}

/// A bar without how often it was written.
fn unrevised(value: &str) -> String {
    let mut bar: serde_json::Value = serde_json::from_str(value).unwrap();
    for field in ["state", "revision"] {
        assert!(bar.as_object_mut().unwrap().remove(field).is_some(), "{value}");
    }
    bar.to_string()
}

/// Waits until the store holds so many bars.
async fn wait_for(redis: &RedisServer, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while bars(redis).len() < count {
        assert!(Instant::now() < deadline, "{} of {count} bars", bars(redis).len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const FAULTS: Faults = Faults {
    disconnect_every: 60,
    duplicate_one_in: 20,
    reorder_one_in: 25,
    lose_one_in: 40,
    stall_one_in: 400,
    huge_one_in: 0,
    refusal: None,
    refuse_from: 0,
    refuse_until: 0,
};

#[tokio::test(flavor = "multi_thread")]
async fn catch_up_and_live_trades_under_faults_give_the_bars_of_a_replay() {
    let world = world();
    let (redis, archive) = (RedisServer::start(), archive(&world).await);
    let venue = venue::start(Arc::clone(&world), FAULTS, 3).await;
    let expected = replayed(&world);
    assert!(expected.len() > 25, "{}", expected.len());
    let program = Program::new();
    let line = arguments(&archive, &venue.url, &redis);
    let mut running = program.start(&line.iter().map(String::as_str).collect::<Vec<_>>());
    running.err_line("live feed starts");
    wait_for(&redis, expected.len()).await;
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(bars(&redis), expected, "{}", ended.err);
    // The stop may come before the trades of the open bars; no trade comes twice and none too late.
    let counts = ended.json();
    assert!(counts["trades"].as_u64() <= Some(2_700), "{counts}");
    assert_eq!(
        (&counts["late"], &counts["duplicates"], &counts["malformed"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert!(venue.connections.load(Ordering::Relaxed) > 1, "no fault was met");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again_it_ends_as_if_never_killed() {
    let world = world();
    let (redis, archive) = (RedisServer::start(), archive(&world).await);
    // A trade that the venue never sends is missing in its bar until the next one shows it.
    let venue = venue::start(Arc::clone(&world), Faults { lose_one_in: 0, ..FAULTS }, 4).await;
    let expected = replayed(&world);
    let program = Program::new();
    let line = arguments(&archive, &venue.url, &redis);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    for part in 1..4 {
        let running = program.start(&line);
        wait_for(&redis, expected.len() * part / 4).await;
        running.signal("KILL");
        assert_eq!(running.wait().code, None);
        for (place, value) in bars(&redis) {
            assert_eq!(expected.get(&place), Some(&value), "{place:?} after kill {part}");
        }
    }
    let running = program.start(&line);
    wait_for(&redis, expected.len()).await;
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(bars(&redis), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_key_ends_the_run_with_one_connection_and_a_clear_line() {
    let refusal = r#"[{"ev":"status","status":"auth_failed","message":"authentication failed"}]"#;
    let world = World::new(Kind::Massive, 10);
    let faults = Faults { refusal: Some(refusal), ..Faults::default() };
    let venue = venue::start(Arc::clone(&world), faults, 1).await;
    let program = Program::new().env("MASSIVE_API_KEY", "canary-2f9c-key");
    let address = format!("source.massive.ws_url={}", venue.url);
    let line = ["run", "--source", "massive", "--symbol", "AAA", "--sink", "null:", "--catch-up", "none"];
    let ended = program.run(&[&line[..], &["--set", &address]].concat());
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let told = "venue refuses: auth_failed: authentication failed; check the key";
    assert!(ended.err.contains(told), "{}", ended.err);
    assert!(!ended.err.contains("canary") && !ended.out.contains("canary"));
    assert_eq!(venue.connections.load(Ordering::Relaxed), 1);
}

#[test]
fn symbols_that_do_not_fit_their_sources_are_told_with_the_usage_code() {
    let program = Program::new();
    let cases = [
        ("--source binance", "source binance has no symbol"),
        ("--source binance,kraken --symbol A", "symbol \"A\" has no source"),
        ("--source binance,massive --symbol binance:A,massive:B", "markets in different zones"),
        ("--symbol A", "no source is named"),
    ];
    for (line, told) in cases {
        let line: Vec<&str> =
            std::iter::once("run").chain(line.split(' ')).chain(["--sink", "null:"]).collect();
        let ended = program.run(&line);
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(told), "{}", ended.err);
    }
}
