//! Bars of every kind of spec, and the sessions and zones they are cut by, through the whole program.

use std::fmt::Write;

use jiff::civil::{Date, date, datetime};
use jiff::tz::TimeZone;

use crate::support::program::Program;

const HEADER: &str = "ticker,price,size,sip_timestamp,sequence_number,id\n";

/// Trades at New York wall-clock times, a hundred shares each.
fn trades(times: &[(Date, i8, i8)]) -> String {
    let mut text = HEADER.to_owned();
    for (number, (day, hour, minute)) in times.iter().enumerate() {
        let local = datetime(day.year(), day.month(), day.day(), *hour, *minute, 0, 0);
        let time = local
            .to_zoned(TimeZone::get("America/New_York").expect("a zone"))
            .expect("a time");
        let nanos = time.timestamp().as_nanosecond();
        writeln!(
            text,
            "AAPL,{}.5,100,{nanos},{number},{number}",
            100 + number
        )
        .expect("memory");
    }
    text
}

/// The columns of the bars made from the trades, by the replay's further arguments.
fn bars(trades: &str, replay: &[&str], spec: &str, columns: &[usize]) -> Vec<String> {
    let program = Program::new();
    program.file("day.csv", trades);
    program.counts(&[&["replay", "day.csv", "--bars", spec], replay].concat());
    let read = [
        "bars",
        "--symbol=AAPL",
        "--from=2025-01-01",
        "--to=2025-12-31",
        "--output=csv",
    ];
    let csv = program.ok(&[&read[..], &["--spec", spec]].concat());
    let pick = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        columns
            .iter()
            .map(|index| cells[*index])
            .collect::<Vec<_>>()
            .join(" ")
    };
    csv.lines().skip(1).map(pick).collect()
}

const START: usize = 2;
const END: usize = 3;
const VOLUME: usize = 8;
const TRADES: usize = 10;

#[test]
fn the_regular_session_is_a_wall_clock_interval_on_both_sides_of_a_clock_change() {
    // 31 October is summer time, 3 November winter time; the clocks change between them.
    let (friday, monday) = (date(2025, 10, 31), date(2025, 11, 3));
    let at = [(9, 29), (9, 30), (15, 59), (16, 0)];
    let times: Vec<_> = [friday, monday]
        .into_iter()
        .flat_map(|day| at.map(|(hour, minute)| (day, hour, minute)))
        .collect();
    let starts = bars(&trades(&times), &["--session", "regular"], "1m", &[START]);
    assert_eq!(
        starts,
        [
            "2025-10-31T13:30:00Z",
            "2025-10-31T19:59:00Z",
            "2025-11-03T14:30:00Z",
            "2025-11-03T20:59:00Z"
        ]
    );
}

#[test]
fn what_lies_outside_the_session_is_counted() {
    let day = date(2025, 10, 15);
    let program = Program::new();
    program.file(
        "day.csv",
        trades(&[(day, 9, 0), (day, 10, 0), (day, 17, 0)]),
    );
    let of = |session: &str| {
        let counts =
            program.counts(&["replay", "day.csv", "--sink", "null:", "--session", session]);
        (
            counts["bars"].as_u64().unwrap(),
            counts["ineligible"].as_u64().unwrap(),
        )
    };
    assert_eq!(
        ["all-hours", "all", "pre", "regular", "post", "09:00-10:00"].map(of),
        [(3, 0), (3, 0), (1, 2), (1, 2), (1, 2), (1, 2)]
    );
}

#[test]
fn a_half_day_ends_at_one_o_clock() {
    let day = date(2025, 11, 28);
    let times = [(day, 12, 59), (day, 13, 0), (day, 15, 0)];
    let starts = bars(&trades(&times), &["--session", "regular"], "1m", &[START]);
    assert_eq!(starts, ["2025-11-28T17:59:00Z"]);
}

#[test]
fn a_day_bar_has_as_many_hours_as_its_day() {
    let days = [date(2025, 3, 9), date(2025, 7, 1), date(2025, 11, 2)];
    let made = bars(
        &trades(&days.map(|day| (day, 12, 0))),
        &[],
        "1d",
        &[START, END],
    );
    assert_eq!(
        made,
        [
            "2025-03-09T05:00:00Z 2025-03-10T04:00:00Z",
            "2025-07-01T04:00:00Z 2025-07-02T04:00:00Z",
            "2025-11-02T04:00:00Z 2025-11-03T05:00:00Z",
        ]
    );
}

#[test]
fn a_session_bar_is_the_session() {
    let day = date(2025, 10, 15);
    let times = [
        (day, 9, 0),
        (day, 9, 30),
        (day, 12, 0),
        (day, 15, 59),
        (day, 16, 0),
    ];
    let made = bars(
        &trades(&times),
        &["--session", "regular"],
        "session",
        &[START, END, TRADES],
    );
    assert_eq!(made, ["2025-10-15T13:30:00Z 2025-10-15T20:00:00Z 3"]);
}

#[test]
fn bars_of_ticks_volume_and_value_are_cut_by_what_they_are_named_for() {
    let day = date(2025, 10, 15);
    let times: Vec<_> = (0..10).map(|minute| (day, 10, minute)).collect();
    let trades = trades(&times);
    assert_eq!(bars(&trades, &[], "tick:4", &[TRADES]), ["4", "4", "2"]);
    assert_eq!(
        bars(&trades, &[], "volume:300", &[VOLUME]),
        ["300", "300", "300", "100"]
    );
    // Prices rise from 100.5 by 1: two trades of a hundred shares are worth some twenty thousand.
    let value = bars(&trades, &[], "value:20000", &[TRADES]);
    assert_eq!(value, ["2", "2", "2", "2", "2"]);
}

#[test]
fn several_specs_are_made_in_one_pass() {
    let day = date(2025, 10, 15);
    let times: Vec<_> = (0..60).map(|minute| (day, 10, minute)).collect();
    let program = Program::new();
    program.file("day.csv", trades(&times));
    let counts = program.counts(&["replay", "day.csv", "--bars", "1s,5s,1m,5m,15m,1h,4h,1d"]);
    assert_eq!(counts["bars"], 60 + 60 + 60 + 12 + 4 + 1 + 1 + 1);
    for (spec, count) in [("5s", 60), ("15m", 4), ("4h", 1), ("1d", 1)] {
        let read = [
            "bars",
            "--symbol=AAPL",
            "--date=2025-10-15",
            "--output=jsonl",
            "--spec",
            spec,
        ];
        assert_eq!(program.ok(&read).lines().count(), count, "{spec}");
    }
}
