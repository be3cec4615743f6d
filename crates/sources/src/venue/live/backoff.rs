//! Waits between connections: exponential, with full jitter from a seed.
//!
//! Full jitter, as many clients lose their connections at the same instant and must not return together.

use std::time::Duration;

/// The waits of one connection.
#[derive(Debug)]
pub(crate) struct Backoff {
    base: Duration,
    max: Duration,
    attempts: u32,
    random: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(base: Duration, max: Duration, seed: u64) -> Backoff {
        Backoff {
            base,
            max,
            attempts: 0,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Draws the next wait, evenly from zero to `base * 2^n`, capped.
    pub(crate) fn next(&mut self) -> Duration {
        let bound = self
            .base
            .saturating_mul(1 << self.attempts.min(20))
            .min(self.max);
        self.attempts = self.attempts.saturating_add(1);
        Duration::from_nanos(
            self.random
                .u64(0..=u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// The number of waits since the last good connection.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn waits_stay_below_their_doubling_bound() {
        let (base, max) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut backoff = Backoff::new(base, max, 7);
        let waits: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
        let bound = |attempt: u32| base.saturating_mul(1 << attempt.min(20)).min(max);
        assert!(
            (0u32..)
                .zip(&waits)
                .all(|(attempt, wait)| *wait <= bound(attempt))
        );
        assert!(
            waits.iter().any(|wait| *wait > max / 2)
                && waits[10..].iter().any(|wait| *wait < max / 2)
        );
        backoff.reset();
        assert!(backoff.next() <= base);
    }
}
