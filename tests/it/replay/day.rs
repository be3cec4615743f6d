//! A day of half a million trades of one symbol is 490 bars, one connection and a handful of commands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use barmill::Price;
use redis::Value as RedisValue;
use serde_json::{Value, json};

use crate::support::oracle::{Language, Oracle};
use crate::support::program::Program;
use crate::support::redis::RedisServer;
use crate::support::skip::skipped;
use crate::support::trades::{MadeDay, Order};
use crate::support::upstash::{Protocols, TOKEN, UpstashOptions, UpstashServer};

const DAY: MadeDay = MadeDay {
    trades: 500_000,
    symbols: 1,
    minutes: 490,
    seed: 1,
    order: Order::Time,
};
const READ: [&str; 7] = [
    "bars",
    "--date",
    "2025-10-15",
    "--symbol",
    "AAPL",
    "--output",
    "csv",
];
const KEY_PER_BAR: [&str; 4] = [
    "--set",
    "view.kind=key-per-bar",
    "--set",
    "view.namespace=model_7",
];

/// The day as a file, made once for all tests here.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Whole at once, as another process may be reading it.
    let (path, part) = (
        folder.join("day-500000.csv"),
        folder.join(format!("day-500000.{}", std::process::id())),
    );
    std::fs::write(&part, DAY.massive_csv()).expect("the day's file");
    std::fs::rename(part, &path).expect("the day's file");
    path
});

fn replay(program: &Program, file: &Path, rest: &[&str]) -> Value {
    // A debug build on a busy machine takes longer than the seconds that a bar waits for its batch to fill, and than those
    // after which an idle store is asked whether it lives.
    let patient = [
        "replay",
        file.to_str().expect("a path"),
        "--set=writer.linger_ms=600000",
        "--set=redis.ping_interval_ms=600000",
        "--set=run.checkpoint_every_ms=0",
    ];
    program.counts(&[&patient, rest].concat())
}

fn assert_frugal(counts: &Value) {
    let of = |name: &str| {
        counts[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {counts}"))
    };
    assert_eq!(
        (of("trades"), of("bars"), of("connections")),
        (500_000, 490, 1),
        "{counts}"
    );
    assert!(of("requests") <= 2 && of("commands") <= 4, "{counts}");
    for name in [
        "late",
        "duplicates",
        "ineligible",
        "malformed",
        "revised",
        "retries",
    ] {
        assert_eq!(of(name), 0, "{name}: {counts}");
    }
}

/// A number of a section of `INFO`.
fn info(redis: &RedisServer, section: &str, name: &str) -> u64 {
    let RedisValue::BulkString(text) = redis.command(&["INFO", section]) else {
        panic!("no text")
    };
    let text = String::from_utf8(text).expect("text");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}:")));
    let number = line.unwrap_or("0").trim_start_matches("calls=");
    number
        .split([',', '\r'])
        .next()
        .unwrap_or_default()
        .parse()
        .expect("a number")
}

/// What the rows of the day say, by plain addition: open, high, low, close, volume and trades by minute.
fn truth() -> BTreeMap<u64, ([Price; 4], u64, u64)> {
    let text = std::fs::read_to_string(&*FILE).expect("the day");
    let mut minutes = BTreeMap::new();
    for line in text.lines().skip(1) {
        // The quoted conditions hold commas, so the fields are counted from the end.
        let fields: Vec<&str> = line.rsplit(',').collect();
        let price: Price = fields[6].parse().expect("a price");
        let size: u64 = fields[3].parse().expect("a size");
        let minute = fields[4].parse::<u64>().expect("a time") / 60_000_000_000 * 60;
        let (prices, volume, trades) = minutes.entry(minute).or_insert(([price; 4], 0, 0));
        *prices = [prices[0], prices[1].max(price), prices[2].min(price), price];
        (*volume, *trades) = (*volume + size, *trades + 1);
    }
    minutes
}

#[test]
fn redis_holds_every_bar_after_one_connection_two_requests_and_four_commands() {
    let (redis, program) = (RedisServer::start(), Program::new());
    let connections = info(&redis, "stats", "total_connections_received");
    let counts = replay(&program, &FILE, &["--sink", &redis.url()]);
    assert_frugal(&counts);
    // The second look at the server is a connection of its own.
    assert_eq!(
        info(&redis, "stats", "total_connections_received") - connections,
        2
    );
    let count_of = |name: &str| info(&redis, "commandstats", &format!("cmdstat_{name}"));
    assert_eq!(
        (count_of("hset"), count_of("expire")),
        (3, 3),
        "bars, manifest and the record of the owner, each with its time to live"
    );
    let csv = program.ok(&[&READ[..], &["--sink", &redis.url()]].concat());
    let made = csv.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let start: jiff::Timestamp = cells[2].parse().expect("a time");
        let prices = [4, 5, 6, 7].map(|index| cells[index].parse().expect("a price"));
        let number = |index: usize| cells[index].parse().expect("a number");
        (
            u64::try_from(start.as_second()).expect("after 1970"),
            (prices, number(8), number(10)),
        )
    });
    let made: BTreeMap<u64, ([Price; 4], u64, u64)> = made.collect();
    assert!(made == truth(), "the bars are the sums of the rows");
}

#[test]
fn upstash_holds_the_same_over_both_versions_of_http() {
    let redis = RedisServer::start();
    let mut read = Vec::new();
    for protocols in [Protocols::Http1AndHttp2, Protocols::Http1] {
        let server = UpstashOptions::default()
            .tls()
            .protocols(protocols)
            .start(&redis);
        let program = program_for(&server);
        assert_frugal(&replay(
            &program,
            &FILE,
            &["--sink", "upstash", "--set", "redis.ca_file=ca.pem"],
        ));
        let stats = server.stats();
        assert_eq!((stats.connections, stats.handshakes), (1, 1));
        assert!(stats.requests() <= 2 && stats.commands <= 4, "{stats:?}");
        let is_http2 = protocols == Protocols::Http1AndHttp2;
        assert_eq!(
            stats.requests_http2 > 0,
            is_http2,
            "{protocols:?}: {stats:?}"
        );
        read.push(
            program.ok(&[&READ[..], &["--sink=upstash", "--set=redis.ca_file=ca.pem"]].concat()),
        );
        redis.command(&["FLUSHALL"]);
    }
    assert_eq!(read[0].lines().count(), 491);
    assert!(read[0] == read[1]);
}

/// A program whose environment names the server, and whose folder holds its authority.
fn program_for(server: &UpstashServer) -> Program {
    let program = Program::new()
        .env("UPSTASH_REDIS_REST_URL", &server.url())
        .env("UPSTASH_REDIS_REST_TOKEN", TOKEN);
    program.file("ca.pem", server.ca_pem().unwrap_or_default());
    program
}

#[test]
fn the_generator_of_the_incident_gives_its_bars() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/bench/gen_trades.py");
    if !script.exists() {
        return skipped("../shared/bench/gen_trades.py is not there");
    }
    let (redis, program) = (RedisServer::start(), Program::new());
    let made = Command::new("python3")
        .arg(script)
        .args(["--trades", "500000", "--symbols", "1", "--out", "day.csv"])
        .current_dir(program.folder())
        .status();
    assert!(made.expect("python3").success());
    assert_frugal(&replay(
        &program,
        Path::new("day.csv"),
        &["--sink", &redis.url()],
    ));
    let csv = program.ok(&[&READ[..], &["--sink", &redis.url()]].concat());
    assert_eq!(csv.lines().count(), 491);
}

/// A bar as both a client of Upstash and `bars` see it: the six names, decimals as text.
fn bars_of_csv(csv: &str) -> Vec<(String, Value)> {
    let bar = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let start: jiff::Timestamp = cells[2].parse().expect("a time");
        let local = start.to_zoned(jiff::tz::TimeZone::get("America/New_York").expect("a zone"));
        let number =
            |index: usize| -> Value { serde_json::from_str(cells[index]).expect("a number") };
        let value = json!({
            "timestamp": start.as_millisecond(), "open": number(4), "high": number(5), "low": number(6),
            "close": number(7), "volume": number(8),
        });
        (
            format!(
                "intraday:model_7:2025-10-15:AAPL:{}",
                local.strftime("%H:%M")
            ),
            value,
        )
    };
    csv.lines().skip(1).map(bar).collect()
}

/// The names of a flat JSON object, in the order they stand.
fn names(object: &str) -> Vec<&str> {
    object.split('"').skip(1).step_by(2).collect()
}

/// The numbers of a bar, whether a language writes a whole one as `100` or as `100.0`.
fn numbers(bar: &Value) -> Vec<(&String, Option<f64>)> {
    let bar = bar.as_object().expect("an object");
    bar.iter()
        .map(|(name, value)| (name, value.as_f64()))
        .collect()
}

#[test]
fn the_official_clients_read_the_original_s_keys_values_and_lifetime() {
    let redis = RedisServer::start();
    let server = UpstashOptions::default().tls().start(&redis);
    let program = program_for(&server);
    let sink = ["--sink=upstash", "--set=redis.ca_file=ca.pem"];
    let counts = replay(&program, &FILE, &[&sink[..], &KEY_PER_BAR].concat());
    assert_eq!(
        (&counts["bars"], &counts["connections"]),
        (&json!(490), &json!(1)),
        "{counts}"
    );
    let csv = program.ok(&[&READ[..], &sink, &KEY_PER_BAR].concat());
    let expected = bars_of_csv(&csv);
    assert_eq!(expected.len(), 490);
    assert_eq!(expected[0].0, "intraday:model_7:2025-10-15:AAPL:08:00");

    let RedisValue::BulkString(raw) = redis.command(&["GET", &expected[0].0]) else {
        panic!("no text")
    };
    let raw = String::from_utf8(raw).expect("text");
    assert_eq!(
        names(&raw),
        ["timestamp", "open", "high", "low", "close", "volume"]
    );

    let asked = |call: &str| -> Vec<Value> {
        expected
            .iter()
            .map(|(key, _)| json!({"call": call, "args": [key]}))
            .collect()
    };
    let calls = json!([{"pipeline": asked("get")}, {"pipeline": asked("ttl")}]);
    for language in [Language::JavaScript, Language::Python] {
        let Some(oracle) = Oracle::find(language) else {
            continue;
        };
        let answers = oracle.run(&server, &calls);
        let [values, lifetimes] =
            [0, 1].map(|index| answers[index]["result"].as_array().expect("results"));
        for (value, (key, bar)) in values.iter().zip(&expected) {
            // JavaScript's client parses what is JSON, Python's does not.
            let value = value
                .as_str()
                .map_or_else(|| value.clone(), |text| text.parse().expect("JSON"));
            assert_eq!(numbers(&value), numbers(bar), "{language:?} {key}");
        }
        assert_eq!((values.len(), lifetimes.len()), (490, 490));
        assert!(
            lifetimes
                .iter()
                .all(|ttl| (7_100..=7_200).contains(&ttl.as_i64().expect("seconds")))
        );
    }
}
