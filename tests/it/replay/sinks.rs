//! Sinks that need no server, and the check of those that do.

use redis::Value as RedisValue;
use serde_json::Value;

use crate::support::program::Program;
use crate::support::redis::RedisServer;
use crate::support::trades::{MadeDay, Order};
use crate::support::upstash::{TOKEN, UpstashServer};

const DAY: MadeDay = MadeDay {
    trades: 600,
    symbols: 2,
    minutes: 6,
    seed: 6,
    order: Order::Time,
};

fn program() -> Program {
    let program = Program::new();
    program.file("day.csv", DAY.massive_csv());
    program
}

#[test]
fn stdout_gets_one_json_object_a_line_and_the_closing_words_go_elsewhere() {
    let ended = program().run(&["replay", "day.csv", "--sink", "stdout:"]);
    assert_eq!(ended.code, Some(0));
    let lines: Vec<Value> = ended
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 12);
    let trades: u64 = lines
        .iter()
        .map(|line| line["trades"].as_u64().expect("a count"))
        .sum();
    assert_eq!(
        (trades, &lines[0]["spec"], &lines[0]["state"]),
        (600, &"1m".into(), &"final".into())
    );
    assert!(ended.err.contains("Printed 12 bars"), "{}", ended.err);
}

#[test]
fn a_reader_of_stdout_that_leaves_ends_the_run_as_a_fault() {
    let program = Program::new();
    program.file(
        "day.csv",
        MadeDay {
            trades: 40_000,
            symbols: 400,
            ..DAY
        }
        .massive_csv(),
    );
    let mut running = program.start(&["replay", "day.csv", "--bars", "1s,1m", "--sink", "stdout:"]);
    running.out_line("symbol");
    running.close_out();
    let ended = running.wait();
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("stdout"), "{}", ended.err);
}

#[test]
fn null_counts_and_keeps_nothing() {
    let program = program();
    let counts = program.counts(&["replay", "day.csv", "--sink", "null:"]);
    assert_eq!(
        (&counts["trades"], &counts["bars"]),
        (&600.into(), &12.into())
    );
    assert_eq!(std::fs::read_dir(program.folder()).unwrap().count(), 1);
    let ended = program.run(&[
        "bars",
        "--sink",
        "null:",
        "--symbol",
        "AAPL",
        "--date",
        "2025-10-15",
    ]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(
        ended.err.contains("sink null: stores no bars"),
        "{}",
        ended.err
    );
}

#[test]
fn the_closing_line_says_how_many_bars_are_where_and_for_how_long() {
    let redis = RedisServer::start();
    let ended = program().run(&["replay", "day.csv", "--sink", &redis.url()]);
    assert!(
        ended.err.contains("Cached 12 bars in Redis (TTL: 2 hours)"),
        "{}",
        ended.err
    );
    assert_eq!(ended.out, "");
}

#[test]
fn a_second_replay_leaves_the_store_as_one_does() {
    let (redis, program) = (RedisServer::start(), program());
    let read = [
        "bars",
        "--date=2025-10-15",
        "--symbol=AAPL",
        "--output=csv",
        "--sink",
        &redis.url(),
    ];
    program.counts(&["replay", "day.csv", "--sink", &redis.url()]);
    let first = program.ok(&read);
    program.counts(&["replay", "day.csv", "--sink", &redis.url()]);
    assert_eq!((first.lines().count(), program.ok(&read)), (7, first));
}

#[test]
fn bars_of_two_namespaces_lie_apart_and_those_of_before_are_read_by_their_template() {
    let (redis, program) = (RedisServer::start(), program());
    let url = redis.url();
    let of = |command: &[&str], namespace: &str, more: &[&str]| {
        let namespace = format!("--set=view.namespace={namespace}");
        let all = [command, &["--sink", &url, &namespace], more].concat();
        program.ok(&all)
    };
    let (replay, read) = (
        ["replay", "day.csv"],
        ["bars", "--date=2025-10-15", "--symbol=AAPL", "--output=csv"],
    );
    for view in ["symbol-day", "minute"] {
        let view = format!("--set=view.kind={view}");
        of(&replay, "all", &["--rules=all", &view]);
        let first = of(&read, "all", &[&view]);
        of(
            &replay,
            "vendor",
            &[
                "--rules=massive-minute",
                "--bars=1m",
                &view,
                "--session=regular",
            ],
        );
        assert_eq!(of(&read, "all", &[&view]), first, "{view}");
        assert_ne!(of(&read, "vendor", &[&view]), first, "{view}");
    }
    // As bars were written before the keys of a namespace named it.
    let before = "--set=view.key=bars:{spec}:{date}:{symbol}";
    of(&replay, "old", &[before]);
    assert_eq!(of(&read, "old", &[before]).lines().count(), 7);
    assert_eq!(
        redis.command(&["HLEN", "bars:1m:2025-10-15:AAPL"]),
        RedisValue::Int(6)
    );
}

#[test]
fn the_manifest_says_what_is_covered() {
    let (redis, program) = (RedisServer::start(), program());
    let more = ["--bars", "1m,5m", "--set", "view.namespace=model_7"];
    program.counts(&[&["replay", "day.csv", "--sink", &redis.url()], &more[..]].concat());
    let key = "manifest:model_7:1m:2025-10-15";
    let RedisValue::BulkString(text) = redis.command(&["HGET", key, "AAPL"]) else {
        panic!("no text")
    };
    let manifest: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(
        (&manifest["complete"], &manifest["bars"]),
        (&true.into(), &6.into()),
        "{manifest}"
    );
    assert_eq!(manifest["zone"], "America/New_York");
    assert_eq!(
        (&manifest["from"], &manifest["to"]),
        (
            &"2025-10-15T12:00:00Z".into(),
            &"2025-10-15T12:06:00Z".into()
        )
    );
    assert_eq!(
        redis.command(&["HLEN", "manifest:model_7:5m:2025-10-15"]),
        RedisValue::Int(2)
    );
    let RedisValue::Int(ttl) = redis.command(&["TTL", key]) else {
        panic!("no number")
    };
    assert!((7_100..=7_200).contains(&ttl), "{ttl}");
}

#[test]
fn the_manifest_is_the_last_thing_that_upstash_hears() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    server.record();
    let program = program();
    let token = program.folder().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let program = program.env("UPSTASH_REDIS_REST_TOKEN_FILE", token.to_str().unwrap());
    let tight = ["--set=writer.batch_len_max=2", "--sink", &server.url()];
    program.counts(&[&["replay", "day.csv"], &tight[..]].concat());
    let requests = server.recorded();
    let kind = |words: &Vec<Vec<u8>>| words[1].starts_with(b"manifest:");
    let is_manifest: Vec<bool> = requests
        .iter()
        .map(|commands| commands.iter().any(kind))
        .collect();
    assert_eq!(is_manifest.iter().filter(|is| **is).count(), 1);
    assert_eq!(is_manifest.last(), Some(&true), "{is_manifest:?}");
    assert!(requests.last().unwrap().iter().all(kind));
}

#[test]
fn check_asks_a_store_for_a_sign_of_life_and_writes_nothing() {
    let (redis, program) = (RedisServer::start(), Program::new());
    let sink = format!("--set=sink.url={}", redis.url());
    let out = program.ok(&["check", &sink]);
    assert!(out.contains("[writer]") && out.contains("answers"), "{out}");
    assert_eq!(redis.command(&["DBSIZE"]), RedisValue::Int(0));
    program.ok(&["check"]);
    assert_eq!(
        std::fs::read_dir(program.folder()).unwrap().count(),
        0,
        "also not an empty embedded store"
    );
    drop(redis);
    let ended = program.run(&["check", &sink]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .err
            .contains("failed to check: connect to redis://127.0.0.1:"),
        "{}",
        ended.err
    );
}
