//! What is durable belongs to one target: a store, its database, and the keys that a view gives its bars.

use serde_json::Value;

use crate::support::dump::dump;
use crate::support::program::{Ended, Program};
use crate::support::redis::RedisServer;
use crate::support::trades::{MadeDay, Order};

/// Five bars of each of four symbols.
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
    let program = Program::new();
    program.file("day.csv", DAY.massive_csv());
    program
}

fn replay(program: &Program, more: &[&str]) -> Ended {
    program.run(&[&["replay", "day.csv", "--json"], &BRISK[..], more].concat())
}

fn targets(program: &Program) -> Vec<Value> {
    let listing: Value =
        serde_json::from_str(&program.ok(&["spool", "ls", "--json"])).expect("JSON");
    listing["targets"].as_array().expect("targets").clone()
}

fn bars(program: &Program, more: &[&str]) -> String {
    let bars = [
        "bars",
        "--symbol=AAPL,MSFT",
        "--date=2025-10-15",
        "--output=csv",
    ];
    program.ok(&[&bars, more].concat())
}

/// What a run that was not disturbed leaves.
fn whole(more: &[&str]) -> RedisServer {
    let redis = RedisServer::start();
    let url = redis.url();
    let ended = replay(&program(), &[&["--sink", &url], more].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    redis
}

/// The three commands that once put Redis's bars into the folder and told Redis that it had them.
#[test]
fn spool_waits_for_its_own_store() {
    let (program, mut redis) = (program(), RedisServer::start());
    let url = redis.url();
    redis.kill9();
    let ended = replay(&program, &["--sink", &url]);
    assert_eq!(
        (ended.code, &ended.json()["spooled"]),
        (Some(3), &Value::from(24)),
        "{ended:?}"
    );
    let ended = replay(&program, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.json()["bars"], 20, "its own bars only: {ended:?}");
    assert!(
        ended.err.contains("holds items for another store") && ended.err.contains(&url),
        "{}",
        ended.err
    );
    let held = targets(&program);
    let waiting: Vec<&Value> = held.iter().filter(|one| one["items"] == 24).collect();
    assert_eq!(waiting.len(), 1, "{held:?}");
    let text = waiting[0]["target"].as_str().expect("a text");
    assert!(
        text.starts_with(&format!("{url}0 ")) && text.contains("zone=America/New_York"),
        "{text}"
    );
    redis.restart();
    let ended = replay(&program, &["--sink", &url]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(dump(&redis), dump(&whole(&[])));
    assert_eq!(bars(&program, &["--sink", &url]), bars(&program, &[]));
}

#[test]
fn items_wait_apart_for_each_store_database_view_namespace_zone_and_template() {
    let (mut one, mut two) = (RedisServer::start(), RedisServer::start());
    let program = program();
    let (url, other) = (one.url(), two.url());
    let database = format!("{url}1");
    let cases: [(&str, &str, &[&str]); 7] = [
        ("the default", &url, &[]),
        ("another server", &other, &[]),
        ("another database", &database, &[]),
        ("another view", &url, &["--set=view.kind=minute"]),
        ("another namespace", &url, &["--set=view.namespace=other"]),
        (
            "another zone",
            &url,
            &["--set=bars.zone=UTC", "--take-over"],
        ),
        (
            "another template",
            &url,
            &["--set=view.key=mine:{spec}:{date}:{symbol}"],
        ),
    ];
    one.kill9();
    two.kill9();
    for (count, (what, sink, more)) in cases.iter().enumerate() {
        let ended = replay(&program, &[&["--sink", *sink], *more].concat());
        assert_eq!(ended.code, Some(3), "{what}: {ended:?}");
        let held = targets(&program);
        assert_eq!(held.len(), count + 1, "{what}: {held:?}");
        assert!(
            held.iter().all(|one| one["items"] == 24),
            "{what}: {held:?}"
        );
    }
    one.restart();
    two.restart();
    // Each drains its own alone, and then goes on where it was.
    for (count, (what, sink, more)) in cases.iter().enumerate() {
        let ended = replay(&program, &[&["--sink", *sink], *more].concat());
        assert_eq!(ended.code, Some(0), "{what}: {ended:?}");
        let held = targets(&program);
        let waiting = held.iter().filter(|one| one["items"] == 24).count();
        assert_eq!(waiting, cases.len() - count - 1, "{what}: {held:?}");
    }
    let clean = RedisServer::start();
    let (clean_url, clean_one) = (clean.url(), format!("{}1", clean.url()));
    for (what, sink, more) in cases {
        let sink = match sink {
            _ if sink == other => continue,
            _ if sink == database => &clean_one,
            _ => &clean_url,
        };
        let fresh = program_of(&program);
        let ended = replay(&fresh, &[&["--sink", sink.as_str()], more].concat());
        assert_eq!(ended.code, Some(0), "{what}: {ended:?}");
    }
    assert_eq!(dump(&one), dump(&clean));
    assert_eq!(dump(&two), dump(&whole(&[])));
}

fn program_of(other: &Program) -> Program {
    let program = Program::new();
    let day = std::fs::read(other.folder().join("day.csv")).expect("the day");
    program.file("day.csv", day);
    program
}

/// A checkpoint says what was acked, not what is still there.
#[test]
fn run_that_goes_on_writes_again_what_the_store_has_lost() {
    for lost in ["FLUSHALL", "DEL"] {
        let (program, mut redis) = (program(), RedisServer::start());
        let url = redis.url();
        redis.kill9();
        assert_eq!(replay(&program, &["--sink", &url]).code, Some(3));
        redis.restart();
        let target = format!("--to={url}");
        program.counts(&[
            "spool",
            "redeliver",
            "--set=bars.zone=America/New_York",
            &target,
        ]);
        // The checkpoint of the replay calls all of it delivered.
        match lost {
            "FLUSHALL" => redis.command(&["FLUSHALL"]),
            _ => redis.command(&["DEL", "bars:1m:2025-10-15:AAPL"]),
        };
        let ended = replay(&program, &["--sink", &url]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(
            ended.err.contains("has lost bars of an earlier run"),
            "{}",
            ended.err
        );
        assert_eq!(dump(&redis), dump(&whole(&[])), "{lost}");
    }
}

#[test]
fn state_from_before_targets_is_refused_until_its_store_is_named() {
    let (program, mut redis) = (program(), RedisServer::start());
    let url = redis.url();
    redis.kill9();
    assert_eq!(replay(&program, &["--sink", &url]).code, Some(3));
    unname(&program);
    redis.restart();
    let ended = replay(&program, &["--sink", &url]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .err
            .contains("does not name the store of its 24 items"),
        "{}",
        ended.err
    );
    let sent = program.counts(&[
        "spool",
        "redeliver",
        "--set=bars.zone=America/New_York",
        "--from=unnamed",
        "--to",
        &url,
    ]);
    assert_eq!(sent["bars"], 20, "{sent}");
    assert_eq!(dump(&redis), dump(&whole(&[])));
    let ended = replay(&program, &["--sink", &url]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// Makes the state file what it was before targets were recorded: under the old name, without a label.
fn unname(program: &Program) {
    const META: redb::TableDefinition<'static, &str, &[u8]> = redb::TableDefinition::new("meta");
    let path = program.state_file();
    let database = redb::Database::open(&path).expect("the state");
    let transaction = database.begin_write().expect("a transaction");
    {
        let mut meta = transaction.open_table(META).expect("the table");
        let label = meta.remove("target").expect("a table");
        assert!(label.is_some(), "the file has a label");
    }
    transaction.commit().expect("a commit");
    drop(database);
    let old = program.folder().join("barmill-data/barmill.redb");
    std::fs::rename(path, old).expect("the old name");
}
