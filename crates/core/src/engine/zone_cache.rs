//! Civil days of a zone as instants, and a cache of the spans they are cut into.
//!
//! All knowledge of daylight saving is the zone's. A lookup in the zone costs far more than folding a
//! trade, so every span is computed once and found again by binary search. Deliberately knows nothing of
//! bars.

use crate::model::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Segments a cache keeps before it starts afresh: more than a year of days cut in three.
const SEGMENTS_MAX: usize = 2_048;
/// Nanoseconds of a day on which no clock is set.
const DAY_NS: i64 = 86_400_000_000_000;

/// Nanoseconds since the Unix epoch, start included, end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Span {
    pub(in crate::engine) start: i64,
    pub(in crate::engine) end: i64,
}

impl Span {
    /// Holds no instant.
    pub(in crate::engine) const NOWHERE: Span = Span::new(i64::MIN, i64::MIN);

    pub(in crate::engine) const fn new(start: i64, end: i64) -> Span {
        Span { start, end }
    }

    #[inline]
    pub(in crate::engine) fn contains(self, time: i64) -> bool {
        self.start <= time && time < self.end
    }

    /// Whether both hold one same instant.
    pub(in crate::engine) fn overlaps(self, other: Span) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// A span of one civil day, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Segment<T> {
    pub(in crate::engine) span: Span,
    pub(in crate::engine) value: T,
}

/// Segments of time computed so far, sorted and disjoint.
#[derive(Debug, Clone)]
pub(in crate::engine) struct SpanCache<T> {
    recent: Option<Segment<T>>,
    sorted: Vec<Segment<T>>,
}

impl<T: Copy> SpanCache<T> {
    pub(in crate::engine) const fn new() -> SpanCache<T> {
        SpanCache {
            recent: None,
            sorted: Vec::new(),
        }
    }

    /// The segment that holds `time`; `None` when it is in none of those that `make` gives for its civil day, in order.
    #[inline]
    pub(in crate::engine) fn get(
        &mut self,
        time: i64,
        make: impl FnOnce() -> Vec<Segment<T>>,
    ) -> Option<Segment<T>> {
        match self.recent {
            Some(recent) if recent.span.contains(time) => Some(recent),
            Some(_) | None => self.look_up(time, make),
        }
    }

    #[cold]
    fn look_up(&mut self, time: i64, make: impl FnOnce() -> Vec<Segment<T>>) -> Option<Segment<T>> {
        if self.find(time).is_none() {
            let segments = make();
            if self.sorted.len() + segments.len() > SEGMENTS_MAX {
                self.sorted.clear();
            }
            let start = segments.first()?.span.start;
            let index = self.sorted.partition_point(|one| one.span.start < start);
            self.sorted.splice(index..index, segments);
        }
        self.recent = self.find(time);
        self.recent
    }

    fn find(&self, time: i64) -> Option<Segment<T>> {
        let index = self.sorted.partition_point(|one| one.span.end <= time);
        self.sorted
            .get(index)
            .copied()
            .filter(|one| one.span.contains(time))
    }
}

/// Tells the civil date of instants in one zone.
#[derive(Debug, Clone)]
pub struct LocalDates {
    zone: TimeZone,
    days: SpanCache<Date>,
}

impl LocalDates {
    /// Makes the days of a zone.
    pub fn new(zone: TimeZone) -> LocalDates {
        LocalDates {
            zone,
            days: SpanCache::new(),
        }
    }

    /// The civil date of an instant.
    pub fn date_of(&mut self, time: Timestamp) -> Date {
        self.day(time.as_nanos()).value
    }

    /// The midnight that ends the civil day of an instant, excluded.
    pub fn end_of(&mut self, time: Timestamp) -> Timestamp {
        let end = self.day(time.as_nanos()).span.end;
        Timestamp::from_nanos(end).unwrap_or(Timestamp::MAX)
    }

    /// The civil date of an instant and the nanoseconds since its midnight; `None` on a day on which clocks are set.
    pub fn clock(&mut self, time: Timestamp) -> Option<(Date, u64)> {
        let time = time.as_nanos();
        let Segment { span, value } = self.day(time);
        let is_steady = span.contains(time) && span.end - span.start == DAY_NS;
        is_steady.then(|| (value, (time - span.start).unsigned_abs()))
    }

    /// The civil day that holds an instant.
    #[inline]
    pub(in crate::engine) fn day(&mut self, time: i64) -> Segment<Date> {
        let day = || {
            let value = date_of(&self.zone, time);
            let span = day_span(&self.zone, value);
            Segment { span, value }
        };
        self.days.get(time, || vec![day()]).unwrap_or_else(day)
    }
}

/// The civil date of an instant.
pub(in crate::engine) fn date_of(zone: &TimeZone, time: i64) -> Date {
    let time = Timestamp::from_nanos(time).unwrap_or(Timestamp::MAX);
    zone.to_datetime(time.to_jiff()).date()
}

/// The instants of a civil day, from its first to the first of the next one.
pub(in crate::engine) fn day_span(zone: &TimeZone, date: Date) -> Span {
    // Held inside the range of event time, which starts in 1970.
    let start_of = |date: Date| {
        let start = date
            .to_zoned(zone.clone())
            .and_then(|zoned| zoned.start_of_day());
        start.map_or(i64::MAX, |start| {
            i64::try_from(start.timestamp().as_nanosecond().max(0)).unwrap_or(i64::MAX)
        })
    };
    Span::new(start_of(date), date.tomorrow().map_or(i64::MAX, start_of))
}

#[cfg(test)]
mod tests {
    use super::LocalDates;
    use jiff::tz::TimeZone;

    #[test]
    fn date_follows_the_zone_over_both_switches() {
        let mut days = LocalDates::new(TimeZone::get("America/New_York").unwrap());
        for (instant, date) in [
            ("2025-03-09T04:59:59Z", "2025-03-08"),
            ("2025-03-09T05:00:00Z", "2025-03-09"),
            ("2025-03-10T03:59:59Z", "2025-03-09"),
            ("2025-11-02T04:00:00Z", "2025-11-02"),
            ("2025-11-03T04:59:59Z", "2025-11-02"),
            ("2025-11-03T05:00:00Z", "2025-11-03"),
        ] {
            assert_eq!(
                days.date_of(instant.parse().unwrap()).to_string(),
                date,
                "{instant}"
            );
        }
    }
}
