//! `[bars]`: which bars to make, and from which trades.

use super::ValueError;
use super::section::{choice, list, names, not_a_choice, section};
use super::value::{Setting, Value, camel_case, nearest, not_allowed, quoted};
use crate::engine::aggregate::Fill;
use crate::engine::calendar::SessionKind;
use crate::engine::rules::Rules;
use crate::model::BarSpec;
use std::fmt;

section! {
    /// Which bars are made, and of which trades.
    Bars, "bars" {
        /// The bar specs, all made in one pass; at least one, none twice.
        specs: BarSpecs = BarSpecs(vec![BarSpec::MINUTE]);
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
        rules: RulesName = RulesName::SOURCE;
        /// What becomes of a bar whose trades may set no price.
        volume_only: VolumeOnly = VolumeOnly::Rules;
        /// The time of day whose trades count.
        session: Session = Session::ALL_HOURS;
        /// Whether a weekday outside 2000 to 2030, the years of the exchange calendar, counts as a normal day.
        assume_normal_days: bool = false;
    }
}

names! { Fill { None = "none", PreviousClose = "previous-close", } }

choice! {
    /// What becomes of a bar whose trades may set no price.
    VolumeOnly {
        /// As the vendor of the rules does: a vendor's leave it out, with `all` it is written.
        Rules = "rules",
        /// It is written without prices, with its volume.
        Carry = "carry",
        /// It is left out and counted.
        Skip = "skip",
    }
}

list! {
    /// The specs of one run; none twice, at least one.
    BarSpecs of BarSpec, 1..
}

impl Setting for BarSpec {
    fn read(value: &Value) -> Result<BarSpec, ValueError> {
        Ok(value.text()?.parse()?)
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

/// Which trades may set which part of a bar: a profile by its name, or the source's own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RulesName(&'static str);

const OF_SOURCE: &str = "source";

impl RulesName {
    /// The source's own profile; for files `all`.
    pub const SOURCE: RulesName = RulesName(OF_SOURCE);

    /// The profile of a name; the source's own for one that there is not.
    pub fn of(name: &str) -> RulesName {
        let known = RulesName::names().find(|known| *known == name);
        RulesName(known.unwrap_or(OF_SOURCE))
    }

    fn names() -> impl Iterator<Item = &'static str> {
        std::iter::once(OF_SOURCE).chain(Rules::names())
    }

    /// The name of the profile; none for the source's own.
    pub fn profile(self) -> Option<&'static str> {
        Some(self.0).filter(|name| *name != OF_SOURCE)
    }
}

/// The name in camel case: the names of checkpoints hold it.
impl fmt::Debug for RulesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&camel_case(self.0))
    }
}

impl fmt::Display for RulesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl Setting for RulesName {
    fn read(value: &Value) -> Result<RulesName, ValueError> {
        let text = value.text()?;
        let found = RulesName::names().find(|known| *known == text);
        let refused = || not_a_choice(text, &RulesName::names().collect::<Vec<_>>());
        found.map(RulesName).ok_or_else(refused)
    }

    fn show(&self) -> String {
        quoted(self.0)
    }
}

/// The zone of dates, days and sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zone {
    /// The source's own: `America/New_York` for US equities, else UTC.
    Source,
    /// One zone of the bundled IANA data.
    Named(jiff::tz::TimeZone),
}

impl Setting for Zone {
    fn read(value: &Value) -> Result<Zone, ValueError> {
        match value.text()? {
            "source" => Ok(Zone::Source),
            name => {
                let zone = jiff::tz::TimeZone::get(name).map(Zone::Named);
                let allowed = "source or an IANA zone such as America/New_York or UTC";
                zone.map_err(|_| not_allowed(name, allowed))
            }
        }
    }

    fn show(&self) -> String {
        match self {
            Zone::Source => quoted("source"),
            Zone::Named(zone) => quoted(zone.iana_name().unwrap_or("UTC")),
        }
    }
}

/// The session whose trades count, in the run's zone; without one every trade does, whatever the hour.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// The words of the first checkpoints, whose names hold it.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(kind) = self.0.filter(|kind| kind.is_custom()) else {
            return f.write_str(&camel_case(&self.to_string()));
        };
        let minutes = kind.minutes();
        let (start, end) = (minutes.start, minutes.end);
        write!(
            f,
            "Interval(DayInterval {{ start_minute: {start}, end_minute: {end} }})"
        )
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
            nearest: nearest(text, [ALL_HOURS].into_iter().chain(names)).map(str::to_owned),
        };
        text.parse()
            .map(|kind| Session(Some(kind)))
            .map_err(refused)
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{BarSpecs, Session, Setting, Value, Zone};

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
    fn specs_are_listed_once() {
        assert_eq!(
            BarSpecs::read(&given("1m, 5m")).unwrap().show(),
            r#"["1m", "5m"]"#
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
