//! The command budget as the program keeps it: warned of, spent to the last command, and remembered.

use crate::support::program::{Ended, Program};
use crate::support::redis::RedisServer;
use crate::support::trades::{MadeDay, Order};
use crate::support::upstash::{TOKEN, UpstashServer};

/// Sixty bars of each of four symbols, a command each.
const DAY: MadeDay = MadeDay {
    trades: 6_000,
    symbols: 4,
    minutes: 60,
    seed: 3,
    order: Order::Time,
};
const BARS: u64 = 240;

fn replay(program: &Program, server: &UpstashServer, month: u64) -> Ended {
    let sink = format!("--sink={}", server.url());
    // A month, so that only one midnight of thirty falls between two runs.
    let month = format!("--set=writer.commands_per_month={month}");
    program.run(&[
        "replay",
        "day.csv",
        "--json",
        "--set=view.kind=key-per-bar",
        "--set=writer.batch_len_max=10",
        "--set=writer.in_flight_max=1",
        "--set=run.drain_timeout_ms=300",
        &sink,
        &month,
    ])
}

#[test]
fn a_budget_is_warned_of_spent_to_the_last_command_and_remembered_over_restarts() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let program = Program::new().env("UPSTASH_REDIS_REST_TOKEN", TOKEN);
    program.file("day.csv", DAY.massive_csv());
    // Four commands claim the bars: on this server, which does not count inside scripts, one.
    let first = replay(&program, &server, 104);
    assert_eq!(
        (first.code, server.stats().commands),
        (Some(3), 101),
        "{first:?}"
    );
    let warned = "80 % of the command budget of the month is used; only final bars are sent from now on commands=84 limit=104";
    assert_eq!(first.err.matches(warned).count(), 1, "{}", first.err);
    assert!(
        first.err.contains("the command budget is spent until "),
        "{}",
        first.err
    );
    assert!(
        first
            .err
            .contains("ended before everything was written written=100 spooled="),
        "{}",
        first.err
    );
    let again = replay(&program, &server, 104);
    assert_eq!(
        (again.code, server.stats().commands),
        (Some(3), 101),
        "not one request more: {again:?}"
    );
    let counts = program.ok(&["spool", "ls", "--json"]);
    assert!(counts.contains("\"month_commands\":104"), "{counts}");
    let checked = program.ok(&["check", &format!("--set=sink.url={}", server.url())]);
    assert!(
        checked.contains("# spool barmill-data holds 1"),
        "{checked}"
    );
    let more = replay(&program, &server, 100_000);
    assert_eq!(more.code, Some(0), "{more:?}");
    let redis::Value::Int(keys) = redis.command(&["DBSIZE"]) else {
        panic!("a number")
    };
    assert_eq!(
        u64::try_from(keys).ok(),
        Some(BARS + 2),
        "every bar, the manifest and the record of the owner"
    );
}
