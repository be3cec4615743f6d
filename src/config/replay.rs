//! `[replay]` and `[aggregate]`: how recorded trades are read and spread over shards.

use super::ValueError;
use super::section::{names, not_a_choice, section};
use super::value::{Setting, Value, camel_case, not_allowed, quoted};
use crate::model::Price;
use barmill_sources::file::{Format, OnBadRow};
use std::fmt;
use std::num::NonZeroU32;

section! {
    /// How recorded trades are read.
    Replay, "replay" {
        /// The format of the files.
        format: FileFormat = FileFormat::AUTO;
        /// What a row that cannot be decoded does.
        on_bad_row: OnBadRow = OnBadRow::Stop;
        /// How fast event time passes.
        speed: Speed = Speed::Max;
        /// Trades of one batch, 1 to 65,536.
        batch_len_max: usize = 4_096, 1..=65_536;
        /// Batches waiting before each shard, 1 to 4,096.
        queue_len_max: usize = 8, 1..=4_096;
    }
}

section! {
    /// How symbols are spread over cores.
    Aggregate, "aggregate" {
        /// Aggregators that run side by side, 1 to 64; a symbol lives on one of them.
        shards: usize = 1, 1..=64;
    }
}

/// The format of the files: one of the layouts that sources know, or told for each file.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct FileFormat(Option<Format>);

impl FileFormat {
    /// Told by the first bytes of each file.
    pub const AUTO: FileFormat = FileFormat(None);

    /// The name in the config and on the command line.
    pub fn as_str(self) -> &'static str {
        self.0.map_or("auto", Format::name)
    }

    /// The layout; none when each file tells its own.
    pub const fn format(self) -> Option<Format> {
        self.0
    }
}

/// The name in camel case: the name of a replay that can be resumed holds it.
impl fmt::Debug for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&camel_case(self.as_str()))
    }
}

impl Setting for FileFormat {
    fn read(value: &Value) -> Result<FileFormat, ValueError> {
        let text = value.text()?;
        let names: Vec<&str> = std::iter::once("auto")
            .chain(Format::all().map(Format::name))
            .collect();
        Format::choice(text)
            .map(FileFormat)
            .map_err(|_| not_a_choice(text, &names))
    }

    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

names! { OnBadRow { Stop = "stop", Skip = "skip", } }

/// A thousandth in units of the exact decimals.
const THOUSANDTH: u64 = 1_000_000;

/// How fast event time passes in a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// As fast as the pipeline goes.
    Max,
    /// A multiple of wall time, in thousandths: 1,000 is as it happened.
    Times(NonZeroU32),
}

impl Speed {
    /// The fastest multiple, in thousandths.
    const THOUSANDTHS_MAX: u32 = 1_000_000_000;

    /// Nanoseconds of wall time that stand for `event_ns` nanoseconds of event time, rounded down.
    pub fn wall_ns(self, event_ns: u64) -> u64 {
        match self {
            Speed::Max => 0,
            Speed::Times(thousandths) => {
                let wall = u128::from(event_ns) * 1_000 / u128::from(thousandths.get());
                u64::try_from(wall).unwrap_or(u64::MAX)
            }
        }
    }

    /// Takes `max` or a multiple such as `10x`.
    ///
    /// # Errors
    /// [`ValueError::NotAllowed`] with what there is.
    pub fn take(text: &str) -> Result<Speed, ValueError> {
        Speed::read(&Value::Given(text.to_owned()))
    }

    fn parse(text: &str) -> Option<Speed> {
        let number = text.strip_suffix('x')?;
        let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        let places = number.split_once('.').map_or(0, |(_, places)| places.len());
        if !number.bytes().all(is_plain) || 3 < places {
            return None;
        }
        let multiple: Price = number.parse().ok()?;
        let thousandths = u32::try_from(multiple.raw() / THOUSANDTH).ok()?;
        let times = NonZeroU32::new(thousandths).map(Speed::Times);
        times.filter(|_| thousandths <= Speed::THOUSANDTHS_MAX)
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speed::Max => f.write_str("max"),
            Speed::Times(thousandths) => {
                let multiple = Price::from_raw(u64::from(thousandths.get()) * THOUSANDTH);
                write!(f, "{multiple}x")
            }
        }
    }
}

impl Setting for Speed {
    fn read(value: &Value) -> Result<Speed, ValueError> {
        match value.text()? {
            "max" => Ok(Speed::Max),
            text => Speed::parse(text).ok_or_else(|| {
                let allowed = "max or a multiple from 0.001x to 1000000x, such as 1x or 60x";
                not_allowed(text, allowed)
            }),
        }
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{Setting, Speed, Value};

    fn speed(text: &str) -> Option<Speed> {
        Speed::read(&Value::Given(text.to_owned())).ok()
    }

    #[test]
    fn a_speed_is_max_or_an_exact_multiple() {
        for text in ["max", "1x", "60x", "0.5x", "2.125x", "1000000x"] {
            assert_eq!(speed(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "x",
            "0x",
            "-1x",
            "60",
            "1.2345x",
            ".5x",
            "1000001x",
            "99999999999x",
        ] {
            assert_eq!(speed(text), None, "{text}");
        }
    }

    #[test]
    fn wall_time_is_event_time_over_the_multiple() {
        assert_eq!(speed("60x").unwrap().wall_ns(60_000_000_000), 1_000_000_000);
        assert_eq!(speed("0.5x").unwrap().wall_ns(7), 14);
        assert_eq!(speed("max").unwrap().wall_ns(u64::MAX), 0);
    }
}
