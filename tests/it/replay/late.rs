//! Trades that come too late for their bars: counted, kept aside, and told.

use crate::support::program::{Ended, Program};
use crate::support::trades::{MadeDay, Order};

const DAY: MadeDay = MadeDay {
    trades: 900,
    symbols: 1,
    minutes: 9,
    seed: 5,
    order: Order::Time,
};
/// Lines of the day that are moved to its end, eight minutes behind.
const MOVED: std::ops::Range<usize> = 10..13;
const STRICT: [&str; 2] = ["--set", "bars.revise_within_ms=60000"];

fn disordered() -> String {
    let day = DAY.massive_csv();
    let mut lines: Vec<&str> = day.lines().collect();
    let moved: Vec<&str> = lines.drain(MOVED).collect();
    lines.extend(moved);
    lines.join("\n") + "\n"
}

fn replay(program: &Program, rest: &[&str]) -> Ended {
    let ended = program.run(&[&["replay", "day.csv", "--json"][..], &STRICT, rest].concat());
    assert_eq!(
        (ended.code, &ended.json()["late"]),
        (Some(0), &3.into()),
        "{}",
        ended.err
    );
    ended
}

#[test]
fn late_trades_are_kept_in_a_recording_that_every_run_adds_to() {
    let program = Program::new();
    program.file("day.csv", disordered());
    let ended = replay(&program, &[]);
    assert!(
        ended
            .err
            .contains("trades came too late for their bars; saved in the late file"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("barmill-data/late.rec"), "{}", ended.err);
    let late = |sink: &str| {
        program
            .run(&["replay", "barmill-data/late.rec", "--json", "--sink", sink])
            .json()
    };
    assert_eq!(
        (&late("null:")["trades"], &late("null:")["bars"]),
        (&3.into(), &1.into())
    );
    replay(&program, &["--set", "run.checkpoint_every_ms=0"]);
    let twice = late("null:");
    assert_eq!(
        (&twice["trades"], &twice["duplicates"]),
        (&6.into(), &3.into())
    );
}

#[test]
fn late_trades_are_counted_alone_where_none_are_to_be_kept() {
    let rests: [&[&str]; 2] = [&["--set", "run.late_max_mb=0"], &["--sink", "null:"]];
    for rest in rests {
        let program = Program::new();
        program.file("day.csv", disordered());
        let ended = replay(&program, rest);
        assert!(!ended.err.contains("late file"), "{}", ended.err);
        assert!(ended.err.contains("came too late"), "{}", ended.err);
        assert!(!program.folder().join("barmill-data/late.rec").exists());
    }
}

#[test]
fn late_file_that_cannot_be_written_costs_a_warning_and_no_bar() {
    let program = Program::new();
    program.file("day.csv", disordered());
    program.file("taken", "no folder");
    let ended = replay(
        &program,
        &["--set", "run.state_dir=taken", "--sink", "embedded:bars"],
    );
    assert!(
        ended
            .err
            .contains("the late file cannot be written; late trades are only counted"),
        "{}",
        ended.err
    );
    assert_eq!(ended.json()["bars"], 9);
}
