//! What `barmill plan` reckons is what a run of such a day sends.

use std::fmt::Write;

use serde_json::Value;

use crate::support::program::Program;
use crate::support::redis::RedisServer;
use crate::support::upstash::{TOKEN, UpstashServer};

const HEADER: &str = "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,\
                      sip_timestamp,size,tape,trf_id,trf_timestamp\n";
/// 2025-10-15 09:30 in New York.
const OPEN_NS: u64 = 1_760_535_000_000_000_000;
const MINUTES: u64 = 60;
const SYMBOLS: u64 = 30;
/// Of one-minute and five-minute bars.
const BARS: u64 = SYMBOLS * (60 + 12);

/// A trade of every symbol in every minute, which is the day that a plan reckons.
fn full_day(is_by_symbol: bool) -> String {
    let mut rows: Vec<(u64, u64)> = (0..MINUTES)
        .flat_map(|minute| (0..SYMBOLS).map(move |symbol| (symbol, minute)))
        .collect();
    if is_by_symbol {
        rows.sort_unstable();
    }
    let mut text = HEADER.to_owned();
    for (symbol, minute) in rows {
        // In the middle of the minute, so that it closes the one before whatever the lateness.
        let time = OPEN_NS + minute * 60_000_000_000 + 30_000_000_000 + symbol * 1_000_000;
        let (letter, price) = (
            char::from(b'A' + u8::try_from(symbol % 26).expect("a letter")),
            100 + symbol,
        );
        let name = format!("T{letter}{symbol:02}");
        writeln!(
            text,
            "{name},,0,11,{minute},{time},{price}.25,{minute},{time},150,1,0,0"
        )
        .expect("memory");
    }
    text
}

struct Stage {
    program: Program,
    server: UpstashServer,
    redis: RedisServer,
}

impl Stage {
    fn new() -> Stage {
        let redis = RedisServer::start();
        let server = UpstashServer::start(&redis);
        let program = Program::new().env("UPSTASH_REDIS_REST_TOKEN", TOKEN);
        program.file("by-time.csv", full_day(false));
        program.file("by-symbol.csv", full_day(true));
        Stage {
            program,
            server,
            redis,
        }
    }

    /// What both commands are given. No batch is closed by its age or for a checkpoint, since machines differ in speed.
    fn config(&self, more: &str) {
        let url = self.server.url();
        let text = format!(
            "sink.url = \"{url}\"\nbars.specs = [\"1m\", \"5m\"]\nbars.zone = \"America/New_York\"\n\
             writer.batch_len_max = 500\nwriter.linger_ms = 600000\nrun.checkpoint_every_ms = 0\nwriter.commands_per_day = 1000000\n{more}\n"
        );
        self.program.file("plan.toml", text);
    }

    /// The ways of the plan by name.
    fn plan(&self, name: &str) -> Value {
        let symbols = SYMBOLS.to_string();
        let told = self.program.counts(&[
            "plan",
            "--config=plan.toml",
            "--session=09:30-10:30",
            "--symbols",
            &symbols,
        ]);
        let ways = told["ways"].as_array().expect("ways").clone();
        ways.into_iter()
            .find(|way| way["name"] == name)
            .expect("the way")
    }

    /// Runs a file; answers bars and requests, and the commands that the budget was charged for it.
    fn replay(&self, file: &str, more: &[&str]) -> [u64; 3] {
        self.redis.command(&["FLUSHALL"]);
        let before = self.spent();
        let counts = self
            .program
            .counts(&[&["replay", "--config=plan.toml", file][..], more].concat());
        let count = |name: &str| counts[name].as_u64().expect("a count");
        [count("bars"), count("requests"), self.spent() - before]
    }

    /// Commands on the budget so far.
    fn spent(&self) -> u64 {
        let listed = self
            .program
            .run(&["spool", "ls", "--config=plan.toml", "--json"]);
        if listed.code == Some(0) {
            listed.json()["budget"]["day_commands"]
                .as_u64()
                .unwrap_or(0)
        } else {
            0
        }
    }
}

/// A key of its own for strings of two specs.
fn key_of(view: &str) -> &'static str {
    if view == "key-per-bar" {
        "\nview.key = \"{spec}:{date}:{symbol}:{time}\""
    } else {
        ""
    }
}

fn told(way: &Value) -> [u64; 3] {
    ["bars", "requests", "commands"].map(|name| way[name].as_u64().expect("a count"))
}

#[test]
fn a_replay_sends_what_the_plan_says_in_every_view() {
    let stage = Stage::new();
    for view in ["symbol-day", "minute", "key-per-bar", "stream", "publish"] {
        stage.config(&format!("view.kind = \"{view}\"{}", key_of(view)));
        for (way, file) in [("replay", "by-time.csv"), ("backfill", "by-symbol.csv")] {
            if view == "stream" && way == "replay" {
                // The store is sent the text of a script that it does not know yet.
                stage.replay(file, &[]);
            }
            let (told, sent) = (told(&stage.plan(way)), stage.replay(file, &[]));
            assert_eq!((told[0], sent[0]), (BARS, BARS), "{view} {way}");
            assert_eq!(told, sent, "{view} {way}");
        }
    }
}

#[test]
fn what_is_written_beside_a_view_and_the_fence_are_in_the_plan() {
    let stage = Stage::new();
    for more in [
        "view.also = [\"stream\", \"publish\"]",
        "writer.guard = \"fence\"",
    ] {
        stage.config(more);
        let told = told(&stage.plan("replay"));
        let sent = stage.replay("by-time.csv", &[]);
        assert_eq!((told[0], told[2]), (sent[0], sent[2]), "{more}");
    }
}

#[test]
fn a_live_run_sends_no_more_than_the_plan_says() {
    let stage = Stage::new();
    for (view, is_exact) in [("key-per-bar", true), ("symbol-day", false)] {
        // So long a life that the owner's record is not renewed, which takes hours of the wall clock.
        stage.config(&format!(
            "view.kind = \"{view}\"\nview.ttl_s = 200000{}",
            key_of(view)
        ));
        let told = told(&stage.plan("run"));
        let sent = stage.replay("by-time.csv", &["--speed=36000x"]);
        assert_eq!(told[0], sent[0]);
        assert!(
            sent[1] <= told[1] && sent[2] <= told[2],
            "{view}: {sent:?} of {told:?}"
        );
        // A place that is saved near the end sends the last bars before their manifests, without the script for both.
        assert!(
            !is_exact || told[2] - sent[2] <= 1,
            "{view}: {sent:?} of {told:?}"
        );
    }
}

#[test]
fn a_live_run_that_lets_its_batches_fill_sends_a_fraction() {
    let stage = Stage::new();
    stage.config("view.kind = \"minute\"");
    let eager = told(&stage.plan("run"));
    stage.config("view.kind = \"minute\"\nwriter.eager = false");
    let told = told(&stage.plan("run"));
    assert!(told[2] * 5 < eager[2], "{told:?} for {eager:?}");
    let sent = stage.replay("by-time.csv", &["--speed=36000x"]);
    // A batch that is full by its count splits a minute where one that is full by its age does not.
    assert!(
        sent[0] == told[0] && sent[2] * 10 <= told[2] * 11,
        "{sent:?} of {told:?}"
    );
}

#[test]
fn bytes_of_the_plan_are_those_of_the_wire_but_for_the_numbers_in_them() {
    let stage = Stage::new();
    stage.config("");
    let told = stage.plan("replay")["bytes"].as_u64().expect("bytes");
    let before = stage.server.stats().bytes_read;
    stage.replay("by-time.csv", &[]);
    let sent = stage.server.stats().bytes_read - before;
    assert!(told.abs_diff(sent) * 5 <= sent, "{told} of {sent}");
}

#[test]
fn a_plan_needs_symbols_and_bars_that_the_clock_cuts_and_no_store() {
    let program = Program::new();
    let none = program.run(&["plan"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.err.contains("--symbols"), "{}", none.err);
    let uncut = program.run(&["plan", "--symbols=3", "--bars=tick:100"]);
    assert_eq!(uncut.code, Some(2), "{uncut:?}");
    let told = program.ok(&[
        "plan",
        "--symbol=A,B",
        "--source=massive",
        "--session=regular",
        "--bars=1h,tick:100",
        "--sink=https://nowhere.invalid",
        "--set=writer.commands_per_day=2000",
    ]);
    for line in [
        "2 symbols, bars 1h, view symbol-day, market open 09:30-16:00",
        "tick:100",
        "run 3 %",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}
