//! The result of a fetch: a table and a JSON object at its end.

use crate::cli::output::{Column, table};
use crate::cli::progress::whole_seconds;
use crate::engine::requested::RequestedDay;
use crate::model::{Symbol, Timestamp};
use crate::pipeline::Summary;
use barmill_sources::history::Coverage;
use indicatif::HumanCount;
use jiff::civil::Date;
use serde::{Serialize, Serializer};

/// Days in the table at most; of more, only those that are not whole are listed.
const TABLE_ROWS_MAX: usize = 60;

/// How much of a day the sink has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
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
pub(super) struct FetchedDay {
    /// The instrument.
    #[serde(serialize_with = "as_text")]
    pub(super) symbol: Symbol,
    /// The date in the source's zone.
    #[serde(serialize_with = "as_text")]
    pub(super) date: Date,
    /// Start of the interval asked for, included.
    #[serde(serialize_with = "as_text")]
    pub(super) from: Timestamp,
    /// End of the interval asked for, excluded.
    #[serde(serialize_with = "as_text")]
    pub(super) to: Timestamp,
    /// Every trade before this instant was fetched, now or earlier.
    #[serde(serialize_with = "as_text")]
    pub(super) covered_to: Timestamp,
    /// How much of it the sink has.
    pub(super) status: Status,
    /// Pages fetched now.
    pub(super) pages: u64,
    /// Trades fetched now.
    pub(super) trades: u64,
}

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

impl FetchedDay {
    /// A day of which this was covered now; without a coverage it was whole before.
    pub(super) fn of(symbol: Symbol, day: &RequestedDay, fetched: Option<&Coverage>) -> FetchedDay {
        FetchedDay {
            symbol,
            date: day.date,
            from: day.from,
            to: day.to,
            covered_to: fetched.map_or(day.to, |one| one.covered_to),
            status: match fetched {
                None => Status::Already,
                Some(one) if one.is_complete => Status::Whole,
                Some(_) => Status::Incomplete,
            },
            pages: fetched.map_or(0, |one| one.pages),
            trades: fetched.map_or(0, |one| one.trades),
        }
    }
}

/// The counts of a run, and what was fetched for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct FetchSummary {
    /// The counts that every run has.
    #[serde(flatten)]
    pub(super) run: Summary,
    /// Requests sent to the source, retries included.
    pub(super) source_requests: u64,
    /// Every symbol and day asked for, by date and symbol.
    pub(super) days: Vec<FetchedDay>,
}

impl FetchSummary {
    /// The table of days for people, in UTC, and their sums.
    pub(super) fn text(&self) -> String {
        let is_long = self.days.len() > TABLE_ROWS_MAX;
        let is_shown = |day: &&FetchedDay| !is_long || day.status == Status::Incomplete;
        let shown = self.days.iter().filter(is_shown).take(TABLE_ROWS_MAX);
        let cells = |cell: fn(&FetchedDay) -> String| shown.clone().map(cell).collect();
        let columns = [
            Column::texts("symbol", cells(|day| day.symbol.to_string())),
            Column::texts("date", cells(|day| day.date.to_string())),
            Column::texts("from", cells(|day| whole_seconds(day.from).to_string())),
            Column::texts(
                "covered to",
                cells(|day| whole_seconds(day.covered_to).to_string()),
            ),
            Column::numbers("pages", 6, cells(|day| HumanCount(day.pages).to_string())),
            Column::numbers(
                "trades",
                11,
                cells(|day| HumanCount(day.trades).to_string()),
            ),
            Column::texts("state", cells(|day| day.status.as_str().to_owned())),
        ];
        let days = if shown.clone().next().is_some() {
            table(&columns)
        } else {
            String::new()
        };
        days + &self.totals()
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

#[cfg(test)]
mod tests {
    use super::{FetchSummary, FetchedDay, Status};

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
            source_requests: 12,
            days,
            ..FetchSummary::default()
        }
    }

    #[test]
    fn the_table_tells_what_is_whole_and_what_is_not() {
        let days = vec![
            day("AAPL", Status::Whole),
            day("BRK.B", Status::Incomplete),
            day("MSFT", Status::Already),
        ];
        insta::assert_snapshot!(summary(days).text(), @r"
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
        assert_eq!(summary(days).text().lines().count(), 3);
    }

    #[test]
    fn the_json_object_adds_to_the_names_of_every_run() {
        let json = serde_json::to_string(&summary(vec![day("AAPL", Status::Already)]));
        insta::assert_snapshot!(json.unwrap(), @r#"{"trades":0,"bars":0,"late":0,"duplicates":0,"ineligible":0,"malformed":0,"revised":0,"requests":0,"commands":0,"connections":0,"retries":0,"spooled":0,"dead_letters":0,"elapsed_ms":0,"source_requests":12,"days":[{"symbol":"AAPL","date":"2025-10-21","from":"2025-10-21T13:30:00Z","to":"2025-10-21T20:00:00Z","covered_to":"2025-10-21T15:00:00.25Z","status":"already","pages":10,"trades":500000}]}"#);
    }
}
