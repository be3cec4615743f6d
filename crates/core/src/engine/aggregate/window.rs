//! Time windows: the interval of a trade, for every time-based spec, and whether it lies in a session.
//!
//! Specs of seconds to hours are aligned to the Unix epoch; a day is a civil day of the run's zone; a
//! session is the session that holds the trade, or without sessions the civil day. Owns the cached days
//! and sessions; deliberately knows nothing of bars.

use crate::engine::calendar::{Calendar, SessionKind};
use crate::engine::requested::Hours;
use crate::engine::zone_cache::{LocalDates, Segment, Span, SpanCache, date_of, day_span};
use crate::model::BarSpec;
use jiff::tz::TimeZone;

const DAY_NS: i64 = 86_400_000_000_000;

/// How the clock cuts the bars of one spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bucketing {
    /// Spans of this many nanoseconds from the epoch; divides a day.
    Every(i64),
    /// Civil days.
    Day,
    /// Sessions.
    Session,
}

impl Bucketing {
    /// The bucketing of a spec the clock cuts; `None` for the others.
    pub(super) fn of(spec: BarSpec) -> Option<Bucketing> {
        match spec {
            BarSpec::Time(length) => Some(Bucketing::Every(
                i64::try_from(length.get()).unwrap_or(DAY_NS),
            )),
            BarSpec::Day => Some(Bucketing::Day),
            BarSpec::Session => Some(Bucketing::Session),
            BarSpec::Tick(_) | BarSpec::Volume(_) | BarSpec::Value(_) => None,
        }
    }

    /// Whether the bars follow the daily rules.
    pub(super) fn is_daily(self) -> bool {
        match self {
            Bucketing::Every(_) => false,
            Bucketing::Day | Bucketing::Session => true,
        }
    }
}

/// The sessions of one kind, as instants.
#[derive(Debug, Clone)]
pub struct SessionWindows {
    hours: Hours,
    /// Parts of civil days, inside or outside a session.
    segments: SpanCache<bool>,
}

impl SessionWindows {
    /// The sessions of the days that a calendar knows; a day it does not know has none.
    pub fn new(kind: SessionKind, zone: TimeZone, calendar: Calendar) -> SessionWindows {
        let kind = Some(kind);
        SessionWindows {
            hours: Hours {
                calendar,
                kind,
                zone,
            },
            segments: SpanCache::new(),
        }
    }

    /// The part of the civil day that holds `time`, inside or outside the session.
    #[inline]
    fn segment(&mut self, time: i64) -> Segment<bool> {
        let hours = &self.hours;
        let segment = self.segments.get(time, || cut_day(hours, time));
        // The end of representable time belongs to no day; it is outside of every session.
        segment.unwrap_or(Segment {
            span: Span::new(time, time.saturating_add(1)),
            value: false,
        })
    }
}

/// The parts of the civil day that holds `time`.
fn cut_day(hours: &Hours, time: i64) -> Vec<Segment<bool>> {
    let date = date_of(&hours.zone, time);
    let day = day_span(&hours.zone, date);
    let (start, end) = match hours.session(date) {
        Ok(Ok((open, close))) => {
            let start = open.as_nanos().clamp(day.start, day.end);
            (start, close.as_nanos().clamp(start, day.end))
        }
        Ok(Err(_)) | Err(_) => (day.end, day.end),
    };
    let parts = [
        (Span::new(day.start, start), false),
        (Span::new(start, end), true),
        (Span::new(end, day.end), false),
    ];
    let parts = parts.into_iter().filter(|(span, _)| span.start < span.end);
    parts.map(|(span, value)| Segment { span, value }).collect()
}

/// The days and sessions of a run.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    days: LocalDates,
    session: Option<SessionWindows>,
}

impl Windows {
    pub(super) fn new(zone: TimeZone, session: Option<SessionWindows>) -> Windows {
        let days = LocalDates::new(zone);
        Windows { days, session }
    }

    /// Whether `time` lies in a session; always, when the run has none.
    #[inline]
    pub(super) fn is_open(&mut self, time: i64) -> bool {
        match &mut self.session {
            Some(session) => session.segment(time).value,
            None => true,
        }
    }

    /// The window that holds `time`.
    pub(super) fn span(&mut self, bucketing: Bucketing, time: i64) -> Span {
        match (bucketing, &mut self.session) {
            (Bucketing::Every(length), _) => {
                let start = time - time % length;
                Span::new(start, start.saturating_add(length))
            }
            (Bucketing::Session, Some(session)) => session.segment(time).span,
            (Bucketing::Session, None) | (Bucketing::Day, _) => self.days.day(time).span,
        }
    }

    /// The windows of `length` between two instants on its grid that touch a session, at most one day of them.
    pub(super) fn between(&mut self, length: i64, from: i64, to: i64) -> Vec<Span> {
        let count_max = usize::try_from(DAY_NS / length).unwrap_or(usize::MAX);
        let mut spans = Vec::new();
        let mut start = from;
        while start < to && spans.len() < count_max {
            let span = Span::new(start, start.saturating_add(length));
            start = match self.closed_until(span) {
                None => {
                    spans.push(span);
                    span.end
                }
                Some(opening) => (opening - opening % length).max(span.end),
            };
        }
        spans
    }

    /// For a window that touches no session, where the outside it lies in ends.
    fn closed_until(&mut self, span: Span) -> Option<i64> {
        let session = self.session.as_mut()?;
        let mut time = span.start;
        while time < span.end {
            let segment = session.segment(time);
            if segment.value {
                return None;
            }
            time = segment.span.end;
        }
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucketing, SessionWindows, Windows};
    use crate::engine::calendar::{Calendar, SessionKind};
    use crate::model::Timestamp;
    use jiff::tz::TimeZone;

    const MINUTE: i64 = 60_000_000_000;

    fn nanos(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_nanos()
    }

    fn new_york() -> TimeZone {
        TimeZone::get("America/New_York").unwrap()
    }

    fn session_windows(kind: SessionKind) -> SessionWindows {
        SessionWindows::new(kind, new_york(), Calendar::us_equities_assumed())
    }

    #[test]
    fn days_are_civil_and_follow_daylight_saving() {
        let mut windows = Windows::new(new_york(), None);
        for (time, start, hours) in [
            ("2025-03-08T12:00:00Z", "2025-03-08T05:00:00Z", 24),
            ("2025-03-09T12:00:00Z", "2025-03-09T05:00:00Z", 23),
            ("2025-03-10T03:59:59Z", "2025-03-09T05:00:00Z", 23),
            ("2025-11-02T12:00:00Z", "2025-11-02T04:00:00Z", 25),
            ("2025-11-03T05:00:00Z", "2025-11-03T05:00:00Z", 24),
            ("2025-03-09T12:00:00Z", "2025-03-09T05:00:00Z", 23),
        ] {
            let span = windows.span(Bucketing::Day, nanos(time));
            assert_eq!(
                (span.start, span.end - span.start),
                (nanos(start), hours * 60 * MINUTE),
                "{time}"
            );
        }
    }

    #[test]
    fn time_windows_are_half_open_and_aligned_to_the_epoch() {
        let mut windows = Windows::new(TimeZone::UTC, None);
        let mut start = |time| windows.span(Bucketing::Every(5 * MINUTE), time).start;
        assert_eq!(start(5 * MINUTE - 1), 0);
        assert_eq!(start(5 * MINUTE), 5 * MINUTE);
        assert_eq!(
            start(nanos("2025-11-02T05:59:59Z")),
            nanos("2025-11-02T05:55:00Z")
        );
    }

    #[test]
    fn windows_between_skip_the_night_and_stop_after_a_day_of_them() {
        let session = session_windows(SessionKind::Regular);
        let mut windows = Windows::new(TimeZone::UTC, Some(session));
        let (from, to) = (nanos("2025-07-01T19:58:00Z"), nanos("2025-07-02T13:31:00Z"));
        let starts: Vec<String> = windows
            .between(MINUTE, from, to)
            .iter()
            .map(|span| Timestamp::from_nanos(span.start).unwrap().to_string())
            .collect();
        assert_eq!(
            starts,
            [
                "2025-07-01T19:58:00Z",
                "2025-07-01T19:59:00Z",
                "2025-07-02T13:30:00Z"
            ]
        );
        let mut open = Windows::new(TimeZone::UTC, None);
        assert_eq!(
            open.between(60 * MINUTE, from - from % (60 * MINUTE), i64::MAX)
                .len(),
            24
        );
    }

    #[test]
    fn session_windows_without_sessions_are_civil_days() {
        let mut windows = Windows::new(new_york(), None);
        let time = nanos("2025-07-01T12:00:00Z");
        assert_eq!(
            windows.span(Bucketing::Session, time),
            windows.span(Bucketing::Day, time)
        );
        let session = session_windows(SessionKind::Regular);
        let mut windows = Windows::new(new_york(), Some(session));
        let span = windows.span(Bucketing::Session, nanos("2025-07-01T14:00:00Z"));
        assert_eq!(
            (span.start, span.end),
            (nanos("2025-07-01T13:30:00Z"), nanos("2025-07-01T20:00:00Z"))
        );
    }

    /// The session that contains `time`, as start (included) and end (excluded).
    fn session_at(windows: &mut SessionWindows, time: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let segment = windows.segment(time.as_nanos());
        let bound = |nanos| Timestamp::from_nanos(nanos).unwrap_or(Timestamp::MAX);
        segment
            .value
            .then(|| (bound(segment.span.start), bound(segment.span.end)))
    }

    fn session(windows: &mut SessionWindows, text: &str) -> Option<String> {
        let (start, end) = session_at(windows, text.parse().unwrap())?;
        Some(format!("{start}/{end}"))
    }

    #[test]
    fn regular_session_moves_with_daylight_saving() {
        let mut regular = session_windows(SessionKind::Regular);
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
                "00:00-24:00".parse().unwrap(),
                "2025-07-01T04:00:00Z",
                "2025-07-02T04:00:00Z",
            ),
        ] {
            let mut windows = session_windows(kind);
            assert_eq!(
                session_at(&mut windows, instant(from)),
                Some((instant(from), instant(to))),
                "{kind:?}"
            );
            assert_ne!(
                session_at(&mut windows, instant(to)),
                Some((instant(from), instant(to))),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn early_closes_and_holidays_are_those_of_the_calendar() {
        let mut regular = session_windows(SessionKind::Regular);
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
            let mut late = session_windows(kind);
            assert_eq!(
                session(&mut late, "2025-12-24T18:00:00Z").as_deref(),
                Some(expected)
            );
            assert_eq!(session(&mut late, "2025-12-24T22:00:00Z"), None);
        }
        let mut custom = session_windows("00:00-24:00".parse().unwrap());
        assert_eq!(session(&mut custom, "2025-12-25T15:00:00Z"), None);
    }
}
