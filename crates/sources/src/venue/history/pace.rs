//! The request rate of a source: one limiter for all its symbols, and the pauses that the venue requests.

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Lets requests go at the rate of the plan.
#[derive(Debug)]
pub(crate) struct Pace {
    limiter: DefaultDirectRateLimiter,
    burst: NonZeroU32,
    held_until: Mutex<Option<Instant>>,
}

impl Pace {
    /// Allows `rate_per_min` units a minute, and at once a twentieth of them or one request of `weight_max`.
    pub(crate) fn new(rate_per_min: NonZeroU32, weight_max: NonZeroU32) -> Pace {
        let burst = NonZeroU32::new(rate_per_min.get() / 20)
            .map_or(weight_max, |part| part.max(weight_max));
        let quota = Quota::per_minute(rate_per_min).allow_burst(burst);
        Pace {
            limiter: RateLimiter::direct(quota),
            burst,
            held_until: Mutex::new(None),
        }
    }

    /// Waits until a request of `weight` may go.
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing, or at most the units of this request.
    pub(crate) async fn ready(&self, weight: NonZeroU32) {
        self.wait_held().await;
        // The burst is no smaller than the weight asked for, so there is capacity.
        if self
            .limiter
            .until_n_ready(weight.min(self.burst))
            .await
            .is_err()
        {
            tracing::warn!(
                weight = weight.get(),
                "request is heavier than the pace allows"
            );
        }
        self.wait_held().await;
    }

    /// Stops every request of the source for `pause` from now.
    pub(crate) fn hold(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut held_until = self
            .held_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held_until = Some(held_until.map_or(until, |earlier| earlier.max(until)));
    }

    async fn wait_held(&self) {
        loop {
            let until = *self
                .held_until
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match until {
                Some(until) if Instant::now() < until => tokio::time::sleep_until(until).await,
                Some(_) | None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use futures::FutureExt;
    use std::num::NonZeroU32;
    use std::time::Duration;

    const ONE: NonZeroU32 = NonZeroU32::MIN;

    #[tokio::test(start_paused = true)]
    async fn hold_stops_every_request_until_it_ends() {
        let pace = Pace::new(NonZeroU32::new(6_000).unwrap(), ONE);
        pace.ready(ONE).await;
        pace.hold(Duration::from_secs(30));
        pace.hold(Duration::from_secs(10));
        let start = tokio::time::Instant::now();
        pace.ready(ONE).await;
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test]
    async fn second_request_of_a_slow_plan_waits() {
        let pace = Pace::new(NonZeroU32::new(5).unwrap(), ONE);
        assert!(pace.ready(ONE).now_or_never().is_some());
        assert!(pace.ready(ONE).now_or_never().is_none());
    }

    #[tokio::test]
    async fn heavy_request_passes_a_narrow_plan() {
        let heavy = NonZeroU32::new(25).unwrap();
        assert!(
            Pace::new(heavy, heavy)
                .ready(heavy)
                .now_or_never()
                .is_some()
        );
    }
}
