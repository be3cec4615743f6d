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

/// The error of a replay that reads nothing.
fn refused(program: &Program, more: &[&str]) -> String {
    let ended = program.run(&[&["replay", "--sink=null:"], more].concat());
    assert_eq!(ended.code, Some(1), "{more:?}: {ended:?}");
    ended.err
}

#[test]
fn files_of_other_kinds_are_named_with_what_to_do() {
    let program = Program::new();
    for (name, start, what) in [
        (
            "a.parquet",
            &b"PAR1\x15\x04"[..],
            "a Parquet file; write it as CSV",
        ),
        ("a.feather", b"ARROW1\0\0", "an Arrow or Feather file"),
        ("a.dbn", b"DBN\x01\0\0\0\0", "a Databento DBN file"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    ] {
        program.file(name, [start, &[0; 100]].concat());
        let told = refused(&program, &[name]);
        assert!(told.contains(what) && told.contains(name), "{told}");
        assert!(!told.contains("damaged"), "{told}");
    }
    std::fs::create_dir(program.folder().join("trades")).expect("a folder");
    let told = refused(&program, &["trades"]);
    assert!(
        told.contains("it is a folder; name the files in it"),
        "{told}"
    );
}

#[test]
fn lean_files_of_other_markets_are_refused_by_name() {
    let program = Program::new();
    let row = "100,1005000,1,P,0,0\n";
    for (name, what) in [
        (
            "20131007_es_trade_tick_201312_20131220.csv",
            "a LEAN file of futures",
        ),
        (
            "20151224_goog_tick_trade_american_call_7450000_20160115.csv",
            "a LEAN file of options",
        ),
        ("20131007_spy_quote_tick.csv", "a LEAN file of quotes"),
    ] {
        program.file(name, row);
        let told = refused(&program, &[name]);
        assert!(
            told.contains(what) && told.contains("US equities are read"),
            "{told}"
        );
    }
    for (folder, what) in [
        ("crypto/coinbase/tick/btcusd", "a LEAN file of crypto"),
        ("future/cme/tick/es", "a LEAN file of futures"),
        ("index/usa/tick/spx", "a LEAN file of an index"),
        (
            "equity/india/tick/reliance",
            "a LEAN file of equities outside the US",
        ),
    ] {
        let folder = program.folder().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("20131007_x_trade_tick.csv");
        std::fs::write(&path, row).expect("a file");
        let told = refused(&program, &[path.to_str().expect("a path")]);
        assert!(told.contains(what), "{told}");
    }
    // A table of six columns that ends in 0 is none of LEAN's when its times and prices are not.
    program.file("six.csv", "1,100.5,2,1735689600012,buy,0\n");
    let told = refused(&program, &["six.csv", "--symbol=A"]);
    assert!(told.contains("detect the format of six.csv"), "{told}");
}

#[test]
fn crypto_and_forex_of_massive_have_days_of_utc_and_options_their_exchanges() {
    let program = Program::new();
    let header = "ticker,conditions,exchange,id,participant_timestamp,price,size\n";
    // Half past midnight in London is still the day before in New York.
    for ticker in ["X:BTC-USD", "C:EUR-USD"] {
        program.file(
            "day.csv",
            format!("{header}{ticker},1,2,7,1735691400000000000,1.5,1\n"),
        );
        let out = program.ok(&["replay", "day.csv", "--sink=stdout:", "--bars=1d"]);
        assert!(out.contains("\"start\":\"2025-01-01T00:00:00Z\""), "{out}");
    }
    program.file(
        "day.csv",
        format!("{header}AAPL,1,2,7,1735691400000000000,1.5,1\n"),
    );
    let out = program.ok(&["replay", "day.csv", "--sink=stdout:", "--bars=1d"]);
    assert!(out.contains("\"start\":\"2024-12-31T05:00:00Z\""), "{out}");
    let options = "ticker,conditions,correction,exchange,participant_timestamp,price,sequence_number,sip_timestamp,size";
    let row = "O:SPY251219C00650000,209,0,302,1735828202000000000,0.05,1,1735828202000000000,1";
    program.file("options.csv", format!("{options}\n{row}\n"));
    let counts = program.counts(&["replay", "options.csv", "--sink=null:"]);
    assert_eq!((&counts["trades"], &counts["bars"]), (&1.into(), &1.into()));
}
