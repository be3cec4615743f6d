//! The exchange calendar: which days trade, and when they end early.
//!
//! Owns the days of the US equity exchanges from 2000 to 2030, read from `data/xnys-calendar.csv` (source and
//! version stand there), the kinds of session, their text form, and the hours of a session on each day. Deliberately
//! knows no zone and no instant: all times are wall-clock times of the exchange. Hours: 04:00-09:30, 09:30-16:00 and 16:00-20:00 as NYSE
//! Arca and Nasdaq publish them; on an early close the late session starts at the close and ends at 17:00.

use jiff::civil::{Date, Time, Weekday, time};
use std::fmt;
use std::str::FromStr;

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

/// Why a text is not a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "session {text:?} is not one of pre regular post all, nor HH:MM-HH:MM with the open before the close"
)]
pub struct SessionError {
    text: String,
}

/// Which part of the day, in text `pre`, `regular`, `post`, `all`, or `HH:MM-HH:MM` up to `24:00`.
///
/// ```
/// use barmill_core::engine::calendar::SessionKind;
/// assert_eq!("regular".parse(), Ok(SessionKind::Regular));
/// assert_eq!("09:30-24:00".parse::<SessionKind>()?.to_string(), "09:30-24:00");
/// assert!("16:00-09:30".parse::<SessionKind>().is_err());
/// # Ok::<(), barmill_core::engine::calendar::SessionError>(())
/// ```
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

impl SessionKind {
    /// The sessions that have a name.
    pub const NAMED: [(&str, SessionKind); 4] = [
        ("pre", SessionKind::Pre),
        ("regular", SessionKind::Regular),
        ("post", SessionKind::Post),
        ("all", SessionKind::All),
    ];

    /// Whether it is an interval of every day instead of hours of an exchange.
    pub const fn is_custom(self) -> bool {
        matches!(self, SessionKind::Custom(..))
    }

    /// The minutes of a normal day, counted from midnight; the end is excluded.
    pub fn minutes(self) -> std::ops::Range<u16> {
        let (open, close) = self.hours(REGULAR_CLOSE, POST_CLOSE);
        let minute = |time: Time| {
            u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
        };
        let end = if close == Time::midnight() {
            24 * 60
        } else {
            minute(close)
        };
        minute(open)..end
    }

    /// The hours of a day whose regular and late sessions end at these times.
    const fn hours(self, regular_close: Time, post_close: Time) -> (Time, Time) {
        match self {
            SessionKind::Pre => (PRE_OPEN, REGULAR_OPEN),
            SessionKind::Regular => (REGULAR_OPEN, regular_close),
            SessionKind::Post => (regular_close, post_close),
            SessionKind::All => (PRE_OPEN, post_close),
            SessionKind::Custom(open, close) => (open, close),
        }
    }

    fn parse_custom(text: &str) -> Option<SessionKind> {
        let (open, close) = text.split_once('-')?;
        let (open, close) = (parse_minute(open)?, parse_minute(close)?);
        // 24:00 is the midnight that ends the day.
        let time = |(hour, minute): (i8, i8)| Time::new(hour % 24, minute, 0, 0).ok();
        (open < close).then_some(SessionKind::Custom(time(open)?, time(close)?))
    }
}

/// Hour and minute of `HH:MM`, up to 24:00.
fn parse_minute(text: &str) -> Option<(i8, i8)> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| {
        let is_plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| part.parse::<i8>().ok())?
    };
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    (minute < 60 && (hour, minute) <= (24, 0)).then_some((hour, minute))
}

impl FromStr for SessionKind {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<SessionKind, SessionError> {
        let named = SessionKind::NAMED.iter().find(|(name, _)| *name == text);
        named
            .map(|(_, kind)| *kind)
            .or_else(|| SessionKind::parse_custom(text))
            .ok_or_else(|| SessionError {
                text: text.to_owned(),
            })
    }
}

impl fmt::Display for SessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionKind::Custom(open, close) => {
                let (hour, minute) = match (close.hour(), close.minute()) {
                    (0, 0) => (24, 0),
                    close => close,
                };
                write!(
                    f,
                    "{:02}:{:02}-{hour:02}:{minute:02}",
                    open.hour(),
                    open.minute()
                )
            }
            SessionKind::Pre | SessionKind::Regular | SessionKind::Post | SessionKind::All => {
                let named = SessionKind::NAMED.iter().find(|(_, kind)| kind == self);
                f.write_str(named.map_or("", |(name, _)| name))
            }
        }
    }
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

    /// The same for every year: outside the years of the data every weekday counts as normal. The built-in file is whole,
    /// as a test shows, so there is no error.
    pub fn us_equities_assumed() -> Calendar {
        Calendar {
            special: Some(parse(US_EQUITIES).unwrap_or_default()),
            assume_normal: true,
        }
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
        if self.is_always_open() && !kind.is_custom() {
            return Ok(Some((Time::midnight(), Time::midnight())));
        }
        Ok(Some(kind.hours(regular_close, post_close)))
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
