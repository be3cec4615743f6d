//! A venue, its archive and a store, and what the daemon must have made of them.

use crate::history::recording::Print;
use crate::history::server::{Hit, Reply, Server};
use crate::history::speak;
use crate::live::published_trades::{Kind, World};
use crate::live::venue::Faults;
use crate::support::dump::{dump, is_manifest};
use crate::support::program::Program;
use crate::support::redis::RedisServer;
use barmill::internals::pipeline::clock::SystemClock;
use barmill::{Side, Trade};
use barmill_core::port::Clock;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Everything in a store but the manifests, which a run that was stopped does not call whole.
pub(super) type Bars = BTreeMap<(String, String), String>;

/// How long a condition may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
pub(super) const SYMBOLS: &str = "AAAUSDT,BBBUSDT,CCCUSDT";

/// Trades of ten minutes that end now, some of them history before the program starts.
pub(super) fn world() -> Arc<World> {
    let start = SystemClock.now().saturating_sub(600_000_000_000);
    let minute = start.as_nanos() / 60_000_000_000 * 60_000_000_000;
    let world = World::at(
        Kind::BinanceAggregate,
        900,
        crate::history::recording::at(minute),
        2_000,
    );
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
pub(super) async fn archive(world: &Arc<World>) -> Server {
    let world = Arc::clone(world);
    let answer = move |hit: &Hit| {
        let symbol = hit.get("symbol").unwrap().parse().unwrap();
        let prints: Vec<Print> = world.history(symbol).iter().map(print).collect();
        Reply::Page(speak::binance(&prints, hit))
    };
    Server::start(answer).await
}

/// The arguments of a run, with short waits.
pub(super) fn arguments(archive: &Server, url: &str, redis: &RedisServer) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "run",
        "--source",
        "binance",
        "--symbol",
        SYMBOLS,
        "--catch-up",
        "1h",
    ]
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
        "status.listen=127.0.0.1:0".to_owned(),
    ] {
        arguments.extend(["--set".to_owned(), setting]);
    }
    arguments
}

/// The bars of a plain replay of every trade.
pub(super) fn replayed(world: &World) -> Bars {
    replayed_as(world, "symbol-day")
}

/// The same in a layout of its own.
pub(super) fn replayed_as(world: &World, view: &str) -> Bars {
    let (redis, program) = (RedisServer::start(), Program::new());
    for (symbol, trades) in world.truth() {
        let mut csv = String::new();
        for Print {
            nanos,
            number,
            price,
            size,
            is_buy,
        } in trades.iter().map(print)
        {
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
            "--set",
            &format!("view.kind={view}"),
        ];
        program.ok(&line);
    }
    bars(&redis)
}

pub(super) fn bars(redis: &RedisServer) -> Bars {
    let found = dump(redis)
        .into_iter()
        .filter(|((key, _), _)| !is_manifest(key));
    found
        .map(|(place, value)| (place, unrevised(&value)))
        .collect()
}

/// A bar without how often it was written, which the six names of the original do not tell.
fn unrevised(value: &str) -> String {
    let mut bar: serde_json::Value = serde_json::from_str(value).unwrap();
    let fields = bar.as_object_mut().unwrap();
    let is_short = fields.len() == 6;
    for field in ["state", "revision"] {
        assert!(is_short != fields.remove(field).is_some(), "{value}");
    }
    bar.to_string()
}

/// Waits until the store holds so many bars.
pub(super) async fn wait_for(redis: &RedisServer, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while bars(redis).len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} bars",
            bars(redis).len()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) const FAULTS: Faults = Faults {
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
