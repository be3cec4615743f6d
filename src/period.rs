//! A requested period: a day, or an interval between days or instants.

use crate::model::{Timestamp, TimestampError};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::str::FromStr;

/// Why no interval can be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// A text that is neither a day nor an instant.
    #[error(
        "{text:?} is neither a day such as 2025-10-15 nor an instant such as 2025-10-15T13:30:00Z"
    )]
    Unreadable {
        /// The refused text.
        text: String,
    },
    /// An end that is not after the start.
    #[error("the end {to} is not after the start {from}")]
    Empty {
        /// The start.
        from: Timestamp,
        /// The end.
        to: Timestamp,
    },
    /// A day outside 1970 to 2262.
    #[error("the day {date} cannot be used")]
    Day {
        /// The day.
        date: Date,
        /// The cause.
        #[source]
        source: TimestampError,
    },
}

/// One end of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The start of a civil day in the run's zone.
    Day(Date),
    /// An instant.
    Instant(Timestamp),
}

/// The time that a reader asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// One civil day in the run's zone.
    Day(Date),
    /// From one moment, included, to another, excluded.
    Between {
        /// The start.
        from: Moment,
        /// The end.
        to: Moment,
    },
}

impl FromStr for Moment {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Moment, PeriodError> {
        // The calendar library would read the date out of a longer text.
        if text.len() == "2025-10-15".len()
            && let Ok(date) = text.parse()
        {
            return Ok(Moment::Day(date));
        }
        let instant = text.parse().map(Moment::Instant);
        instant.map_err(|_| PeriodError::Unreadable {
            text: text.to_owned(),
        })
    }
}

/// A day such as `2025-10-15`, or `FROM..TO`, both days or instants, the end excluded.
impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Period, PeriodError> {
        let (from, to) = match text.split_once("..") {
            Some((from, to)) => (from.parse()?, to.parse()?),
            None => match text.parse()? {
                Moment::Day(day) => return Ok(Period::Day(day)),
                instant @ Moment::Instant(_) => (instant, instant),
            },
        };
        Ok(Period::Between { from, to })
    }
}

impl Moment {
    fn instant(self, zone: &TimeZone) -> Result<Timestamp, PeriodError> {
        match self {
            Moment::Day(date) => {
                let midnight = date.to_zoned(zone.clone()).map(|start| start.timestamp());
                midnight
                    .map_err(|_| TimestampError::OutOfRange)
                    .and_then(Timestamp::from_jiff)
                    .map_err(|source| PeriodError::Day { date, source })
            }
            Moment::Instant(time) => Ok(time),
        }
    }
}

impl Period {
    /// The interval, start included and end excluded, with days cut in `zone`.
    ///
    /// # Errors
    /// [`PeriodError`] when a day is outside 1970 to 2262, or the end is not after the start.
    pub fn resolve(self, zone: &TimeZone) -> Result<(Timestamp, Timestamp), PeriodError> {
        let (from, to) = match self {
            Period::Day(date) => (
                Moment::Day(date),
                Moment::Day(date.tomorrow().unwrap_or(Date::MAX)),
            ),
            Period::Between { from, to } => (from, to),
        };
        let (from, to) = (from.instant(zone)?, to.instant(zone)?);
        if from < to {
            Ok((from, to))
        } else {
            Err(PeriodError::Empty { from, to })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, Period, PeriodError};
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    #[test]
    fn a_day_is_cut_in_the_zone_also_when_clocks_change() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let hours = |day| {
            let (from, to) = Period::Day(day).resolve(&zone).unwrap();
            to.since(from) / 3_600_000_000_000
        };
        assert_eq!(
            [
                hours(date(2025, 3, 9)),
                hours(date(2025, 7, 1)),
                hours(date(2025, 11, 2))
            ],
            [23, 24, 25]
        );
    }

    #[test]
    fn an_interval_needs_its_end_after_its_start() {
        let day = Moment::Day(date(2025, 10, 15));
        let error = Period::Between { from: day, to: day }
            .resolve(&TimeZone::UTC)
            .unwrap_err();
        assert!(matches!(error, PeriodError::Empty { .. }));
        let early = Period::Day(date(1969, 1, 1))
            .resolve(&TimeZone::UTC)
            .unwrap_err();
        assert!(matches!(early, PeriodError::Day { .. }));
    }

    #[test]
    fn a_moment_is_a_day_or_an_instant_and_nothing_else() {
        assert!(matches!("2025-10-15".parse(), Ok(Moment::Day(_))));
        assert!(matches!(
            "2025-10-15T13:30:00+02:00".parse(),
            Ok(Moment::Instant(_))
        ));
        for text in ["", "2025-10-15T13:30", "2025-13-01", "today"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
