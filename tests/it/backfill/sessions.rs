//! Days and sessions of US equities: daylight saving, holidays, short days, the edge of the calendar.

use super::program::{Program, dump, manifest};
use super::venues::serve;
use crate::history::recording::Print;
use crate::history::speak;
use crate::support::redis::RedisServer;
use serde_json::Value;

/// One print in each minute of a civil day, at its 30th second.
fn every_minute(date: &str) -> Vec<Print> {
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    let midnight = date
        .parse::<jiff::civil::Date>()
        .unwrap()
        .to_zoned(zone)
        .unwrap();
    let start = i64::try_from(midnight.timestamp().as_nanosecond()).unwrap() + 30_000_000_000;
    let print = |minute: u64| Print {
        nanos: start + i64::try_from(minute).unwrap() * 60_000_000_000,
        number: minute + 1,
        price: "10.50".to_owned(),
        size: "100".to_owned(),
        is_buy: true,
    };
    (0..24 * 60).map(print).collect()
}

async fn bars(date: &str, session: &str) -> (Vec<String>, Value) {
    let server = serve(&every_minute(date), speak::massive).await;
    let redis = RedisServer::start();
    let mut program = Program::new("massive", &server);
    program.set("source.massive.page_len=1000");
    let line = format!(
        "backfill --source massive --symbol SPY --date {date} --session {session} --rules all --sink {}",
        redis.url()
    );
    let ran = program.run(&line).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let times = dump(&redis)
        .remove(&format!("bars:1m:{date}:SPY"))
        .unwrap()
        .into_keys()
        .collect();
    (times, manifest(&redis, "1m", date, "SPY"))
}

#[tokio::test]
async fn regular_session_is_the_same_390_minutes_in_winter_and_in_summer() {
    for (date, from, to) in [
        ("2025-01-15", "2025-01-15T14:30:00Z", "2025-01-15T21:00:00Z"),
        ("2025-07-15", "2025-07-15T13:30:00Z", "2025-07-15T20:00:00Z"),
    ] {
        let (times, manifest) = bars(date, "regular").await;
        assert_eq!(times.len(), 390, "{date}");
        assert_eq!(
            (times[0].as_str(), times[389].as_str()),
            ("09:30", "15:59"),
            "{date}"
        );
        assert_eq!(
            (&manifest["from"], &manifest["to"]),
            (&from.into(), &to.into()),
            "{date}"
        );
        assert_eq!(
            (&manifest["bars"], &manifest["complete"]),
            (&390.into(), &true.into()),
            "{date}"
        );
    }
}

#[tokio::test]
async fn sessions_end_early_where_the_exchange_does() {
    for (session, count, first, last) in [
        ("pre", 330, "04:00", "09:29"),
        ("regular", 210, "09:30", "12:59"),
        ("post", 240, "13:00", "16:59"),
        ("all", 780, "04:00", "16:59"),
        ("10:00-10:30", 30, "10:00", "10:29"),
    ] {
        let (times, _) = bars("2025-11-28", session).await;
        let ends = (
            times.len(),
            times[0].as_str(),
            times[times.len() - 1].as_str(),
        );
        assert_eq!(ends, (count, first, last), "{session}");
    }
}

/// The session bar ends with the session, and a replay of the whole day leaves out what the backfill did not ask for.
#[tokio::test]
async fn late_session_of_a_short_day_is_the_same_by_backfill_and_by_replay() {
    let date = "2025-11-28";
    let server = serve(&every_minute(date), speak::massive).await;
    let mut program = Program::new("massive", &server);
    program
        .set("source.massive.page_len=1000")
        .set("bars.rules=all");
    let asked = format!("--source massive --symbol SPY --date {date}");
    let ran = program.run(&format!("record {asked} --out day.rec")).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    for (session, start, count) in [("post", "18:00:00", 240), ("all", "09:00:00", 780)] {
        let (backfilled, replayed) = (RedisServer::start(), RedisServer::start());
        let specs = format!("--session {session} --bars 1m,session,1d");
        let ran = program
            .run(&format!(
                "backfill {asked} {specs} --sink {}",
                backfilled.url()
            ))
            .await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        let zone = "--set bars.zone=America/New_York";
        let ran = program
            .run(&format!(
                "replay day.rec {zone} {specs} --sink {}",
                replayed.url()
            ))
            .await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        let bars = |redis: &RedisServer| {
            let mut all = dump(redis);
            all.retain(|key, _| key.starts_with("bars:"));
            all
        };
        assert_eq!(bars(&replayed), bars(&backfilled), "{session}");
        let read = format!(
            "bars --symbol SPY --date {date} --spec session --output csv --sink {}",
            backfilled.url()
        );
        let csv = program.run(&read).await.out;
        let window = format!("SPY,session,{date}T{start}Z,{date}T22:00:00Z,");
        let bar = csv.lines().nth(1).unwrap();
        assert!(
            bar.starts_with(&window) && bar.contains(&format!(",{count},0,final")),
            "{session}: {csv}"
        );
    }
}

#[tokio::test]
async fn holiday_and_weekend_are_told_and_nothing_is_asked_or_written() {
    let server = serve(&[], speak::massive).await;
    let redis = RedisServer::start();
    let program = Program::new("massive", &server);
    let line = |dates: &str| {
        format!(
            "backfill --source massive --symbol SPY --date {dates} --sink {} --json",
            redis.url()
        )
    };
    let ran = program.run(&line("2025-12-25,2025-10-18")).await;
    assert_eq!(
        (ran.code, server.hits().len(), dump(&redis).len()),
        (0, 0, 0),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("2025-12-25 is a holiday (Christmas"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("2025-10-18 is a weekend"), "{}", ran.err);
    let summary: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&summary["bars"], summary["days"].as_array().map(Vec::len)),
        (&0.into(), Some(0))
    );
}

#[tokio::test]
async fn day_outside_the_calendar_is_refused_unless_normal_days_are_assumed() {
    let server = serve(&[], speak::massive).await;
    let redis = RedisServer::start();
    let mut program = Program::new("massive", &server);
    let line = format!(
        "backfill --source massive --symbol SPY --date 1999-06-01 --sink {}",
        redis.url()
    );
    let ran = program.run(&line).await;
    assert_eq!((ran.code, server.hits().len()), (2, 0), "{}", ran.err);
    assert!(
        ran.err.contains("assume_normal_days") && ran.err.contains("2000 to 2030"),
        "{}",
        ran.err
    );
    program.set("bars.assume_normal_days=true");
    // It is asked for, and then whether the venue, which has no trade at all, knows the symbol.
    assert_eq!(program.run(&line).await.code, 1);
    assert_eq!(server.hits().len(), 2);
}

#[tokio::test]
async fn day_that_is_not_over_is_never_called_whole() {
    let now = jiff::Timestamp::now();
    let today = jiff::tz::TimeZone::UTC.to_datetime(now).date();
    let start = i64::try_from(now.as_nanosecond()).unwrap() - 120_000_000_000;
    let start = start / 1_000_000_000 * 1_000_000_000;
    let print = |index: i64| Print {
        nanos: start + index * 1_000_000_000,
        number: u64::try_from(index).unwrap() + 1,
        price: "10.50".to_owned(),
        size: "1".to_owned(),
        is_buy: true,
    };
    let server = serve(&(0..120).map(print).collect::<Vec<_>>(), speak::kraken).await;
    let redis = RedisServer::start();
    let program = Program::new("kraken", &server);
    let tomorrow = today.tomorrow().unwrap();
    let line = format!(
        "backfill --source kraken --symbol XBTUSD --date {today},{tomorrow} --sink {}",
        redis.url()
    );
    let ran = program.run(&line).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("2 incomplete"), "{}", ran.err);
    for date in [today, tomorrow] {
        let manifest = manifest(&redis, "1m", &date.to_string(), "XBTUSD");
        assert_eq!(manifest["complete"], false, "{date}");
    }
    let open = |(key, fields): (&String, &std::collections::BTreeMap<String, String>)| {
        key.starts_with("bars:")
            && fields
                .values()
                .any(|bar| bar.contains("\"trades\":") && bar.contains("forming"))
    };
    assert!(
        !dump(&redis).iter().any(open),
        "an open bar is never written as a closed one"
    );
}
