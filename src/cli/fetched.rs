//! What became of a fetch: progress while it runs, one table and one JSON object at its end.

use super::summary::RunSummary;
use crate::adapter::history::Coverage;
use crate::model::{Symbol, Timestamp};
use indicatif::{HumanCount, HumanDuration};
use jiff::civil::Date;
use serde::{Serialize, Serializer};
use std::io::{self, Write};
use std::time::Duration;

/// Days in the table at most; of more, only those that are not whole are listed.
const TABLE_ROWS_MAX: usize = 60;
/// Symbols on the screen at most while a fetch runs.
const PROGRESS_LINES_MAX: usize = 12;

/// How much of a day the sink has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was whole before, and nothing was asked.
    Already,
    /// It is whole now.
    Whole,
    /// A part of it, or nothing yet.
    Incomplete,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Status::Already => "whole already",
            Status::Whole => "whole",
            Status::Incomplete => "INCOMPLETE",
        }
    }
}

/// One symbol and day of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FetchedDay {
    /// The instrument.
    #[serde(serialize_with = "as_text")]
    pub symbol: Symbol,
    /// The date in the source's zone.
    #[serde(serialize_with = "as_text")]
    pub date: Date,
    /// Start of the interval asked for, included.
    #[serde(serialize_with = "as_text")]
    pub from: Timestamp,
    /// End of the interval asked for, excluded.
    #[serde(serialize_with = "as_text")]
    pub to: Timestamp,
    /// Every trade before this instant was fetched, now or earlier.
    #[serde(serialize_with = "as_text")]
    pub covered_to: Timestamp,
    /// How much of it the sink has.
    pub status: Status,
    /// Pages fetched now.
    pub pages: u64,
    /// Trades fetched now.
    pub trades: u64,
}

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// The counts of a run, and what was fetched for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchSummary {
    /// The counts that every run has.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Requests sent to the source, retries included.
    pub source_requests: u64,
    /// Every symbol and day asked for, by date and symbol.
    pub days: Vec<FetchedDay>,
}

impl FetchSummary {
    /// Writes one line with one JSON object.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let line = serde_json::to_string(self).map_err(io::Error::from)?;
        writeln!(out, "{line}")
    }

    /// Writes the table of days for people, in UTC.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let is_long = self.days.len() > TABLE_ROWS_MAX;
        let is_shown = |day: &&FetchedDay| !is_long || day.status == Status::Incomplete;
        let shown: Vec<&FetchedDay> = self.days.iter().filter(is_shown).take(TABLE_ROWS_MAX).collect();
        let symbol_width = shown.iter().map(|day| day.symbol.as_str().len()).max().unwrap_or(0).max(6);
        if !shown.is_empty() {
            writeln!(
                out,
                "{:symbol_width$}  date        {:20}  {:20}  {:>6}  {:>11}  state",
                "symbol", "from", "covered to", "pages", "trades"
            )?;
        }
        for day in shown {
            writeln!(
                out,
                "{:symbol_width$}  {}  {:20}  {:20}  {:>6}  {:>11}  {}",
                day.symbol.as_str(),
                day.date,
                seconds(day.from),
                seconds(day.covered_to),
                HumanCount(day.pages).to_string(),
                HumanCount(day.trades).to_string(),
                day.status.as_str()
            )?;
        }
        writeln!(out, "{}", self.totals())
    }

    fn totals(&self) -> String {
        let count = |status| self.days.iter().filter(|day| day.status == status).count();
        let (already, whole) = (count(Status::Already), count(Status::Whole));
        let incomplete = count(Status::Incomplete);
        let mut text = format!("{} symbol-days: {whole} whole now", self.days.len());
        for (number, what) in [(already, "whole already"), (incomplete, "incomplete, run again to go on")] {
            if number > 0 {
                text = format!("{text}, {number} {what}");
            }
        }
        format!("{text}; requests to the source {}", HumanCount(self.source_requests))
    }
}

/// An instant without its fraction.
fn seconds(time: Timestamp) -> String {
    let whole = time.saturating_sub(time.as_nanos() % 1_000_000_000);
    whole.to_string()
}

/// The lines for the screen while a fetch runs: one per range under way, then the sum of all.
pub fn progress_lines(coverage: &[Coverage], elapsed: Duration) -> Vec<String> {
    let is_under_way = |one: &&Coverage| !one.is_complete && one.pages > 0;
    let mut lines: Vec<String> =
        coverage.iter().filter(is_under_way).take(PROGRESS_LINES_MAX).map(line).collect();
    let whole = coverage.iter().filter(|one| one.is_complete).count();
    let trades: u64 = coverage.iter().map(|one| one.trades).sum();
    let pages: u64 = coverage.iter().map(|one| one.pages).sum();
    let millis = elapsed.as_millis().max(1);
    let rate = u64::try_from(u128::from(trades) * 1_000 / millis).unwrap_or(u64::MAX);
    let done: i128 = coverage.iter().map(covered_ns).sum();
    let all: i128 = coverage.iter().map(|one| i128::from(one.range.to.since(one.range.from))).sum();
    lines.push(format!(
        "{whole} of {} whole, trades {}, pages {}, {}/s{}",
        coverage.len(),
        HumanCount(trades),
        HumanCount(pages),
        HumanCount(rate),
        left(millis, done, all)
    ));
    lines
}

/// The time left, if the rest goes as what is done went.
fn left(elapsed_ms: u128, done: i128, all: i128) -> String {
    let elapsed = i128::try_from(elapsed_ms).unwrap_or(i128::MAX);
    let rest = match elapsed.checked_mul(all - done) {
        Some(product) if done > 0 => product / done,
        Some(_) | None => return String::new(),
    };
    let rest = Duration::from_millis(u64::try_from(rest).unwrap_or(0));
    format!(", about {} left", HumanDuration(rest))
}

fn covered_ns(one: &Coverage) -> i128 {
    i128::from(one.covered_to.since(one.range.from))
}

fn line(one: &Coverage) -> String {
    let all = i128::from(one.range.to.since(one.range.from)).max(1);
    let percent = covered_ns(one) * 100 / all;
    format!(
        "{:<10} {percent:>3}%  to {}  trades {}, pages {}",
        one.range.symbol.as_str(),
        seconds(one.covered_to),
        HumanCount(one.trades),
        HumanCount(one.pages)
    )
}

#[cfg(test)]
mod tests {
    use super::{FetchSummary, FetchedDay, Status, progress_lines};
    use crate::adapter::history::{Coverage, SymbolRange};
    use crate::cli::RunSummary;
    use std::time::Duration;

    fn day(symbol: &str, status: Status) -> FetchedDay {
        FetchedDay {
            symbol: symbol.parse().unwrap(),
            date: "2025-10-21".parse().unwrap(),
            from: "2025-10-21T13:30:00Z".parse().unwrap(),
            to: "2025-10-21T20:00:00Z".parse().unwrap(),
            covered_to: "2025-10-21T15:00:00.25Z".parse().unwrap(),
            status,
            pages: 10,
            trades: 500_000,
        }
    }

    fn summary(days: Vec<FetchedDay>) -> FetchSummary {
        FetchSummary { run: RunSummary::default(), source_requests: 12, days }
    }

    #[test]
    fn the_table_tells_what_is_whole_and_what_is_not() {
        let days =
            vec![day("AAPL", Status::Whole), day("BRK.B", Status::Incomplete), day("MSFT", Status::Already)];
        let mut out = Vec::new();
        summary(days).write_table(&mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
    symbol  date        from                  covered to             pages       trades  state
    AAPL    2025-10-21  2025-10-21T13:30:00Z  2025-10-21T15:00:00Z      10      500,000  whole
    BRK.B   2025-10-21  2025-10-21T13:30:00Z  2025-10-21T15:00:00Z      10      500,000  INCOMPLETE
    MSFT    2025-10-21  2025-10-21T13:30:00Z  2025-10-21T15:00:00Z      10      500,000  whole already
    3 symbol-days: 1 whole now, 1 whole already, 1 incomplete, run again to go on; requests to the source 12
    ");
    }

    #[test]
    fn a_long_table_lists_what_is_not_whole() {
        let mut days = vec![day("AAPL", Status::Whole); 500];
        days.push(day("BRK.B", Status::Incomplete));
        let mut out = Vec::new();
        summary(days).write_table(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 3);
    }

    #[test]
    fn the_json_object_adds_to_the_names_of_every_run() {
        let mut out = Vec::new();
        summary(vec![day("AAPL", Status::Already)]).write_json(&mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap().trim_end(), @r#"{"trades":0,"bars":0,"late":0,"duplicates":0,"ineligible":0,"malformed":0,"revised":0,"requests":0,"commands":0,"connections":0,"retries":0,"spooled":0,"dead_letters":0,"elapsed_ms":0,"source_requests":12,"days":[{"symbol":"AAPL","date":"2025-10-21","from":"2025-10-21T13:30:00Z","to":"2025-10-21T20:00:00Z","covered_to":"2025-10-21T15:00:00.25Z","status":"already","pages":10,"trades":500000}]}"#);
    }

    #[test]
    fn progress_tells_each_range_under_way_and_the_time_left() {
        let coverage = |symbol: &str, to: &str, pages: u64| Coverage {
            range: SymbolRange {
                symbol: symbol.parse().unwrap(),
                from: "2025-10-21T13:00:00Z".parse().unwrap(),
                to: "2025-10-21T20:00:00Z".parse().unwrap(),
            },
            covered_to: format!("2025-10-21T{to}Z").parse().unwrap(),
            is_complete: to == "20:00:00",
            pages,
            trades: pages * 50_000,
            duplicates: 0,
        };
        let all = [
            coverage("AAPL", "20:00:00", 9),
            coverage("MSFT", "13:42:00", 1),
            coverage("TSLA", "13:00:00", 0),
        ];
        insta::assert_snapshot!(progress_lines(&all, Duration::from_secs(10)).join("\n"), @r"
    MSFT        10%  to 2025-10-21T13:42:00Z  trades 50,000, pages 1
    1 of 3 whole, trades 500,000, pages 10, 50,000/s, about 17 seconds left
    ");
    }
}
