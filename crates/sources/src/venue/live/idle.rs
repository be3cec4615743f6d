//! Idle symbols: the event time up to which nothing of them can be missing, so that their bars may close.
//!
//! No clock decides it. That a connection brought a trade of any symbol at an event time shows, but for a slack, that
//! nothing before it is still to come of the others. Where no trade comes at all, only the archive can tell a quiet
//! market from a stalled feed: it is asked once for each end of a window that an open bar may have. The time between
//! trades is measured on the feed's clock and added to the newest event time, so that a wrong wall clock closes
//! nothing. Pure: time is an argument, as time since the feed was made.

use super::settings::{IdleEnd, IdleSettings};
use barmill_core::model::{Symbol, Timestamp};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::time::Duration;

/// How long an archive that could not tell is not asked again.
const ASK_AGAIN: Duration = Duration::from_mins(1);

/// What the feed knows of the time at its venue, and what it told of its symbols.
#[derive(Debug)]
pub(crate) struct IdleWatermark {
    ends: Vec<IdleEnd>,
    /// The civil day looked up last.
    day: Option<(Timestamp, Timestamp)>,
    slack_ns: i64,
    /// How long the archive may lag, nanoseconds.
    settle_ns: i64,
    /// The newest event time of each connection.
    connections: Vec<Option<Timestamp>>,
    /// The newest event time of all, and when it came.
    newest: Option<(Timestamp, Duration)>,
    /// By the number of the symbol.
    symbols: Vec<IdleSymbol>,
}

#[derive(Debug, Clone, Default)]
struct IdleSymbol {
    /// The event time up to which it was told to be idle.
    told: Option<Timestamp>,
    /// The event time up to which the archive is being asked.
    asked: Option<Timestamp>,
    /// Before when the archive is not asked again, as it could not tell.
    ask_from: Duration,
}

/// What is to be done for a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdleVerdict {
    /// Nothing.
    Wait,
    /// It is idle up to here.
    Idle(Timestamp),
    /// The archive must tell.
    Ask,
}

impl IdleWatermark {
    /// `settle` is how long the archive may lag.
    pub(crate) fn new(settings: &IdleSettings, settle: Duration) -> IdleWatermark {
        IdleWatermark {
            ends: settings.ends.clone(),
            day: None,
            slack_ns: nanos(settings.slack),
            settle_ns: nanos(settle),
            connections: Vec::new(),
            newest: None,
            symbols: Vec::new(),
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.ends.is_empty()
    }

    /// A connection brought a trade.
    pub(crate) fn on_trade(&mut self, connection: usize, time: Timestamp, now: Duration) {
        let newest = entry(&mut self.connections, connection);
        *newest = (*newest).max(Some(time));
        self.on_event(time, now);
    }

    /// A trade is known, from wherever it came.
    pub(crate) fn on_event(&mut self, time: Timestamp, now: Duration) {
        if self.newest.is_none_or(|(newest, _)| newest < time) {
            self.newest = Some((time, now));
        }
    }

    /// The archive is asked for everything up to the present.
    pub(crate) fn on_asked(&mut self, symbol: Symbol, now: Duration) {
        entry(&mut self.symbols, symbol.index()).asked = self.settled_time(now);
    }

    /// The archive could not tell.
    pub(crate) fn on_failed(&mut self, symbol: Symbol, now: Duration) {
        let idle = entry(&mut self.symbols, symbol.index());
        (idle.asked, idle.ask_from) = (None, now + ASK_AGAIN);
    }

    /// What is to be done for a symbol that misses nothing, whose newest trade was at `last`.
    pub(crate) fn judge(
        &mut self,
        connection: usize,
        symbol: Symbol,
        last: Timestamp,
        now: Duration,
    ) -> IdleVerdict {
        let idle = entry(&mut self.symbols, symbol.index());
        let (answered, told, ask_from) = (idle.asked.take(), idle.told, idle.ask_from);
        let ends = self.ends_after(last, told);
        let Some(end) = ends.any else {
            return IdleVerdict::Wait;
        };
        let shown = self.connections.get(connection).copied().flatten();
        let shown = shown.map(|time| time.saturating_sub(self.slack_ns));
        if let Some(known) = shown.max(answered).filter(|known| end <= *known) {
            entry(&mut self.symbols, symbol.index()).told = Some(known);
            return IdleVerdict::Idle(known);
        }
        let present = self.settled_time(now);
        let is_over = ends.asked.is_some_and(|end| Some(end) <= present);
        if is_over && ask_from <= now {
            IdleVerdict::Ask
        } else {
            IdleVerdict::Wait
        }
    }

    /// What the time at the venue is at least, as far back as the archive may lag; trades may come at any time after
    /// the newest.
    fn settled_time(&self, now: Duration) -> Option<Timestamp> {
        let (newest, at) = self.newest?;
        let time = newest.saturating_add(nanos(now.saturating_sub(at)));
        Some(time.saturating_sub(self.settle_ns))
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

fn entry<T: Clone + Default>(list: &mut Vec<T>, index: usize) -> &mut T {
    if list.len() <= index {
        list.resize(index + 1, T::default());
    }
    &mut list[index]
}

#[cfg(test)]
mod tests {
    use super::{IdleVerdict, IdleWatermark};
    use crate::venue::live::settings::{IdleEnd, IdleSettings};
    use barmill_core::model::{Symbol, Timestamp};
    use jiff::tz::TimeZone;
    use std::time::Duration;

    const S: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000).unwrap()
    }

    fn symbol() -> Symbol {
        "IDLE".parse().unwrap()
    }

    fn idle() -> IdleWatermark {
        let ends = vec![IdleEnd::Window(60 * S), IdleEnd::Window(300 * S)];
        IdleWatermark::new(&IdleSettings { ends, slack: 2 * S }, 5 * S)
    }

    #[test]
    fn trade_of_another_symbol_behind_the_slack_shows_that_a_minute_is_over() {
        let mut idle = idle();
        idle.on_trade(0, at(61), 61 * S);
        assert_eq!(idle.judge(0, symbol(), at(30), 61 * S), IdleVerdict::Wait);
        idle.on_trade(0, at(62), 62 * S);
        assert_eq!(
            idle.judge(0, symbol(), at(30), 62 * S),
            IdleVerdict::Idle(at(60))
        );
        assert_eq!(
            idle.judge(0, symbol(), at(30), 62 * S),
            IdleVerdict::Wait,
            "once"
        );
        idle.on_trade(0, at(302), 302 * S);
        assert_eq!(
            idle.judge(0, symbol(), at(30), 302 * S),
            IdleVerdict::Idle(at(300)),
            "and the five minutes"
        );
        idle.on_trade(0, at(900), 900 * S);
        assert_eq!(
            idle.judge(0, symbol(), at(30), 900 * S),
            IdleVerdict::Wait,
            "no bar is open"
        );
    }

    #[test]
    fn without_any_trade_the_archive_is_asked_once_and_its_answer_closes() {
        let mut idle = idle();
        idle.on_trade(0, at(30), 1_000 * S);
        assert_eq!(
            idle.judge(0, symbol(), at(30), 1_034 * S),
            IdleVerdict::Wait
        );
        assert_eq!(idle.judge(0, symbol(), at(30), 1_035 * S), IdleVerdict::Ask);
        idle.on_asked(symbol(), 1_035 * S);
        assert_eq!(
            idle.judge(0, symbol(), at(30), 1_036 * S),
            IdleVerdict::Idle(at(60))
        );
        assert_eq!(
            idle.judge(0, symbol(), at(30), 1_100 * S),
            IdleVerdict::Wait
        );
    }

    #[test]
    fn one_connection_shows_nothing_of_the_symbols_of_another() {
        let mut idle = idle();
        idle.on_trade(1, at(64), 64 * S);
        assert_eq!(idle.judge(0, symbol(), at(30), 64 * S), IdleVerdict::Wait);
        assert_eq!(
            idle.judge(1, symbol(), at(30), 64 * S),
            IdleVerdict::Idle(at(62))
        );
    }

    #[test]
    fn day_ends_with_the_civil_day_of_its_zone() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let settings = IdleSettings {
            ends: vec![IdleEnd::Day(zone)],
            slack: S,
        };
        let mut idle = IdleWatermark::new(&settings, S);
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let last = at("2026-03-07T20:00:00Z");
        idle.on_trade(0, at("2026-03-08T05:00:00Z"), S);
        assert_eq!(idle.judge(0, symbol(), last, S), IdleVerdict::Wait);
        idle.on_trade(0, at("2026-03-08T05:00:01Z"), S);
        assert_eq!(
            idle.judge(0, symbol(), last, S),
            IdleVerdict::Idle(at("2026-03-08T05:00:00Z"))
        );
    }

    #[test]
    fn steady_ends_follow_other_symbols_and_ask_nothing() {
        let settings = IdleSettings {
            ends: vec![IdleEnd::Steady(60 * S)],
            slack: S,
        };
        let mut idle = IdleWatermark::new(&settings, S);
        idle.on_trade(0, at(61), 61 * S);
        assert_eq!(
            idle.judge(0, symbol(), at(30), 61 * S),
            IdleVerdict::Idle(at(60))
        );
        idle.on_trade(0, at(121), 121 * S);
        assert_eq!(
            idle.judge(0, symbol(), at(30), 121 * S),
            IdleVerdict::Idle(at(120))
        );
        assert_eq!(
            idle.judge(0, symbol(), at(30), 10_000 * S),
            IdleVerdict::Wait
        );
    }
}
