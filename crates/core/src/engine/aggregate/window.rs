//! Time windows: the interval of a trade, for every time-based spec.
//!
//! Specs of seconds to hours are aligned to the Unix epoch; a day is a civil day of the run's zone; a
//! session is the session that holds the trade, or without sessions the civil day. Owns the cached days
//! and sessions; deliberately knows nothing of bars.

use super::session::SessionWindows;
use super::zone_cache::{DaySegment, Pieces, Span, date_of, day_span};
use crate::model::BarSpec;
use jiff::tz::TimeZone;

const DAY_NS: i64 = 86_400_000_000_000;

/// How the clock cuts the bars of one spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cadence {
    /// Spans of this many nanoseconds from the epoch; divides a day.
    Every(i64),
    /// Civil days.
    Day,
    /// Sessions.
    Session,
}

impl Cadence {
    /// The cadence of a spec the clock cuts; `None` for the others.
    pub(super) fn of(spec: BarSpec) -> Option<Cadence> {
        match spec {
            BarSpec::Time(length) => Some(Cadence::Every(
                i64::try_from(length.get()).unwrap_or(DAY_NS),
            )),
            BarSpec::Day => Some(Cadence::Day),
            BarSpec::Session => Some(Cadence::Session),
            BarSpec::Tick(_) | BarSpec::Volume(_) | BarSpec::Value(_) => None,
        }
    }

    /// Whether the bars follow the daily rules.
    pub(super) fn is_daily(self) -> bool {
        match self {
            Cadence::Every(_) => false,
            Cadence::Day | Cadence::Session => true,
        }
    }
}

/// The days and sessions of a run.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    zone: TimeZone,
    days: Pieces,
    session: Option<SessionWindows>,
}

impl Windows {
    pub(super) fn new(zone: TimeZone, session: Option<SessionWindows>) -> Windows {
        Windows {
            zone,
            days: Pieces::new(),
            session,
        }
    }

    /// Whether `time` lies in a session; always, when the run has none.
    #[inline]
    pub(super) fn is_open(&mut self, time: i64) -> bool {
        match &mut self.session {
            Some(session) => session.piece(time).inside,
            None => true,
        }
    }

    /// The window that holds `time`.
    pub(super) fn span(&mut self, cadence: Cadence, time: i64) -> Span {
        match (cadence, &mut self.session) {
            (Cadence::Every(length), _) => {
                let start = time - time % length;
                Span {
                    start,
                    end: start.saturating_add(length),
                }
            }
            (Cadence::Session, Some(session)) => session.piece(time).span,
            (Cadence::Session, None) | (Cadence::Day, _) => self.day(time),
        }
    }

    /// The windows of `length` between two instants on its grid that touch a session, at most one day of them.
    pub(super) fn between(&mut self, length: i64, from: i64, to: i64) -> Vec<Span> {
        let count_max = usize::try_from(DAY_NS / length).unwrap_or(usize::MAX);
        let mut spans = Vec::new();
        let mut start = from;
        while start < to && spans.len() < count_max {
            let span = Span {
                start,
                end: start.saturating_add(length),
            };
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
            let piece = session.piece(time);
            if piece.inside {
                return None;
            }
            time = piece.span.end;
        }
        Some(time)
    }

    fn day(&mut self, time: i64) -> Span {
        if let Some(piece) = self.days.recent(time).or_else(|| self.days.find(time)) {
            return piece.span;
        }
        let span = day_span(&self.zone, date_of(&self.zone, time));
        self.days.keep(&[DaySegment { span, inside: true }]);
        self.days.find(time).map_or(span, |piece| piece.span)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cadence, Windows};
    use crate::engine::aggregate::session::{SessionKind, SessionWindows};
    use crate::model::Timestamp;
    use jiff::tz::TimeZone;

    const MINUTE: i64 = 60_000_000_000;

    fn nanos(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_nanos()
    }

    fn new_york() -> TimeZone {
        TimeZone::get("America/New_York").unwrap()
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
            let span = windows.span(Cadence::Day, nanos(time));
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
        let mut start = |time| windows.span(Cadence::Every(5 * MINUTE), time).start;
        assert_eq!(start(5 * MINUTE - 1), 0);
        assert_eq!(start(5 * MINUTE), 5 * MINUTE);
        assert_eq!(
            start(nanos("2025-11-02T05:59:59Z")),
            nanos("2025-11-02T05:55:00Z")
        );
    }

    #[test]
    fn windows_between_skip_the_night_and_stop_after_a_day_of_them() {
        let session = SessionWindows::new(SessionKind::Regular, new_york());
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
            windows.span(Cadence::Session, time),
            windows.span(Cadence::Day, time)
        );
        let session = SessionWindows::new(SessionKind::Regular, new_york());
        let mut windows = Windows::new(new_york(), Some(session));
        let span = windows.span(Cadence::Session, nanos("2025-07-01T14:00:00Z"));
        assert_eq!(
            (span.start, span.end),
            (nanos("2025-07-01T13:30:00Z"), nanos("2025-07-01T20:00:00Z"))
        );
    }
}
