//! Tape rules from the venue's own words to what a reader sees: bars without prices, corrections, cancels.

use super::program::{DAY, Program, manifest};
use crate::history::server::{Hit, Reply, Server};
use crate::support::redis::RedisServer;
use serde_json::{Value, json};

/// 2025-10-21T13:30:00Z, 09:30 in New York.
const OPEN: i64 = 1_761_053_400_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// Second after the open, price, size, whether it is an odd lot, and what became of it.
type Row = (i64, &'static str, u32, bool, Fate);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stands,
    /// Replaced by a correction.
    Replaced,
    /// The correction.
    Correction,
    Cancelled,
}

/// The second minute is odd lots alone; in the third a trade was corrected and another cancelled.
const TAPE: [Row; 9] = [
    (1, "10", 100, false, Fate::Stands),
    (2, "11", 100, false, Fate::Stands),
    (61, "7", 5, true, Fate::Stands),
    (62, "99", 7, true, Fate::Stands),
    (121, "12", 100, false, Fate::Stands),
    (122, "99", 50, false, Fate::Replaced),
    (123, "12.5", 50, false, Fate::Correction),
    (124, "500", 10, false, Fate::Cancelled),
    (181, "13", 100, false, Fate::Stands),
];

/// Start, open, high, low, close and volume of each minute.
const BARS: [&str; 4] = [
    "2025-10-21T13:30:00Z,10,11,10,11,200",
    "2025-10-21T13:31:00Z,,,,,12",
    "2025-10-21T13:32:00Z,12,12.5,12,12.5,150",
    "2025-10-21T13:33:00Z,13,13,13,13,100",
];

fn massive(_: &Hit) -> Reply {
    let row = |(number, (second, price, size, is_odd, fate)): (usize, &Row)| {
        let time = OPEN + second * SECOND;
        let conditions: &[u32] = if *is_odd { &[14, 37, 41] } else { &[14, 41] };
        let correction = match fate {
            Fate::Stands => 0,
            Fate::Replaced => 1,
            Fate::Correction => 12,
            Fate::Cancelled => 8,
        };
        json!({"conditions": conditions, "correction": correction, "exchange": 11, "id": number.to_string(),
            "participant_timestamp": time, "price": serde_json::from_str::<Value>(price).unwrap(),
            "sequence_number": number + 1, "sip_timestamp": time, "size": size, "tape": 3})
    };
    let rows: Vec<Value> = TAPE.iter().enumerate().map(row).collect();
    Reply::Page(json!({"status": "OK", "results": rows}).to_string())
}

fn alpaca(_: &Hit) -> Reply {
    let row = |(number, (second, price, size, is_odd, fate)): (usize, &Row)| {
        let time = barmill::Timestamp::from_nanos(OPEN + second * SECOND).unwrap();
        let letters: &[&str] = if *is_odd { &["@", "I"] } else { &["@"] };
        let mut row = json!({"t": time.to_string(), "x": "V", "p": serde_json::from_str::<Value>(price).unwrap(),
            "s": size, "c": letters, "i": number, "z": "C"});
        // The vendor calls what was corrected incorrect, and the correction corrected.
        match fate {
            Fate::Stands => {}
            Fate::Replaced => row["u"] = "incorrect".into(),
            Fate::Correction => row["u"] = "corrected".into(),
            Fate::Cancelled => row["u"] = "canceled".into(),
        }
        row
    };
    let rows: Vec<Value> = TAPE.iter().enumerate().map(row).collect();
    Reply::Page(json!({"trades": {"AAPL": rows}, "next_page_token": null}).to_string())
}

/// Start, prices and volume of the CSV that `bars` prints.
fn brief(csv: &str) -> Vec<String> {
    let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<String>>();
    let line = |line: &str| {
        let cells = cells(line);
        [
            &cells[2], &cells[4], &cells[5], &cells[6], &cells[7], &cells[8],
        ]
        .map(String::as_str)
        .join(",")
    };
    csv.lines().skip(1).map(line).collect()
}

/// The program with pages longer than the tape.
fn program(source: &str, server: &Server) -> Program {
    let mut program = Program::new(source, server);
    program.set(&format!("source.{source}.page_len=100"));
    program
}

async fn server(source: &str) -> Server {
    Server::start(if source == "massive" { massive } else { alpaca }).await
}

#[tokio::test]
async fn minute_without_a_price_is_left_out_as_its_vendor_does_and_counted() {
    for source in ["massive", "alpaca"] {
        let (server, redis) = (server(source).await, RedisServer::start());
        let program = program(source, &server);
        let line = format!(
            "backfill --source {source} --symbol AAPL --date {DAY} --session regular --bars 1m,5m --sink {} --json",
            redis.url()
        );
        let ran = program.run(&line).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        let summary: Value = serde_json::from_str(&ran.out).unwrap();
        let counts =
            ["trades", "bars", "ineligible", "volume_only"].map(|name| summary[name].as_u64());
        assert_eq!(
            counts,
            [Some(9), Some(4), Some(2), Some(1)],
            "{source}: {}",
            ran.out
        );
        let read = format!(
            "bars --symbol AAPL --date {DAY} --output csv --sink {}",
            redis.url()
        );
        let bars = brief(&program.run(&read).await.out);
        assert_eq!(bars, [BARS[0], BARS[2], BARS[3]], "{source}");
        assert_eq!(manifest(&redis, "1m", DAY, "AAPL")["bars"], 3, "{source}");
        let five = brief(&program.run(&format!("{read} --spec 5m")).await.out);
        assert_eq!(
            five,
            ["2025-10-21T13:30:00Z,10,13,10,13,462"],
            "{source}: odd lots count for volume"
        );
    }
}

#[tokio::test]
async fn minute_without_a_price_is_carried_through_every_view_and_value_and_read_back() {
    for (view, value) in [
        ("symbol-day", "json"),
        ("symbol-day", "csv"),
        ("minute", "json"),
        ("minute", "csv"),
        ("key-per-bar", "json"),
        ("key-per-bar", "csv"),
        ("stream", "json"),
    ] {
        let (server, redis) = (server("massive").await, RedisServer::start());
        let mut program = program("massive", &server);
        program.set("bars.volume_only=carry");
        program
            .set(&format!("view.kind={view}"))
            .set(&format!("view.value={value}"));
        let line = format!(
            "backfill --source massive --symbol AAPL --date {DAY} --session regular --sink {}",
            redis.url()
        );
        let ran = program.run(&line).await;
        assert_eq!(ran.code, 0, "{view} {value}: {}", ran.err);
        let read = format!("bars --symbol AAPL --date {DAY} --sink {}", redis.url());
        let csv = program.run(&format!("{read} --output csv")).await;
        assert_eq!(brief(&csv.out), BARS, "{view} {value}: {}", csv.err);
        let lines = program.run(&format!("{read} --output jsonl")).await.out;
        let second: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!(
            (&second["open"], &second["volume"]),
            (&Value::Null, &12.0.into()),
            "{view} {value}"
        );
        let table = program.run(&read).await;
        assert_eq!(
            (table.code, table.out.lines().count()),
            (0, 5),
            "{view} {value}: {}",
            table.out
        );
        let chart = program.run(&format!("{read} --chart")).await;
        assert_eq!(chart.code, 0, "{view} {value}: {}", chart.err);
        let again = program.run(&line).await;
        assert!(
            again.err.contains("1 whole already"),
            "{view} {value}: {}",
            again.err
        );
    }
}

/// A correction that has identity and time of the trade it replaces, as the codes of a tape allow.
#[tokio::test]
async fn correction_under_the_identity_of_its_trade_takes_its_place() {
    let row = |number: u32, price: u32, correction: u32| {
        json!({"conditions": [14, 41], "correction": correction, "exchange": 11, "id": "7", "price": price,
            "participant_timestamp": OPEN, "sequence_number": number, "sip_timestamp": OPEN, "size": 100, "tape": 3})
    };
    let rows = [row(1, 99, 1), row(2, 10, 12), row(3, 99, 11)];
    let page = json!({"status": "OK", "results": rows}).to_string();
    let server = Server::start(move |_| Reply::Page(page.clone())).await;
    let program = program("massive", &server);
    let asked = format!("--source massive --symbol AAPL --date {DAY} --session regular");
    assert_eq!(
        program
            .run(&format!("record {asked} --out day.rec"))
            .await
            .code,
        0
    );
    let zone = "--set bars.zone=America/New_York";
    for line in [
        format!("backfill {asked} --sink embedded:fetched"),
        format!("replay day.rec --rules massive-minute {zone} --sink embedded:replayed"),
        format!("replay day.rec --rules all {zone} --sink embedded:all"),
    ] {
        let ran = program.run(&line).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        let sink = line.rsplit_once("embedded:").unwrap().1;
        let read = format!("bars --symbol AAPL --date {DAY} --output csv --sink embedded:{sink}");
        assert_eq!(
            brief(&program.run(&read).await.out),
            ["2025-10-21T13:30:00Z,10,10,10,10,100"],
            "{line}"
        );
    }
}

#[tokio::test]
async fn chosen_rules_decide_what_a_day_is() {
    // The closing cross is a print of its own, at the close.
    let cross = |_: &Hit| {
        let row = |number: i64, price: u32, conditions: &[u32]| {
            let time = OPEN + number * SECOND;
            json!({"conditions": conditions, "exchange": 11, "id": number.to_string(), "participant_timestamp": time,
                "price": price, "sequence_number": number, "sip_timestamp": time, "size": 100, "tape": 3})
        };
        let rows = [
            row(1, 10, &[]),
            row(2, 20, &[12]),
            row(3, 30, &[8, 9, 41]),
            row(4, 40, &[37]),
        ];
        Reply::Page(json!({"status": "OK", "results": rows}).to_string())
    };
    for (rules, minute, day) in [
        ("massive-minute", "10,20,10,20,300", "10,30,10,30,400"),
        ("massive-daily", "10,30,10,30,400", "10,30,10,30,400"),
        ("all", "10,40,10,40,400", "10,40,10,40,400"),
    ] {
        let (server, redis) = (Server::start(cross).await, RedisServer::start());
        let program = program("massive", &server);
        let line = format!(
            "backfill --source massive --symbol AAPL --date {DAY} --session regular --bars 1m,1d,session --rules {rules} --sink {}",
            redis.url()
        );
        assert_eq!(program.run(&line).await.code, 0);
        for (spec, expected) in [("1m", minute), ("1d", day), ("session", day)] {
            let read = format!(
                "bars --symbol AAPL --date {DAY} --spec {spec} --output csv --sink {}",
                redis.url()
            );
            let bars = brief(&program.run(&read).await.out);
            assert_eq!(bars.len(), 1, "{rules} {spec}");
            assert_eq!(
                bars[0].split_once(',').unwrap().1,
                expected,
                "{rules} {spec}"
            );
        }
    }
}
