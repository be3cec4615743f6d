//! Cache from instant to local date, because zone look-ups are slow.

use crate::model::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Tells the civil date of instants in one zone.
#[derive(Debug, Clone)]
pub struct CivilDays {
    zone: TimeZone,
    start: i64,
    end: i64,
    date: Date,
}

impl CivilDays {
    /// Makes the days of a zone.
    pub fn new(zone: TimeZone) -> CivilDays {
        CivilDays {
            zone,
            start: 0,
            end: 0,
            date: Date::ZERO,
        }
    }

    /// The civil date of an instant.
    pub fn date_of(&mut self, time: Timestamp) -> Date {
        let nanos = time.as_nanos();
        if nanos < self.start || self.end <= nanos {
            self.load(time);
        }
        self.date
    }

    /// The midnight that ends the civil day of an instant, excluded.
    pub fn end_of(&mut self, time: Timestamp) -> Timestamp {
        self.date_of(time);
        Timestamp::from_nanos(self.end).unwrap_or(Timestamp::MAX)
    }

    fn load(&mut self, time: Timestamp) {
        let civil = time.to_jiff().to_zoned(self.zone.clone());
        self.date = civil.date();
        let edge = |date: Date| {
            date.to_zoned(self.zone.clone())
                .ok()
                .and_then(|zoned| Timestamp::from_jiff(zoned.timestamp()).ok())
                .map(Timestamp::as_nanos)
        };
        self.start = edge(self.date).unwrap_or(0);
        self.end = self.date.tomorrow().ok().and_then(edge).unwrap_or(i64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::CivilDays;
    use jiff::tz::TimeZone;

    #[test]
    fn date_follows_the_zone_over_both_switches() {
        let mut days = CivilDays::new(TimeZone::get("America/New_York").unwrap());
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
