//! Expands requested days and sessions into UTC intervals.
//!
//! Pure. Owns the way from days and hours of a calendar to half-open intervals; daylight saving is the zone's
//! business. Deliberately knows no symbol and no venue.

use super::calendar::{Calendar, CalendarError, SessionDay, SessionKind};
use super::resume::floor;
use super::zone_cache::date_of;
use crate::model::{BarSpec, Timestamp};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

/// The part of one civil day that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestedDay {
    /// The date in the zone.
    pub date: Date,
    /// Start, included.
    pub from: Timestamp,
    /// End, excluded.
    pub to: Timestamp,
}

/// Why a day has nothing to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// Saturday or Sunday.
    Weekend,
    /// A holiday, with its name.
    Holiday(&'static str),
    /// The session lies outside the time asked for, or has no minutes.
    Outside,
}

/// Open days and shut ones, each by date.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requested {
    /// What is asked for.
    pub days: Vec<RequestedDay>,
    /// What is not.
    pub shut: Vec<(Date, Shut)>,
}

/// A bar of which an interval asks for a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutBar {
    /// Its spec.
    pub spec: BarSpec,
    /// The end of the interval that lies inside it.
    pub at: Timestamp,
}

/// The hours of a market.
#[derive(Debug, Clone)]
pub struct Hours {
    /// Its days.
    pub calendar: Calendar,
    /// The part of each day; `None` for all of every day that trades, from midnight to midnight.
    pub kind: Option<SessionKind>,
    /// The zone of dates and times.
    pub zone: TimeZone,
}

impl Hours {
    /// Adds the days of `[from, to)`, each cut to its session and to the interval.
    ///
    /// # Errors
    /// [`CalendarError::OutsideRange`] for a day that the calendar does not know.
    pub fn ask(
        &self,
        from: Timestamp,
        to: Timestamp,
        asked: &mut Requested,
    ) -> Result<(), CalendarError> {
        let date = |time: Timestamp| date_of(&self.zone, time.as_nanos());
        let (first, last) = (date(from), date(to.saturating_sub(1)));
        for date in first
            .series(jiff::Span::new().days(1))
            .take_while(|date| *date <= last)
        {
            match self.session(date)? {
                Err(shut) => asked.shut.push((date, shut)),
                Ok((open, close)) => {
                    let (from, to) = (open.max(from), close.min(to));
                    if from < to {
                        asked.days.push(RequestedDay { date, from, to });
                    } else {
                        asked.shut.push((date, Shut::Outside));
                    }
                }
            }
        }
        Ok(())
    }

    /// The first bar of which a day asks for a part, so that it would be written with some of its trades only.
    ///
    /// The ends of a session cut no bar, since a bar holds the trades of its session; those of a day without sessions
    /// do in a market that never closes. Bars that trades cut begin anywhere.
    ///
    /// # Errors
    /// [`CalendarError::OutsideRange`] for a day that the calendar does not know.
    pub fn cut(
        &self,
        day: &RequestedDay,
        specs: &[BarSpec],
    ) -> Result<Option<CutBar>, CalendarError> {
        let Ok((open, close)) = self.session(day.date)? else {
            return Ok(None);
        };
        let is_seamless = self.kind.is_none() && self.calendar.is_always_open();
        let is_cut = |spec: BarSpec, at: Timestamp| {
            let is_edge = at == open || at == close;
            match spec {
                BarSpec::Time(interval) => {
                    (is_seamless || !is_edge) && floor(at, interval.get()) != at
                }
                BarSpec::Day | BarSpec::Session => !is_edge,
                BarSpec::Tick(_) | BarSpec::Volume(_) | BarSpec::Value(_) => false,
            }
        };
        let ends = [day.from, day.to].into_iter();
        let mut places = ends.flat_map(|at| specs.iter().map(move |&spec| CutBar { spec, at }));
        Ok(places.find(|place| is_cut(place.spec, place.at)))
    }

    /// Open and close of a day as instants.
    pub(in crate::engine) fn session(
        &self,
        date: Date,
    ) -> Result<Result<(Timestamp, Timestamp), Shut>, CalendarError> {
        match self.calendar.session(date)? {
            SessionDay::Weekend => return Ok(Err(Shut::Weekend)),
            SessionDay::Holiday(name) => return Ok(Err(Shut::Holiday(name))),
            SessionDay::Normal | SessionDay::EarlyClose(_) => {}
        }
        let all_day = (Time::midnight(), Time::midnight());
        let (open, close) = match self.kind {
            Some(kind) => self.calendar.hours(date, kind)?.unwrap_or(all_day),
            None => all_day,
        };
        let close_date = if close == Time::midnight() {
            date.tomorrow().unwrap_or(Date::MAX)
        } else {
            date
        };
        let (open, close) = (
            self.instant(date.to_datetime(open)),
            self.instant(close_date.to_datetime(close)),
        );
        Ok(if open < close {
            Ok((open, close))
        } else {
            Err(Shut::Outside)
        })
    }

    /// The instant of a wall-clock time; one that clocks skip is taken as if they had not.
    fn instant(&self, civil: DateTime) -> Timestamp {
        let instant = self.zone.to_ambiguous_timestamp(civil).compatible().ok();
        instant
            .and_then(|instant| Timestamp::from_jiff(instant).ok())
            .unwrap_or(Timestamp::EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::{Hours, Requested, RequestedDay, Shut};
    use crate::engine::calendar::{Calendar, CalendarError, SessionKind};
    use crate::model::{BarSpec, Timestamp};
    use jiff::civil::{Date, Time, date, time};
    use jiff::tz::TimeZone;

    fn new_york(kind: Option<SessionKind>) -> Hours {
        let zone = TimeZone::get("America/New_York").unwrap();
        Hours {
            calendar: Calendar::us_equities().unwrap(),
            kind,
            zone,
        }
    }

    fn midnight(hours: &Hours, date: Date) -> Timestamp {
        hours.instant(date.to_datetime(Time::midnight()))
    }

    fn ask(hours: &Hours, first: Date, last: Date) -> Result<Requested, CalendarError> {
        let mut asked = Requested::default();
        let to = midnight(hours, last.tomorrow().unwrap());
        hours.ask(midnight(hours, first), to, &mut asked)?;
        Ok(asked)
    }

    fn interval(hours: &Hours, day: Date) -> String {
        let asked = ask(hours, day, day).unwrap();
        let texts = asked
            .days
            .iter()
            .map(|day| format!("{} {}/{}", day.date, day.from, day.to));
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn session_is_exact_in_summer_in_winter_and_on_a_short_day() {
        let regular = new_york(Some(SessionKind::Regular));
        for (day, expected) in [
            (
                date(2025, 7, 1),
                "2025-07-01 2025-07-01T13:30:00Z/2025-07-01T20:00:00Z",
            ),
            (
                date(2025, 1, 15),
                "2025-01-15 2025-01-15T14:30:00Z/2025-01-15T21:00:00Z",
            ),
            (
                date(2025, 11, 28),
                "2025-11-28 2025-11-28T14:30:00Z/2025-11-28T18:00:00Z",
            ),
            (
                date(2025, 3, 10),
                "2025-03-10 2025-03-10T13:30:00Z/2025-03-10T20:00:00Z",
            ),
        ] {
            assert_eq!(interval(&regular, day), expected);
        }
        let post = new_york(Some(SessionKind::Post));
        assert_eq!(
            interval(&post, date(2025, 11, 28)),
            "2025-11-28 2025-11-28T18:00:00Z/2025-11-28T22:00:00Z"
        );
        let custom = new_york(Some(SessionKind::Custom(
            time(15, 0, 0, 0),
            Time::midnight(),
        )));
        assert_eq!(
            interval(&custom, date(2025, 7, 1)),
            "2025-07-01 2025-07-01T19:00:00Z/2025-07-02T04:00:00Z"
        );
        assert_eq!(
            interval(&new_york(None), date(2025, 7, 1)),
            "2025-07-01 2025-07-01T04:00:00Z/2025-07-02T04:00:00Z"
        );
    }

    #[test]
    fn sessions_follow_the_clock_over_both_switches_of_daylight_saving() {
        let regular = new_york(Some(SessionKind::Regular));
        for (day, open, close) in [
            (date(2025, 3, 7), "14:30", "21:00"),
            (date(2025, 3, 10), "13:30", "20:00"),
            (date(2025, 10, 31), "13:30", "20:00"),
            (date(2025, 11, 3), "14:30", "21:00"),
        ] {
            assert_eq!(
                interval(&regular, day),
                format!("{day} {day}T{open}:00Z/{day}T{close}:00Z")
            );
        }
        let open = Hours {
            calendar: Calendar::always_open(),
            ..new_york(None)
        };
        for (day, hours) in [(date(2025, 3, 9), 23), (date(2025, 11, 2), 25)] {
            let asked = ask(&open, day, day).unwrap();
            assert_eq!(
                asked.days[0].to.since(asked.days[0].from),
                hours * 3_600_000_000_000,
                "{day}"
            );
        }
    }

    #[test]
    fn week_leaves_out_what_is_shut_and_says_why() {
        let asked = ask(&new_york(None), date(2025, 12, 24), date(2025, 12, 28)).unwrap();
        let open: Vec<Date> = asked.days.iter().map(|day| day.date).collect();
        assert_eq!(open, [date(2025, 12, 24), date(2025, 12, 26)]);
        let shut: Vec<Shut> = asked.shut.iter().map(|(_, shut)| *shut).collect();
        assert!(
            matches!(shut[..], [Shut::Holiday(_), Shut::Weekend, Shut::Weekend]),
            "{shut:?}"
        );
    }

    #[test]
    fn interval_between_instants_cuts_the_sessions() {
        let hours = new_york(Some(SessionKind::Regular));
        let mut asked = Requested::default();
        let (from, to) = (
            "2025-07-01T19:00:00Z".parse().unwrap(),
            "2025-07-02T13:00:00Z".parse().unwrap(),
        );
        hours.ask(from, to, &mut asked).unwrap();
        assert_eq!((asked.days.len(), asked.days[0].from), (1, from));
        assert_eq!(asked.shut, [(date(2025, 7, 2), Shut::Outside)]);
    }

    #[test]
    fn interval_that_cuts_a_bar_is_told_and_a_session_cuts_none() {
        let specs = |text: &str| {
            text.split(',')
                .map(|spec| spec.parse().unwrap())
                .collect::<Vec<BarSpec>>()
        };
        let cut = |hours: &Hours, date: &str, (from, to): (&str, &str), text: &str| {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            let day = RequestedDay {
                date: date.parse().unwrap(),
                from,
                to,
            };
            let cut = hours.cut(&day, &specs(text)).unwrap();
            cut.map_or_else(String::new, |cut| format!("{} {}", cut.spec, cut.at))
        };
        let regular = new_york(Some(SessionKind::Regular));
        let day = "2025-07-01";
        let whole = ("2025-07-01T13:30:00Z", "2025-07-01T20:00:00Z");
        assert_eq!(cut(&regular, day, whole, "1m,1h,4h,1d,session,tick:9"), "");
        let part = ("2025-07-01T13:30:00Z", "2025-07-01T14:31:00Z");
        assert_eq!(cut(&regular, day, part, "1m,tick:9"), "");
        assert_eq!(cut(&regular, day, part, "1m,5m"), "5m 2025-07-01T14:31:00Z");
        assert_eq!(
            cut(&regular, day, part, "session"),
            "session 2025-07-01T14:31:00Z"
        );
        let (zone, calendar) = (
            TimeZone::get("Asia/Kolkata").unwrap(),
            Calendar::always_open(),
        );
        let crypto = Hours {
            calendar,
            kind: None,
            zone,
        };
        let night = ("2025-06-30T18:30:00Z", "2025-07-01T18:30:00Z");
        assert_eq!(cut(&crypto, day, night, "1m,15m,1d"), "");
        assert_eq!(cut(&crypto, day, night, "1h"), "1h 2025-06-30T18:30:00Z");
    }

    #[test]
    fn market_that_never_closes_asks_for_its_day_and_weekends_too() {
        let hours = Hours {
            calendar: Calendar::always_open(),
            kind: None,
            zone: TimeZone::UTC,
        };
        assert_eq!(
            interval(&hours, date(2025, 10, 18)),
            "2025-10-18 2025-10-18T00:00:00Z/2025-10-19T00:00:00Z"
        );
    }

    #[test]
    fn year_without_a_calendar_is_refused_unless_normal_days_are_assumed() {
        let mut hours = new_york(Some(SessionKind::Regular));
        let error = ask(&hours, date(1999, 12, 31), date(1999, 12, 31)).unwrap_err();
        assert!(matches!(error, CalendarError::OutsideRange { .. }));
        hours.calendar = hours.calendar.assume_normal();
        assert_eq!(
            ask(&hours, date(1999, 12, 31), date(1999, 12, 31))
                .unwrap()
                .days
                .len(),
            1
        );
    }
}
