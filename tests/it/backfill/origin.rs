//! Bars of two sources, or by two rules, never lie among each other unsaid.

use super::program::{DAY, Program, dump, manifest};
use super::venues::{UNIT_NS, serve};
use crate::history::recording::{Print, tape};
use crate::history::speak;
use crate::support::redis::RedisServer;

fn prints() -> Vec<Print> {
    tape(31, 200, UNIT_NS)
}

fn line(source: &str, more: &str, redis: &RedisServer) -> String {
    format!(
        "backfill --source {source} --symbol AAPL --date {DAY} --session regular {more} --sink {}",
        redis.url()
    )
}

#[tokio::test]
async fn manifest_names_source_and_rules() {
    for (source, speak, more, named) in [
        (
            "massive",
            speak::massive as super::venues::Speak,
            "",
            ("massive", "massive-minute"),
        ),
        (
            "massive",
            speak::massive,
            "--rules all --set bars.volume_only=skip",
            ("massive", "all skip"),
        ),
        (
            "alpaca",
            speak::alpaca,
            "--set source.alpaca.feed=iex",
            ("alpaca iex", "alpaca-minute"),
        ),
        (
            "alpaca",
            speak::alpaca,
            "--set bars.fill=previous-close",
            ("alpaca sip", "alpaca-minute filled"),
        ),
    ] {
        let (server, redis) = (serve(&prints(), speak).await, RedisServer::start());
        let ran = Program::new(source, &server)
            .run(&line(source, more, &redis))
            .await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        let manifest = manifest(&redis, "1m", DAY, "AAPL");
        assert_eq!(
            (&manifest["source"], &manifest["rules"]),
            (&named.0.into(), &named.1.into())
        );
    }
}

#[tokio::test]
async fn other_rules_or_another_source_are_refused_in_a_sentence_and_nothing_is_changed() {
    let (massive, redis) = (serve(&prints(), speak::massive).await, RedisServer::start());
    let alpaca = serve(&prints(), speak::alpaca).await;
    let first = Program::new("massive", &massive)
        .run(&line("massive", "--rules all", &redis))
        .await;
    assert_eq!(first.code, 0, "{}", first.err);
    let (before, hits) = (dump(&redis), massive.hits().len());
    for (source, server, more, found) in [
        (
            "massive",
            &massive,
            "--rules massive-minute",
            "would be of massive by massive-minute",
        ),
        (
            "massive",
            &massive,
            "--rules massive-daily --force",
            "would be of massive by massive-daily",
        ),
        (
            "massive",
            &massive,
            "--rules all --set bars.volume_only=skip",
            "would be of massive by all skip",
        ),
        (
            "alpaca",
            &alpaca,
            "--rules all",
            "would be of alpaca sip by all",
        ),
        (
            "alpaca",
            &alpaca,
            "--rules all --dry-run",
            "would be of alpaca sip by all",
        ),
    ] {
        let ran = Program::new(source, server)
            .run(&line(source, more, &redis))
            .await;
        assert_eq!(ran.code, 2, "{more}: {}", ran.err);
        let said =
            "the 1m bars of AAPL 2025-10-21 in the sink are of massive by all, those of this run";
        assert!(
            ran.err.contains(said) && ran.err.contains(found),
            "{more}: {}",
            ran.err
        );
        assert_eq!(dump(&redis), before, "{more}");
    }
    assert_eq!(
        (massive.hits().len(), alpaca.hits().len()),
        (hits, 0),
        "nothing is asked for"
    );
    redis.command(&["HDEL", &format!("bars:1m:{DAY}:AAPL"), "09:31"]);
    let ran = Program::new("alpaca", &alpaca)
        .run(&line("alpaca", "--rules all", &redis))
        .await;
    assert_eq!(ran.code, 2, "some bars are still there: {}", ran.err);
    // The record of their owner ends soon after them.
    let record = format!("owner:1m:{DAY}:bars:{{spec}}:{{date}}:{{symbol}}");
    redis.command(&["DEL", &format!("bars:1m:{DAY}:AAPL"), &record]);
    let ran = Program::new("alpaca", &alpaca)
        .run(&line("alpaca", "--rules all", &redis))
        .await;
    assert_eq!(ran.code, 0, "bars that are gone mix with none: {}", ran.err);
    assert_eq!(manifest(&redis, "1m", DAY, "AAPL")["source"], "alpaca sip");
}

#[tokio::test]
async fn manifest_that_names_no_origin_proves_nothing_and_the_day_is_fetched_again() {
    let (server, redis) = (serve(&prints(), speak::massive).await, RedisServer::start());
    let program = Program::new("massive", &server);
    assert_eq!(
        program
            .run(&line("massive", "--rules all", &redis))
            .await
            .code,
        0
    );
    let (whole, hits) = (dump(&redis), server.hits().len());
    let key = format!("manifest:barmill:1m:{DAY}");
    let mut old = manifest(&redis, "1m", DAY, "AAPL");
    for name in ["source", "rules"] {
        old.as_object_mut().unwrap().remove(name);
    }
    redis.command(&["HSET", &key, "AAPL", &old.to_string()]);
    assert_eq!(
        program
            .run(&line("massive", "--rules all", &redis))
            .await
            .code,
        0
    );
    assert_eq!((dump(&redis), server.hits().len()), (whole, 2 * hits));
}

#[tokio::test]
async fn bars_of_files_are_not_taken_for_those_of_a_venue() {
    let (server, redis) = (serve(&prints(), speak::massive).await, RedisServer::start());
    let program = Program::new("massive", &server);
    let record = format!(
        "record --source massive --symbol AAPL --date {DAY} --session regular --out day.rec"
    );
    assert_eq!(program.run(&record).await.code, 0);
    let replay = format!(
        "replay day.rec --rules all --session regular --set bars.zone=America/New_York --sink {}",
        redis.url()
    );
    assert_eq!(program.run(&replay).await.code, 0);
    let ran = program.run(&line("massive", "--rules all", &redis)).await;
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(
        ran.err.contains("in the sink are of files by all"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn bars_whose_keys_are_in_another_zone_are_refused() {
    let (server, redis) = (serve(&prints(), speak::massive).await, RedisServer::start());
    let program = Program::new("massive", &server);
    assert_eq!(
        program
            .run(&line("massive", "--rules all", &redis))
            .await
            .code,
        0
    );
    let before = dump(&redis);
    let line = line("massive", "--rules all --set bars.zone=UTC", &redis)
        .replace("regular", "13:30-20:00");
    let ran = program.run(&line).await;
    assert_eq!(ran.code, 2, "{}", ran.err);
    let said = "of massive by all in America/New_York, those of this run would be of massive by all in UTC";
    assert!(ran.err.contains(said), "{}", ran.err);
    assert_eq!(dump(&redis), before);
}
