//! A store that lost what it had acked is put right from the state folder, by command and by a live run.

use redis::Value as RedisValue;
use serde_json::Value;

use crate::support::fault::{Fault, Rule};
use crate::support::program::Program;
use crate::support::redis::{RedisOptions, RedisServer};
use crate::support::trades::{MadeDay, Order};
use crate::support::upstash::{TOKEN, UpstashServer};

/// Five bars of each of four symbols.
const DAY: MadeDay = MadeDay {
    trades: 400,
    symbols: 4,
    minutes: 5,
    seed: 8,
    order: Order::Time,
};
const BARS: u64 = 20;
const ZONE: &str = "--set=bars.zone=America/New_York";
const AAPL: &str = "bars:1m:2025-10-15:AAPL";

fn program() -> Program {
    let program = Program::new().env("UPSTASH_REDIS_REST_TOKEN", TOKEN);
    program.file("day.csv", DAY.massive_csv());
    program
}

/// A live run, which keeps what the store acks.
fn live(program: &Program, sink: &str, more: &[&str]) {
    let run = ["replay", "day.csv", "--speed=6000x", "--sink", sink];
    program.ok(&[&run[..], more].concat());
}

fn reconcile(program: &Program, sink: &str, more: &[&str]) -> Value {
    program.counts(&[&["reconcile", ZONE, "--sink", sink][..], more].concat())
}

/// Every bar of the day as the program reads it.
fn bars(program: &Program, sink: &str, more: &[&str]) -> Vec<String> {
    let symbols = symbols(program);
    let read = [
        "bars",
        ZONE,
        "--date=2025-10-15",
        "--output=jsonl",
        "--sink",
        sink,
        "--symbol",
        symbols.as_str(),
    ];
    program
        .ok(&[&read[..], more].concat())
        .lines()
        .map(str::to_owned)
        .collect()
}

fn symbols(program: &Program) -> String {
    let text = std::fs::read_to_string(program.folder().join("day.csv")).expect("the day");
    let mut names: Vec<&str> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

fn found(counts: &Value) -> [u64; 3] {
    ["compared", "lacking", "bars"].map(|name| counts[name].as_u64().expect("a count"))
}

#[test]
fn a_store_that_lost_everything_gets_its_bars_back_in_every_view() {
    for view in ["symbol-day", "minute", "key-per-bar", "stream"] {
        let redis = RedisServer::start();
        let upstash = UpstashServer::start(&redis);
        for sink in [redis.url(), upstash.url()] {
            redis.command(&["FLUSHALL"]);
            let (program, view) = (program(), format!("--set=view.kind={view}"));
            live(&program, &sink, &[&view]);
            let before = bars(&program, &sink, &[&view]);
            assert_eq!(before.len(), 20, "{view}");
            assert_eq!(
                found(&reconcile(&program, &sink, &[&view])),
                [BARS, 0, 0],
                "{view} {sink}"
            );
            redis.command(&["FLUSHALL"]);
            assert_eq!(
                found(&reconcile(&program, &sink, &[&view])),
                [BARS, BARS, BARS],
                "{view} {sink}"
            );
            assert_eq!(bars(&program, &sink, &[&view]), before, "{view} {sink}");
            assert_eq!(
                found(&reconcile(&program, &sink, &[&view])),
                [BARS, 0, 0],
                "{view} {sink}"
            );
        }
    }
}

#[test]
fn what_is_missing_or_older_is_written_back_and_what_is_newer_stays() {
    let redis = RedisServer::start();
    let program = program();
    live(&program, &redis.url(), &[]);
    let before = bars(&program, &redis.url(), &[]);
    let value = |time: &str| -> String {
        redis::from_redis_value(redis.command(&["HGET", AAPL, time])).expect("a bar")
    };
    let set = |time: &str, from: &str, to: &str| {
        let (old, new) = (value(time), value(time).replace(from, to));
        assert_ne!(old, new, "{old}");
        redis.command(&["HSET", AAPL, time, &new]);
    };
    redis.command(&["HDEL", AAPL, "08:00"]);
    set("08:01", "\"state\":\"final\"", "\"state\":\"forming\"");
    redis.command(&["HSET", AAPL, "08:02", "not a bar"]);
    set("08:03", "\"revision\":0", "\"revision\":5");
    let newer = value("08:03");
    assert_eq!(found(&reconcile(&program, &redis.url(), &[])), [BARS, 3, 3]);
    assert_eq!(value("08:03"), newer, "a newer bar stays");
    set("08:03", "\"revision\":5", "\"revision\":0");
    assert_eq!(bars(&program, &redis.url(), &[]), before);
}

#[test]
fn values_without_a_version_are_told_by_what_they_hold() {
    for value in ["json", "csv"] {
        let redis = RedisServer::start();
        let program = program();
        let view = [
            "--set=view.kind=key-per-bar",
            &format!("--set=view.value={value}"),
        ];
        live(&program, &redis.url(), &view);
        let key = |time: &str| format!("intraday:barmill:2025-10-15:AAPL:{time}");
        let get = |time: &str| redis.command(&["GET", &key(time)]);
        let (first, third) = (get("08:00"), get("08:02"));
        let (less, more) = match value {
            "json" => (
                r#"{"timestamp":1760529600000,"open":1,"high":1,"low":1,"close":1,"volume":1}"#,
                r#"{"timestamp":1760529660000,"open":1,"high":1,"low":1,"close":1,"volume":999999999}"#,
            ),
            _ => ("1,1,1,1,1", "1,1,1,1,999999999"),
        };
        redis.command(&["SET", &key("08:00"), less]);
        redis.command(&["SET", &key("08:01"), more]);
        redis.command(&["DEL", &key("08:02")]);
        assert_eq!(
            found(&reconcile(&program, &redis.url(), &view)),
            [BARS, 2, 2],
            "{value}"
        );
        assert_eq!((get("08:00"), get("08:02")), (first, third), "{value}");
        assert_eq!(
            get("08:01"),
            RedisValue::BulkString(more.as_bytes().to_vec()),
            "{value}"
        );
    }
}

#[test]
fn the_embedded_store_is_compared_as_well() {
    let program = program();
    live(&program, "embedded:bars", &[]);
    assert_eq!(
        found(&reconcile(&program, "embedded:bars", &[])),
        [BARS, 0, 0]
    );
    std::fs::remove_dir_all(program.folder().join("bars")).expect("the store is gone");
    assert_eq!(
        found(&reconcile(&program, "embedded:bars", &[])),
        [BARS, BARS, BARS]
    );
    assert_eq!(bars(&program, "embedded:bars", &[]).len(), 20);
}

#[test]
fn what_cannot_be_compared_is_told_with_the_right_exit_code() {
    let mut redis = RedisServer::start();
    let program = program();
    live(&program, &redis.url(), &[]);
    let unknown = program.run(&["reconcile", "--sink", &redis.url()]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(
        unknown.err.contains("--set bars.zone=America/New_York"),
        "{}",
        unknown.err
    );
    live(&program, &redis.url(), &["--set=view.kind=publish"]);
    let unread = program.run(&[
        "reconcile",
        ZONE,
        "--set=view.kind=publish",
        "--sink",
        &redis.url(),
    ]);
    assert_eq!(unread.code, Some(1), "{unread:?}");
    assert!(unread.err.contains("cannot be read back"), "{}", unread.err);
    let nothing = program.run(&["reconcile", ZONE, "--sink=null:"]);
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.err.contains("no state store"), "{}", nothing.err);
    redis.kill9();
    let away = program.run(&["reconcile", ZONE, "--sink", &redis.url()]);
    assert_eq!(away.code, Some(1), "{away:?}");
    assert!(away.err.contains("refused"), "{}", away.err);
    redis.restart();
    assert_eq!(
        found(&reconcile(&program, &redis.url(), &[])),
        [BARS, BARS, BARS],
        "nothing was lost by it"
    );
}

#[test]
fn a_run_that_keeps_no_bars_says_so() {
    let redis = RedisServer::start();
    let program = program();
    live(&program, &redis.url(), &["--set=run.recent_s=0"]);
    let ended = program.run(&["reconcile", ZONE, "--sink", &redis.url()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.err.contains("No recent bars are kept here"),
        "{}",
        ended.err
    );
}

#[test]
fn the_fence_holds_for_reconcile_too() {
    let redis = RedisServer::start();
    let upstash = UpstashServer::start(&redis);
    let program = program();
    for sink in [redis.url(), upstash.url()] {
        redis.command(&["FLUSHALL"]);
        live(&program, &sink, &["--set=writer.guard=fence"]);
        redis.command(&["DEL", AAPL]);
        redis.command(&[
            "HSET",
            "fence:barmill",
            "number",
            "9",
            "holder",
            "other",
            "until",
            "9999999999999",
        ]);
        let held = program.run(&[
            "reconcile",
            ZONE,
            "--set=writer.guard=fence",
            "--sink",
            &sink,
        ]);
        assert_eq!(held.code, Some(1), "{held:?}");
        assert!(held.err.contains("is held by other"), "{}", held.err);
        let taken = reconcile(
            &program,
            &sink,
            &["--set=writer.guard=fence", "--take-over"],
        );
        assert_eq!(taken["lacking"], 5, "{taken}");
    }
}

/// The bars in a store without a disk that is killed and started again in the middle of a live run.
fn bars_after_a_failover(setting: &str) -> usize {
    let mut redis = RedisOptions::default()
        .argument("--notify-keyspace-events", "Kh")
        .start();
    let program = program();
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_connection().expect("a connection");
    let mut listener = connection.as_pubsub();
    listener
        .psubscribe("__keyspace@0__:bars:*")
        .expect("a subscription");
    let run = [
        "replay",
        "day.csv",
        "--speed=60x",
        "--json",
        "--sink",
        &redis.url(),
    ];
    let eager = [
        "--set=writer.linger_ms=0",
        "--set=writer.backoff_ms=200",
        "--set=writer.attempts_max=9",
    ];
    let running = program.start(&[&run[..], &eager, &[setting]].concat());
    // The fifth write is of the second minute, so those of the first have been acked a second ago.
    for _ in 0..5 {
        listener.get_message().expect("a write");
    }
    redis.kill9();
    redis.restart();
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let told = ended.err.contains("compared recent bars with");
    assert_eq!(told, setting.ends_with("true"), "{}", ended.err);
    bars(&program, &redis.url(), &[]).len()
}

#[test]
fn a_live_run_puts_right_what_a_failover_lost_when_it_is_asked_to() {
    assert_eq!(
        bars_after_a_failover("--set=writer.reconcile_on_reconnect=true"),
        20
    );
    assert!(
        bars_after_a_failover("--set=writer.reconcile_on_reconnect=false") < 20,
        "the fault loses bars"
    );
}

#[test]
fn a_quota_that_is_used_up_keeps_what_is_missing_in_the_spool() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let program = program();
    live(&program, &server.url(), &[]);
    redis.command(&["FLUSHALL"]);
    // The comparison passes, the write does not.
    server.inject(
        Rule::next(Fault::Quota)
            .times(100)
            .when(|commands| commands[0][0] == b"HSET"),
    );
    let run = [
        "reconcile",
        ZONE,
        "--json",
        "--set=run.drain_timeout_ms=200",
        "--sink",
        &server.url(),
    ];
    let ended = program.run(&run);
    assert_eq!(
        (ended.code, &ended.json()["spooled"]),
        (Some(3), &Value::from(BARS)),
        "{ended:?}"
    );
}
