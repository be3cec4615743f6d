//! The exchange calendar: which days trade, and when they end early.
//!
//! Owns the days of the US equity exchanges from 2000 to 2030, read from `data/xnys-calendar.csv` (source and
//! version stand there), and the hours of a session on each day. Deliberately knows no zone and no instant:
//! all times are wall-clock times of the exchange. Hours: 04:00-09:30, 09:30-16:00 and 16:00-20:00 as NYSE
//! Arca and Nasdaq publish them; on an early close the late session starts at the close and ends at 17:00.

use jiff::civil::{Date, Time, Weekday, time};
use std::sync::LazyLock;

const US_EQUITIES: &str = include_str!("../../data/xnys-calendar.csv");
const US_EQUITIES_YEARS: std::ops::RangeInclusive<i16> = 2000..=2030;

const PRE_OPEN: Time = time(4, 0, 0, 0);
const REGULAR_OPEN: Time = time(9, 30, 0, 0);
const REGULAR_CLOSE: Time = time(16, 0, 0, 0);
const POST_CLOSE: Time = time(20, 0, 0, 0);
const POST_CLOSE_EARLY: Time = time(17, 0, 0, 0);

/// Why the calendar has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The date is before or after the years of the data.
    #[error("no calendar for {date}, it covers {first} to {last}")]
    OutsideRange {
        /// The date asked for.
        date: Date,
        /// First year of the data.
        first: i16,
        /// Last year of the data, included.
        last: i16,
    },
    /// A line of the calendar file is not `date,kind,close,name`, or not after the line before it.
    #[error("calendar line {line} {text:?} is not date,closed|early,close,name in ascending order")]
    Line {
        /// Line number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
}

/// What kind of day a date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionDay {
    /// Saturday or Sunday: no session.
    Weekend,
    /// Closed all day, with the reason.
    Holiday(&'static str),
    /// Regular hours.
    Normal,
    /// The regular session ends at this time instead of 16:00.
    EarlyClose(Time),
}

/// Which part of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// Before the regular session, from 04:00.
    Pre,
    /// The regular session.
    Regular,
    /// After the regular session, to 20:00, or to 17:00 after an early close.
    Post,
    /// The three together.
    All,
    /// From the first time to the second on every day that trades, an early close or not; the second is
    /// after the first, or 00:00 for the end of the day.
    Custom(Time, Time),
}

/// The days of one market, and their hours.
///
/// ```
/// use barmill_core::engine::calendar::{Calendar, SessionDay, SessionKind};
/// use jiff::civil::{date, time};
/// let calendar = Calendar::us_equities()?;
/// assert_eq!(calendar.session(date(2025, 1, 9))?, SessionDay::Holiday("mourning for Jimmy Carter"));
/// let hours = calendar.hours(date(2025, 11, 28), SessionKind::Regular)?;
/// assert_eq!(hours, Some((time(9, 30, 0, 0), time(13, 0, 0, 0))));
/// # Ok::<(), barmill_core::engine::calendar::CalendarError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// The days that are not normal, ascending; `None` for a market that never closes.
    special: Option<Vec<(Date, SessionDay)>>,
    assume_normal: bool,
}

/// Regular hours of US equities on a civil date, open included and close excluded; `None` when the exchanges are shut.
///
/// Outside 2000 to 2030, where the data end, every weekday counts as normal.
pub fn us_equity_hours(date: Date) -> Option<(Time, Time)> {
    static CALENDAR: LazyLock<Option<Calendar>> =
        LazyLock::new(|| Calendar::us_equities().ok().map(Calendar::assume_normal));
    CALENDAR
        .as_ref()?
        .hours(date, SessionKind::Regular)
        .ok()
        .flatten()
}

impl Calendar {
    /// Reads the calendar of XNYS and XNAS, 2000-01-01 to 2030-12-31.
    ///
    /// # Errors
    /// [`CalendarError::Line`] when the built-in file is damaged.
    pub fn us_equities() -> Result<Calendar, CalendarError> {
        Ok(Calendar {
            special: Some(parse(US_EQUITIES)?),
            assume_normal: false,
        })
    }

    /// A market that trades every day from midnight to midnight, such as crypto in UTC.
    pub const fn always_open() -> Calendar {
        Calendar {
            special: None,
            assume_normal: false,
        }
    }

    /// Whether the market never closes.
    pub const fn is_always_open(&self) -> bool {
        self.special.is_none()
    }

    /// Takes every weekday outside the years of the data for a normal day instead of refusing it.
    #[must_use]
    pub fn assume_normal(self) -> Calendar {
        Calendar {
            assume_normal: true,
            ..self
        }
    }

    /// What kind of day a date is.
    ///
    /// # Errors
    /// [`CalendarError::OutsideRange`] outside 2000-2030, unless normal days are assumed.
    pub fn session(&self, date: Date) -> Result<SessionDay, CalendarError> {
        let Some(special) = &self.special else {
            return Ok(SessionDay::Normal);
        };
        if !US_EQUITIES_YEARS.contains(&date.year()) && !self.assume_normal {
            let (first, last) = (*US_EQUITIES_YEARS.start(), *US_EQUITIES_YEARS.end());
            return Err(CalendarError::OutsideRange { date, first, last });
        }
        if matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
            return Ok(SessionDay::Weekend);
        }
        let found = special.binary_search_by_key(&date, |(day, _)| *day);
        Ok(found.map_or(SessionDay::Normal, |index| special[index].1))
    }

    /// The wall-clock hours `[open, close)` of a session on a date; `None` when the market is closed.
    ///
    /// A close of 00:00 is the midnight that ends the day. In a market that is always open every kind but
    /// [`SessionKind::Custom`] is the whole day.
    ///
    /// # Errors
    /// As [`Calendar::session`].
    pub fn hours(
        &self,
        date: Date,
        kind: SessionKind,
    ) -> Result<Option<(Time, Time)>, CalendarError> {
        let (regular_close, post_close) = match self.session(date)? {
            SessionDay::Weekend | SessionDay::Holiday(_) => return Ok(None),
            SessionDay::Normal => (REGULAR_CLOSE, POST_CLOSE),
            SessionDay::EarlyClose(close) => (close, POST_CLOSE_EARLY),
        };
        let hours = match kind {
            SessionKind::Custom(open, close) => (open, close),
            SessionKind::Pre | SessionKind::Regular | SessionKind::Post | SessionKind::All
                if self.special.is_none() =>
            {
                (Time::midnight(), Time::midnight())
            }
            SessionKind::Pre => (PRE_OPEN, REGULAR_OPEN),
            SessionKind::Regular => (REGULAR_OPEN, regular_close),
            SessionKind::Post => (regular_close, post_close),
            SessionKind::All => (PRE_OPEN, post_close),
        };
        Ok(Some(hours))
    }
}

fn parse(text: &'static str) -> Result<Vec<(Date, SessionDay)>, CalendarError> {
    let mut days: Vec<(Date, SessionDay)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.starts_with("date,") {
            continue;
        }
        let day =
            parse_day(line).filter(|(date, _)| days.last().is_none_or(|(last, _)| last < date));
        let damaged = || CalendarError::Line {
            line: index + 1,
            text: line.to_owned(),
        };
        days.push(day.ok_or_else(damaged)?);
    }
    Ok(days)
}

fn parse_day(line: &'static str) -> Option<(Date, SessionDay)> {
    let mut fields = line.splitn(4, ',');
    let (date, kind, close, name) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let day = match (kind, close) {
        ("closed", "") => SessionDay::Holiday(name),
        ("early", close) => SessionDay::EarlyClose(close.parse().ok()?),
        _ => return None,
    };
    Some((date.parse().ok()?, day))
}

#[cfg(test)]
mod tests;
