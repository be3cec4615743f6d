//! Trading sessions: wall-clock intervals of a zone, on the days the exchange is open.
//!
//! Regular hours of US equities are 09:30 to 16:00 in New York, with trading before from 04:00 and after
//! until 20:00, or until 17:00 where the close is early. Which days are open, and which close early, is a
//! function the caller gives; a day it does not know has no session. Daylight saving is the zone's business.

use super::zone_cache::{DaySegment, Pieces, Span, date_of, day_span, wall_instant};
use crate::model::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use std::str::FromStr;

/// First minute after midnight of trading before the open.
const PRE_OPEN: i16 = 4 * 60;
/// Minute after midnight before which a close is early.
const REGULAR_CLOSE: i16 = 16 * 60;
/// Minute after midnight at which trading after the close ends.
const POST_CLOSE: i16 = 20 * 60;
/// The same on a day with an early close.
const POST_CLOSE_EARLY: i16 = 17 * 60;
const DAY_MINUTES: i16 = 24 * 60;

/// Why a text is not a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "session {text:?} is not one of pre regular post all, nor HH:MM-HH:MM with the open before the close"
)]
pub struct SessionError {
    text: String,
}

/// Regular hours of a civil date, open included, close excluded; `None` when the exchange is shut.
pub type RegularHours = fn(Date) -> Option<(Time, Time)>;

/// Every day from 09:30 to 16:00: the hours of an exchange without a calendar.
pub fn always_regular(_date: Date) -> Option<(Time, Time)> {
    Some((Time::constant(9, 30, 0, 0), Time::constant(16, 0, 0, 0)))
}

/// Which part of a trading day.
///
/// ```
/// use barmill_core::engine::aggregate::SessionKind;
/// assert_eq!("regular".parse(), Ok(SessionKind::Regular));
/// assert!("09:30-16:00".parse::<SessionKind>().is_ok());
/// assert!("16:00-09:30".parse::<SessionKind>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// From 04:00 to the open.
    Pre,
    /// From the open to the close.
    Regular,
    /// From the close to 20:00, or to 17:00 after an early close.
    Post,
    /// From 04:00 to the end of [`SessionKind::Post`].
    All,
    /// Between two minutes after midnight, on every open day; the end is at most 1440.
    Custom {
        /// First minute.
        open: i16,
        /// Minute after the last.
        close: i16,
    },
}

impl FromStr for SessionKind {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<SessionKind, SessionError> {
        match text {
            "pre" => Ok(SessionKind::Pre),
            "regular" => Ok(SessionKind::Regular),
            "post" => Ok(SessionKind::Post),
            "all" => Ok(SessionKind::All),
            _ => parse_custom(text).ok_or_else(|| SessionError {
                text: text.to_owned(),
            }),
        }
    }
}

fn parse_custom(text: &str) -> Option<SessionKind> {
    let (open, close) = text.split_once('-')?;
    let (open, close) = (parse_minutes(open)?, parse_minutes(close)?);
    (open < close).then_some(SessionKind::Custom { open, close })
}

fn parse_minutes(text: &str) -> Option<i16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| {
        let plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse::<i16>().ok())?
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= DAY_MINUTES).then_some(hours * 60 + minutes)
}

/// The sessions of one kind, as instants.
#[derive(Debug, Clone)]
pub struct SessionWindows {
    kind: SessionKind,
    zone: TimeZone,
    hours: RegularHours,
    pieces: Pieces,
}

impl SessionWindows {
    /// Sessions on every day of the zone, with regular hours from 09:30 to 16:00.
    pub fn new(kind: SessionKind, zone: TimeZone) -> SessionWindows {
        SessionWindows::with_hours(kind, zone, always_regular)
    }

    /// Sessions on the days that `hours` knows, with its opens and closes.
    pub fn with_hours(kind: SessionKind, zone: TimeZone, hours: RegularHours) -> SessionWindows {
        SessionWindows {
            kind,
            zone,
            hours,
            pieces: Pieces::new(),
        }
    }

    /// The session that contains `time`, as start (included) and end (excluded).
    pub fn session_at(&mut self, time: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let piece = self.piece(time.as_nanos());
        let bound = |nanos| Timestamp::from_nanos(nanos).unwrap_or(Timestamp::MAX);
        piece
            .inside
            .then(|| (bound(piece.span.start), bound(piece.span.end)))
    }

    /// The part of the civil day that holds `time`, inside or outside the session.
    #[inline]
    pub(super) fn piece(&mut self, time: i64) -> DaySegment {
        match self.pieces.recent(time) {
            Some(piece) => piece,
            None => self.look_up(time),
        }
    }

    #[cold]
    fn look_up(&mut self, time: i64) -> DaySegment {
        if let Some(piece) = self.pieces.find(time) {
            return piece;
        }
        let pieces = self.cut_day(date_of(&self.zone, time));
        self.pieces.keep(&pieces);
        // The end of representable time belongs to no piece; it is outside of every session.
        let nowhere = DaySegment {
            span: Span {
                start: time,
                end: time.saturating_add(1),
            },
            inside: false,
        };
        self.pieces.find(time).unwrap_or(nowhere)
    }

    fn cut_day(&self, date: Date) -> Vec<DaySegment> {
        let day = day_span(&self.zone, date);
        let outside = |start, end| DaySegment {
            span: Span { start, end },
            inside: false,
        };
        let Some((open, close)) = self.minutes_on(date).filter(|(open, close)| open < close) else {
            return vec![outside(day.start, day.end)];
        };
        let start = wall_instant(&self.zone, date, open).clamp(day.start, day.end);
        let end = wall_instant(&self.zone, date, close).clamp(start, day.end);
        let mut pieces = vec![
            outside(day.start, start),
            DaySegment {
                span: Span { start, end },
                inside: true,
            },
            outside(end, day.end),
        ];
        pieces.retain(|piece| piece.span.start < piece.span.end);
        pieces
    }

    fn minutes_on(&self, date: Date) -> Option<(i16, i16)> {
        let (open, close) = (self.hours)(date)?;
        let minutes = |time: Time| i16::from(time.hour()) * 60 + i16::from(time.minute());
        let post_close = if minutes(close) < REGULAR_CLOSE {
            POST_CLOSE_EARLY
        } else {
            POST_CLOSE
        };
        Some(match self.kind {
            SessionKind::Pre => (PRE_OPEN, minutes(open)),
            SessionKind::Regular => (minutes(open), minutes(close)),
            SessionKind::Post => (minutes(close), post_close),
            SessionKind::All => (PRE_OPEN, post_close),
            SessionKind::Custom { open, close } => (open, close),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{SessionKind, SessionWindows};
    use crate::model::Timestamp;
    use jiff::civil::{Date, Time};
    use jiff::tz::TimeZone;

    fn windows(kind: SessionKind) -> SessionWindows {
        SessionWindows::new(kind, TimeZone::get("America/New_York").unwrap())
    }

    fn session(windows: &mut SessionWindows, text: &str) -> Option<String> {
        let (start, end) = windows.session_at(text.parse().unwrap())?;
        Some(format!("{start}/{end}"))
    }

    #[test]
    fn regular_session_moves_with_daylight_saving() {
        let mut regular = windows(SessionKind::Regular);
        for (time, expected) in [
            (
                "2025-03-07T15:00:00Z",
                "2025-03-07T14:30:00Z/2025-03-07T21:00:00Z",
            ),
            (
                "2025-03-10T15:00:00Z",
                "2025-03-10T13:30:00Z/2025-03-10T20:00:00Z",
            ),
            (
                "2025-10-31T13:30:00Z",
                "2025-10-31T13:30:00Z/2025-10-31T20:00:00Z",
            ),
            (
                "2025-11-03T14:30:00Z",
                "2025-11-03T14:30:00Z/2025-11-03T21:00:00Z",
            ),
        ] {
            assert_eq!(session(&mut regular, time).as_deref(), Some(expected));
        }
        assert_eq!(
            session(&mut regular, "2025-11-03T14:29:59.999999999Z"),
            None
        );
        assert_eq!(session(&mut regular, "2025-11-03T21:00:00Z"), None);
    }

    #[test]
    fn the_parts_of_a_day_meet_and_do_not_overlap() {
        let instant = |text: &str| text.parse::<Timestamp>().unwrap();
        for (kind, from, to) in [
            (
                SessionKind::Pre,
                "2025-07-01T08:00:00Z",
                "2025-07-01T13:30:00Z",
            ),
            (
                SessionKind::Regular,
                "2025-07-01T13:30:00Z",
                "2025-07-01T20:00:00Z",
            ),
            (
                SessionKind::Post,
                "2025-07-01T20:00:00Z",
                "2025-07-02T00:00:00Z",
            ),
            (
                SessionKind::All,
                "2025-07-01T08:00:00Z",
                "2025-07-02T00:00:00Z",
            ),
            (
                SessionKind::Custom {
                    open: 0,
                    close: 1_440,
                },
                "2025-07-01T04:00:00Z",
                "2025-07-02T04:00:00Z",
            ),
        ] {
            let mut windows = windows(kind);
            assert_eq!(
                windows.session_at(instant(from)),
                Some((instant(from), instant(to))),
                "{kind:?}"
            );
            assert_ne!(
                windows.session_at(instant(to)),
                Some((instant(from), instant(to))),
                "{kind:?}"
            );
        }
    }

    fn half_day(date: Date) -> Option<(Time, Time)> {
        (date.day() != 25).then(|| (Time::constant(9, 30, 0, 0), Time::constant(13, 0, 0, 0)))
    }

    #[test]
    fn early_closes_and_holidays_are_the_callers_data() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let mut regular = SessionWindows::with_hours(SessionKind::Regular, zone.clone(), half_day);
        let expected = "2025-12-24T14:30:00Z/2025-12-24T18:00:00Z";
        assert_eq!(
            session(&mut regular, "2025-12-24T15:00:00Z").as_deref(),
            Some(expected)
        );
        assert_eq!(session(&mut regular, "2025-12-24T18:00:00Z"), None);
        assert_eq!(session(&mut regular, "2025-12-25T15:00:00Z"), None);
        for (kind, expected) in [
            (
                SessionKind::Post,
                "2025-12-24T18:00:00Z/2025-12-24T22:00:00Z",
            ),
            (
                SessionKind::All,
                "2025-12-24T09:00:00Z/2025-12-24T22:00:00Z",
            ),
        ] {
            let mut late = SessionWindows::with_hours(kind, zone.clone(), half_day);
            assert_eq!(
                session(&mut late, "2025-12-24T18:00:00Z").as_deref(),
                Some(expected)
            );
            assert_eq!(session(&mut late, "2025-12-24T22:00:00Z"), None);
        }
        let mut custom = SessionWindows::with_hours("00:00-24:00".parse().unwrap(), zone, half_day);
        assert_eq!(session(&mut custom, "2025-12-25T15:00:00Z"), None);
    }

    #[test]
    fn sessions_that_are_none_are_refused() {
        for text in [
            "",
            "open",
            "9:30-16:00",
            "09:30",
            "09:30-09:30",
            "16:00-09:30",
            "09:60-10:00",
            "09:30-24:01",
        ] {
            assert!(text.parse::<SessionKind>().is_err(), "{text}");
        }
        assert_eq!(
            "09:30-24:00".parse::<SessionKind>(),
            Ok(SessionKind::Custom {
                open: 570,
                close: 1_440
            })
        );
    }
}
