//! Bars as text: a table for people, CSV and JSON lines for programs.
//!
//! Numbers are exact decimals in every form. In JSON lines they are JSON numbers with all their digits, for readers
//! that keep them; nothing here rounds.

use super::table;
use crate::model::{BarSpec, BarState, BarUpdate, Ohlc, Price, Symbol, Timestamp, Volume};
use clap::ValueEnum;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// The columns of CSV and the names of JSON lines, in order.
pub(super) const COLUMNS: [&str; 13] = [
    "symbol", "spec", "start", "end", "open", "high", "low", "close", "volume", "vwap", "trades",
    "revision", "state",
];
/// Characters of the widest table.
const TABLE_WIDTH_MAX: usize = 120;

/// How bars are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Aligned columns for people.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// One bar as it is printed; `None` is what the store does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarRow {
    /// The instrument.
    pub symbol: Symbol,
    /// Its spec, such as `1m`.
    pub spec: BarSpec,
    /// Start of the window, included.
    pub start: Timestamp,
    /// End of the window, excluded.
    pub end: Timestamp,
    /// The prices; `None` also when no trade may set one.
    pub prices: Option<Ohlc>,
    /// Sum of the sizes.
    pub volume: Volume,
    /// Volume-weighted average price.
    pub vwap: Option<Price>,
    /// Count of trades.
    pub trades: Option<u64>,
    /// Changes since the bar was first final.
    pub revision: Option<u32>,
    /// Forming, final or revised.
    pub state: Option<BarState>,
}

impl From<&BarUpdate> for BarRow {
    fn from(update: &BarUpdate) -> BarRow {
        let bar = &update.bar;
        BarRow {
            symbol: bar.symbol,
            spec: bar.spec,
            start: bar.start,
            end: bar.end,
            prices: bar.prices,
            volume: bar.volume,
            vwap: bar.vwap(),
            trades: Some(bar.trades),
            revision: Some(update.revision),
            state: Some(update.state),
        }
    }
}

impl BarRow {
    /// The texts of all columns, empty for none.
    pub(super) fn cells(&self) -> [String; 13] {
        let price = |pick: fn(&Ohlc) -> Price| optional(self.prices.as_ref().map(pick));
        [
            self.symbol.to_string(),
            self.spec.to_string(),
            self.start.to_string(),
            self.end.to_string(),
            price(|prices| prices.open),
            price(|prices| prices.high),
            price(|prices| prices.low),
            price(|prices| prices.close),
            self.volume.to_string(),
            optional(self.vwap),
            optional(self.trades),
            optional(self.revision),
            self.state
                .map_or_else(String::new, |state| state.as_str().to_owned()),
        ]
    }
}

fn optional<T: Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Prints bars. A reader that closed the pipe has read enough, which is no error.
///
/// # Errors
/// The writer's own, apart from a broken pipe.
pub fn render(rows: &[BarRow], output: Output, out: &mut dyn Write) -> io::Result<()> {
    let mut buffered = io::BufWriter::new(out);
    let written = match output {
        Output::Table => table::write(rows, TABLE_WIDTH_MAX, &mut buffered),
        Output::Csv => write_csv(rows, &mut buffered),
        Output::Jsonl => write_jsonl(rows, &mut buffered),
    };
    match written.and_then(|()| buffered.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            // What is still buffered would only fail again when the buffer is dropped.
            let _unread = buffered.into_parts();
            Ok(())
        }
        result => result,
    }
}

/// No cell needs quotes: symbols and specs hold neither comma nor quote nor line end.
fn write_csv(rows: &[BarRow], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))?;
    rows.iter()
        .try_for_each(|row| writeln!(out, "{}", row.cells().join(",")))
}

fn write_jsonl(rows: &[BarRow], out: &mut dyn Write) -> io::Result<()> {
    for row in rows {
        for (index, (name, cell)) in COLUMNS.iter().zip(row.cells()).enumerate() {
            let opening = if index == 0 { "{" } else { "," };
            write!(out, "{opening}\"{name}\":")?;
            match *name {
                _ if cell.is_empty() => write!(out, "null")?,
                "symbol" | "spec" | "start" | "end" | "state" => write!(out, "\"{cell}\"")?,
                // A column of decimals has a point in each of them, or readers take it for one of integers.
                "trades" | "revision" => write!(out, "{cell}")?,
                _ if cell.contains('.') => write!(out, "{cell}")?,
                _ => write!(out, "{cell}.0")?,
            }
        }
        writeln!(out, "}}")?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::{BarRow, Output, render};
    use crate::model::{BarState, Ohlc};
    use std::io::{self, Write};

    pub(in crate::cli) fn row(symbol: &str, minute: u32, open: &str, close: &str) -> BarRow {
        BarRow {
            symbol: symbol.parse().unwrap(),
            spec: "1m".parse().unwrap(),
            start: format!("2025-10-15T13:{minute:02}:00Z").parse().unwrap(),
            end: format!("2025-10-15T13:{:02}:00Z", minute + 1)
                .parse()
                .unwrap(),
            prices: Some(Ohlc {
                open: open.parse().unwrap(),
                high: "255.5".parse().unwrap(),
                low: "0.00000001".parse().unwrap(),
                close: close.parse().unwrap(),
            }),
            volume: "123456789.0000000001".parse().unwrap(),
            vwap: Some("254.333333333".parse().unwrap()),
            trades: Some(1234),
            revision: Some(0),
            state: Some(BarState::Final),
        }
    }

    pub(in crate::cli) fn empty_row() -> BarRow {
        BarRow {
            prices: None,
            vwap: None,
            trades: None,
            revision: None,
            state: None,
            ..row("BRK.B", 31, "1", "1")
        }
    }

    fn text(rows: &[BarRow], output: Output) -> String {
        let mut out = Vec::new();
        render(rows, output, &mut out).unwrap();
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
}
