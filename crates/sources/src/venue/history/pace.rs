//! The request rate of a source: one pace for all its symbols, and the pauses that the venue requests.

use barmill_core::engine::pace::{self, Rate};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Lets requests go at the rate of the plan.
#[derive(Debug)]
pub(crate) struct Pace {
    origin: Instant,
    engine: Mutex<pace::Pace<1>>,
}

impl Pace {
    /// Allows `rate_per_min` units a minute, and at once a twentieth of them or one request of `weight_max`.
    pub(crate) fn new(rate_per_min: NonZeroU32, weight_max: NonZeroU32) -> Pace {
        let burst = NonZeroU32::new(rate_per_min.get() / 20)
            .map_or(weight_max, |part| part.max(weight_max));
        let rate = Rate::new(rate_per_min, Duration::from_mins(1), burst);
        Pace {
            origin: Instant::now(),
            engine: Mutex::new(pace::Pace::new([Some(rate)])),
        }
    }

    fn engine(&self) -> MutexGuard<'_, pace::Pace<1>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request of `weight` may go.
    ///
    /// # Cancel safety
    /// The units of a dropped request stay spent.
    pub(crate) async fn ready(&self, weight: NonZeroU32) {
        let mut wait = self.engine().spend([weight.get()], self.origin.elapsed());
        while !wait.is_zero() {
            sleep(wait).await;
            wait = self.engine().held(self.origin.elapsed());
        }
    }

    /// Stops every request of the source for `pause` from now.
    pub(crate) fn hold(&self, pause: Duration) {
        self.engine().hold(pause, self.origin.elapsed());
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
