//! The result of a fetch: a table and a JSON object at its end.

use super::summary::RunSummary;
use crate::model::{Symbol, Timestamp};
use indicatif::HumanCount;
use jiff::civil::Date;
use serde::{Serialize, Serializer};
use std::io::{self, Write};

/// Days in the table at most; of more, only those that are not whole are listed.
const TABLE_ROWS_MAX: usize = 60;

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
        let shown: Vec<&FetchedDay> = self
            .days
            .iter()
            .filter(is_shown)
            .take(TABLE_ROWS_MAX)
            .collect();
        let symbol_width = shown
            .iter()
            .map(|day| day.symbol.as_str().len())
            .max()
            .unwrap_or(0)
            .max(6);
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
        for (number, what) in [
            (already, "whole already"),
            (incomplete, "incomplete, run again to go on"),
        ] {
            if number > 0 {
                text = format!("{text}, {number} {what}");
            }
        }
        format!(
            "{text}; requests to the source {}",
            HumanCount(self.source_requests)
        )
    }
}

/// An instant without its fraction.
pub(super) fn seconds(time: Timestamp) -> String {
    let whole = time.saturating_sub(time.as_nanos() % 1_000_000_000);
    whole.to_string()
}

#[cfg(test)]
mod tests {
    use super::{FetchSummary, FetchedDay, Status};
    use crate::cli::RunSummary;

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
        FetchSummary {
            run: RunSummary::default(),
            source_requests: 12,
            days,
        }
    }

    #[test]
    fn the_table_tells_what_is_whole_and_what_is_not() {
        let days = vec![
            day("AAPL", Status::Whole),
            day("BRK.B", Status::Incomplete),
            day("MSFT", Status::Already),
        ];
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
        summary(vec![day("AAPL", Status::Already)])
            .write_json(&mut out)
            .unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap().trim_end(), @r#"{"trades":0,"bars":0,"late":0,"duplicates":0,"ineligible":0,"malformed":0,"revised":0,"requests":0,"commands":0,"connections":0,"retries":0,"spooled":0,"dead_letters":0,"elapsed_ms":0,"source_requests":12,"days":[{"symbol":"AAPL","date":"2025-10-21","from":"2025-10-21T13:30:00Z","to":"2025-10-21T20:00:00Z","covered_to":"2025-10-21T15:00:00.25Z","status":"already","pages":10,"trades":500000}]}"#);
    }
}
