//! From the `{date}` and `{time}` of keys back to the instants that they tell, see `key_time`.

use barmill_core::model::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

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
