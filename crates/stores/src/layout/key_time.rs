//! Date and time of a bar's start, as formatted in keys.
//!
//! Owns the text forms of `{date}` and `{time}`; the way back is in `instant`. `{time}` is `HH:MM` for
//! specs of whole minutes, `HH:MM:SS` for seconds, and `HH:MM:SS.nnnnnnnnn` for bars that trades cut.
//! Where clocks are set back, an hour of civil times happens twice: the second pass carries its offset
//! from UTC (`01:30-05:00`), so that it never overwrites the first (`01:30`).

use barmill_core::engine::zone_cache::LocalDates;
use barmill_core::model::{BarSpec, Timestamp};
use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

const SECOND_NS: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Minutes,
    Seconds,
    Nanoseconds,
}

impl Precision {
    /// The form of a spec, finer where the civil time needs it (a zone offset may have seconds).
    fn of(spec: BarSpec, clock_ns: u64) -> Precision {
        let wanted = match spec {
            BarSpec::Time(length) if length.get().is_multiple_of(MINUTE_NS) => Precision::Minutes,
            BarSpec::Time(_) => Precision::Seconds,
            BarSpec::Day | BarSpec::Session => Precision::Minutes,
            BarSpec::Tick(_) | BarSpec::Volume(_) | BarSpec::Value(_) => Precision::Nanoseconds,
        };
        let needed = if clock_ns.is_multiple_of(MINUTE_NS) {
            Precision::Minutes
        } else if clock_ns.is_multiple_of(SECOND_NS) {
            Precision::Seconds
        } else {
            Precision::Nanoseconds
        };
        wanted.max(needed)
    }
}

/// The civil start of one bar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyTime {
    date: Date,
    /// Nanoseconds since midnight, as clocks show them.
    clock_ns: u64,
    precision: Precision,
    /// Set in the second pass of a repeated hour only.
    offset: Option<Offset>,
}

impl KeyTime {
    pub(crate) fn of(start: Timestamp, spec: BarSpec, zone: &TimeZone) -> KeyTime {
        let offset = zone.to_offset(start.to_jiff());
        let civil = offset.to_datetime(start.to_jiff());
        let repeated = match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Fold { before, .. } => before != offset,
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => false,
        };
        let clock = civil.time().duration_since(Time::midnight());
        let clock_ns = u64::try_from(clock.as_nanos()).unwrap_or(0);
        KeyTime {
            date: civil.date(),
            clock_ns,
            precision: Precision::of(spec, clock_ns),
            offset: repeated.then_some(offset),
        }
    }

    /// The midnight of a date.
    pub(crate) fn of_date(date: Date) -> KeyTime {
        KeyTime {
            date,
            clock_ns: 0,
            precision: Precision::Minutes,
            offset: None,
        }
    }

    pub(crate) fn date(&self) -> Date {
        self.date
    }

    pub(crate) fn push_date(&self, out: &mut Vec<u8>) {
        push_date(out, self.date);
    }

    pub(crate) fn push_time(&self, out: &mut Vec<u8>) {
        let (minutes, seconds) = (self.clock_ns / MINUTE_NS, self.clock_ns / SECOND_NS);
        let mut text = *b"00:00:00.000000000";
        set_digits(&mut text[0..2], minutes / 60);
        set_digits(&mut text[3..5], minutes % 60);
        let len = match self.precision {
            Precision::Minutes => 5,
            Precision::Seconds => 8,
            Precision::Nanoseconds => 18,
        };
        if self.precision > Precision::Minutes {
            set_digits(&mut text[6..8], seconds % 60);
            set_digits(&mut text[9..18], self.clock_ns % SECOND_NS);
        }
        out.extend_from_slice(&text[..len]);
        if let Some(offset) = self.offset {
            push_offset(out, offset);
        }
    }
}

/// Makes stamps of one zone.
#[derive(Debug)]
pub(crate) struct KeyTimes<'a> {
    zone: &'a TimeZone,
    dates: LocalDates,
}

impl<'a> KeyTimes<'a> {
    pub(crate) fn new(zone: &'a TimeZone) -> KeyTimes<'a> {
        KeyTimes {
            zone,
            dates: LocalDates::new(zone.clone()),
        }
    }

    pub(crate) fn of(&mut self, start: Timestamp, spec: BarSpec) -> KeyTime {
        match self.dates.clock(start) {
            Some((date, clock_ns)) => KeyTime {
                date,
                clock_ns,
                precision: Precision::of(spec, clock_ns),
                offset: None,
            },
            None => KeyTime::of(start, spec, self.zone),
        }
    }
}

pub(crate) fn push_date(out: &mut Vec<u8>, date: Date) {
    let mut text = *b"0000-00-00";
    set_digits(&mut text[0..4], date.year().unsigned_abs().into());
    set_digits(&mut text[5..7], date.month().unsigned_abs().into());
    set_digits(&mut text[8..10], date.day().unsigned_abs().into());
    out.extend_from_slice(&text);
}

fn push_offset(out: &mut Vec<u8>, offset: Offset) {
    let mut text = *b"+00:00:00";
    if offset.seconds() < 0 {
        text[0] = b'-';
    }
    let seconds = u64::from(offset.seconds().unsigned_abs());
    set_digits(&mut text[1..3], seconds / 3_600);
    set_digits(&mut text[4..6], seconds / 60 % 60);
    set_digits(&mut text[7..9], seconds % 60);
    let len = if seconds.is_multiple_of(60) { 6 } else { 9 };
    out.extend_from_slice(&text[..len]);
}

/// Writes the last digits of a number over the text.
fn set_digits(text: &mut [u8], mut value: u64) {
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789"[(value % 10) as usize];
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyTime, KeyTimes};
    use crate::layout::instant::{instant, instants};
    use barmill_core::model::{BarSpec, Timestamp};
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn texts(start: &str, spec: &str, zone: &str) -> (String, String) {
        let spec: BarSpec = spec.parse().unwrap();
        let start: Timestamp = start.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let stamp = KeyTime::of(start, spec, &zone);
        let (mut day, mut time) = (Vec::new(), Vec::new());
        stamp.push_date(&mut day);
        stamp.push_time(&mut time);
        let (day, time) = (
            String::from_utf8(day).unwrap(),
            String::from_utf8(time).unwrap(),
        );
        assert_eq!(
            instant(day.parse().unwrap(), &time, &zone),
            Some(start),
            "{day} {time}"
        );
        (day, time)
    }

    #[test]
    fn the_form_of_time_follows_the_spec() {
        let ny = "America/New_York";
        let day = "2025-10-15".to_owned();
        assert_eq!(
            texts("2025-10-15T13:30:00Z", "5m", ny),
            (day.clone(), "09:30".to_owned())
        );
        assert_eq!(
            texts("2025-10-15T13:30:00Z", "session", ny),
            (day.clone(), "09:30".to_owned())
        );
        assert_eq!(
            texts("2025-10-15T13:30:05Z", "5s", ny),
            (day.clone(), "09:30:05".to_owned())
        );
        let tick = texts("2025-10-15T13:30:05.000000012Z", "tick:10", ny);
        assert_eq!(tick, (day, "09:30:05.000000012".to_owned()));
    }

    #[test]
    fn winter_and_summer_follow_the_zone() {
        assert_eq!(
            texts("2025-01-15T14:30:00Z", "1m", "America/New_York").1,
            "09:30"
        );
        assert_eq!(
            texts("2025-07-15T13:30:00Z", "1m", "America/New_York").1,
            "09:30"
        );
        assert_eq!(
            texts("2025-10-16T03:59:00Z", "1m", "America/New_York").0,
            "2025-10-15"
        );
    }

    #[test]
    fn the_second_pass_of_a_repeated_hour_carries_its_offset() {
        let ny = "America/New_York";
        assert_eq!(texts("2025-11-02T05:30:00Z", "1m", ny).1, "01:30");
        assert_eq!(texts("2025-11-02T06:30:00Z", "1m", ny).1, "01:30-05:00");
        assert_eq!(texts("2025-11-02T07:30:00Z", "1m", ny).1, "02:30");
        assert_eq!(
            texts("2025-10-26T01:30:00Z", "1m", "Europe/Berlin").1,
            "02:30+01:00"
        );
    }

    #[test]
    fn a_civil_time_names_two_instants_one_or_none() {
        let zone = TimeZone::get("America/New_York").unwrap();
        assert_eq!(instants(date(2025, 11, 2).at(1, 30, 0, 0), &zone).len(), 2);
        assert_eq!(instants(date(2025, 11, 3).at(1, 30, 0, 0), &zone).len(), 1);
        assert_eq!(instants(date(2025, 3, 9).at(2, 30, 0, 0), &zone).len(), 0);
        assert_eq!(instant(date(2025, 11, 2), "9h", &zone), None);
    }

    proptest! {
        #[test]
        fn kept_offsets_give_the_stamps_of_the_zone(
            hours in proptest::collection::vec(0i64..24 * 400, 1..40),
            zone in prop::sample::select(vec!["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]),
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let mut stamps = KeyTimes::new(&zone);
            for hour in hours {
                let start = Timestamp::from_nanos(1_735_689_600_000_000_000 + hour * 3_600_000_000_000).unwrap();
                let (kept, fresh) = (stamps.of(start, BarSpec::MINUTE), KeyTime::of(start, BarSpec::MINUTE, &zone));
                prop_assert_eq!(format!("{kept:?}"), format!("{fresh:?}"), "{}", start);
            }
        }
    }
}
