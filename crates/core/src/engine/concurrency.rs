//! Adaptive concurrency: one more request in flight while the store keeps pace, half of them when it does not.
//!
//! Additive increase, multiplicative decrease. A failure that calls for another attempt, or an answer that took more than
//! three times the usual (a moving average with weight 1/4), halves the limit; as many quick answers as the limit allows,
//! given while the limit was reached, raise it by one. Below two requests in flight there is nothing to adapt.

use std::time::Duration;

/// Answers below this are never slow, however quick the usual ones are.
const SLOW_MIN: Duration = Duration::from_millis(20);

/// The limit of requests under way, from 1 to the configured bound.
#[derive(Debug, Clone)]
pub struct Concurrency {
    max: usize,
    limit: usize,
    /// Quick answers at the limit since it last changed.
    quick: usize,
    usual: Option<Duration>,
}

impl Concurrency {
    /// Starts at the bound, 1 and up.
    pub fn new(max: usize) -> Concurrency {
        let max = max.max(1);
        Concurrency {
            max,
            limit: max,
            quick: 0,
            usual: None,
        }
    }

    /// Requests that may be under way.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Takes in an answer and the time it took; `at_limit` when no further request was allowed meanwhile.
    pub fn on_answer(&mut self, took: Duration, at_limit: bool) {
        let usual = self.usual.unwrap_or(took);
        self.usual = Some((usual * 3 + took) / 4);
        if took > SLOW_MIN && took > usual * 3 {
            self.on_trouble();
        } else if at_limit {
            self.quick += 1;
            if self.limit <= self.quick && self.limit < self.max {
                (self.limit, self.quick) = (self.limit + 1, 0);
            }
        }
    }

    /// Takes in that the store failed or asked for patience.
    pub fn on_trouble(&mut self) {
        (self.limit, self.quick) = ((self.limit / 2).max(1), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Concurrency;
    use proptest::prelude::*;
    use std::time::Duration;

    const QUICK: Duration = Duration::from_millis(25);

    #[test]
    fn trouble_halves_and_quick_answers_at_the_limit_raise_by_one() {
        let mut concurrency = Concurrency::new(8);
        concurrency.on_trouble();
        assert_eq!(concurrency.limit(), 4);
        for _ in 0..3 {
            concurrency.on_answer(QUICK, true);
        }
        assert_eq!(concurrency.limit(), 4);
        concurrency.on_answer(QUICK, true);
        assert_eq!(concurrency.limit(), 5);
        for _ in 0..50 {
            concurrency.on_answer(QUICK, false);
        }
        assert_eq!(concurrency.limit(), 5, "more would not be used");
    }

    #[test]
    fn answer_slower_than_usual_is_trouble() {
        let mut concurrency = Concurrency::new(8);
        for _ in 0..10 {
            concurrency.on_answer(QUICK, true);
        }
        concurrency.on_answer(4 * QUICK, true);
        assert_eq!(concurrency.limit(), 4);
    }

    proptest! {
        #[test]
        fn limit_stays_between_one_and_its_bound(max in 0usize..20, answers in proptest::collection::vec((0u64..1_000, any::<bool>(), any::<bool>()), 0..200)) {
            let mut concurrency = Concurrency::new(max);
            for (millis, at_limit, trouble) in answers {
                if trouble { concurrency.on_trouble() } else { concurrency.on_answer(Duration::from_millis(millis), at_limit) }
                prop_assert!((1..=max.max(1)).contains(&concurrency.limit()));
            }
        }
    }
}
