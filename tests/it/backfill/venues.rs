//! Every venue, from its history to bars in Redis and back.

use super::program::{DAY, Program, dump, manifest, minutes, minutes_of_csv};
use crate::history::recording::{Print, tape};
use crate::history::server::{Hit, Reply, Server};
use crate::history::speak;
use crate::support::redis::RedisServer;
use serde_json::Value;

/// A second, so that a tape of hundreds of prints covers hours.
pub(crate) const UNIT_NS: i64 = 1_000_000_000;

pub(crate) type Speak = fn(&[Print], &Hit) -> String;

pub(crate) async fn serve(prints: &[Print], speak: Speak) -> Server {
    let own = prints.to_vec();
    Server::start(move |hit| Reply::Page(speak(&own, hit))).await
}

pub(crate) fn proxied(program: &mut Program) {
    for setting in [
        "source.massive.wrap=data.results",
        "source.massive.paging=restart",
        "source.massive.key_header=x-custom-key",
        "source.massive.path=/polygon/stocks/trades/{ticker}",
    ] {
        program.set(setting);
    }
}

async fn backfilled(source: &str, symbol: &str, speak: Speak, is_proxied: bool) {
    let prints = tape(1, 400, UNIT_NS);
    let server = serve(&prints, speak).await;
    let redis = RedisServer::start();
    let mut program = Program::new(source, &server);
    if is_proxied {
        proxied(&mut program);
    }
    let line = format!(
        "backfill --source {source} --symbol {symbol} --date {DAY} --rules all --sink {} --json",
        redis.url()
    );
    let ran = program.run(&line).await;
    assert_eq!(ran.code, 0, "{source}: {}", ran.err);
    let summary: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let bars = minutes(&prints);
    assert_eq!(
        (&summary["trades"], &summary["bars"]),
        (&400.into(), &bars.len().into()),
        "{source}"
    );
    assert_eq!(summary["source_requests"], server.hits().len(), "{source}");
    assert_eq!(summary["days"][0]["status"], "whole", "{source}");
    let read = format!(
        "bars --symbol {symbol} --date {DAY} --output csv --sink {}",
        redis.url()
    );
    assert_eq!(
        minutes_of_csv(&program.run(&read).await.out),
        bars,
        "{source}"
    );
    let manifest = manifest(&redis, "1m", DAY, symbol);
    assert_eq!(
        (&manifest["complete"], &manifest["gapless"]),
        (&true.into(), &true.into()),
        "{source}"
    );
    assert_eq!(manifest["bars"], bars.len(), "{source}");
    assert_eq!(manifest["trades"], 400, "{source}");
    let (before, hits) = (dump(&redis), server.hits().len());
    let again = program.run(&line).await;
    assert_eq!(
        (again.code, server.hits().len()),
        (0, hits),
        "{source} asks for nothing twice: {}",
        again.err
    );
    assert_eq!(dump(&redis), before, "{source}");
}

#[tokio::test]
async fn massive_day_is_in_redis_and_is_not_asked_for_twice() {
    backfilled("massive", "AAPL", speak::massive, false).await;
}

#[tokio::test]
async fn proxy_that_wraps_and_drops_cursors_gives_the_same_day() {
    backfilled("massive", "AAPL", speak::proxy, true).await;
}

#[tokio::test]
async fn alpaca_day_is_in_redis_and_is_not_asked_for_twice() {
    backfilled("alpaca", "AAPL", speak::alpaca, false).await;
}

#[tokio::test]
async fn binance_day_is_in_redis_and_is_not_asked_for_twice() {
    backfilled("binance", "BTCUSDT", speak::binance, false).await;
}

#[tokio::test]
async fn coinbase_day_is_in_redis_and_is_not_asked_for_twice() {
    backfilled("coinbase", "BTC-USD", speak::coinbase, false).await;
}

#[tokio::test]
async fn kraken_day_is_in_redis_and_is_not_asked_for_twice() {
    backfilled("kraken", "XBTUSD", speak::kraken, false).await;
}

#[tokio::test]
async fn closing_line_and_table_are_for_people_on_stderr() {
    let prints = tape(2, 100, UNIT_NS);
    let server = serve(&prints, speak::massive).await;
    let redis = RedisServer::start();
    let program = Program::new("massive", &server);
    let line = format!(
        "backfill --source massive --symbol AAPL,MSFT --date {DAY} --rules all --sink {}",
        redis.url()
    );
    let ran = program.run(&line).await;
    let count = 2 * minutes(&prints).len();
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(
        ran.err
            .contains(&format!("Cached {count} bars in Redis (TTL: 2 hours)")),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("2 symbol-days: 2 whole now"),
        "{}",
        ran.err
    );
}

/// Rows of the REST history as some proxies and older answers have them.
fn bare(prints: &[Print], hit: &Hit) -> String {
    let mut reply: Value = serde_json::from_str(&speak::massive(prints, hit)).unwrap();
    for row in reply["results"].as_array_mut().unwrap() {
        let row = row.as_object_mut().unwrap();
        row.remove("exchange");
        row.remove("sequence_number");
    }
    reply.to_string()
}

#[tokio::test]
async fn rows_without_exchange_and_sequence_give_the_same_bars_from_a_file_and_from_the_venue() {
    let prints = tape(1, 400, UNIT_NS);
    let line = |redis: &RedisServer| {
        format!(
            "backfill --source massive --symbol AAPL --date {DAY} --session regular --rules all --sink {}",
            redis.url()
        )
    };
    let mut brief = Vec::new();
    for speak in [bare as Speak, speak::massive] {
        let (server, redis) = (serve(&prints, speak).await, RedisServer::start());
        let program = Program::new("massive", &server);
        let ran = program.run(&line(&redis)).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        let read = format!(
            "bars --symbol AAPL --date {DAY} --output csv --sink {}",
            redis.url()
        );
        brief.push(program.run(&read).await.out);
    }
    assert_eq!(brief[0], brief[1]);
    assert!(brief[0].lines().count() > 5, "{}", brief[0]);
}

/// A symbol that the venue has never had a trade of is most likely mistyped.
#[tokio::test]
async fn symbol_that_the_venue_does_not_know_is_told_and_asked_for_again() {
    for (source, speak) in [
        ("massive", speak::massive as Speak),
        ("alpaca", speak::alpaca),
    ] {
        let server = serve(&[], speak).await;
        let redis = RedisServer::start();
        let program = Program::new(source, &server);
        let line = format!(
            "backfill --source {source} --symbol APPL --date 2025-10-21 --session regular --sink {}",
            redis.url()
        );
        for run in 1..=2 {
            let ran = program.run(&line).await;
            assert_eq!(ran.code, 1, "{source}: {}", ran.err);
            let told = "venue has no trade of the symbol, in the interval or before it; check its spelling";
            assert!(
                ran.err.contains(told) && ran.err.contains("APPL"),
                "{source}: {}",
                ran.err
            );
            assert!(ran.err.contains("INCOMPLETE"), "{source}: {}", ran.err);
            assert_eq!(server.hits().len(), 2 * run, "{source}");
        }
        let manifest = redis.command(&["HGET", "manifest:barmill:1m:2025-10-21", "APPL"]);
        if let redis::Value::BulkString(manifest) = manifest {
            let manifest: Value = serde_json::from_slice(&manifest).unwrap();
            assert_eq!(manifest["complete"], false, "{source}");
        }
    }
}

#[tokio::test]
async fn day_without_trades_is_whole_and_has_no_bars() {
    let server = serve(&tape(3, 100, UNIT_NS), speak::massive).await;
    let redis = RedisServer::start();
    let program = Program::new("massive", &server);
    let line = format!(
        "backfill --source massive --symbol AAPL --date 2025-10-22 --session pre --sink {}",
        redis.url()
    );
    assert_eq!(program.run(&line).await.code, 0);
    let manifest = manifest(&redis, "1m", "2025-10-22", "AAPL");
    assert_eq!(
        (&manifest["complete"], &manifest["bars"]),
        (&true.into(), &0.into())
    );
    assert_eq!(
        (&manifest["from"], &manifest["to"]),
        (
            &"2025-10-22T08:00:00Z".into(),
            &"2025-10-22T13:30:00Z".into()
        )
    );
}

#[tokio::test]
async fn dry_run_tells_what_it_would_do_and_does_nothing() {
    let server = serve(&[], speak::massive).await;
    let redis = RedisServer::start();
    let program = Program::new("massive", &server);
    let line = format!(
        "backfill --source massive --symbol AAPL --date {DAY} --session regular --bars 1m,1d --dry-run --sink {}",
        redis.url()
    );
    let ran = program.run(&line).await;
    assert_eq!(
        (ran.code, server.hits().len(), dump(&redis).len()),
        (0, 0, 0),
        "{}",
        ran.err
    );
    insta::assert_snapshot!(ran.out, @r"
    AAPL 2025-10-21: would ask massive for 2025-10-21T13:30:00Z to 2025-10-21T20:00:00Z
      first 1m bar: key bars:1m:2025-10-21:AAPL, field 09:30
      first 1d bar: key bars:1d:2025-10-21:AAPL, field 00:00
    symbol-days to ask for: 1 of 1; requests: at least 1, one for each 7 trades, at most 10000000 a minute; nothing was asked and nothing written
    ");
}

#[tokio::test]
async fn several_days_of_several_symbols_are_each_whole() {
    let prints = tape(4, 4_000, 40 * UNIT_NS);
    let server = serve(&prints, speak::kraken).await;
    let redis = RedisServer::start();
    let mut program = Program::new("kraken", &server);
    program.set("source.kraken.page_len=500");
    let line = format!(
        "backfill --source kraken --symbol A,B --from {DAY} --to 2025-10-24 --bars 1m,1h,1d --shards 2 --sink {} --json",
        redis.url()
    );
    let ran = program.run(&line).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let end = "2025-10-24T00:00:00Z"
        .parse::<barmill::Timestamp>()
        .unwrap()
        .as_nanos();
    let inside: Vec<Print> = prints
        .into_iter()
        .take_while(|print| print.nanos < end)
        .collect();
    for symbol in ["A", "B"] {
        let mut trades = 0;
        for date in [DAY, "2025-10-22", "2025-10-23"] {
            for spec in ["1m", "1h", "1d"] {
                let manifest = manifest(&redis, spec, date, symbol);
                assert_eq!(manifest["complete"], true, "{symbol} {date} {spec}");
            }
            trades += manifest(&redis, "1d", date, symbol)["trades"]
                .as_u64()
                .unwrap();
        }
        assert_eq!(trades, inside.len() as u64, "{symbol}");
    }
    let summary: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&summary["late"], &summary["duplicates"]),
        (&0.into(), &0.into())
    );
}
