//! When a quiet symbol's bars may close, without a clock that decides it.
//!
//! That a connection brought a trade of any symbol at an event time shows, but for a slack, that nothing before it is
//! still to come of the others. Where no trade comes at all, only the archive can tell a quiet market from a stalled
//! feed: it is asked once for each end of a window that an open bar may have. The time between trades is measured on the
//! feed's clock and added to the newest event time, so that a wrong wall clock closes nothing. Pure: time is an argument.

use super::settings::{IdleEnd, IdleSettings};
use barmill_core::model::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::time::Duration;

/// What the feed knows of the time at its venue, and what it told of its symbols.
#[derive(Debug)]
pub(crate) struct Quiet {
    ends: Vec<IdleEnd>,
    /// The civil day looked up last.
    day: Option<(Timestamp, Timestamp)>,
    slack_ns: i64,
    /// The newest event time of each connection.
    lines: Vec<Option<Timestamp>>,
    /// The newest event time of all, and when it came.
    newest: Option<(Timestamp, Duration)>,
    /// Per symbol: the event time up to which it was told to be quiet.
    told: Vec<Option<Timestamp>>,
    /// Per symbol: the event time up to which the archive is being asked.
    asked: Vec<Option<Timestamp>>,
    /// Per symbol, on the feed's clock: before when the archive is not asked again, as it could not tell.
    ask_from: Vec<Duration>,
}

/// How long an archive that could not tell is not asked again.
const ASK_AGAIN: Duration = Duration::from_mins(1);

/// What is to be done for a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Wait,
    /// It is quiet up to here.
    Quiet(Timestamp),
    /// The archive must tell.
    Ask,
}

impl Quiet {
    pub(crate) fn new(settings: &IdleSettings) -> Quiet {
        Quiet {
            ends: settings.ends.clone(),
            day: None,
            slack_ns: nanos(settings.slack),
            lines: Vec::new(),
            newest: None,
            told: Vec::new(),
            asked: Vec::new(),
            ask_from: Vec::new(),
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.ends.is_empty()
    }

    /// A connection brought a trade.
    pub(crate) fn on_trade(&mut self, line: usize, time: Timestamp, now: Duration) {
        if self.lines.len() <= line {
            self.lines.resize(line + 1, None);
        }
        self.lines[line] = self.lines[line].max(Some(time));
        self.on_event(time, now);
    }

    /// A trade is known, from wherever it came.
    pub(crate) fn on_event(&mut self, time: Timestamp, now: Duration) {
        if self.newest.is_none_or(|(newest, _)| newest < time) {
            self.newest = Some((time, now));
        }
    }

    /// The archive is asked for everything up to the present.
    pub(crate) fn on_asked(&mut self, place: usize, settle: Duration, now: Duration) {
        let at = self
            .venue_time(now)
            .map(|time| time.saturating_sub(nanos(settle)));
        *slot(&mut self.asked, place) = at;
    }

    /// The archive could not tell.
    pub(crate) fn on_failed(&mut self, place: usize, now: Duration) {
        *slot(&mut self.asked, place) = None;
        *slot(&mut self.ask_from, place) = now + ASK_AGAIN;
    }

    /// What is to be done for a symbol that misses nothing, whose newest trade was at `last`.
    pub(crate) fn judge(
        &mut self,
        (line, place): (usize, usize),
        last: Timestamp,
        settle: Duration,
        now: Duration,
    ) -> Verdict {
        let answered = slot(&mut self.asked, place).take();
        let told = *slot(&mut self.told, place);
        let ends = self.ends_after(last, told);
        let Some(end) = ends.any else {
            return Verdict::Wait;
        };
        let shown = self.lines.get(line).copied().flatten();
        let shown = shown.map(|time| time.saturating_sub(self.slack_ns));
        let known = shown.max(answered);
        if let Some(known) = known.filter(|known| end <= *known) {
            self.told[place] = Some(known);
            return Verdict::Quiet(known);
        }
        if now < *slot(&mut self.ask_from, place) {
            return Verdict::Wait;
        }
        let present = self
            .venue_time(now)
            .map(|time| time.saturating_sub(nanos(settle)));
        let is_over = ends.asked.is_some_and(|end| Some(end) <= present);
        if is_over { Verdict::Ask } else { Verdict::Wait }
    }

    /// What the time at the venue is at least, as trades may come at any time after the newest.
    fn venue_time(&self, now: Duration) -> Option<Timestamp> {
        let (newest, at) = self.newest?;
        Some(newest.saturating_add(nanos(now.saturating_sub(at))))
    }

    /// The next ends of what a trade at `last` may have opened and that were not yet told to be over.
    fn ends_after(&mut self, last: Timestamp, told: Option<Timestamp>) -> Ends {
        let mut ends = Ends::default();
        for index in 0..self.ends.len() {
            let (end, is_asked) = match &self.ends[index] {
                IdleEnd::Window(length) => (window_end(last, nanos(*length)), true),
                IdleEnd::Steady(length) => (
                    window_end(told.max(Some(last)).unwrap_or(last), nanos(*length)),
                    false,
                ),
                IdleEnd::Day(zone) => {
                    let day = self
                        .day
                        .filter(|(start, end)| *start <= last && last < *end);
                    self.day = day.or_else(|| day_of(last, zone));
                    (self.day.map(|(_, end)| end), true)
                }
            };
            if let Some(end) = end.filter(|end| told < Some(*end)) {
                ends.any = Some(ends.any.map_or(end, |any| any.min(end)));
                if is_asked {
                    ends.asked = Some(ends.asked.map_or(end, |asked| asked.min(end)));
                }
            }
        }
        ends
    }
}

/// The next ends of a symbol.
#[derive(Debug, Default)]
struct Ends {
    any: Option<Timestamp>,
    /// Of those for which the archive is asked.
    asked: Option<Timestamp>,
}

fn window_end(last: Timestamp, length_ns: i64) -> Option<Timestamp> {
    let length_ns = length_ns.max(1);
    let start = last
        .as_nanos()
        .div_euclid(length_ns)
        .checked_mul(length_ns)?;
    Timestamp::from_nanos(start.checked_add(length_ns)?)
}

fn day_of(last: Timestamp, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let date = last.to_jiff().to_zoned(zone.clone()).date();
    let instant = |date: Date| {
        let start = zone.to_zoned(date.at(0, 0, 0, 0)).ok()?.timestamp();
        Timestamp::from_nanos(i64::try_from(start.as_nanosecond()).ok()?)
    };
    Some((instant(date)?, instant(date.tomorrow().ok()?)?))
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 4)
}

fn slot<T: Clone + Default>(places: &mut Vec<T>, place: usize) -> &mut T {
    if places.len() <= place {
        places.resize(place + 1, T::default());
    }
    &mut places[place]
}

#[cfg(test)]
mod tests {
    use super::{Quiet, Verdict};
    use crate::venue::live::settings::{IdleEnd, IdleSettings};
    use barmill_core::model::Timestamp;
    use jiff::tz::TimeZone;
    use std::time::Duration;

    const S: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000).unwrap()
    }

    fn quiet() -> Quiet {
        let ends = vec![IdleEnd::Window(60 * S), IdleEnd::Window(300 * S)];
        Quiet::new(&IdleSettings { ends, slack: 2 * S })
    }

    #[test]
    fn trade_of_another_symbol_behind_the_slack_shows_that_a_minute_is_over() {
        let mut quiet = quiet();
        quiet.on_trade(0, at(61), 61 * S);
        assert_eq!(quiet.judge((0, 5), at(30), 5 * S, 61 * S), Verdict::Wait);
        quiet.on_trade(0, at(62), 62 * S);
        assert_eq!(
            quiet.judge((0, 5), at(30), 5 * S, 62 * S),
            Verdict::Quiet(at(60))
        );
        assert_eq!(
            quiet.judge((0, 5), at(30), 5 * S, 62 * S),
            Verdict::Wait,
            "once"
        );
        quiet.on_trade(0, at(302), 302 * S);
        assert_eq!(
            quiet.judge((0, 5), at(30), 5 * S, 302 * S),
            Verdict::Quiet(at(300)),
            "and the five minutes"
        );
        quiet.on_trade(0, at(900), 900 * S);
        assert_eq!(
            quiet.judge((0, 5), at(30), 5 * S, 900 * S),
            Verdict::Wait,
            "no bar is open"
        );
    }

    #[test]
    fn without_any_trade_the_archive_is_asked_once_and_its_answer_closes() {
        let mut quiet = quiet();
        quiet.on_trade(0, at(30), 1_000 * S);
        assert_eq!(quiet.judge((0, 0), at(30), 5 * S, 1_034 * S), Verdict::Wait);
        assert_eq!(quiet.judge((0, 0), at(30), 5 * S, 1_035 * S), Verdict::Ask);
        quiet.on_asked(0, 5 * S, 1_035 * S);
        assert_eq!(
            quiet.judge((0, 0), at(30), 5 * S, 1_036 * S),
            Verdict::Quiet(at(60))
        );
        assert_eq!(quiet.judge((0, 0), at(30), 5 * S, 1_100 * S), Verdict::Wait);
    }

    #[test]
    fn one_connection_shows_nothing_of_the_symbols_of_another() {
        let mut quiet = quiet();
        quiet.on_trade(1, at(64), 64 * S);
        assert_eq!(quiet.judge((0, 0), at(30), 5 * S, 64 * S), Verdict::Wait);
        assert_eq!(
            quiet.judge((1, 1), at(30), 5 * S, 64 * S),
            Verdict::Quiet(at(62))
        );
    }

    #[test]
    fn day_ends_with_the_civil_day_of_its_zone() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let mut quiet = Quiet::new(&IdleSettings {
            ends: vec![IdleEnd::Day(zone)],
            slack: S,
        });
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let last = at("2026-03-07T20:00:00Z");
        quiet.on_trade(0, at("2026-03-08T05:00:00Z"), S);
        assert_eq!(quiet.judge((0, 0), last, S, S), Verdict::Wait);
        quiet.on_trade(0, at("2026-03-08T05:00:01Z"), S);
        assert_eq!(
            quiet.judge((0, 0), last, S, S),
            Verdict::Quiet(at("2026-03-08T05:00:00Z"))
        );
    }

    #[test]
    fn steady_ends_follow_other_symbols_and_ask_nothing() {
        let mut quiet = Quiet::new(&IdleSettings {
            ends: vec![IdleEnd::Steady(60 * S)],
            slack: S,
        });
        quiet.on_trade(0, at(61), 61 * S);
        assert_eq!(
            quiet.judge((0, 0), at(30), S, 61 * S),
            Verdict::Quiet(at(60))
        );
        quiet.on_trade(0, at(121), 121 * S);
        assert_eq!(
            quiet.judge((0, 0), at(30), S, 121 * S),
            Verdict::Quiet(at(120))
        );
        assert_eq!(quiet.judge((0, 0), at(30), S, 10_000 * S), Verdict::Wait);
    }
}
