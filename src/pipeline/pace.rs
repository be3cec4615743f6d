//! The write pace: commands per second and requests per second, on tokio's clock, and the throttle a store asks for.
//!
//! One pace serves all requests, so what the store says to one of them slows the others: a wish to wait
//! (`Retry-After`) holds every permit back, and a failure without one halves the pace. Each success gives a twentieth of
//! the full pace back.

use crate::engine::retry::AFTER_MAX;
use crate::port::{Cost, Remedy};
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The full pace, in percent.
const FULL: u64 = 100;
/// The slowest pace, in percent.
const SHARE_MIN: u64 = 1;
/// What a success gives back, in percent.
const STEP: u64 = 5;

/// What the store accepts, as its plan says; by default without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    throttle: Mutex<Throttle>,
}

/// What the store has asked for.
#[derive(Debug)]
struct Throttle {
    /// No permit before this instant.
    hold_until: Instant,
    /// Percent of the pace that is used.
    share: u64,
}

#[derive(Debug)]
struct Rate {
    limiter: Limiter,
    burst: NonZeroU32,
}

impl Pace {
    /// Starts with full bursts.
    pub(super) fn new(settings: PaceSettings) -> Pace {
        let clock = TokioClock {
            origin: Instant::now(),
        };
        let rate = |burst| Rate {
            limiter: RateLimiter::direct_with_clock(Quota::per_second(burst), clock.clone()),
            burst,
        };
        Pace {
            commands: settings.commands_per_second.map(rate),
            requests: settings.requests_per_second.map(rate),
            throttle: Mutex::new(Throttle {
                hold_until: clock.origin,
                share: FULL,
            }),
            clock: clock.clone(),
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what an attempt came to: `None` for a success, else its worst remedy. Answers how long all wait.
    pub(super) fn on_answer(&self, remedy: Option<Remedy>) -> Option<Duration> {
        let mut throttle = self.throttle();
        match remedy {
            None => throttle.share = (throttle.share + STEP).min(FULL),
            Some(Remedy::Retry { after: Some(wish) }) => {
                // A wish for years is a mistake of the store's.
                let wish = wish.min(AFTER_MAX);
                let until = Instant::now() + wish;
                if throttle.hold_until < until {
                    throttle.hold_until = until;
                    return Some(wish);
                }
            }
            Some(Remedy::Retry { after: None } | Remedy::Reconnect) => {
                throttle.share = (throttle.share / 2).max(SHARE_MIN);
            }
            Some(Remedy::Pause | Remedy::Refuse | Remedy::Fatal) => {}
        }
        None
    }

    /// Percent of the pace that is used, 1 to 100.
    pub(super) fn share(&self) -> u64 {
        self.throttle().share
    }

    /// Waits until the cost is within both rates and the store has had its wish, and spends the cost.
    ///
    /// A cost above a second's burst spends several bursts one after the other.
    pub(super) async fn permit(&self, cost: Cost) {
        self.spend(self.commands.as_ref(), cost.commands).await;
        self.spend(self.requests.as_ref(), cost.requests).await;
        loop {
            let hold_until = self.throttle().hold_until;
            if hold_until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(hold_until).await;
        }
    }

    async fn spend(&self, rate: Option<&Rate>, amount: u32) {
        let Some(Rate { limiter, burst }) = rate else {
            return;
        };
        // Half the pace is twice the price.
        let mut left = u64::from(amount) * FULL / self.share();
        while let Some(part) =
            NonZeroU32::new(u32::try_from(left).unwrap_or(u32::MAX).min(burst.get()))
        {
            match limiter.check_n(part) {
                Ok(Ok(())) => left -= u64::from(part.get()),
                Ok(Err(not_until)) => {
                    tokio::time::sleep(not_until.wait_time_from(self.clock.now())).await;
                }
                // The part never exceeds the burst, so this arm cannot be reached; waiting keeps the pace.
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, PaceSettings};
    use crate::port::{Cost, Remedy};
    use std::num::NonZeroU32;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn pace_is_never_exceeded_also_by_a_cost_above_the_burst() {
        let rate = |rate| NonZeroU32::new(rate);
        let pace = Pace::new(PaceSettings {
            commands_per_second: rate(100),
            requests_per_second: rate(10),
        });
        let start = Instant::now();
        for _ in 0..10 {
            pace.permit(Cost {
                requests: 1,
                commands: 10,
            })
            .await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "within the burst");
        pace.permit(Cost {
            requests: 0,
            commands: 250,
        })
        .await;
        let elapsed = start.elapsed().as_secs_f64();
        assert!(
            (2.4..2.7).contains(&elapsed),
            "250 commands at 100 a second took {elapsed} s"
        );
    }

    fn pace(rate: u32) -> Pace {
        let rate = NonZeroU32::new(rate);
        Pace::new(PaceSettings {
            commands_per_second: rate,
            requests_per_second: None,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn wish_of_the_store_holds_every_permit_back_and_absurd_ones_are_cut() {
        let pace = pace(1_000);
        for (wish_s, wait_s) in [(7, 7), (u64::MAX, 300)] {
            let after = Some(Duration::from_secs(wish_s));
            let start = Instant::now();
            assert_eq!(
                pace.on_answer(Some(Remedy::Retry { after })),
                Some(Duration::from_secs(wait_s)),
                "told once"
            );
            assert_eq!(
                pace.on_answer(Some(Remedy::Retry {
                    after: Some(Duration::from_secs(1))
                })),
                None
            );
            pace.permit(Cost {
                requests: 1,
                commands: 1,
            })
            .await;
            assert_eq!(start.elapsed().as_secs(), wait_s);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failure_halves_the_pace_and_successes_bring_it_back() {
        let pace = pace(100);
        let seconds = async |pace: &Pace| {
            pace.permit(Cost {
                requests: 0,
                commands: 100,
            })
            .await;
            let start = Instant::now();
            pace.permit(Cost {
                requests: 0,
                commands: 100,
            })
            .await;
            start.elapsed().as_secs_f64()
        };
        assert!((0.9..1.1).contains(&seconds(&pace).await));
        pace.on_answer(Some(Remedy::Retry { after: None }));
        assert!(
            (1.9..2.1).contains(&seconds(&pace).await),
            "{}",
            pace.share()
        );
        for _ in 0..200 {
            pace.on_answer(Some(Remedy::Reconnect));
        }
        assert_eq!(pace.share(), 1);
        for _ in 0..20 {
            pace.on_answer(None);
        }
        assert_eq!(pace.share(), 100);
        assert!((0.9..1.1).contains(&seconds(&pace).await));
    }
}
