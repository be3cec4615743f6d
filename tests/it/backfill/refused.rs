//! What cannot be asked for: said in a sentence, with exit code 2, before anything is asked or written.

use super::program::{DAY, Program, dump};
use super::venues::{UNIT_NS, serve};
use crate::history::recording::tape;
use crate::history::server::Server;
use crate::history::speak;
use crate::support::redis::RedisServer;

/// What is given, and what is said of it.
const REFUSED: [(&str, &str); 9] = [
    (
        "backfill --source massive --symbol A --date 2025-10-21 --session regular --set bars.zone=UTC",
        "session regular is a session of the US exchanges, with hours in America/New_York, and the bars are in UTC",
    ),
    (
        "record --source alpaca --symbol A --date 2025-10-21 --session pre --set bars.zone=Europe/Berlin --out x",
        "give hours of Europe/Berlin as HH:MM-HH:MM",
    ),
    (
        "backfill --source massive --symbol A --from 2025-10-22 --to 2025-10-21",
        "the end 2025-10-21T04:00:00Z is not after the start 2025-10-22T04:00:00Z",
    ),
    (
        "backfill --source massive --symbol A --from 2025-10-21T13:30:30Z --to 2025-10-21T13:32:00Z",
        "2025-10-21T13:30:30Z lies inside a 1m bar, which would contain only part of its trades",
    ),
    (
        "backfill --source massive --symbol A --from 2025-10-21T13:00:00Z --to 2025-10-21T15:00:00Z --bars 1h,1d",
        "2025-10-21T13:00:00Z lies inside a 1d bar",
    ),
    (
        "backfill --source kraken --symbol A --date 2025-10-21 --set bars.zone=Asia/Kolkata --bars 1h",
        "2025-10-20T18:30:00Z lies inside a 1h bar",
    ),
    (
        "backfill --source binance --symbol A --date 1969-01-01",
        "the day 1969-01-01 cannot be used",
    ),
    (
        "backfill --source massive --symbol A --date 1999-06-01",
        "no calendar for 1999-06-01, it covers 2000 to 2030; bars.assume_normal_days = true treats its weekdays",
    ),
    (
        "bars --symbol A --date 2025-10-21 --sink null:",
        "sink null: stores no bars",
    ),
];

/// Settings that cannot work.
const SETTINGS: [(&str, &str); 4] = [
    (
        "source.massive.path=/v3/trades",
        "allowed is a path with {ticker} in it",
    ),
    (
        "source.massive.base_url=http://example.com",
        "source.massive.base_url: the text (not shown",
    ),
    (
        "source.binance.requests_per_minute=24",
        "24 is out of range, allowed is 25 to 10000000",
    ),
    (
        "source.kraken.page_len=1001",
        "1001 is out of range, allowed is 2 to 1000",
    ),
];

async fn idle() -> Server {
    serve(&tape(1, 10, UNIT_NS), speak::massive).await
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_a_sentence_and_exit_code_2() {
    let server = idle().await;
    let program = Program::new("massive", &server);
    for (line, said) in REFUSED {
        let ran = program.run(line).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}: {}", ran.err);
        assert!(ran.err.contains(said), "{line}: {}", ran.err);
    }
    let left = std::fs::read_dir(program.folder.path()).unwrap().count();
    assert_eq!(
        (server.hits().len(), left),
        (0, 0),
        "nothing is asked or written"
    );
}

#[tokio::test]
async fn settings_of_a_source_that_cannot_work_are_named() {
    let server = idle().await;
    for (setting, said) in SETTINGS {
        let mut program = Program::new("massive", &server);
        let ran = program
            .set(setting)
            .run("backfill --source massive --symbol A --date 2025-10-21")
            .await;
        assert_eq!(ran.code, 2, "{setting}: {}", ran.err);
        assert!(ran.err.contains(said), "{setting}: {}", ran.err);
    }
}

#[tokio::test]
async fn missing_key_is_named_with_exit_code_2() {
    let server = idle().await;
    let mut program = Program::new("kraken", &server);
    program.set("source.massive.key_env=NOT_THERE");
    let ran = program
        .run("backfill --source massive --symbol A --date 2025-10-21")
        .await;
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(
        ran.err.contains("needs the environment variable NOT_THERE"),
        "{}",
        ran.err
    );
}

/// A recording holds no bars, so any interval can be kept.
#[tokio::test]
async fn interval_that_cuts_a_bar_can_be_recorded() {
    let server = idle().await;
    let program = Program::new("massive", &server);
    let interval = "--from 2025-10-21T13:30:30Z --to 2025-10-21T13:32:10Z";
    let ran = program
        .run(&format!(
            "record --source massive --symbol A {interval} --out a.rec"
        ))
        .await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let asked = server.hits()[0].number::<i64>("timestamp.gte");
    assert_eq!(asked, Some(1_761_053_430_000_000_000));
    let ran = program
        .run(&format!(
            "record --source massive --symbol A {interval} --out a.rec"
        ))
        .await;
    assert!(
        ran.code == 1 && ran.err.contains("write a.rec, which already exists"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn hours_in_a_zone_are_asked_as_that_zone_has_them() {
    let server = idle().await;
    let program = Program::new("massive", &server);
    for (date, from, to) in [
        // London leaves summer time a week before New York does.
        ("2025-10-24", "2025-10-24T13:30:00Z", "2025-10-24T20:00:00Z"),
        ("2025-10-27", "2025-10-27T14:30:00Z", "2025-10-27T21:00:00Z"),
    ] {
        let line = format!(
            "backfill --source massive --symbol A --date {date} --session 14:30-21:00 --set bars.zone=Europe/London \
             --dry-run --json"
        );
        let ran = program.run(&line).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        let plan: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let day = &plan["days"][0];
        assert_eq!(
            (&day["from"], &day["to"]),
            (&from.into(), &to.into()),
            "{}",
            ran.out
        );
        assert_eq!(day["first_bars"][0]["field"], "14:30", "{}", ran.out);
    }
}

#[tokio::test]
async fn bars_that_the_store_refuses_end_a_backfill_with_exit_code_1() {
    let (server, redis) = (
        serve(&tape(6, 50, UNIT_NS), speak::massive).await,
        RedisServer::start(),
    );
    let key = format!("bars:1m:{DAY}:AAPL");
    redis.command(&["SET", &key, "no hash"]);
    let program = Program::new("massive", &server);
    let asked =
        format!("--source massive --symbol AAPL --date {DAY} --session regular --rules all");
    let ran = program
        .run(&format!("backfill {asked} --sink {}", redis.url()))
        .await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("dead letters "), "{}", ran.err);
    let manifest = super::program::manifest(&redis, "1m", DAY, "AAPL");
    assert_eq!(
        (&manifest["complete"], &manifest["bars"]),
        (&false.into(), &0.into())
    );
}

#[tokio::test]
async fn json_is_one_object_also_where_nothing_is_fetched() {
    let (server, redis) = (
        serve(&tape(6, 50, UNIT_NS), speak::massive).await,
        RedisServer::start(),
    );
    let program = Program::new("massive", &server);
    let ran = program
        .run("record --source massive --symbol A --date 2025-12-25 --out x.rec --json")
        .await;
    let summary: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (ran.code, &summary["trades"], &summary["days"]),
        (0, &0.into(), &serde_json::json!([]))
    );
    let line = format!(
        "backfill --source massive --symbol AAPL --date {DAY} --session regular --bars 1m,1d --dry-run --json --sink {}",
        redis.url()
    );
    let ran = program.run(&line).await;
    assert_eq!(
        (ran.code, server.hits().len(), dump(&redis).len()),
        (0, 0, 0),
        "{}",
        ran.err
    );
    insta::assert_snapshot!(ran.out.trim_end(), @r#"{"source":"massive","asks":1,"page_len":7,"requests_per_minute":10000000,"days":[{"symbol":"AAPL","date":"2025-10-21","from":"2025-10-21T13:30:00Z","to":"2025-10-21T20:00:00Z","is_resumed":false,"first_bars":[{"spec":"1m","key":"bars:1m:2025-10-21:AAPL","field":"09:30"},{"spec":"1d","key":"bars:1d:2025-10-21:AAPL","field":"00:00"}]}]}"#);
}

#[tokio::test]
async fn reader_is_told_of_what_nobody_has_fetched() {
    let (server, redis) = (
        serve(&tape(6, 50, UNIT_NS), speak::massive).await,
        RedisServer::start(),
    );
    let program = Program::new("massive", &server);
    let asked =
        format!("--source massive --symbol AAPL --date {DAY} --session regular --rules all");
    assert_eq!(
        program
            .run(&format!("backfill {asked} --sink {}", redis.url()))
            .await
            .code,
        0
    );
    for (asked, said) in [
        (
            format!("AAPL,MSFT --date {DAY}"),
            "MSFT: no 1m bars in this time, and no manifest of them\n",
        ),
        (
            format!("AAPL --spec 5m --date {DAY}"),
            "AAPL: no 5m bars in this time, and no manifest of them\n",
        ),
        (
            "AAPL --date 2025-10-22".to_owned(),
            "AAPL: no 1m bars in this time, and no manifest of them\n",
        ),
        (format!("AAPL --date {DAY}"), ""),
    ] {
        let ran = program
            .run(&format!(
                "bars --symbol {asked} --output csv --sink {}",
                redis.url()
            ))
            .await;
        assert_eq!((ran.code, ran.err.as_str()), (0, said), "{asked}");
    }
}
