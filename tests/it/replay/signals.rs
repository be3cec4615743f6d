//! The first signal drains, the second aborts.

use redis::Value as RedisValue;
use serde_json::Value;

use crate::support::program::{Program, Running};
use crate::support::redis::{RedisOptions, RedisServer};
use crate::support::trades::{MadeDay, Order};

/// Two trades a second of one symbol over an hour.
const HOUR: MadeDay = MadeDay {
    trades: 7_200,
    symbols: 1,
    minutes: 60,
    seed: 3,
    order: Order::Time,
};
/// A replay at a speed at which it would take many minutes, once its first bar is written.
fn paced(program: &Program, redis: &RedisServer) -> Running {
    program.file("hour.csv", HOUR.massive_csv());
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_connection().expect("a connection");
    let mut listener = connection.as_pubsub();
    listener
        .psubscribe("__keyspace@0__:bars:*")
        .expect("a subscription");
    let running = program.start(&[
        "replay",
        "hour.csv",
        "--speed",
        "300x",
        "--json",
        "--sink",
        &redis.url(),
    ]);
    listener.get_message().expect("the first write");
    running
}

fn manifest(redis: &RedisServer) -> Value {
    let RedisValue::BulkString(text) =
        redis.command(&["HGET", "manifest:barmill:1m:2025-10-15", "AAPL"])
    else {
        panic!("no manifest")
    };
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn the_first_signal_writes_what_is_on_its_way_and_says_that_the_day_is_not_whole() {
    for name in ["TERM", "INT"] {
        let redis = RedisOptions::default()
            .argument("--notify-keyspace-events", "Kh")
            .start();
        let program = Program::new();
        let mut running = paced(&program, &redis);
        running.signal(name);
        running.err_line("stopping");
        let ended = running.wait();
        assert_eq!(ended.code, Some(3), "{}", ended.err);
        assert!(ended.err.contains("stopped after "), "{}", ended.err);
        let bars = ended.json()["bars"].as_u64().expect("a count");
        assert!((1..60).contains(&bars), "{ended:?}");
        let stored = redis.command(&["HLEN", "bars:1m:2025-10-15:AAPL"]);
        assert_eq!(stored, RedisValue::Int(i64::try_from(bars).expect("few")));
        let manifest = manifest(&redis);
        assert_eq!(
            (&manifest["complete"], &manifest["bars"]),
            (&Value::Bool(false), &Value::from(bars))
        );
    }
}

#[test]
fn the_second_signal_ends_a_drain_that_hangs() {
    let redis = RedisOptions::default()
        .argument("--notify-keyspace-events", "Kh")
        .start();
    let program = Program::new();
    let mut running = paced(&program, &redis);
    redis.pause();
    running.signal("TERM");
    running.err_line("stopping");
    running.signal("TERM");
    let said = running.err_line("ended before everything was written");
    let ended = running.wait();
    assert_eq!(ended.code, Some(3), "{said}{}", ended.err);
}

#[test]
fn a_drain_that_outlasts_its_time_is_an_abort() {
    let redis = RedisOptions::default()
        .argument("--notify-keyspace-events", "Kh")
        .start();
    let program = Program::new().env("BARMILL__RUN__DRAIN_TIMEOUT_MS", "50");
    let mut running = paced(&program, &redis);
    redis.pause();
    running.signal("TERM");
    running.err_line("ended before everything was written");
    assert_eq!(running.wait().code, Some(3));
}
