//! What waits in the state folder is shown, verified, written out and sent, dead letters too.

use serde_json::Value;

use crate::support::dump::dump;
use crate::support::program::{Ended, Program};
use crate::support::redis::RedisServer;
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
const ZONE: &str = "--set=bars.zone=America/New_York";
const AAPL: &str = "bars:1m:2025-10-15:AAPL";
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

fn replay(program: &Program, sink: &str) -> Ended {
    program.run(&[&["replay", "day.csv", "--json", "--sink", sink], &BRISK[..]].concat())
}

/// A program whose state folder holds a whole day for a store that was away and is back, and what a run that was not
/// disturbed leaves in a store.
struct Spooled {
    program: Program,
    redis: RedisServer,
    whole: RedisServer,
}

fn spooled() -> Spooled {
    let whole = RedisServer::start();
    assert_eq!(replay(&program(), &whole.url()).code, Some(0));
    let mut redis = RedisServer::start();
    let url = redis.url();
    redis.kill9();
    let program = program();
    assert_eq!(replay(&program, &url).code, Some(3));
    redis.restart();
    Spooled {
        program,
        redis,
        whole,
    }
}

fn listed(program: &Program, more: &[&str]) -> Value {
    serde_json::from_str(&program.ok(&[&["spool", "ls", "--json"], more].concat())).expect("JSON")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn kind(rows: &[Value], kind: &str) -> usize {
    rows.iter().filter(|row| row["kind"] == kind).count()
}

#[test]
fn what_waits_is_shown_verified_and_written_out() {
    let Spooled { program, .. } = spooled();
    let listing = listed(&program, &["--rows=100"]);
    assert_eq!(
        (&listing["items"], &listing["dead_letters"]),
        (&Value::from(24), &Value::from(0))
    );
    let rows = listing["rows"].as_array().expect("rows");
    assert_eq!(
        (kind(rows, "bar"), kind(rows, "manifest")),
        (20, 4),
        "{listing}"
    );
    let told = program.ok(&["spool", "ls", "--rows=1"]);
    assert!(
        told.starts_with("target ") && told.contains("spool: 24 items, ") && told.contains("bar  "),
        "{told}"
    );
    assert!(
        program
            .ok(&["spool", "check"])
            .ends_with("values are intact, 0 are damaged\n")
    );
    let rows = lines(&program.ok(&["spool", "export"]));
    assert_eq!((kind(&rows, "bar"), kind(&rows, "manifest")), (20, 4));
    program.ok(&["spool", "export", "--out=rows.jsonl"]);
    let file = std::fs::read_to_string(program.folder().join("rows.jsonl")).expect("the file");
    assert_eq!(lines(&file), rows);
    let again = program.run(&["spool", "export", "--out=rows.jsonl"]);
    assert_eq!(
        again.code,
        Some(1),
        "an existing file is not written over: {again:?}"
    );
    assert_eq!(
        listed(&program, &[])["items"],
        24,
        "all of it is still there"
    );
}

#[test]
fn what_waits_is_sent_and_the_store_equals_that_of_a_run_that_was_not_disturbed() {
    for over_rest in [false, true] {
        let Spooled {
            program,
            redis,
            whole,
        } = spooled();
        let server = UpstashServer::start(&redis);
        let sink = if over_rest { server.url() } else { redis.url() };
        let listing = listed(&program, &[]);
        let id = listing["targets"][0]["id"].as_str().expect("an id");
        let unknown = program.run(&["spool", "redeliver", "--sink", &sink]);
        assert_eq!(
            unknown.code,
            Some(2),
            "the zone of the keys is not guessed: {unknown:?}"
        );
        let mut command = vec!["spool", "redeliver", ZONE, "--to", &sink];
        if over_rest {
            let ended = program.run(&command);
            assert_eq!(ended.code, Some(1), "it waits for another store: {ended:?}");
            assert!(ended.err.contains(id), "{}", ended.err);
            command.extend(["--from", id]);
        }
        let sent = program.counts(&command);
        assert_eq!(
            (&sent["bars"], &sent["spooled"]),
            (&Value::from(20), &Value::from(0)),
            "{sent}"
        );
        assert_eq!(dump(&redis), dump(&whole));
        assert_eq!(listed(&program, &[])["items"], 0);
        let sent = program.counts(&["spool", "redeliver", ZONE, "--sink", &sink]);
        assert_eq!(sent["bars"], 0, "{sent}");
    }
}

#[test]
fn dead_letters_are_shown_written_out_and_sent_once_more() {
    let redis = RedisServer::start();
    let program = program();
    redis.command(&["SET", AAPL, "mine"]);
    assert_eq!(replay(&program, &redis.url()).code, Some(1));
    let listing = listed(&program, &["--dead-letters"]);
    assert_eq!(
        (&listing["items"], &listing["dead_letters"]),
        (&Value::from(0), &Value::from(5))
    );
    let reason = listing["rows"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("WRONGTYPE"), "{listing}");
    assert!(
        program
            .ok(&["spool", "ls", "--dead-letters"])
            .contains("refused: WRONGTYPE")
    );
    assert_eq!(
        kind(
            &lines(&program.ok(&["spool", "export", "--dead-letters"])),
            "bar"
        ),
        5
    );
    assert_eq!(program.ok(&["spool", "export"]), "");
    let again = program.run(&[
        "spool",
        "redeliver",
        "--dead-letters",
        ZONE,
        "--json",
        "--sink",
        &redis.url(),
    ]);
    assert_eq!(
        (again.code, &again.json()["redelivered"]),
        (Some(1), &Value::from(5)),
        "{again:?}"
    );
    assert_eq!(listed(&program, &[])["dead_letters"], 5, "refused again");
    redis.command(&["DEL", AAPL]);
    let untouched = program.counts(&["spool", "redeliver", ZONE, "--sink", &redis.url()]);
    assert_eq!(untouched["redelivered"], 0, "{untouched}");
    let sent = program.counts(&[
        "spool",
        "redeliver",
        "--dead-letters",
        ZONE,
        "--sink",
        &redis.url(),
    ]);
    assert_eq!(
        (&sent["redelivered"], &sent["bars"]),
        (&Value::from(5), &Value::from(5)),
        "{sent}"
    );
    assert_eq!(redis.command(&["HLEN", AAPL]), redis::Value::Int(5));
    assert_eq!(listed(&program, &[])["dead_letters"], 0);
}

#[test]
fn dead_letters_that_the_store_has_by_now_are_dropped() {
    let redis = RedisServer::start();
    let program = program();
    redis.command(&["SET", AAPL, "mine"]);
    assert_eq!(replay(&program, &redis.url()).code, Some(1));
    redis.command(&["DEL", AAPL]);
    assert_eq!(replay(&program, &redis.url()).code, Some(0));
    let sent = program.counts(&[
        "spool",
        "redeliver",
        "--dead-letters",
        ZONE,
        "--sink",
        &redis.url(),
    ]);
    assert_eq!(
        (&sent["redelivered"], &sent["outdated"]),
        (&Value::from(0), &Value::from(5)),
        "{sent}"
    );
    assert_eq!(listed(&program, &[])["dead_letters"], 0);
}

#[test]
fn a_damaged_file_is_told_and_what_is_intact_in_it_is_written_out() {
    let Spooled { program, .. } = spooled();
    let path = program.state_file();
    let mut bytes = std::fs::read(&path).expect("the state");
    // The price of one bar in the place where it lies, in the middle of the file.
    let rows = lines(&program.ok(&["spool", "export"]));
    let symbol = rows[0]["symbol"].as_str().expect("a symbol").as_bytes();
    let places: Vec<usize> = (0..bytes.len() - symbol.len())
        .filter(|&at| bytes[at..].starts_with(symbol))
        .collect();
    for at in places {
        bytes[at] ^= 0x20;
    }
    std::fs::write(&path, &bytes).expect("the damage");
    let checked = program.run(&["spool", "check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.err.contains("is damaged"), "{checked:?}");
    // Another file of the folder is not verified as a whole, so the rest of it can be had.
    std::fs::rename(&path, program.folder().join("barmill-data/aside.redb")).expect("set aside");
    let checked = program.run(&["spool", "check", "--file=aside.redb", "--json"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let faults = checked.json()["faults"].as_u64().expect("a count");
    assert!((1..24).contains(&faults), "{checked:?}");
    let rows = lines(&program.ok(&["spool", "export", "--file=aside.redb"]));
    let damaged = rows.iter().filter(|row| row["fault"].is_string()).count();
    assert!(0 < damaged && damaged < rows.len(), "{rows:?}");
}

#[test]
fn a_folder_in_use_is_left_alone_and_an_empty_one_is_no_fault() {
    let program = program();
    assert_eq!(listed(&program, &[])["items"], 0);
    assert_eq!(
        program.ok(&["spool", "check"]),
        "0 values are intact, 0 are damaged\n"
    );
    assert_eq!(program.ok(&["spool", "export"]), "");
    assert!(
        !program.folder().join("barmill-data").exists(),
        "looking makes nothing"
    );
    let Spooled {
        program, mut redis, ..
    } = spooled();
    let url = redis.url();
    redis.kill9();
    let mut running = program.start(&[
        "replay",
        "day.csv",
        "--sink",
        &url,
        "--set=run.drain_timeout_ms=60000",
    ]);
    running.err_line("sending the spool of an earlier run first");
    let ended = program.run(&["spool", "ls"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("is in use by another barmill"),
        "{}",
        ended.err
    );
}
