//! A store that is away, refuses, or is asked with the wrong secret: retried or told, and never a false success.

use redis::Value as RedisValue;
use serde_json::Value;

use crate::support::fault::{Choice, Fault, RetryAfter, Rule, Stage, StoreError};
use crate::support::program::{Ended, Program};
use crate::support::redis::{RedisOptions, RedisServer};
use crate::support::trades::{MadeDay, Order};
use crate::support::upstash::{TOKEN, UpstashOptions, UpstashServer};

const DAY: MadeDay = MadeDay {
    trades: 400,
    symbols: 4,
    minutes: 5,
    seed: 8,
    order: Order::Time,
};
/// Waits short enough for a test.
const BRISK: [&str; 3] = [
    "--set=writer.backoff_ms=1",
    "--set=writer.backoff_max_ms=2",
    "--set=run.drain_timeout_ms=200",
];

fn program() -> Program {
    let program = Program::new().env("UPSTASH_REDIS_REST_TOKEN", TOKEN);
    program.file("day.csv", DAY.massive_csv());
    program
}

fn replay(program: &Program, sink: &str, more: &[&str]) -> Ended {
    program.run(
        &[
            &["replay", "day.csv", "--json", "--sink", sink],
            &BRISK[..],
            more,
        ]
        .concat(),
    )
}

fn of(ended: &Ended, name: &str) -> u64 {
    ended.json()[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name}: {ended:?}"))
}

/// What is in the store and what was said after a run that such a fault ended.
fn ended_by(fault: Fault) -> (Ended, RedisServer) {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    server.inject(Rule::next(fault).times(100));
    (replay(&program(), &server.url(), &[]), redis)
}

#[test]
fn redis_away_at_the_start_is_tried_three_times_and_then_the_bars_wait_in_the_spool() {
    let redis = RedisServer::start();
    let url = redis.url();
    drop(redis);
    let ended = replay(&program(), &url, &[]);
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    assert_eq!(
        (
            of(&ended, "retries"),
            of(&ended, "bars"),
            of(&ended, "connections")
        ),
        (2, 0, 0)
    );
    assert!(
        ended.err.contains("failed (attempt 1/3), retrying in"),
        "{}",
        ended.err
    );
    assert!(
        ended.err.contains("failed (attempt 2/3), retrying in"),
        "{}",
        ended.err
    );
    assert_eq!(of(&ended, "spooled"), 24, "20 bars and 4 manifests");
    assert!(
        ended.err.contains("is unreachable; bars go to the spool"),
        "{}",
        ended.err
    );
    assert!(
        ended.err.contains("connect to redis://127.0.0.1:") && ended.err.contains("refused"),
        "{}",
        ended.err
    );
}

#[test]
fn redis_killed_and_started_again_in_a_run_costs_a_retry_and_no_bar() {
    let mut redis = RedisOptions::default()
        .argument("--notify-keyspace-events", "Kh")
        .durable()
        .start();
    let program = program();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut listener = connection.as_pubsub();
    listener.psubscribe("__keyspace@0__:bars:*").unwrap();
    let eager = [
        "--set=writer.linger_ms=0",
        "--set=writer.backoff_ms=200",
        "--set=writer.attempts_max=9",
    ];
    let run = [
        "replay",
        "day.csv",
        "--speed=60x",
        "--json",
        "--sink",
        &redis.url(),
    ];
    let running = program.start(&[&run[..], &eager].concat());
    listener.get_message().unwrap();
    redis.kill9();
    redis.restart();
    let ended = running.wait();
    assert_eq!(
        (ended.code, of(&ended, "bars")),
        (Some(0), 20),
        "{}",
        ended.err
    );
    assert!(
        1 <= of(&ended, "retries") && 2 <= of(&ended, "connections"),
        "{ended:?}"
    );
    let read = [
        "bars",
        "--date=2025-10-15",
        "--symbol=AAPL",
        "--output=jsonl",
        "--sink",
        &redis.url(),
    ];
    assert_eq!(program.ok(&read).lines().count(), 5);
}

#[test]
fn a_fault_that_passes_costs_a_retry_and_no_bar() {
    let all = |error| Fault::CommandErrors {
        choice: Choice::all(),
        error,
    };
    for (fault, stage) in [
        (Fault::Reset, Stage::BeforeApply),
        (Fault::Reset, Stage::Midway),
        (Fault::Reset, Stage::AfterApply),
        (Fault::GoAwayAbrupt { code: 0 }, Stage::AfterApply),
        (Fault::RefusedStream, Stage::BeforeApply),
        (Fault::HtmlBadGateway, Stage::Midway),
        (
            Fault::TooManyRequests(RetryAfter::Seconds(0)),
            Stage::BeforeApply,
        ),
        (Fault::Status(503), Stage::BeforeApply),
        (
            Fault::Truncated {
                is_length_declared: true,
            },
            Stage::AfterApply,
        ),
        (
            Fault::Truncated {
                is_length_declared: false,
            },
            Stage::AfterApply,
        ),
        (Fault::ShortArray, Stage::AfterApply),
        (Fault::LongArray, Stage::AfterApply),
        (all(StoreError::Loading), Stage::BeforeApply),
        (all(StoreError::ReadOnly), Stage::BeforeApply),
        (all(StoreError::OutOfMemory), Stage::BeforeApply),
    ] {
        let redis = RedisServer::start();
        let server = UpstashServer::start(&redis);
        let told = format!("{fault:?} {stage:?}");
        server.inject(Rule::next(fault).at(stage));
        let program = program();
        let ended = replay(&program, &server.url(), &[]);
        assert_eq!(
            (ended.code, of(&ended, "bars"), of(&ended, "retries")),
            (Some(0), 20, 1),
            "{told}: {ended:?}"
        );
        let read = [
            "bars",
            "--date=2025-10-15",
            "--symbol=AAPL",
            "--output=jsonl",
            "--sink",
            &server.url(),
        ];
        assert_eq!(program.ok(&read).lines().count(), 5, "{told}");
    }
}

#[test]
fn a_day_and_its_manifests_are_one_request_and_read_back_whole() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    for url in [server.url(), redis.url()] {
        let program = program();
        let ended = replay(&program, &url, &[]);
        assert_eq!(
            (ended.code, of(&ended, "bars"), of(&ended, "requests")),
            (Some(0), 20, 1),
            "{ended:?}"
        );
        let told = redis.command(&["HGET", "manifest:barmill:1m:2025-10-15", "AAPL"]);
        let RedisValue::BulkString(told) = told else {
            panic!("{told:?}")
        };
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(
            (&told["complete"], &told["bars"]),
            (&Value::from(true), &Value::from(5)),
            "{url}"
        );
        redis.command(&["FLUSHALL"]);
    }
}

#[test]
fn an_error_of_one_command_inside_two_hundred_sends_only_its_bars_again() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let is_aapl =
        |_: usize, words: &Vec<Vec<u8>>| words[1].ends_with(b":AAPL") && words[0] == b"HSET";
    let fault = Fault::CommandErrors {
        choice: Choice::new(is_aapl),
        error: StoreError::TryAgain,
    };
    let has_bars = |commands: &[Vec<Vec<u8>>]| commands.iter().any(|words| words[0] == b"HSET");
    server.inject(Rule::next(fault).when(has_bars));
    server.record();
    // Small batches, since the last one goes as one command with its manifests.
    let ended = replay(
        &program(),
        &server.url(),
        &[
            "--set=writer.batch_len_max=10",
            "--set=writer.in_flight_max=1",
        ],
    );
    assert_eq!(
        (ended.code, of(&ended, "bars"), of(&ended, "retries")),
        (Some(0), 20, 1),
        "{ended:?}"
    );
    let keys = |commands: &[Vec<Vec<u8>>]| -> Vec<String> {
        commands
            .iter()
            .map(|words| String::from_utf8_lossy(&words[1]).into_owned())
            .collect()
    };
    // The first request claims the bars.
    let again = keys(&server.recorded()[2]);
    assert!(
        again.iter().all(|key| key == "bars:1m:2025-10-15:AAPL"),
        "{again:?}"
    );
}

#[test]
fn a_key_of_another_type_costs_its_bars_only_and_the_day_is_not_told_to_be_whole() {
    let redis = RedisServer::start();
    redis.command(&["SET", "bars:1m:2025-10-15:AAPL", "mine"]);
    let ended = replay(&program(), &redis.url(), &[]);
    assert_eq!(
        (ended.code, of(&ended, "bars"), of(&ended, "retries")),
        (Some(1), 15, 0),
        "{ended:?}"
    );
    assert_eq!(of(&ended, "dead_letters"), 5, "{ended:?}");
    assert!(ended.err.contains("WRONGTYPE"), "{}", ended.err);
    let RedisValue::BulkString(manifest) =
        redis.command(&["HGET", "manifest:barmill:1m:2025-10-15", "AAPL"])
    else {
        panic!("no manifest")
    };
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(
        (&manifest["complete"], &manifest["bars"]),
        (&Value::Bool(false), &Value::from(0))
    );
}

#[test]
fn a_used_up_quota_is_told_and_not_hammered() {
    let (ended, redis) = ended_by(Fault::Quota);
    assert_eq!(
        (ended.code, of(&ended, "requests"), of(&ended, "retries")),
        (Some(3), 1, 0)
    );
    assert!(
        ended
            .err
            .contains("status 400: ERR max requests limit exceeded. Limit: "),
        "{}",
        ended.err
    );
    assert_eq!(redis.command(&["DBSIZE"]), RedisValue::Int(0));
}

#[test]
fn a_wrong_token_is_told_at_once() {
    let (ended, _) = ended_by(Fault::Unauthorized);
    assert_eq!(
        (ended.code, of(&ended, "requests"), of(&ended, "retries")),
        (Some(1), 1, 0)
    );
    assert!(
        ended
            .err
            .contains("status 401: WRONGPASS invalid or missing auth token"),
        "{}",
        ended.err
    );
    let redis = RedisServer::start();
    let ended = Program::new().run(&["check", "--set", "sink.url=https://127.0.0.1:1"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.contains("UPSTASH_REDIS_REST_TOKEN"),
        "a missing token is named: {}",
        ended.err
    );
    drop(redis);
}

#[test]
fn a_command_that_is_too_large_ends_the_run_and_the_others_are_written() {
    let redis = RedisServer::start();
    let server = UpstashOptions::default()
        .request_bytes_max(900)
        .start(&redis);
    redis.command(&["PING"]);
    let ended = replay(&program(), &server.url(), &["--bars=1m,1d"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .err
            .contains("ERR max request size exceeded. Limit: 900"),
        "{}",
        ended.err
    );
    assert_eq!(of(&ended, "bars"), 4, "the day bars are small: {ended:?}");
}

#[test]
fn no_secret_is_in_any_output_however_loud_the_log() {
    let secret = "c4nary-7f3e";
    let redis = RedisOptions::default().password(secret).start();
    let wrong = "redis://:wr0ng-c4nary-7f3e@127.0.0.1:1/";
    let server = UpstashOptions::default().tls().start(&redis);
    let program = Program::new()
        .env("BARMILL__REDIS__CA_FILE", "ca.pem")
        .env("REDIS_URL", &redis.url())
        .env("WRONG_URL", wrong)
        .env("UPSTASH_REDIS_REST_URL", &server.url())
        .env("UPSTASH_REDIS_REST_TOKEN", secret)
        .env("BARMILL_LOG", "trace")
        .env("RUST_BACKTRACE", "1");
    program.file("day.csv", DAY.massive_csv());
    program.file("ca.pem", server.ca_pem().unwrap());
    let day = ["replay", "day.csv", "--json", "--set=log.level=trace"];
    let runs: [(&[&str], i32); 8] = [
        (&["--sink=redis"], 0),
        (&["--sink=upstash"], 1),
        (&["--sink=redis", "--set=redis.url_env=WRONG_URL"], 3),
        (&["--sink=redis", "--set=redis.url_env=NO_SUCH"], 2),
        (&["--sink", "redis://:c4nary-7f3e@localhost"], 2),
        (&["--sink", "redis://:c4nary-7f3e@local host"], 2),
        (&["--sink", "https://x:c4nary-7f3e@localhost"], 2),
        (&["--set", "redis.password=c4nary-7f3e"], 2),
    ];
    for (more, code) in runs {
        let ended = program.run(&[&day[..], &BRISK, more].concat());
        assert_eq!(ended.code, Some(code), "{more:?}: {}", ended.err);
        let is_loud = ended.err.contains("ALPN negotiated h2");
        assert!(
            is_loud || more[0] != "--sink=upstash",
            "the HTTP libraries speak too: {}",
            ended.err
        );
        for (name, text) in [("stdout", &ended.out), ("stderr", &ended.err)] {
            assert!(!text.contains(secret), "{more:?} on {name}: {text}");
        }
    }
    for sink in ["redis", "upstash"] {
        let ended = program.run(&["check", &format!("--set=sink.url={sink}")]);
        assert!(
            !ended.out.contains(secret) && !ended.err.contains(secret),
            "{ended:?}"
        );
    }
}

#[test]
fn counts_of_a_failed_run_are_still_one_json_object() {
    let (ended, _) = ended_by(Fault::Unauthorized);
    let Value::Object(counts) = ended.json() else {
        panic!("no object")
    };
    assert_eq!(counts.len(), 14);
}
