//! Which symbol the trades of a file have: that of the row or the name; an argument only where neither tells one.

use crate::support::program::Program;
use crate::support::redis::RedisServer;

const BTC: &str = "1,93000.5,1,93000.5,1735689600000,true,true\n";
const ETH: &str = "7,3000.5,10,30005,1735689601000,true,true\n";

fn program() -> Program {
    let program = Program::new();
    program.file("BTCUSDT-trades-2025-01-01.csv", BTC);
    program.file("ETHUSDT-trades-2025-01-01.csv", ETH);
    program.file("nameless.csv", ETH);
    program
}

/// The symbols and highs of the bars that come of the files.
fn bars(program: &Program, more: &[&str]) -> Vec<(String, String)> {
    let replay = ["replay", "--sink=stdout:", "--format=binance-trades"];
    let out = program.ok(&[&replay, more].concat());
    let bar = |line: &str| {
        let bar: serde_json::Value = serde_json::from_str(line).expect("JSON");
        (
            bar["symbol"].as_str().expect("a text").to_owned(),
            bar["high"].to_string(),
        )
    };
    out.lines().map(bar).collect()
}

fn of(symbol: &str, high: &str) -> (String, String) {
    (symbol.to_owned(), high.to_owned())
}

#[test]
fn one_symbol_that_is_asked_for_does_not_rename_the_files_of_others() {
    let (program, both) = (
        program(),
        [
            "BTCUSDT-trades-2025-01-01.csv",
            "ETHUSDT-trades-2025-01-01.csv",
        ],
    );
    let (btc, eth) = (of("BTCUSDT", "93000.5"), of("ETHUSDT", "3000.5"));
    assert_eq!(bars(&program, &both), [btc.clone(), eth.clone()]);
    let only = [&both[..], &["--symbol=BTCUSDT"]].concat();
    assert_eq!(bars(&program, &only), [btc]);
    let ended = program.run(&[&["replay", "--sink=null:"], &only[..]].concat());
    let told = "is of ETHUSDT by its name, which --symbol leaves out; --rename ETHUSDT=SYMBOL";
    assert!(ended.err.contains(told), "{}", ended.err);
    let renamed = [&both[1..], &["--rename=ETHUSDT=ETH-USD"]].concat();
    assert_eq!(bars(&program, &renamed), [of("ETH-USD", "3000.5")]);
    // A file that names none takes the one that is given.
    assert_eq!(bars(&program, &["nameless.csv", "--symbol=ETHUSDT"]), [eth]);
    let ended = program.run(&["replay", "nameless.csv", "--sink=null:"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("pass exactly one --symbol"), "{ended:?}");
}

#[test]
fn row_of_the_year_2099_among_good_ones_is_refused_by_its_line_or_skipped_and_loses_no_other() {
    let program = Program::new();
    let mut rows = "ticker,id,price,size,sip_timestamp,sequence_number\n".to_owned();
    for second in 0..3_600_i64 {
        let year_2099 = 4_070_908_800_000_000_000;
        let time = if second == 100 {
            year_2099
        } else {
            1_736_175_600_000_000_000 + second * 1_000_000_000
        };
        rows = format!("{rows}A,{second},1.5,1,{time},{second}\n");
    }
    program.file("wild.csv", rows);
    let stopped = program.run(&["replay", "wild.csv", "--sink=null:"]);
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    let told = "line 102: time \"2099-01-01T00:00:00Z\": lies in the future";
    assert!(stopped.err.contains(told), "{}", stopped.err);
    let counts = program.counts(&["replay", "wild.csv", "--sink=null:", "--on-bad-row=skip"]);
    let count = |name: &str| counts[name].as_u64().expect("a count");
    assert_eq!(
        (
            count("trades"),
            count("malformed"),
            count("late"),
            count("bars")
        ),
        (3_599, 1, 0, 60)
    );
}

#[test]
fn the_last_instants_that_a_number_holds_are_a_bad_row_and_no_panic() {
    let program = Program::new();
    let header = "id,price,qty,quote_qty,time,is_buyer_maker\n";
    for time in [
        "9223372036854775807",
        "9223113600000000001",
        "9223372036854",
    ] {
        let name = "BTCUSDT-trades-x.csv";
        program.file(name, format!("{header}1,1.5,1,1,{time},true\n"));
        let ended = program.run(&["replay", name, "--sink=null:"]);
        assert_eq!(ended.code, Some(1), "{time}: {ended:?}");
        assert!(
            ended.err.contains("line 2: time ") && !ended.err.contains("panicked"),
            "{time}: {}",
            ended.err
        );
    }
}

/// A row a second for two hours of one symbol, from this second on.
fn hours(from: i64) -> String {
    let mut rows = "ticker,id,price,size,sip_timestamp,sequence_number\n".to_owned();
    for second in 0..7_200_i64 {
        let time = (1_736_175_600 + from + second) * 1_000_000_000;
        rows = format!("{rows}A,{0},1.5,1,{time},{0}\n", from + second);
    }
    rows
}

#[test]
fn files_in_the_wrong_order_are_read_in_that_of_their_trades() {
    let program = Program::new();
    program.file("a.csv", hours(7_200));
    program.file("b.csv", hours(0));
    let counts = program.counts(&["replay", "a.csv", "b.csv", "--sink=null:"]);
    let count = |name: &str| counts[name].as_u64().expect("a count");
    assert_eq!(
        (count("trades"), count("late"), count("bars")),
        (14_400, 0, 240)
    );
}

#[test]
fn trades_that_are_late_are_told_and_no_manifest_calls_their_day_complete() {
    let (program, redis) = (Program::new(), RedisServer::start());
    let early = hours(0);
    let (header, rows) = early.split_once('\n').expect("a header");
    // The first hour behind the second one, in one file, so that nothing puts it right.
    let (first, second) = rows.split_at(rows.len() / 2);
    let second = &second[second.find('\n').expect("a line") + 1..];
    let first = &first[..=first.rfind('\n').expect("a line")];
    program.file("mixed.csv", format!("{header}\n{second}{first}"));
    for sink in [redis.url(), "null:".to_owned()] {
        let sink = format!("--sink={sink}");
        let ended = program.run(&["replay", "mixed.csv", "--json", &sink]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let late = ended.json()["late"].as_u64().expect("a count");
        assert!(late > 1_000, "{ended:?}");
        let told = format!("late={late} symbol=A time=2025-01-06T15:00:00Z");
        assert!(
            ended.err.contains("came too late") && ended.err.contains(&told),
            "{}",
            ended.err
        );
        let strict = program.run(&["replay", "mixed.csv", "--strict", "--sink=null:"]);
        assert_eq!(strict.code, Some(1), "{strict:?}");
        assert!(strict.err.contains("(--strict)"), "{}", strict.err);
    }
    let redis::Value::BulkString(manifest) =
        redis.command(&["HGET", "manifest:barmill:1m:2025-01-06", "A"])
    else {
        panic!("no manifest")
    };
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["complete"], false);
}
