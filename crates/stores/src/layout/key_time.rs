//! Date and time of a bar's start, as formatted in keys.
//!
//! Owns the text forms of `{date}` and `{time}` and the way back to an instant. `{time}` is `HH:MM` for
//! specs of whole minutes, `HH:MM:SS` for seconds, and `HH:MM:SS.nnnnnnnnn` for bars that trades cut.
//! Where clocks are set back, an hour of civil times happens twice: the second pass carries its offset
//! from UTC (`01:30-05:00`), so that it never overwrites the first (`01:30`).

use barmill_core::model::{BarSpec, Timestamp};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use std::ops::Range;

const MINUTE_NS: u64 = 60_000_000_000;
/// After a switch of the clocks, until no hour can be a repeated one: no zone goes back by more.
const REPEAT_NS: i64 = 86_400_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Minutes,
    Seconds,
    Nanoseconds,
}

impl Precision {
    /// The form of a spec, finer where the civil time needs it (a zone offset may have seconds).
    fn of(spec: BarSpec, time: Time) -> Precision {
        let wanted = match spec {
            BarSpec::Time(length) if length.get().is_multiple_of(MINUTE_NS) => Precision::Minutes,
            BarSpec::Time(_) => Precision::Seconds,
            BarSpec::Day | BarSpec::Session => Precision::Minutes,
            BarSpec::Tick(_) | BarSpec::Volume(_) | BarSpec::Value(_) => Precision::Nanoseconds,
        };
        let needed = match (time.second(), time.subsec_nanosecond()) {
            (0, 0) => Precision::Minutes,
            (_, 0) => Precision::Seconds,
            (_, _) => Precision::Nanoseconds,
        };
        wanted.max(needed)
    }
}

/// The civil start of one bar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyTime {
    civil: DateTime,
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
        KeyTime {
            civil,
            precision: Precision::of(spec, civil.time()),
            offset: repeated.then_some(offset),
        }
    }

    pub(crate) fn date(&self) -> Date {
        self.civil.date()
    }

    pub(crate) fn push_date(&self, out: &mut Vec<u8>) {
        push_date(out, self.civil.date());
    }

    pub(crate) fn push_time(&self, out: &mut Vec<u8>) {
        let time = self.civil.time();
        push_two(out, time.hour());
        out.push(b':');
        push_two(out, time.minute());
        if self.precision >= Precision::Seconds {
            out.push(b':');
            push_two(out, time.second());
        }
        if self.precision >= Precision::Nanoseconds {
            push_padded(out, b".", time.subsec_nanosecond(), 9);
        }
        if let Some(offset) = self.offset {
            push_offset(out, offset);
        }
    }
}

/// Makes stamps of one zone. Look-ups in a zone are slow, so the offset is kept for as long as it holds.
#[derive(Debug)]
pub(crate) struct KeyTimes<'a> {
    zone: &'a TimeZone,
    /// Nanoseconds since the Unix epoch in which the offset holds and no hour is a repeated one.
    steady: Range<i64>,
    offset: Offset,
    /// The last stamp, since the bars of all symbols start together.
    last: Option<(Timestamp, BarSpec, KeyTime)>,
}

impl<'a> KeyTimes<'a> {
    pub(crate) fn new(zone: &'a TimeZone) -> KeyTimes<'a> {
        KeyTimes {
            zone,
            steady: 0..0,
            offset: Offset::UTC,
            last: None,
        }
    }

    pub(crate) fn of(&mut self, start: Timestamp, spec: BarSpec) -> KeyTime {
        match self.last {
            Some((last, of, time)) if (last, of) == (start, spec) => time,
            Some(_) | None => {
                let time = self.make(start, spec);
                self.last = Some((start, spec, time));
                time
            }
        }
    }

    fn make(&mut self, start: Timestamp, spec: BarSpec) -> KeyTime {
        let nanos = start.as_nanos();
        if !self.steady.contains(&nanos) {
            self.load(start);
        }
        if !self.steady.contains(&nanos) {
            return KeyTime::of(start, spec, self.zone);
        }
        let civil = self.offset.to_datetime(start.to_jiff());
        KeyTime {
            civil,
            precision: Precision::of(spec, civil.time()),
            offset: None,
        }
    }

    fn load(&mut self, start: Timestamp) {
        let switch =
            |time: jiff::Timestamp| Timestamp::from_jiff(time).map_or(0, Timestamp::as_nanos);
        // What comes before the next nanosecond came at the start or before it.
        let next = start.saturating_add(1).to_jiff();
        let before = self
            .zone
            .preceding(next)
            .next()
            .map(|last| switch(last.timestamp()));
        let after = self
            .zone
            .following(start.to_jiff())
            .next()
            .map(|next| switch(next.timestamp()));
        self.steady =
            before.map_or(0, |at| at.saturating_add(REPEAT_NS))..after.unwrap_or(i64::MAX);
        self.offset = self.zone.to_offset(start.to_jiff());
    }
}

pub(crate) fn push_date(out: &mut Vec<u8>, date: Date) {
    push_padded(out, b"", i32::from(date.year()), 4);
    out.push(b'-');
    push_two(out, date.month());
    out.push(b'-');
    push_two(out, date.day());
}

fn push_offset(out: &mut Vec<u8>, offset: Offset) {
    let seconds = offset.seconds();
    let sign: &[u8] = if seconds < 0 { b"-" } else { b"+" };
    let seconds = seconds.abs();
    push_padded(out, sign, seconds / 3_600, 2);
    push_padded(out, b":", seconds / 60 % 60, 2);
    if seconds % 60 != 0 {
        push_padded(out, b":", seconds % 60, 2);
    }
}

fn push_two(out: &mut Vec<u8>, value: i8) {
    let value = value.unsigned_abs();
    out.extend_from_slice(&[b'0' + value / 10, b'0' + value % 10]);
}

fn push_padded(out: &mut Vec<u8>, before: &[u8], value: i32, width: usize) {
    out.extend_from_slice(before);
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    out.resize(out.len() + width.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(digits);
}

/// The instant of a `{date}` and a `{time}` text in a zone; `None` when either has another form.
pub(crate) fn instant(date: Date, time: &str, zone: &TimeZone) -> Option<Timestamp> {
    let (clock, offset) = match time.find(['+', '-']) {
        Some(index) => (&time[..index], Some(parse_offset(&time[index..])?)),
        None => (time, None),
    };
    let civil = date.to_datetime(clock.parse::<Time>().ok()?);
    let found = match offset {
        Some(offset) => offset.to_timestamp(civil).ok()?,
        None => zone.to_ambiguous_timestamp(civil).compatible().ok()?,
    };
    Timestamp::from_jiff(found).ok()
}

fn parse_offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("-", digits) => (-1, digits),
        (_, digits) => (1, digits),
    };
    let mut seconds = 0;
    for (part, unit) in digits.split(':').zip([3_600, 60, 1]) {
        seconds += part
            .parse::<i32>()
            .ok()
            .filter(|value| (0..60).contains(value))?
            * unit;
    }
    Offset::from_seconds(sign * seconds).ok()
}

/// Every instant with this civil date and time: two in a repeated hour, none in a skipped one.
pub(crate) fn instants(civil: DateTime, zone: &TimeZone) -> Vec<Timestamp> {
    let offsets = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => vec![offset],
        AmbiguousOffset::Fold { before, after } => vec![before, after],
        AmbiguousOffset::Gap { .. } => Vec::new(),
    };
    offsets
        .into_iter()
        .filter_map(|offset| offset.to_timestamp(civil).ok())
        .filter_map(|time| Timestamp::from_jiff(time).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{KeyTime, KeyTimes, instant, instants};
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
