//! Bars as a table, aligned at the decimal points, no wider than requested.

use super::render::{BarRow, COLUMNS};
use std::io::{self, Write};

/// The columns of the table, by name; end and revision are for programs.
const SHOWN: [&str; 11] = [
    "symbol", "spec", "start", "open", "high", "low", "close", "volume", "vwap", "trades", "state",
];
/// The columns that make room first when the table is too wide.
const DISPENSABLE: [&str; 3] = ["state", "vwap", "trades"];
const GAP: &str = "  ";

struct Column {
    name: &'static str,
    is_text: bool,
    width: usize,
    cells: Vec<String>,
}

/// Writes the table. Columns that no row fills are left out, and the dispensable ones when it would be wider
/// than `width_max`; no number is ever cut.
pub(super) fn write(rows: &[BarRow], width_max: usize, out: &mut dyn Write) -> io::Result<()> {
    let all: Vec<[String; 13]> = rows.iter().map(BarRow::cells).collect();
    let mut columns: Vec<Column> = SHOWN.iter().filter_map(|name| column(name, &all)).collect();
    for name in DISPENSABLE {
        if width_max < width(&columns) {
            columns.retain(|column| column.name != name);
        }
    }
    let header: Vec<String> = columns
        .iter()
        .map(|column| column.pad(column.name))
        .collect();
    writeln!(out, "{}", header.join(GAP).trim_end())?;
    for index in 0..rows.len() {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| column.pad(&column.cells[index]))
            .collect();
        writeln!(out, "{}", cells.join(GAP).trim_end())?;
    }
    Ok(())
}

fn width(columns: &[Column]) -> usize {
    let cells: usize = columns.iter().map(|column| column.width).sum();
    cells + GAP.len() * columns.len().saturating_sub(1)
}

/// The column of one name; `None` when rows exist and none fills it.
fn column(name: &'static str, rows: &[[String; 13]]) -> Option<Column> {
    let position = COLUMNS.iter().position(|column| *column == name)?;
    let texts: Vec<&str> = rows.iter().map(|row| row[position].as_str()).collect();
    if !texts.is_empty() && texts.iter().all(|text| text.is_empty()) {
        return None;
    }
    let is_text = matches!(name, "symbol" | "spec" | "start" | "state");
    let places = if is_text {
        0
    } else {
        texts.iter().map(|text| places(text)).max().unwrap_or(0)
    };
    let cells: Vec<String> = texts.iter().map(|text| aligned(text, places)).collect();
    let widest = cells.iter().map(String::len).max().unwrap_or(0);
    Some(Column {
        name,
        is_text,
        width: widest.max(name.len()),
        cells,
    })
}

impl Column {
    fn pad(&self, text: &str) -> String {
        let width = self.width;
        if self.is_text {
            format!("{text:<width$}")
        } else {
            format!("{text:>width$}")
        }
    }
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

#[cfg(test)]
mod tests {
    use super::super::render::tests::{empty_row, row};
    use super::write;
    use crate::cli::BarRow;

    fn table(rows: &[BarRow], width_max: usize) -> String {
        let mut out = Vec::new();
        write(rows, width_max, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn points_stand_under_points_and_nothing_is_a_dash() {
        let rows = [
            row("AAPL", 30, "255", "255.1"),
            empty_row(),
            row("MSFT", 32, "99.125", "9"),
        ];
        insta::assert_snapshot!(table(&rows, 140), @r"
    symbol  spec  start                    open   high         low  close                volume           vwap  trades  state
    AAPL    1m    2025-10-15T13:30:00Z  255.000  255.5  0.00000001  255.1  123456789.0000000001  254.333333333    1234  final
    BRK.B   1m    2025-10-15T13:31:00Z        -      -           -      -  123456789.0000000001              -       -  -
    MSFT    1m    2025-10-15T13:32:00Z   99.125  255.5  0.00000001    9.0  123456789.0000000001  254.333333333    1234  final
    ");
    }

    #[test]
    fn a_table_too_wide_gives_up_what_is_dispensable_and_no_digit() {
        let narrow = table(&[row("AAPL", 30, "255", "255.1")], 100);
        assert!(
            !narrow.contains("vwap") && narrow.contains("123456789.0000000001"),
            "{narrow}"
        );
    }

    #[test]
    fn a_column_that_no_row_fills_is_left_out() {
        assert!(!table(&[empty_row()], 140).contains("vwap"));
    }
}
