//! Retry delays: exponential backoff with equal jitter.
//!
//! The delay before attempt n + 1 is drawn evenly from the upper half of `base * 2^(n-1)`, capped; the other side's own
//! wish (`Retry-After`) is honoured instead, capped at five minutes. The seed is an argument, so a run repeats. Writes,
//! pages of history and live connections wait by this one law: half of the delay spreads clients that fail at the same
//! instant, and the other half keeps each of them away from a side that refuses it, which full jitter does not.

use std::time::Duration;

/// The longest wish of a store that is honoured.
pub const AFTER_MAX: Duration = Duration::from_mins(5);

/// What a failure calls for. Retry code looks at this and never at the error.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Send again after the backoff, or after the time the store asked for.
    Retry {
        /// The store's own wish (`Retry-After`).
        after: Option<Duration>,
    },
    /// Send again over a fresh connection.
    Reconnect,
    /// Stop sending until the quota is renewed; probe now and then.
    Pause,
    /// Set this item aside; the others go on.
    Refuse,
    /// Stop the run; nothing will succeed before a person acts.
    Fatal,
}

impl Remedy {
    /// How much worse than others this remedy is for the run, from 0.
    pub const fn severity(self) -> u8 {
        match self {
            Remedy::Retry { .. } => 0,
            Remedy::Reconnect => 1,
            Remedy::Pause => 2,
            Remedy::Refuse => 3,
            Remedy::Fatal => 4,
        }
    }
}

/// How often and how fast to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; 1 never tries again.
    pub attempts_max: u32,
    /// Delay before the second attempt, before jitter.
    pub backoff: Duration,
    /// Longest delay, before jitter.
    pub backoff_max: Duration,
}

/// Draws the delays of one writer, walk or connection.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Backoff {
    policy: RetryPolicy,
    random: fastrand::Rng,
}

impl Backoff {
    /// Makes the sequence of delays of a seed.
    pub fn new(policy: RetryPolicy, seed: u64) -> Backoff {
        Backoff {
            policy,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The delay after `attempts` failed attempts (1 and up); `None` when no attempt is left.
    pub fn next(&mut self, attempts: u32, after: Option<Duration>) -> Option<Duration> {
        if attempts >= self.policy.attempts_max {
            return None;
        }
        Some(self.delay(attempts, after))
    }

    /// The delay after `attempts` failed attempts, without an end.
    pub fn delay(&mut self, attempts: u32, after: Option<Duration>) -> Duration {
        if let Some(after) = after {
            return after.min(AFTER_MAX);
        }
        let ceiling = doubled(self.policy.backoff, attempts).min(self.policy.backoff_max);
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos - self.random.u64(0..=nanos / 2))
    }
}

/// The delay after `attempts` failed attempts (1 and up), before jitter and bound.
pub fn doubled(backoff: Duration, attempts: u32) -> Duration {
    backoff.saturating_mul(1 << attempts.saturating_sub(1).min(31))
}

#[cfg(test)]
mod tests {
    use super::{AFTER_MAX, Backoff, RetryPolicy};
    use proptest::prelude::*;
    use std::time::Duration;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts_max: 3,
        backoff: Duration::from_millis(500),
        backoff_max: Duration::from_secs(30),
    };

    #[test]
    fn last_attempt_has_no_delay_after_it() {
        let mut backoff = Backoff::new(POLICY, 1);
        assert!(backoff.next(1, None).is_some());
        assert!(backoff.next(2, None).is_some());
        assert_eq!(backoff.next(3, None), None);
        assert_eq!(backoff.next(3, Some(Duration::from_secs(1))), None);
    }

    #[test]
    fn wish_of_the_store_is_honoured_up_to_five_minutes() {
        let mut backoff = Backoff::new(POLICY, 1);
        assert_eq!(
            backoff.next(1, Some(Duration::from_secs(7))),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            backoff.next(1, Some(Duration::from_secs(1_000_000_000))),
            Some(AFTER_MAX)
        );
    }

    proptest! {
        #[test]
        fn delay_doubles_within_its_bounds(attempts in 1u32..200, seed: u64) {
            let delay = Backoff::new(POLICY, seed).delay(attempts, None);
            let ceiling = POLICY.backoff.saturating_mul(1 << (attempts - 1).min(20)).min(POLICY.backoff_max);
            prop_assert!(ceiling / 2 <= delay && delay <= ceiling);
        }
    }
}
