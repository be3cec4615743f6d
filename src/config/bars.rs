//! `[bars]`: which bars to make, and from which trades.

use super::ValueError;
use super::section::{choice, section};
use super::value::{Setting, Show, Value, quoted};
use crate::engine::calendar::SessionKind;
use crate::model::BarSpec;
use std::fmt;

section! {
    /// Which bars are made, and of which trades.
    Bars, "bars" {
        /// The bar specs, all made in one pass; at least one, none twice.
        specs: BarSpecs = BarSpecs::default();
        /// The zone of dates, days and sessions.
        zone: Zone = Zone::Source;
        /// Milliseconds of event time a bar stays open after its end, 0 to one day.
        lateness_ms: u64 = 2_000, 0..=86_400_000;
        /// Milliseconds behind the watermark within which a trade still revises its bar, 0 (never) to seven days.
        /// Later ones are counted as late.
        revise_within_ms: u64 = 900_000, 0..=604_800_000;
        /// What a window without trades gives.
        fill: Fill = Fill::None;
        /// Which trades may set which part of a bar.
        rules: Rules = Rules::Source;
        /// What becomes of a bar whose trades may set no price.
        volume_only: VolumeOnly = VolumeOnly::Rules;
        /// The time of day whose trades count.
        session: Session = Session::ALL_HOURS;
        /// Whether a weekday outside 2000 to 2030, the years of the exchange calendar, counts as a normal day.
        assume_normal_days: bool = false;
    }
}

choice! {
    /// What a window without trades gives.
    Fill {
        /// No bar.
        None = "none",
        /// A flat bar of zero volume at the close before it, flagged as filled.
        PreviousClose = "previous-close",
    }
}

choice! {
    /// Which trades may set which part of a bar.
    Rules {
        /// The source's own profile; for files `all`.
        Source = "source",
        /// Every trade sets everything.
        All = "all",
        /// The rules of Massive's minute aggregates.
        MassiveMinute = "massive-minute",
        /// The rules of Massive's day aggregates, for bars of every length.
        MassiveDaily = "massive-daily",
        /// The rules of Alpaca's minute bars.
        AlpacaMinute = "alpaca-minute",
        /// The rules of Alpaca's day bars, for bars of every length.
        AlpacaDaily = "alpaca-daily",
        /// The rules by which LEAN makes bars of its own tick files.
        Lean = "lean",
    }
}

choice! {
    /// What becomes of a bar whose trades may set no price.
    VolumeOnly {
        /// As the vendor of the rules does: with Massive's and Alpaca's it is left out, with `all` it is written.
        Rules = "rules",
        /// It is written without prices, with its volume.
        Carry = "carry",
        /// It is left out and counted.
        Skip = "skip",
    }
}

/// The specs of one run, in the order given; at least one, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarSpecs(Vec<BarSpec>);

impl BarSpecs {
    /// Takes one or more specs, none twice.
    ///
    /// # Errors
    /// [`ValueError::EmptyList`] and [`ValueError::Twice`].
    pub fn new(specs: Vec<BarSpec>) -> Result<BarSpecs, ValueError> {
        if specs.is_empty() {
            return Err(ValueError::EmptyList);
        }
        let repeated = specs
            .iter()
            .enumerate()
            .find(|(index, spec)| specs[..*index].contains(spec));
        match repeated {
            Some((_, spec)) => Err(ValueError::Twice {
                value: spec.to_string(),
            }),
            None => Ok(BarSpecs(specs)),
        }
    }

    /// The specs; never empty.
    pub fn as_slice(&self) -> &[BarSpec] {
        &self.0
    }
}

impl Default for BarSpecs {
    fn default() -> BarSpecs {
        const MINUTE_NS: std::num::NonZeroU64 =
            std::num::NonZeroU64::MIN.saturating_add(60_000_000_000 - 1);
        BarSpecs(vec![BarSpec::Time(MINUTE_NS)])
    }
}

impl Show for BarSpecs {
    fn show(&self) -> String {
        let names: Vec<String> = self
            .0
            .iter()
            .map(|spec| quoted(&spec.to_string()))
            .collect();
        format!("[{}]", names.join(", "))
    }
}

impl Setting for BarSpecs {
    fn read(value: &Value) -> Result<BarSpecs, ValueError> {
        let specs: Result<Vec<BarSpec>, _> = value.texts()?.into_iter().map(str::parse).collect();
        BarSpecs::new(specs?)
    }
}

/// The zone of dates, days and sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zone {
    /// The source's own: `America/New_York` for `massive-csv`, `lean-tick` and Alpaca, else UTC.
    Source,
    /// One zone of the bundled IANA data.
    Named(jiff::tz::TimeZone),
}

impl Show for Zone {
    fn show(&self) -> String {
        match self {
            Zone::Source => quoted("source"),
            Zone::Named(zone) => quoted(zone.iana_name().unwrap_or("UTC")),
        }
    }
}

impl Setting for Zone {
    fn read(value: &Value) -> Result<Zone, ValueError> {
        match value.text()? {
            "source" => Ok(Zone::Source),
            name => {
                jiff::tz::TimeZone::get(name)
                    .map(Zone::Named)
                    .map_err(|_| ValueError::NotAllowed {
                        value: name.to_owned(),
                        allowed: "source or an IANA zone such as America/New_York or UTC"
                            .to_owned(),
                        nearest: None,
                    })
            }
        }
    }
}

/// The session whose trades count, in the run's zone; without one every trade does, whatever the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session(Option<SessionKind>);

const ALL_HOURS: &str = "all-hours";

impl Session {
    /// Every trade.
    pub const ALL_HOURS: Session = Session(None);

    /// The session; `None` for all hours.
    pub const fn kind(self) -> Option<SessionKind> {
        self.0
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(kind) => kind.fmt(f),
            None => f.write_str(ALL_HOURS),
        }
    }
}

impl Show for Session {
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for Session {
    fn read(value: &Value) -> Result<Session, ValueError> {
        let text = value.text()?;
        if text == ALL_HOURS {
            return Ok(Session::ALL_HOURS);
        }
        let names = SessionKind::NAMED.iter().map(|(name, _)| *name);
        let refused = |_| ValueError::NotAllowed {
            value: text.to_owned(),
            allowed:
                "all-hours, pre, regular, post, all or HH:MM-HH:MM with the end after the start"
                    .to_owned(),
            nearest: super::value::nearest(text, [ALL_HOURS].into_iter().chain(names))
                .map(str::to_owned),
        };
        text.parse()
            .map(|kind| Session(Some(kind)))
            .map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::{BarSpecs, Session, Setting, Show, Value, Zone};

    fn given(text: &str) -> Value {
        Value::Given(text.to_owned())
    }

    #[test]
    fn an_interval_of_the_day_is_half_open_and_ends_at_most_at_midnight() {
        for text in ["09:30-16:00", "00:00-24:00", "23:59-24:00"] {
            assert_eq!(Session::read(&given(text)).unwrap().to_string(), text);
        }
        for text in [
            "16:00-09:30",
            "09:30-09:30",
            "9:30-16:00",
            "00:00-24:01",
            "09:60-16:00",
            "+9:30-16:00",
        ] {
            assert!(Session::read(&given(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn specs_are_one_or_more_and_none_twice() {
        assert_eq!(
            BarSpecs::read(&given("1m, 5m")).unwrap().show(),
            r#"["1m", "5m"]"#
        );
        assert_eq!(
            BarSpecs::read(&given("")).unwrap_err().to_string(),
            "the list is empty, at least one entry is needed"
        );
        assert_eq!(
            BarSpecs::read(&given("1m,60s")).unwrap_err().to_string(),
            r#""1m" is listed twice"#
        );
    }

    #[test]
    fn a_zone_is_one_of_the_bundled_data() {
        assert_eq!(
            Zone::read(&given("Europe/Berlin")).unwrap().show(),
            r#""Europe/Berlin""#
        );
        assert!(Zone::read(&given("New York")).is_err());
    }
}
