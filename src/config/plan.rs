//! `[plan]`: the prices and assumptions of `barmill plan`.

use super::ValueError;
use super::section::section;
use super::value::{Setting, Value, not_allowed, quoted};
use crate::model::Price;

section! {
    /// Prices, and what `barmill plan` assumes of the world.
    Plan, "plan" {
        /// US dollars of 100,000 commands.
        usd_per_100k_commands: Dollars = Dollars::from_mills(200);
        /// Regions that read a copy; each write is billed once more for each.
        read_regions: u64 = 0, 0..=100;
        /// US dollars of a gigabyte sent.
        usd_per_gb: Dollars = Dollars::from_mills(30);
        /// Gigabytes a month that cost nothing.
        gb_free: u64 = 200, 0..=1_000_000;
        /// Commands a month of the free plan, to say how long it would last.
        free_plan_commands: u64 = 500_000, 0..=1_000_000_000_000;
        /// Milliseconds from a request to its answer.
        round_trip_ms: u64 = 50, 1..=60_000;
        /// Milliseconds in which the closed bars of one window come in from a live market.
        spread_ms: u64 = 1_000, 0..=60_000;
    }
}

/// An amount of US dollars, exact to nine places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dollars(Price);

impl Dollars {
    /// Takes thousandths of a dollar.
    const fn from_mills(mills: u64) -> Dollars {
        Dollars(Price::from_raw(mills * 1_000_000))
    }

    /// The amount in billionths of a dollar.
    pub const fn nanos(self) -> u64 {
        self.0.raw()
    }
}

impl Setting for Dollars {
    fn read(value: &Value) -> Result<Dollars, ValueError> {
        let text = value.text()?;
        text.parse()
            .map(Dollars)
            .map_err(|_| not_allowed(text, "an amount in quotes, such as \"0.20\""))
    }

    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{Dollars, Setting, Value};

    #[test]
    fn an_amount_is_exact_and_never_below_nothing() {
        let read = |text: &str| Dollars::read(&Value::Given(text.to_owned()));
        assert_eq!(read("0.20").unwrap(), Dollars::from_mills(200));
        assert_eq!(read("0.030").unwrap().show(), "\"0.03\"");
        assert_eq!(read("0").unwrap().nanos(), 0);
        assert!(read("-1").is_err() && read("free").is_err() && read("").is_err());
    }
}
