//! The real program, killed at random moments and started again until it is done: the store ends as if never killed.
//!
//! `BARMILL_KILLS` sets how many kills each store sees, `BARMILL_SEED` the moments; see `docs/testing.md`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::dump::dump;
use crate::support::fault::{Choice, Fault, RetryAfter, Rule, Stage, StoreError};
use crate::support::redis::RedisServer;
use crate::support::trades::{MadeDay, Order};
use crate::support::upstash::{TOKEN, UpstashServer};

const VIEWS: [&str; 3] = ["symbol-day", "minute", "key-per-bar"];
/// Per store, shared by the views.
const KILLS: u64 = 18;
/// A run that ended before its kill is not one of them; so many runs for each kill at most.
const RUNS_PER_KILL: u64 = 5;

struct Run<'a> {
    url: &'a str,
    view: &'a str,
    day: &'a Path,
    state: &'a Path,
}

impl Run<'_> {
    fn start(&self) -> Child {
        let sets = [
            format!("view.kind={}", self.view),
            format!("run.state_dir={}", self.state.display()),
            "writer.batch_len_max=16".to_owned(),
            "writer.backoff_ms=5".to_owned(),
        ];
        Command::new(env!("CARGO_BIN_EXE_barmill"))
            .args([
                "replay",
                "--format",
                "massive-csv",
                "--json",
                "--sink",
                self.url,
            ])
            .args(sets.iter().flat_map(|set| ["--set", set.as_str()]))
            .arg(self.day)
            .env("UPSTASH_REDIS_REST_TOKEN", TOKEN)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program")
    }

    /// Runs to the end and answers how long it took.
    fn finish(&self) -> Duration {
        let start = tokio::time::Instant::now();
        let output = self.start().wait_with_output().expect("the program's end");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        start.elapsed()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only a longer test run is asked for"
)]
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the moment of a kill is a moment of real time"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A fault that passes, for the next few requests.
fn any_fault(random: &mut fastrand::Rng) -> Rule {
    let some = Choice::new(|index, _| index % 2 == 0);
    let faults = [
        Fault::Reset,
        Fault::Truncated {
            is_length_declared: true,
        },
        Fault::Truncated {
            is_length_declared: false,
        },
        Fault::ShortArray,
        Fault::HtmlBadGateway,
        Fault::Status(503),
        Fault::TooManyRequests(RetryAfter::Absent),
        Fault::CommandErrors {
            choice: some.clone(),
            error: StoreError::Loading,
        },
        Fault::CommandErrors {
            choice: some,
            error: StoreError::ReadOnly,
        },
    ];
    let fault = faults[random.usize(..faults.len())].clone();
    let stage = [Stage::BeforeApply, Stage::Midway, Stage::AfterApply][random.usize(..3)];
    Rule::next(fault).at(stage).times(random.usize(1..6))
}

/// Kills at seeded moments, restarts each time, and compares with the run that was left alone.
#[expect(clippy::print_stderr, reason = "the count is the point")]
fn prove(redis: &RedisServer, url: &str, upstash: Option<&UpstashServer>) {
    let folder = tempfile::tempdir().expect("a folder");
    let day = folder.path().join("day.csv");
    let made = MadeDay {
        trades: 20_000,
        symbols: 20,
        minutes: 60,
        seed: 5,
        order: Order::Time,
    };
    std::fs::write(&day, made.massive_csv()).expect("a file");
    let seed = number("BARMILL_SEED", 1);
    let kills_max = number("BARMILL_KILLS", KILLS).div_ceil(VIEWS.len() as u64);
    let mut random = fastrand::Rng::with_seed(seed);
    for view in VIEWS {
        let state = folder.path().join(view);
        let run = Run {
            url,
            view,
            day: &day,
            state: &state,
        };
        redis.command(&["FLUSHALL"]);
        let took = run.finish();
        let expected = dump(redis);
        assert!(expected.len() > 500, "{} values", expected.len());
        redis.command(&["FLUSHALL"]);
        let (mut kills, mut runs) = (0, 0);
        while kills < kills_max && runs < RUNS_PER_KILL * kills_max {
            if let Some(server) = upstash {
                server.inject(any_fault(&mut random));
            }
            let mut child = run.start();
            pause(took.mul_f64(random.f64()));
            runs += 1;
            kills += u64::from(child.try_wait().expect("a child").is_none());
            child.kill().expect("a child");
            child.wait().expect("a child");
            for (place, value) in dump(redis) {
                let is_right = expected.get(&place) == Some(&value);
                assert!(
                    is_right,
                    "seed {seed}, kill {kills} of {view}: {place:?} holds {value}"
                );
            }
        }
        if let Some(server) = upstash {
            server.clear_faults();
        }
        run.finish();
        assert_eq!(dump(redis), expected, "seed {seed}, {view}");
        assert_eq!(
            kills, kills_max,
            "{view}: most runs ended before they were killed"
        );
        eprintln!(
            "{view}: killed {kills} times in {runs} runs, {} values as if never killed",
            expected.len()
        );
    }
}

#[test]
fn killed_replay_into_redis_ends_as_if_never_killed() {
    let redis = RedisServer::start();
    prove(&redis, &redis.url(), None);
}

#[test]
fn killed_replay_into_a_faulty_upstash_ends_as_if_never_killed() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    prove(&redis, &server.url(), Some(&server));
}
