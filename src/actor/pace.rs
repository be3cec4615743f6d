//! The write pace: commands per second and requests per second, on tokio's clock.

use crate::port::Cost;
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// What the store accepts, as its plan says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceSettings {
    /// Commands per second, also the largest burst; `None` is no limit.
    pub commands_per_second: Option<NonZeroU32>,
    /// Requests per second, also the largest burst; `None` is no limit.
    pub requests_per_second: Option<NonZeroU32>,
}

/// tokio's clock in the form the limiter reads, so that paused time paces too.
#[derive(Debug, Clone)]
struct TokioClock {
    origin: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Since(Nanos);

impl std::ops::Add<Nanos> for Since {
    type Output = Since;

    fn add(self, other: Nanos) -> Since {
        Since(self.0 + other)
    }
}

impl Reference for Since {
    fn duration_since(&self, earlier: Since) -> Nanos {
        self.0.saturating_sub(earlier.0)
    }

    fn saturating_sub(&self, duration: Nanos) -> Since {
        Since(self.0.saturating_sub(duration))
    }
}

impl Clock for TokioClock {
    type Instant = Since;

    fn now(&self) -> Since {
        Since(Nanos::from(self.origin.elapsed()))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Since>>;

/// Hands out permits: every attempt takes them, retries included.
#[derive(Debug)]
pub(super) struct Pace {
    clock: TokioClock,
    commands: Option<Rate>,
    requests: Option<Rate>,
}

#[derive(Debug)]
struct Rate {
    limiter: Limiter,
    burst: NonZeroU32,
}

impl Pace {
    /// Starts with full bursts.
    pub(super) fn new(settings: PaceSettings) -> Pace {
        let clock = TokioClock { origin: Instant::now() };
        let rate = |burst| Rate {
            limiter: RateLimiter::direct_with_clock(Quota::per_second(burst), clock.clone()),
            burst,
        };
        Pace {
            commands: settings.commands_per_second.map(rate),
            requests: settings.requests_per_second.map(rate),
            clock: clock.clone(),
        }
    }

    /// Waits until the cost is within both rates, and spends it.
    ///
    /// A cost above a second's burst spends several bursts one after the other.
    pub(super) async fn permit(&self, cost: Cost) {
        self.spend(self.commands.as_ref(), cost.commands).await;
        self.spend(self.requests.as_ref(), cost.requests).await;
    }

    async fn spend(&self, rate: Option<&Rate>, amount: u32) {
        let Some(Rate { limiter, burst }) = rate else { return };
        let mut left = amount;
        while let Some(part) = NonZeroU32::new(left.min(burst.get())) {
            match limiter.check_n(part) {
                Ok(Ok(())) => left -= part.get(),
                Ok(Err(not_until)) => tokio::time::sleep(not_until.wait_time_from(self.clock.now())).await,
                // The part never exceeds the burst, so this arm cannot be reached; waiting keeps the pace.
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, PaceSettings};
    use crate::port::Cost;
    use std::num::NonZeroU32;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn pace_is_never_exceeded_also_by_a_cost_above_the_burst() {
        let rate = |rate| NonZeroU32::new(rate);
        let pace = Pace::new(PaceSettings { commands_per_second: rate(100), requests_per_second: rate(10) });
        let start = Instant::now();
        for _ in 0..10 {
            pace.permit(Cost { requests: 1, commands: 10 }).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "within the burst");
        pace.permit(Cost { requests: 0, commands: 250 }).await;
        let elapsed = start.elapsed().as_secs_f64();
        assert!((2.4..2.7).contains(&elapsed), "250 commands at 100 a second took {elapsed} s");
    }
}
