//! Bars as text: a table for people, CSV and JSON lines for programs.
//!
//! Numbers are exact decimals in every form. In JSON lines they are JSON numbers with all their digits, for readers
//! that keep them; nothing here rounds.

use crate::cli::output::{Column, table, width};
use crate::model::{Ohlc, Price};
use barmill_stores::StoredBar;
use clap::ValueEnum;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// The columns of CSV and the names of JSON lines, in order.
const COLUMNS: [&str; 13] = [
    "symbol", "spec", "start", "end", "open", "high", "low", "close", "volume", "vwap", "trades",
    "revision", "state",
];
/// The columns of the table, by name; end and revision are for programs.
const SHOWN: [&str; 11] = [
    "symbol", "spec", "start", "open", "high", "low", "close", "volume", "vwap", "trades", "state",
];
/// The columns that make room first when the table is too wide.
const DISPENSABLE: [&str; 3] = ["state", "vwap", "trades"];
/// Characters of the widest table.
const TABLE_WIDTH_MAX: usize = 120;

/// How bars are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Output {
    /// Aligned columns for people.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// The texts of all columns, empty for what the store does not keep.
fn cells(bar: &StoredBar) -> [String; 13] {
    let price = |pick: fn(&Ohlc) -> Price| optional(bar.prices.as_ref().map(pick));
    let detail = bar.detail.as_ref();
    [
        bar.symbol.to_string(),
        bar.spec.to_string(),
        bar.start.to_string(),
        bar.window_end().to_string(),
        price(|prices| prices.open),
        price(|prices| prices.high),
        price(|prices| prices.low),
        price(|prices| prices.close),
        bar.volume.to_string(),
        optional(detail.and_then(|detail| detail.vwap)),
        optional(detail.map(|detail| detail.trades)),
        optional(detail.map(|detail| detail.revision)),
        optional(detail.map(|detail| detail.state.as_str())),
    ]
}

fn optional<T: Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Prints bars. A reader that closed the pipe has read enough, which is no error.
///
/// # Errors
/// The writer's own, apart from a broken pipe.
pub(super) fn render(bars: &[StoredBar], output: Output, out: &mut dyn Write) -> io::Result<()> {
    let text = match output {
        Output::Table => bar_table(bars, TABLE_WIDTH_MAX),
        Output::Csv => csv(bars),
        Output::Jsonl => bars.iter().map(json_line).collect(),
    };
    print_all(&text, out)
}

/// Prints a text whose reader may have left.
pub(super) fn print_all(text: &str, out: &mut dyn Write) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The bars, points under points. Columns that no row fills are left out, and the dispensable ones when the table would be
/// wider than `width_max`; no number is ever cut.
fn bar_table(bars: &[StoredBar], width_max: usize) -> String {
    let all: Vec<[String; 13]> = bars.iter().map(cells).collect();
    let mut columns: Vec<Column> = SHOWN.iter().filter_map(|name| column(name, &all)).collect();
    for name in DISPENSABLE {
        if width_max < width(&columns) {
            columns.retain(|column| column.name != name);
        }
    }
    table(&columns)
}

/// The column of one name; `None` when rows exist and none fills it.
fn column(name: &'static str, rows: &[[String; 13]]) -> Option<Column> {
    let position = COLUMNS.iter().position(|column| *column == name)?;
    let texts = rows.iter().map(|row| row[position].as_str());
    if !rows.is_empty() && texts.clone().all(str::is_empty) {
        return None;
    }
    if matches!(name, "symbol" | "spec" | "start" | "state") {
        return Some(Column::texts(
            name,
            texts.map(|text| aligned(text, 0)).collect(),
        ));
    }
    let shown = texts.clone().map(places).max().unwrap_or(0);
    Some(Column::numbers(
        name,
        0,
        texts.map(|text| aligned(text, shown)).collect(),
    ))
}

fn places(text: &str) -> usize {
    text.split_once('.')
        .map_or(0, |(_, fraction)| fraction.len())
}

/// The number with zeros up to `places`, which changes its look and not its value.
fn aligned(text: &str, places_shown: usize) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let missing = places_shown - places(text).min(places_shown);
    let point = if missing > 0 && !text.contains('.') {
        "."
    } else {
        ""
    };
    format!("{text}{point}{}", "0".repeat(missing))
}

/// No cell needs quotes: symbols and specs hold neither comma nor quote nor line end.
fn csv(bars: &[StoredBar]) -> String {
    let lines = bars.iter().map(|bar| format!("{}\n", cells(bar).join(",")));
    std::iter::once(format!("{}\n", COLUMNS.join(",")))
        .chain(lines)
        .collect()
}

fn json_line(bar: &StoredBar) -> String {
    let member = |(name, cell): (&&str, String)| match *name {
        _ if cell.is_empty() => format!("\"{name}\":null"),
        "symbol" | "spec" | "start" | "end" | "state" => format!("\"{name}\":\"{cell}\""),
        // A column of decimals has a point in each of them, or readers take it for one of integers.
        "trades" | "revision" => format!("\"{name}\":{cell}"),
        _ if cell.contains('.') => format!("\"{name}\":{cell}"),
        _ => format!("\"{name}\":{cell}.0"),
    };
    let members: Vec<String> = COLUMNS.iter().zip(cells(bar)).map(member).collect();
    format!("{{{}}}\n", members.join(","))
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Output, bar_table, render};
    use crate::model::{BarFlags, BarState, Ohlc, Volume};
    use barmill_stores::{BarDetail, StoredBar};
    use std::io::{self, Write};

    pub(in super::super) fn row(symbol: &str, minute: u32, open: &str, close: &str) -> StoredBar {
        StoredBar {
            symbol: symbol.parse().unwrap(),
            spec: "1m".parse().unwrap(),
            start: format!("2025-10-15T13:{minute:02}:00Z").parse().unwrap(),
            prices: Some(Ohlc {
                open: open.parse().unwrap(),
                high: "255.5".parse().unwrap(),
                low: "0.00000001".parse().unwrap(),
                close: close.parse().unwrap(),
            }),
            volume: "123456789.0000000001".parse().unwrap(),
            detail: Some(BarDetail {
                end: format!("2025-10-15T13:{:02}:00Z", minute + 1)
                    .parse()
                    .unwrap(),
                vwap: Some("254.333333333".parse().unwrap()),
                trades: 1234,
                buy_volume: Volume::ZERO,
                sell_volume: Volume::ZERO,
                first_sequence: 0,
                last_sequence: 0,
                state: BarState::Final,
                revision: 0,
                flags: BarFlags::default(),
            }),
        }
    }

    pub(in super::super) fn empty_row() -> StoredBar {
        StoredBar {
            prices: None,
            detail: None,
            ..row("BRK.B", 31, "1", "1")
        }
    }

    fn text(bars: &[StoredBar], output: Output) -> String {
        let mut out = Vec::new();
        render(bars, output, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn csv_has_the_fixed_header_exact_decimals_and_empty_cells_for_none() {
        insta::assert_snapshot!(text(&[row("AAPL", 30, "255", "255.10"), empty_row()], Output::Csv), @r"
    symbol,spec,start,end,open,high,low,close,volume,vwap,trades,revision,state
    AAPL,1m,2025-10-15T13:30:00Z,2025-10-15T13:31:00Z,255,255.5,0.00000001,255.1,123456789.0000000001,254.333333333,1234,0,final
    BRK.B,1m,2025-10-15T13:31:00Z,2025-10-15T13:32:00Z,,,,,123456789.0000000001,,,,
    ");
    }

    #[test]
    fn every_json_line_is_one_object_with_exact_numbers() {
        let lines = text(
            &[row("AAPL", 30, "255", "255.10"), empty_row()],
            Output::Jsonl,
        );
        for line in lines.lines() {
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).unwrap();
            assert_eq!(object.len(), 13);
        }
        insta::assert_snapshot!(lines, @r#"
    {"symbol":"AAPL","spec":"1m","start":"2025-10-15T13:30:00Z","end":"2025-10-15T13:31:00Z","open":255.0,"high":255.5,"low":0.00000001,"close":255.1,"volume":123456789.0000000001,"vwap":254.333333333,"trades":1234,"revision":0,"state":"final"}
    {"symbol":"BRK.B","spec":"1m","start":"2025-10-15T13:31:00Z","end":"2025-10-15T13:32:00Z","open":null,"high":null,"low":null,"close":null,"volume":123456789.0000000001,"vwap":null,"trades":null,"revision":null,"state":null}
    "#);
    }

    #[test]
    fn no_rows_are_a_header_alone() {
        assert_eq!(text(&[], Output::Csv).lines().count(), 1);
        assert_eq!(text(&[], Output::Jsonl), "");
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_reader_that_closed_the_pipe_is_no_error() {
        for output in [Output::Table, Output::Csv, Output::Jsonl] {
            assert!(render(&[row("AAPL", 30, "1", "2")], output, &mut Closed).is_ok());
        }
    }

    #[test]
    fn points_stand_under_points_and_nothing_is_a_dash() {
        let rows = [
            row("AAPL", 30, "255", "255.1"),
            empty_row(),
            row("MSFT", 32, "99.125", "9"),
        ];
        insta::assert_snapshot!(bar_table(&rows, 140), @r"
    symbol  spec  start                    open   high         low  close                volume           vwap  trades  state
    AAPL    1m    2025-10-15T13:30:00Z  255.000  255.5  0.00000001  255.1  123456789.0000000001  254.333333333    1234  final
    BRK.B   1m    2025-10-15T13:31:00Z        -      -           -      -  123456789.0000000001              -       -  -
    MSFT    1m    2025-10-15T13:32:00Z   99.125  255.5  0.00000001    9.0  123456789.0000000001  254.333333333    1234  final
    ");
    }

    #[test]
    fn a_table_too_wide_gives_up_what_is_dispensable_and_no_digit() {
        let narrow = bar_table(&[row("AAPL", 30, "255", "255.1")], 100);
        assert!(
            !narrow.contains("vwap") && narrow.contains("123456789.0000000001"),
            "{narrow}"
        );
    }

    #[test]
    fn a_column_that_no_row_fills_is_left_out() {
        assert!(!bar_table(&[empty_row()], 140).contains("vwap"));
    }
}
