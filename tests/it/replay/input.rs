//! What comes in: good files, bad rows, standard input, and command lines that are wrong.

use crate::support::program::Program;
use crate::support::trades::{MadeDay, Order};

const DAY: MadeDay = MadeDay {
    trades: 900,
    symbols: 1,
    minutes: 9,
    seed: 5,
    order: Order::Time,
};

/// A day whose lines 40 and 400 are no trades.
fn spoiled() -> String {
    let day = DAY.massive_csv();
    let lines = day
        .lines()
        .enumerate()
        .map(|(index, line)| match index + 1 {
            40 => line.replacen(",0,", ",0,4,9,1760529600000000000,25x.1,", 1) + "\n",
            400 => "AAPL,,0\n".to_owned(),
            _ => line.to_owned() + "\n",
        });
    lines.collect()
}

#[test]
fn a_bad_row_stops_the_run_and_is_named_by_file_line_field_and_value() {
    let program = Program::new();
    program.file("day.csv", spoiled());
    let ended = program.run(&["replay", "day.csv", "--sink", "null:", "--json"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .err
            .contains("barmill: failed to replay: feed files failed: read day.csv, line 40: "),
        "{ended:?}"
    );
    assert!(
        ended
            .err
            .contains("or skip such rows with --on-bad-row skip"),
        "{ended:?}"
    );
    assert_eq!(ended.json()["malformed"], 0);
}

#[test]
fn skipped_rows_are_counted_and_listed() {
    let program = Program::new();
    program.file("day.csv", spoiled());
    let ended = program.run(&["replay", "day.csv", "--on-bad-row", "skip", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let counts = ended.json();
    assert_eq!(
        (&counts["malformed"], &counts["trades"], &counts["bars"]),
        (&2.into(), &898.into(), &9.into())
    );
    assert!(
        ended.err.contains("skipped day.csv, line 40: "),
        "{}",
        ended.err
    );
    assert!(
        ended.err.contains("skipped day.csv, line 400: "),
        "{}",
        ended.err
    );
}

#[test]
fn standard_input_is_a_file_too() {
    let program = Program::new();
    let ended = program.run_with(&["replay", "-", "--json"], DAY.massive_csv().as_bytes());
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(ended.json()["bars"], 9);
    let zst = zstd::encode_all(DAY.massive_csv().as_bytes(), 1).unwrap();
    let ended = program.run_with(&["replay", "-", "--json", "--sink", "null:"], &zst);
    assert_eq!(
        (ended.code, &ended.json()["trades"]),
        (Some(0), &900.into()),
        "{}",
        ended.err
    );
}

#[test]
fn a_missing_file_is_a_fault_that_names_it() {
    let ended = Program::new().run(&["replay", "no/such.csv", "--sink", "null:"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("no/such.csv"), "{}", ended.err);
}

#[test]
fn help_and_version_are_on_stdout_and_a_wrong_command_line_on_stderr() {
    let program = Program::new();
    assert!(program.ok(&["--version"]).starts_with("barmill "));
    assert!(program.ok(&["replay", "--help"]).contains("--on-bad-row"));
    for wrong in [
        &["replay"][..],
        &["relpay", "x"],
        &["bars", "--symbol", "A"],
        &["check", "--shards", "2"],
    ] {
        let ended = program.run(wrong);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(!ended.err.is_empty());
    }
}

#[test]
fn a_view_that_the_store_cannot_take_is_a_wrong_config() {
    let program = Program::new();
    program.file("day.csv", DAY.massive_csv());
    let ended = program.run(&["replay", "day.csv", "--set", "view.namespace=a:b"]);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(
        ended
            .err
            .contains(r#"namespace "a:b" is not 1 to 64 letters"#),
        "{}",
        ended.err
    );
}

#[test]
fn all_faults_of_a_config_are_told_with_line_and_column_and_nothing_is_done() {
    let program = Program::new().env("BARMILL__AGGREGATE__SHARDS", "none");
    program.file(
        "my.toml",
        "[bars]\nspecs = [\"7m\"]\n[writer]\n  bach_len_max = 5\n[view]\nttl_s = -1\n",
    );
    let ended = program.run(&[
        "--config",
        "my.toml",
        "--set",
        "bars.fill=zero",
        "replay",
        "day.csv",
    ]);
    assert_eq!(ended.code, Some(2));
    for part in [
        "5 faults",
        "my.toml:2:9: bars.specs: ",
        "my.toml:4:3: writer.bach_len_max: ",
        "batch_len_max",
        "my.toml:6:9: view.ttl_s: ",
        "BARMILL__AGGREGATE__SHARDS",
        "--set bars.fill",
    ] {
        assert!(
            ended.err.contains(part),
            "{part:?} is not in:\n{}",
            ended.err
        );
    }
    assert_eq!(
        std::fs::read_dir(program.folder()).unwrap().count(),
        1,
        "no store was made"
    );
}
