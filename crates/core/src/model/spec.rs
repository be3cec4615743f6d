//! Bar specs: how a stream of trades is cut into bars.
//!
//! One grammar for the command line, the config and the builder: `1s 5s 1m 5m 15m 1h 4h 1d`, `session`,
//! `tick:1000`, `volume:50000`, `value:1000000`.

use super::{DecimalError, Price, Volume};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;
/// The units of a length, the longest first.
const UNITS: [(&str, u64); 4] = [
    ("d", DAY),
    ("h", 3_600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
];

/// Why a text is not a bar spec.
///
/// See the example of [`BarSpec`](crate::model::BarSpec).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No known form.
    #[error(
        "bar spec {spec:?} is not one of 1s 5s 1m 5m 15m 1h 4h 1d session tick:N volume:N value:N"
    )]
    Unknown {
        /// The refused text.
        spec: String,
    },
    /// A length that does not divide the day, so that its windows would drift.
    #[error("bar spec {spec:?} does not divide a day")]
    Uneven {
        /// The refused text.
        spec: String,
    },
    /// A threshold that is no positive number.
    #[error("bar spec {spec:?} needs a number above zero after the colon")]
    Threshold {
        /// The refused text.
        spec: String,
        /// What is wrong with the number.
        #[source]
        source: Option<DecimalError>,
    },
}

/// How a stream of trades is cut into bars.
///
/// ```
/// # mod barmill { pub use barmill_core::model::*; }
/// use barmill::BarSpec;
/// assert_eq!("5m".parse::<BarSpec>()?.to_string(), "5m");
/// assert_eq!("60s".parse::<BarSpec>()?, "1m".parse()?);
/// assert!("7m".parse::<BarSpec>().is_err(), "does not divide a day");
/// # Ok::<(), barmill_core::model::SpecError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BarSpec {
    /// Windows of equal length in nanoseconds, aligned to midnight UTC; the length divides a day.
    Time(NonZeroU64),
    /// One civil day in the run's zone.
    Day,
    /// One trading session of the calendar.
    Session,
    /// A fixed count of trades.
    Tick(NonZeroU64),
    /// At least this volume, the trade that reaches it included.
    Volume(Volume),
    /// At least this value (price times size, in units of the quote currency), the trade that reaches it included.
    Value(Price),
}

impl BarSpec {
    /// One-minute bars.
    pub const MINUTE: BarSpec = match NonZeroU64::new(60 * SECOND) {
        Some(length) => BarSpec::Time(length),
        None => BarSpec::Day,
    };

    /// The window length in nanoseconds of a time spec shorter than a day.
    pub const fn interval_ns(self) -> Option<u64> {
        match self {
            BarSpec::Time(length) => Some(length.get()),
            BarSpec::Day
            | BarSpec::Session
            | BarSpec::Tick(_)
            | BarSpec::Volume(_)
            | BarSpec::Value(_) => None,
        }
    }

    /// Whether the clock cuts the bars, so that any order of the same trades gives the same bars.
    pub const fn is_time(self) -> bool {
        matches!(self, BarSpec::Time(_) | BarSpec::Day | BarSpec::Session)
    }

    fn parse_time(text: &str) -> Result<BarSpec, SpecError> {
        let spec = text.to_owned();
        let mut units = UNITS.iter();
        let parts = units.find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)));
        let length = parts.and_then(|(digits, unit)| {
            let is_canonical = (1..=5).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|byte| byte.is_ascii_digit());
            let count: u64 = digits.parse().ok().filter(|_| is_canonical)?;
            NonZeroU64::new(count.saturating_mul(*unit))
        });
        match length {
            Some(length) if length.get() == DAY => Ok(BarSpec::Day),
            Some(length) if DAY.is_multiple_of(length.get()) => Ok(BarSpec::Time(length)),
            Some(_) => Err(SpecError::Uneven { spec }),
            None => Err(SpecError::Unknown { spec }),
        }
    }
}

impl FromStr for BarSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<BarSpec, SpecError> {
        let spec = text.to_owned();
        let above_zero = match text.split_once(':') {
            None if text == "session" => return Ok(BarSpec::Session),
            None => return BarSpec::parse_time(text),
            Some(("tick", number)) => number.parse().map(BarSpec::Tick).map_err(|_| None),
            Some(("volume", number)) => above_zero(number).map(BarSpec::Volume),
            Some(("value", number)) => above_zero(number).map(BarSpec::Value),
            Some(_) => return Err(SpecError::Unknown { spec }),
        };
        above_zero.map_err(|source| SpecError::Threshold { spec, source })
    }
}

/// A number above zero; an error without a cause for zero.
fn above_zero<N: FromStr + Default + PartialOrd>(text: &str) -> Result<N, Option<N::Err>> {
    let number: N = text.parse().map_err(Some)?;
    if N::default() < number {
        Ok(number)
    } else {
        Err(None)
    }
}

impl fmt::Display for BarSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BarSpec::Time(length) => {
                let mut units = UNITS.into_iter();
                let unit = units.find(|(_, unit)| length.get().is_multiple_of(*unit));
                let (suffix, unit) = unit.unwrap_or(("s", SECOND));
                write!(f, "{}{suffix}", length.get() / unit)
            }
            BarSpec::Day => f.write_str("1d"),
            BarSpec::Session => f.write_str("session"),
            BarSpec::Tick(count) => write!(f, "tick:{count}"),
            BarSpec::Volume(volume) => write!(f, "volume:{volume}"),
            BarSpec::Value(value) => write!(f, "value:{value}"),
        }
    }
}

impl fmt::Debug for BarSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::BarSpec;

    #[test]
    fn every_spec_of_the_grammar_round_trips() {
        for text in [
            "1s",
            "5s",
            "1m",
            "5m",
            "15m",
            "1h",
            "4h",
            "1d",
            "session",
            "tick:1000",
            "volume:50000",
            "volume:0.5",
            "value:1000000",
        ] {
            assert_eq!(text.parse::<BarSpec>().unwrap().to_string(), text);
        }
        assert_eq!("24h".parse::<BarSpec>().unwrap(), BarSpec::Day);
    }

    #[test]
    fn everything_else_is_refused_with_its_text() {
        for text in [
            "",
            "m",
            "0m",
            "01m",
            "7m",
            "2d",
            "1w",
            "-1m",
            "tick:0",
            "tick:",
            "volume:-1",
            "value:0",
            "range:5",
            "1.5m",
        ] {
            let error = text.parse::<BarSpec>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
