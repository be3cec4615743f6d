//! The write pace: commands per second and requests per second, on tokio's clock, and the throttle a store asks for.
//!
//! One pace serves all requests; [`engine::pace`](crate::engine::pace) has its rules.

use crate::engine::pace::{self, Rate};
use crate::port::{Cost, Remedy};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What the store accepts, as its plan says; by default without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PaceSettings {
    /// Commands per second, also the largest burst; `None` is no limit.
    pub commands_per_second: Option<NonZeroU32>,
    /// Requests per second, also the largest burst; `None` is no limit.
    pub requests_per_second: Option<NonZeroU32>,
}

/// Hands out permits: every attempt takes them, retries included.
#[derive(Debug)]
pub(super) struct Pace {
    origin: Instant,
    engine: Mutex<pace::Pace<2>>,
}

impl Pace {
    /// Starts with full bursts.
    pub(super) fn new(settings: PaceSettings) -> Pace {
        let rate = |units| Rate::new(units, Duration::from_secs(1), units);
        let limits = [settings.commands_per_second, settings.requests_per_second];
        Pace {
            origin: Instant::now(),
            engine: Mutex::new(pace::Pace::new(limits.map(|limit| limit.map(rate)))),
        }
    }

    fn engine(&self) -> MutexGuard<'_, pace::Pace<2>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what an attempt came to: `None` for a success, else its worst remedy. Answers how long all wait.
    pub(super) fn on_answer(&self, remedy: Option<Remedy>) -> Option<Duration> {
        self.engine().on_answer(remedy, self.origin.elapsed())
    }

    /// Percent of the pace that is used, 1 to 100.
    pub(super) fn share(&self) -> u64 {
        self.engine().share()
    }

    /// Spends the cost, and waits until it is within both rates and the store has had its wish.
    pub(super) async fn permit(&self, cost: Cost) {
        let costs = [cost.commands, cost.requests];
        let mut wait = self.engine().spend(costs, self.origin.elapsed());
        while !wait.is_zero() {
            sleep(wait).await;
            wait = self.engine().held(self.origin.elapsed());
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
