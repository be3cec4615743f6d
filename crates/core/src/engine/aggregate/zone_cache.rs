//! Civil days of a zone as instants, and a cache of their segments.
//!
//! All knowledge of daylight saving is the zone's. A lookup in the zone costs far more than folding a
//! trade, so every piece is computed once and found again by binary search. Deliberately knows nothing of
//! bars.

use crate::model::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Pieces a cache keeps before it starts afresh: more than a year of days cut in three.
const PIECES_MAX: usize = 2_048;

/// Nanoseconds since the Unix epoch, start included, end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Span {
    /// Holds no instant.
    pub(super) const NOWHERE: Span = Span {
        start: i64::MIN,
        end: i64::MIN,
    };

    #[inline]
    pub(super) fn contains(self, time: i64) -> bool {
        self.start <= time && time < self.end
    }

    /// Whether both hold one same instant.
    pub(super) fn overlaps(self, other: Span) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// A span of one civil day, inside or outside of what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DaySegment {
    pub(super) span: Span,
    pub(super) inside: bool,
}

/// Pieces of time computed so far, sorted and disjoint.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    recent: DaySegment,
    sorted: Vec<DaySegment>,
}

impl Pieces {
    pub(super) fn new() -> Pieces {
        Pieces {
            recent: DaySegment {
                span: Span::NOWHERE,
                inside: false,
            },
            sorted: Vec::new(),
        }
    }

    /// The piece that holds `time`, when it is the one asked for last.
    #[inline]
    pub(super) fn recent(&self, time: i64) -> Option<DaySegment> {
        self.recent.span.contains(time).then_some(self.recent)
    }

    /// The piece that holds `time`, when it was computed before.
    pub(super) fn find(&mut self, time: i64) -> Option<DaySegment> {
        let index = self.sorted.partition_point(|piece| piece.span.end <= time);
        let piece = *self.sorted.get(index)?;
        piece.span.contains(time).then(|| {
            self.recent = piece;
            piece
        })
    }

    /// Keeps the pieces of one day, in order.
    pub(super) fn keep(&mut self, pieces: &[DaySegment]) {
        if self.sorted.len() + pieces.len() > PIECES_MAX {
            self.sorted.clear();
        }
        let Some(first) = pieces.first() else { return };
        let index = self
            .sorted
            .partition_point(|piece| piece.span.start < first.span.start);
        self.sorted.splice(index..index, pieces.iter().copied());
    }
}

/// The civil date of an instant.
pub(super) fn date_of(zone: &TimeZone, time: i64) -> Date {
    let time = Timestamp::from_nanos(time).unwrap_or(Timestamp::MAX);
    zone.to_datetime(time.to_jiff()).date()
}

/// The instants of a civil day, from its first to the first of the next one.
pub(super) fn day_span(zone: &TimeZone, date: Date) -> Span {
    let end = date
        .tomorrow()
        .map_or(i64::MAX, |next| day_start(zone, next));
    Span {
        start: day_start(zone, date),
        end,
    }
}

/// The instant of a wall clock, in minutes after midnight from 0 to 1440, on a civil day.
///
/// A time that daylight saving skips is taken as much later as the clock jumps; of one that occurs twice
/// the first is taken.
pub(super) fn wall_instant(zone: &TimeZone, date: Date, minutes: i16) -> i64 {
    let (Ok(hour), Ok(minute)) = (i8::try_from(minutes / 60), i8::try_from(minutes % 60)) else {
        return i64::MAX;
    };
    if hour >= 24 {
        return day_span(zone, date).end;
    }
    zone.to_timestamp(date.at(hour, minute, 0, 0))
        .map_or(i64::MAX, to_nanos)
}

fn day_start(zone: &TimeZone, date: Date) -> i64 {
    date.to_zoned(zone.clone())
        .and_then(|midnight| midnight.start_of_day())
        .map_or(i64::MAX, |start| to_nanos(start.timestamp()))
}

/// Held inside the range of event time, which starts in 1970.
fn to_nanos(time: jiff::Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond().max(0)).unwrap_or(i64::MAX)
}
