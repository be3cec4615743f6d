//! The pace of requests: rates with bursts, and the pauses that the other side asks for. Pure: time is an argument, as
//! time since the pace was made.
//!
//! A rate is a leaky bucket (the generic cell rate algorithm of ITU-T I.371): a request is entered at once, and answered
//! with how long it must wait. So requests go in the order in which they came, and one above the burst waits longer.
//! What one request comes to slows the others: a wish to wait holds all back, and a failure without one halves the
//! pace. Each success gives a twentieth of the full pace back.

use super::retry::{AFTER_MAX, Remedy};
use std::num::NonZeroU32;
use std::time::Duration;

/// The full pace, in percent.
const FULL: u64 = 100;
/// The slowest pace, in percent.
const SHARE_MIN: u64 = 1;
/// What a success gives back, in percent.
const STEP: u64 = 5;

/// Units per time, and how many of them may go at once.
#[derive(Debug, Clone)]
pub struct Rate {
    units: NonZeroU32,
    period: Duration,
    burst: Duration,
    /// Until when the units spent so far last at this rate.
    spent_until: Duration,
}

impl Rate {
    /// Allows `units` per `period`, and `burst` units at once.
    pub fn new(units: NonZeroU32, period: Duration, burst: NonZeroU32) -> Rate {
        let mut rate = Rate {
            units,
            period,
            burst: Duration::ZERO,
            spent_until: Duration::ZERO,
        };
        rate.burst = rate.time_of(burst.get().into());
        rate
    }

    fn spend(&mut self, units: u64, now: Duration) -> Duration {
        if units == 0 {
            return Duration::ZERO;
        }
        let spent_from = self.spent_until.max(now);
        self.spent_until = spent_from.saturating_add(self.time_of(units));
        self.spent_until.saturating_sub(now + self.burst)
    }

    fn time_of(&self, units: u64) -> Duration {
        let nanos = self.period.as_nanos() * u128::from(units) / u128::from(self.units.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Tells each request how long it waits; retries are requests too. `N` kinds of cost have a rate each, or no limit.
#[derive(Debug)]
pub struct Pace<const N: usize> {
    rates: [Option<Rate>; N],
    /// No request before this time.
    hold_until: Duration,
    /// Percent of the pace that is used.
    share: u64,
}

impl<const N: usize> Pace<N> {
    /// Starts with full bursts.
    pub fn new(rates: [Option<Rate>; N]) -> Pace<N> {
        Pace {
            rates,
            hold_until: Duration::ZERO,
            share: FULL,
        }
    }

    /// Spends the costs of a request; answers how long it waits. After that wait, [`Pace::held`] is to be asked.
    pub fn spend(&mut self, costs: [u32; N], now: Duration) -> Duration {
        // Half the pace is twice the price.
        let price = |cost: u32| u64::from(cost) * FULL / self.share;
        // A request that comes while all are held back is entered at the end of the hold, so that those that wait for it
        // then leave at the rate, not at once.
        let start = now.max(self.hold_until);
        let rates = self.rates.iter_mut().zip(costs);
        let wait = rates
            .filter_map(|(rate, cost)| Some(rate.as_mut()?.spend(price(cost), start)))
            .fold(Duration::ZERO, Duration::max);
        start.saturating_sub(now) + wait
    }

    /// How long all requests are held back still.
    pub fn held(&self, now: Duration) -> Duration {
        self.hold_until.saturating_sub(now)
    }

    /// Holds all requests back; answers whether that is longer than they were already.
    pub fn hold(&mut self, pause: Duration, now: Duration) -> bool {
        let is_longer = self.hold_until < now + pause;
        self.hold_until = self.hold_until.max(now + pause);
        is_longer
    }

    /// Takes in what a request came to: `None` for a success, else its worst remedy. Answers how long all wait, where
    /// that is new.
    pub fn on_answer(&mut self, remedy: Option<Remedy>, now: Duration) -> Option<Duration> {
        match remedy {
            None => self.share = (self.share + STEP).min(FULL),
            Some(Remedy::Retry { after: Some(wish) }) => {
                // A wish for years is a mistake of the other side's.
                let wish = wish.min(AFTER_MAX);
                return self.hold(wish, now).then_some(wish);
            }
            Some(Remedy::Retry { after: None } | Remedy::Reconnect) => {
                self.share = (self.share / 2).max(SHARE_MIN);
            }
            Some(Remedy::Pause | Remedy::Refuse | Remedy::Fatal) => {}
        }
        None
    }

    /// Percent of the pace that is used, 1 to 100.
    pub fn share(&self) -> u64 {
        self.share
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, Rate};
    use proptest::prelude::*;
    use std::num::NonZeroU32;
    use std::time::Duration;

    #[test]
    fn requests_of_a_hold_leave_at_the_rate_after_it() {
        let (five, fifteen) = (NonZeroU32::new(5).unwrap(), NonZeroU32::new(15).unwrap());
        let mut pace = Pace::new([Some(Rate::new(five, Duration::from_secs(1), fifteen))]);
        pace.hold(Duration::from_mins(1), Duration::ZERO);
        let waits: Vec<_> = (0..50)
            .map(|_| pace.spend([1], Duration::from_secs(1)))
            .collect();
        assert_eq!(waits[14], Duration::from_secs(59), "the burst");
        assert_eq!(waits[15], Duration::from_millis(59_200));
        assert_eq!(waits[49], Duration::from_secs(66), "35 more at 5 a second");
    }

    proptest! {
        #[test]
        fn no_span_of_time_takes_more_than_its_share_and_a_burst(
            units in 1u32..5_000,
            burst in 1u32..500,
            costs in prop::collection::vec((1u32..400, 0u64..300), 1..60),
        ) {
            let (units, burst) = (NonZeroU32::new(units).unwrap(), NonZeroU32::new(burst).unwrap());
            let mut pace = Pace::new([Some(Rate::new(units, Duration::from_secs(1), burst))]);
            let (mut now, mut gone) = (Duration::ZERO, Vec::new());
            for (cost, later_ms) in costs {
                now += Duration::from_millis(later_ms);
                gone.push((now + pace.spend([cost], now), u64::from(cost)));
            }
            for (first, (start, _)) in gone.iter().enumerate() {
                let mut sum = 0;
                for (end, cost) in &gone[first..] {
                    prop_assert!(start <= end, "in the order in which they came");
                    sum += cost;
                    // A request above the burst is entered whole, and waits for what is above it.
                    let span = end.saturating_sub(*start).as_nanos() + 1_000 * gone.len() as u128;
                    let bound = u128::from(units.get()) * span / 1_000_000_000
                        + u128::from(burst.get()).max(u128::from(gone[first].1)) + 1;
                    prop_assert!(u128::from(sum) <= bound, "{sum} in {span} ns, at most {bound}");
                }
            }
        }
    }
}
