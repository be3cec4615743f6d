//! The states of a real Redis that refuse a write, brought about in it: no server of ours words the errors.

use std::path::Path;

use barmill::RunError as RunFault;
use barmill::internals::pipeline::End;

use super::bench::{AnswerWait, Bench, Ran};
use super::check_store;
use super::server::Server;
use crate::support::dump::is_manifest;
use crate::support::redis::{RedisOptions, RedisServer};

/// A state, from before the run until the bars wait in the spool.
struct State {
    line: &'static str,
    enter: fn(&RedisServer),
    leave: fn(&RedisServer),
}

const STATES: [State; 7] = [
    State {
        line: "NOREPLICAS",
        enter: |redis| set(redis, "min-replicas-to-write", "1"),
        leave: |redis| set(redis, "min-replicas-to-write", "0"),
    },
    State {
        line: "OOM",
        enter: |redis| set(redis, "maxmemory", "1"),
        leave: |redis| set(redis, "maxmemory", "0"),
    },
    State {
        line: "READONLY",
        enter: follow_nobody,
        leave: lead,
    },
    State {
        line: "MASTERDOWN",
        enter: |redis| {
            set(redis, "replica-read-only", "no");
            set(redis, "replica-serve-stale-data", "no");
            follow_nobody(redis);
        },
        leave: lead,
    },
    State {
        line: "BUSY",
        enter: |redis| {
            set(redis, "busy-reply-threshold", "1");
            let url = redis.url();
            std::thread::spawn(move || {
                let mut connection = redis::Client::open(url)
                    .expect("a client")
                    .get_connection()
                    .expect("redis");
                // It ends by being killed, which is an error to who sent it.
                redis::cmd("EVAL")
                    .arg("while true do end")
                    .arg(0)
                    .exec(&mut connection)
                    .unwrap_err();
            });
            while redis.try_command(&["PING"]).is_ok() {
                std::thread::yield_now();
            }
        },
        leave: |redis| {
            redis.command(&["SCRIPT", "KILL"]);
        },
    },
    State {
        line: "timed out",
        enter: RedisServer::pause,
        leave: RedisServer::resume,
    },
    State {
        line: "MISCONF",
        enter: |redis| {
            let dir = redis::from_redis_value(redis.command(&["CONFIG", "GET", "dir"]));
            let (_, dir): (String, String) = dir.expect("a name and a path");
            // Redis cannot rename its file to the name of a folder.
            std::fs::create_dir(Path::new(&dir).join("folder")).expect("a folder");
            set(redis, "save", "3600 1");
            redis.command(&["SET", "something", "to save"]);
            redis.command(&["BGSAVE"]);
            while redis.try_command(&["SET", "something", "to save"]).is_ok() {
                std::thread::yield_now();
            }
        },
        leave: |redis| {
            set(redis, "stop-writes-on-bgsave-error", "no");
            redis.command(&["DEL", "something"]);
        },
    },
];

fn set(redis: &RedisServer, name: &str, value: &str) {
    redis.command(&["CONFIG", "SET", name, value]);
}

/// Nobody listens on the first port.
fn follow_nobody(redis: &RedisServer) {
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]);
}

fn lead(redis: &RedisServer) {
    redis.command(&["REPLICAOF", "NO", "ONE"]);
}

fn prove(state: &State) {
    let options = RedisOptions::default().argument("--dbfilename", "folder");
    let bench = Bench::of(options.start(), Server::None);
    super::block_on(async {
        let undisturbed = bench.undisturbed().await;
        (state.enter)(&bench.redis);
        let lift = async |log: super::bench::Log| {
            log.tells("bars go to the spool", 1).await;
            (state.leave)(&bench.redis);
        };
        let Ran { finished, log, .. } = bench.write(AnswerWait::Short, lift).await;
        assert!(
            matches!(finished.end, End::Drained),
            "{}: {:?} {log}",
            state.line,
            finished.end
        );
        let is_told =
            |line: &str| line.contains("bars go to the spool") && line.contains(state.line);
        assert!(
            log.lines().any(is_told) && log.contains("bars go to the store again"),
            "{}: {log}",
            state.line
        );
        assert_eq!(bench.held(), undisturbed.held, "{}", state.line);
    });
}

#[test]
fn every_state_of_a_redis_that_passes_costs_nothing() {
    std::thread::scope(|scope| {
        for state in &STATES {
            scope.spawn(|| prove(state));
        }
    });
}

#[tokio::test]
async fn a_redis_that_wants_a_password_ends_the_run_and_the_next_one_with_it_writes_all() {
    let mut bench = Bench::of(
        RedisOptions::default().password("opener").start(),
        Server::None,
    );
    let undisturbed = bench.undisturbed().await;
    let right = bench.url.clone();
    for (password, line) in [("", "NOAUTH"), (":shut-out@", "WRONGPASS")] {
        bench.url = right.replace(":opener@", password);
        let Ran { finished, log, .. } = bench.write(AnswerWait::Long, async |_| {}).await;
        assert!(
            matches!(
                finished.end,
                End::Failed(RunFault::Unwritten { bars: 0, .. })
            ),
            "{:?}",
            finished.end
        );
        assert!(
            log.contains(line) && log.contains("failed permanently"),
            "{log}"
        );
        assert!(!log.contains("shut-out"), "{log}");
        bench.url.clone_from(&right);
        let second = bench.write(AnswerWait::Long, async |_| {}).await;
        assert!(
            matches!(second.finished.end, End::Drained),
            "{:?}",
            second.finished.end
        );
        assert_eq!(bench.held(), undisturbed.held, "{line}");
        bench.reset();
    }
}

#[tokio::test]
async fn a_user_without_the_right_to_write_ends_the_run_and_the_next_one_with_it_writes_all() {
    let bench = Bench::of(RedisServer::start(), Server::None);
    let undisturbed = bench.undisturbed().await;
    bench.redis.command(&["ACL", "SETUSER", "default", "-hset"]);
    let Ran { finished, log, .. } = bench.write(AnswerWait::Long, async |_| {}).await;
    assert!(
        matches!(
            finished.end,
            End::Failed(RunFault::Unwritten { bars: 0, .. })
        ),
        "{:?}",
        finished.end
    );
    assert!(
        log.contains("NOPERM") && log.contains("failed permanently"),
        "{log}"
    );
    bench.redis.command(&["ACL", "SETUSER", "default", "+@all"]);
    let second = bench.write(AnswerWait::Long, async |_| {}).await;
    assert!(
        matches!(second.finished.end, End::Drained),
        "{:?}",
        second.finished.end
    );
    assert_eq!(bench.held(), undisturbed.held);
}

#[tokio::test]
async fn a_key_of_another_type_costs_its_bars_only() {
    let bench = Bench::of(RedisServer::start(), Server::None);
    let undisturbed = bench.undisturbed().await;
    let (key, _) = undisturbed
        .held
        .keys()
        .find(|(key, _)| !is_manifest(key))
        .expect("a bar");
    bench.redis.command(&["SET", key, "in the way"]);
    let Ran { finished, log, .. } = bench.write(AnswerWait::Long, async |_| {}).await;
    assert!(
        matches!(finished.end, End::Drained) && log.contains("WRONGTYPE"),
        "{log}"
    );
    assert!(0 < finished.summary.dead_letters);
    bench.redis.command(&["DEL", key]);
    check_store(
        "WRONGTYPE",
        &bench.held(),
        &undisturbed.held,
        &finished.summary,
    );
}
