//! The library's reader at a real Redis and at Upstash: every question is one request, in every view.

use super::program::{DAY, Program};
use super::venues::{UNIT_NS, serve};
use crate::history::recording::tape;
use crate::history::speak;
use crate::support::redis::RedisServer;
use crate::support::upstash::{TOKEN, UpstashServer};
use barmill::{BarSpec, Symbol, Timestamp};
use barmill_core::port::Clock;
use barmill_stores::{
    BarReader, Opened, SinkUrl, StoreSettings, StoredBar, View, ViewKind, ViewSettings, connect,
};
use jiff::civil::{Date, date, time};
use jiff::tz::TimeZone;
use std::sync::Arc;

const SYMBOLS: &str = "AAPL,MSFT,SPY";
const DATE: Date = date(2025, 10, 21);

/// The evening of the day.
#[derive(Debug)]
struct Evening;

impl Clock for Evening {
    fn now(&self) -> Timestamp {
        format!("{DAY}T22:00:00Z").parse().unwrap()
    }
}

async fn open(url: &str, kind: ViewKind) -> Opened {
    let zone = TimeZone::get("America/New_York").unwrap();
    let mut settings = ViewSettings::new(kind, zone).unwrap();
    settings.namespace = "barmill".to_owned();
    let view = View::new(settings, &[BarSpec::MINUTE]).unwrap();
    let store = StoreSettings {
        token: Some(TOKEN.to_owned().into()),
        ..StoreSettings::default()
    };
    connect(
        &url.parse::<SinkUrl>().unwrap(),
        view,
        &store,
        Arc::new(Evening),
    )
    .await
    .unwrap()
}

/// Start, symbol, close and volume: what every value carries.
fn brief(bars: &[StoredBar]) -> Vec<String> {
    let line = |bar: &StoredBar| {
        format!(
            "{} {} {} {}",
            bar.start,
            bar.symbol,
            bar.prices.unwrap().close,
            bar.volume
        )
    };
    bars.iter().map(line).collect()
}

/// The answers to the three questions: one symbol's day, all symbols at a minute, the newest bar.
async fn ask(reader: &BarReader, question: usize) -> Vec<StoredBar> {
    let symbols: Vec<Symbol> = SYMBOLS
        .split(',')
        .map(|name| name.parse().unwrap())
        .collect();
    match question {
        0 => reader.day(symbols[1], BarSpec::MINUTE, DATE).await.unwrap(),
        1 => reader
            .minute(&symbols, BarSpec::MINUTE, DATE, time(9, 31, 0, 0))
            .await
            .unwrap(),
        2 => reader
            .latest(symbols[2], BarSpec::MINUTE)
            .await
            .unwrap()
            .into_iter()
            .collect(),
        _ => {
            let since = format!("{DAY}T13:00:00Z").parse().unwrap();
            reader
                .latest_since(symbols[2], BarSpec::MINUTE, since)
                .await
                .unwrap()
                .into_iter()
                .collect()
        }
    }
}

fn processed(redis: &RedisServer) -> u64 {
    let info: String = redis::from_redis_value(redis.command(&["INFO", "commandstats"])).unwrap();
    let reads = [
        "cmdstat_hgetall",
        "cmdstat_hmget",
        "cmdstat_mget",
        "cmdstat_xrange",
    ];
    let calls = |line: &str| {
        let (name, rest) = line.split_once(":calls=")?;
        reads
            .contains(&name)
            .then(|| rest.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    info.lines().filter_map(calls).sum()
}

#[tokio::test]
async fn day_minute_and_latest_are_one_request_each_in_every_view() {
    let prints = tape(41, 300, UNIT_NS);
    let mut expected: Option<Vec<Vec<String>>> = None;
    for (kind, commands) in [
        (ViewKind::SymbolDay, [1, 3, 7, 1]),
        // A window is a command: seven days of minutes up to now, or those since the time that is given.
        (ViewKind::Minute, [1_440, 1, 6 * 1_440 + 1, 541]),
        (ViewKind::KeyPerBar, [2, 1, 9, 1]),
        (ViewKind::Stream, [1, 3, 1, 1]),
    ] {
        let (server, redis) = (serve(&prints, speak::massive).await, RedisServer::start());
        let upstash = UpstashServer::start(&redis);
        let mut program = Program::new("massive", &server);
        program.set(&format!("view.kind={kind}"));
        let line = format!(
            "backfill --source massive --symbol {SYMBOLS} --date {DAY} --session regular --rules all --sink {}",
            redis.url()
        );
        let ran = program.run(&line).await;
        assert_eq!(ran.code, 0, "{kind}: {}", ran.err);
        let upstash_reader = open(&upstash.url(), kind).await.reader.unwrap();
        let redis_store = open(&redis.url(), kind).await;
        let mut found = Vec::new();
        for (question, commands) in commands.into_iter().enumerate() {
            let before = upstash.stats();
            let bars = ask(&upstash_reader, question).await;
            let after = upstash.stats();
            let asked = (
                after.requests() - before.requests(),
                after.commands - before.commands,
            );
            assert_eq!(asked, (1, commands), "{kind} {question}");
            let (before, requests) = (processed(&redis), redis_store.sink.stats().requests);
            assert_eq!(
                ask(redis_store.reader.as_ref().unwrap(), question).await,
                bars,
                "{kind} {question}"
            );
            let asked = (
                redis_store.sink.stats().requests - requests,
                processed(&redis) - before,
            );
            assert_eq!(asked, (1, commands), "{kind} {question}");
            found.push(brief(&bars));
        }
        assert!(
            found[0].len() > 30 && found[1].len() == 3 && found[2].len() == 1,
            "{kind}: {found:?}"
        );
        assert_eq!(found[2], found[3], "{kind}");
        assert_eq!(
            &found,
            expected.get_or_insert_with(|| found.clone()),
            "{kind}"
        );
    }
}
