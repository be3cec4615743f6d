//! Event time: nanoseconds since the Unix epoch, UTC.

use jiff::fmt::temporal::DateTimePrinter;
use std::fmt;
use std::str::FromStr;

/// Why a text or number is not an instant.
///
/// See the example of [`Timestamp`](crate::model::Timestamp).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// Before 1970 or after [`Timestamp::MAX`].
    #[error("time is outside 1970-01-01 to 2262-04-09")]
    OutOfRange,
    /// No RFC 3339 text.
    #[error("time is not RFC 3339, such as 2025-10-15T13:30:00Z")]
    NotRfc3339,
}

/// An instant: nanoseconds since the Unix epoch, UTC, from 1970 to 2262.
///
/// ```
/// # mod barmill { pub use barmill_core::model::*; }
/// use barmill::Timestamp;
/// let time: Timestamp = "2025-10-15T13:30:00.5Z".parse()?;
/// assert_eq!(time.as_nanos(), 1_760_535_000_500_000_000);
/// assert_eq!(time.to_string(), "2025-10-15T13:30:00.5Z");
/// # Ok::<(), barmill_core::model::TimestampError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);
    /// The last instant: 2262-04-09T00:00:00Z, two days before the last one that 64 bits hold, so that no sum of an
    /// instant and a day passes them.
    pub const MAX: Timestamp = Timestamp(106_749 * 86_400_000_000_000);

    /// Takes nanoseconds since the Unix epoch; `None` before 1970 or after [`Timestamp::MAX`].
    pub const fn from_nanos(nanos: i64) -> Option<Timestamp> {
        if nanos < 0 || Timestamp::MAX.0 < nanos {
            None
        } else {
            Some(Timestamp(nanos))
        }
    }

    /// Takes microseconds since the Unix epoch; `None` before 1970 or after 2262.
    pub fn from_micros(micros: i64) -> Option<Timestamp> {
        micros.checked_mul(1_000).and_then(Timestamp::from_nanos)
    }

    /// Takes milliseconds since the Unix epoch; `None` before 1970 or after 2262.
    pub fn from_millis(millis: i64) -> Option<Timestamp> {
        millis
            .checked_mul(1_000_000)
            .and_then(Timestamp::from_nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0 / 1_000_000
    }

    /// Appends the RFC 3339 text that `Display` gives, without a formatter.
    pub fn push_text(self, out: &mut Vec<u8>) {
        // A vector takes every text.
        let printed = DateTimePrinter::new().print_timestamp(&self.to_jiff(), out);
        printed.unwrap_or_default();
    }

    /// The instant `nanos` later, held inside the range.
    #[must_use]
    pub const fn saturating_add(self, nanos: i64) -> Timestamp {
        match self.0.saturating_add(nanos) {
            sum if sum < 0 => Timestamp::EPOCH,
            sum if Timestamp::MAX.0 < sum => Timestamp::MAX,
            sum => Timestamp(sum),
        }
    }

    /// The instant `nanos` earlier, held inside the range.
    #[must_use]
    pub const fn saturating_sub(self, nanos: i64) -> Timestamp {
        self.saturating_add(nanos.saturating_neg())
    }

    /// Nanoseconds from `earlier` to this instant; negative when this one is before it.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0 - earlier.0
    }

    /// The same instant in the calendar library.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or(jiff::Timestamp::MAX)
    }

    /// Takes an instant of the calendar library.
    ///
    /// # Errors
    /// [`TimestampError::OutOfRange`] before 1970 or after 2262.
    pub fn from_jiff(time: jiff::Timestamp) -> Result<Timestamp, TimestampError> {
        i64::try_from(time.as_nanosecond())
            .ok()
            .and_then(Timestamp::from_nanos)
            .ok_or(TimestampError::OutOfRange)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Timestamp, TimestampError> {
        let time: jiff::Timestamp = text.parse().map_err(|_| TimestampError::NotRfc3339)?;
        Timestamp::from_jiff(time)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_jiff(), f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, TimestampError};
    use proptest::prelude::*;

    #[test]
    fn instants_outside_the_range_are_refused() {
        assert_eq!(Timestamp::from_nanos(-1), None);
        assert_eq!(Timestamp::from_millis(i64::MAX), None);
        assert_eq!(
            "1969-12-31T23:59:59Z".parse::<Timestamp>(),
            Err(TimestampError::OutOfRange)
        );
        assert_eq!(
            "yesterday".parse::<Timestamp>(),
            Err(TimestampError::NotRfc3339)
        );
    }

    #[test]
    fn arithmetic_stays_inside_the_range() {
        assert_eq!(Timestamp::MAX.saturating_add(1), Timestamp::MAX);
        assert_eq!(Timestamp::EPOCH.saturating_sub(1), Timestamp::EPOCH);
    }

    proptest! {
        #[test]
        fn text_is_that_of_the_calendar_library(nanos in 0i64.., zeros in 0u32..10) {
            let time = Timestamp::from_nanos(nanos - nanos % 10i64.pow(zeros)).unwrap();
            let mut text = Vec::new();
            time.push_text(&mut text);
            prop_assert_eq!(String::from_utf8(text).unwrap(), time.to_string());
        }
    }
}
