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

/// Why a text is not a bar spec.
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

    fn parse_time(text: &str, digits: &str, unit: u64) -> Result<BarSpec, SpecError> {
        let unknown = || SpecError::Unknown {
            spec: text.to_owned(),
        };
        let canonical = !digits.is_empty() && digits.len() <= 5 && !digits.starts_with('0');
        if !canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(unknown());
        }
        let count: u64 = digits.parse().map_err(|_| unknown())?;
        match NonZeroU64::new(count.saturating_mul(unit)) {
            Some(length) if length.get() == DAY => Ok(BarSpec::Day),
            Some(length) if DAY.is_multiple_of(length.get()) => Ok(BarSpec::Time(length)),
            Some(_) | None => Err(SpecError::Uneven {
                spec: text.to_owned(),
            }),
        }
    }
}

impl FromStr for BarSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<BarSpec, SpecError> {
        let threshold = |source| SpecError::Threshold {
            spec: text.to_owned(),
            source,
        };
        if text == "session" {
            return Ok(BarSpec::Session);
        }
        if let Some((kind, number)) = text.split_once(':') {
            return match kind {
                "tick" => number
                    .parse()
                    .map(BarSpec::Tick)
                    .map_err(|_| threshold(None)),
                "volume" => match number.parse::<Volume>() {
                    Ok(volume) if volume > Volume::ZERO => Ok(BarSpec::Volume(volume)),
                    Ok(_) => Err(threshold(None)),
                    Err(source) => Err(threshold(Some(source))),
                },
                "value" => match number.parse::<Price>() {
                    Ok(value) if value > Price::ZERO => Ok(BarSpec::Value(value)),
                    Ok(_) => Err(threshold(None)),
                    Err(source) => Err(threshold(Some(source))),
                },
                _ => Err(SpecError::Unknown {
                    spec: text.to_owned(),
                }),
            };
        }
        for (suffix, unit) in [
            ("s", SECOND),
            ("m", 60 * SECOND),
            ("h", 3_600 * SECOND),
            ("d", DAY),
        ] {
            if let Some(digits) = text.strip_suffix(suffix) {
                return BarSpec::parse_time(text, digits, unit);
            }
        }
        Err(SpecError::Unknown {
            spec: text.to_owned(),
        })
    }
}

impl fmt::Display for BarSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BarSpec::Time(length) => {
                let seconds = length.get() / SECOND;
                match seconds {
                    _ if seconds.is_multiple_of(3_600) => write!(f, "{}h", seconds / 3_600),
                    _ if seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
                    _ => write!(f, "{seconds}s"),
                }
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
