//! The same trades give the same bytes, however they come and wherever they go.

use std::io::Write;
use std::sync::LazyLock;

use crate::support::program::Program;
use crate::support::redis::RedisServer;
use crate::support::trades::{MadeDay, Order};
use crate::support::upstash::{TOKEN, UpstashServer};

const DAY: MadeDay = MadeDay {
    trades: 12_000,
    symbols: 30,
    minutes: 90,
    seed: 11,
    order: Order::Time,
};
const READ: [&str; 5] = ["bars", "--date", "2025-10-15", "--output", "csv"];

static BY_TIME: LazyLock<String> = LazyLock::new(|| DAY.massive_csv());
static BY_TICKER: LazyLock<String> = LazyLock::new(|| {
    MadeDay {
        order: Order::Ticker,
        ..DAY
    }
    .massive_csv()
});
/// Every symbol of the day, joined by commas.
static SYMBOLS: LazyLock<String> = LazyLock::new(|| {
    let mut symbols: Vec<&str> = BY_TICKER
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    symbols.dedup();
    symbols.join(",")
});
/// What every way must give.
static EXPECTED: LazyLock<String> =
    LazyLock::new(|| way(&Program::new(), BY_TIME.as_bytes(), &[], &[]));

/// Replays the bytes and reads the bars back; `sink` goes to both, `replay` to the replay only.
fn way(program: &Program, bytes: &[u8], replay: &[&str], sink: &[&str]) -> String {
    program.file("trades", bytes);
    let counts = program.counts(&[&["replay", "trades"][..], replay, sink].concat());
    assert_eq!(counts["trades"], 12_000);
    program.ok(&[&READ[..], &["--symbol", SYMBOLS.as_str()], sink].concat())
}

fn gz(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zip(text: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive
        .start_file("2025-10-15.csv", zip::write::SimpleFileOptions::default())
        .unwrap();
    archive.write_all(text.as_bytes()).unwrap();
    archive.finish().unwrap().into_inner()
}

#[test]
fn shards_containers_and_order_do_not_change_a_byte() {
    assert!(
        EXPECTED.lines().count() > 2_000,
        "{} bars",
        EXPECTED.lines().count()
    );
    for (order, text) in [("time", &BY_TIME), ("ticker", &BY_TICKER)] {
        let contents = [
            ("plain", text.as_bytes().to_vec()),
            ("gz", gz(text)),
            ("zst", zstd::encode_all(text.as_bytes(), 1).unwrap()),
            ("zip", zip(text)),
        ];
        for (container, bytes) in &contents {
            for shards in ["1", "4"] {
                let made = way(&Program::new(), bytes, &["--shards", shards], &[]);
                assert!(
                    made == *EXPECTED,
                    "{container} by {order} through {shards} shards differs"
                );
            }
        }
    }
}

#[test]
fn batch_and_queue_bounds_do_not_change_a_byte() {
    let tight = [
        "--set=replay.batch_len_max=7",
        "--set=replay.queue_len_max=1",
        "--set=writer.batch_len_max=3",
        "--set=writer.in_flight_max=2",
        "--set=writer.queue_len_max=1",
        "--set=writer.commands_per_second=0",
        "--set=writer.requests_per_second=0",
    ];
    assert!(way(&Program::new(), BY_TICKER.as_bytes(), &tight, &[]) == *EXPECTED);
}

/// Every view in one store; the string view keeps the columns up to the volume.
fn views_agree(program: &Program, sink: &str) {
    for kind in ["symbol-day", "minute", "key-per-bar"] {
        let namespace = format!("--set=view.namespace={kind}");
        let view = format!("--set=view.kind={kind}");
        let made = way(
            program,
            BY_TIME.as_bytes(),
            &[],
            &["--sink", sink, &view, &namespace],
        );
        if kind == "key-per-bar" {
            assert_eq!(columns(&made, 9), columns(&EXPECTED, 9), "{sink} {kind}");
        } else {
            assert!(made == *EXPECTED, "{sink} {kind} differs");
        }
    }
}

fn columns(csv: &str, count: usize) -> Vec<Vec<&str>> {
    csv.lines()
        .map(|line| line.split(',').take(count).collect())
        .collect()
}

#[test]
fn an_embedded_store_gives_the_same_bars_in_every_view() {
    views_agree(&Program::new(), "embedded:here");
}

#[test]
fn redis_gives_the_same_bars_in_every_view() {
    let redis = RedisServer::start();
    views_agree(&Program::new(), &redis.url());
}

#[test]
fn upstash_gives_the_same_bars_in_every_view() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    views_agree(
        &Program::new().env("UPSTASH_REDIS_REST_TOKEN", TOKEN),
        &server.url(),
    );
}

#[test]
fn csv_values_keep_the_columns_up_to_the_volume() {
    let made = way(
        &Program::new(),
        BY_TIME.as_bytes(),
        &[],
        &["--set=view.value=csv"],
    );
    assert_eq!(columns(&made, 9), columns(&EXPECTED, 9));
}
