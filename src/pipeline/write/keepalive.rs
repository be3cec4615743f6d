//! When an idle store is asked for a sign of life: its lease stays alive, and a dead connection is found before a write
//! hangs on it.
//!
//! A keepalive is due when the store has taken nothing for the sink's interval, nothing is under way and the circuit is
//! closed: writes and probes are signs of life themselves. It takes a permit and is counted like a write.

use super::budget::CommandBudget;
use super::observers::Observers;
use super::requests::Requests;
use crate::pipeline::error::chain;
use crate::port::{Remedy, SinkError};
use std::time::Duration;

/// When the store is asked next.
#[derive(Debug)]
pub(super) struct Keepalive {
    interval: Option<Duration>,
    /// When the last keepalive ended, since the start.
    last: Duration,
    is_under_way: bool,
}

impl Keepalive {
    pub(super) fn new(interval: Option<Duration>) -> Keepalive {
        Keepalive {
            interval,
            last: Duration::ZERO,
            is_under_way: false,
        }
    }

    /// When the next one is due, after what the store took last; `None` while one is under way.
    pub(super) fn due_at(&self, progress: Duration) -> Option<Duration> {
        let interval = self.interval.filter(|_| !self.is_under_way)?;
        Some(progress.max(self.last) + interval)
    }

    /// Asks the store, if the budget allows it.
    pub(super) fn launch(
        &mut self,
        requests: &mut Requests,
        budget: &mut CommandBudget,
        now: Duration,
    ) {
        let cost = requests.sink().keepalive_cost();
        if budget.spend(u64::from(cost.commands), requests.now(), now) {
            self.is_under_way = true;
            requests.keepalive();
        } else {
            // What the budget does not allow is not sent; the lease may end meanwhile, the fencing number stays.
            self.last = now;
        }
    }

    /// Takes in the answer; gives the cause when nothing helps any more.
    pub(super) fn answered(
        &mut self,
        result: Result<(), SinkError>,
        sink: &str,
        observers: &Observers,
        now: Duration,
    ) -> Option<String> {
        (self.is_under_way, self.last) = (false, now);
        let error = result.err()?;
        observers.count(|counts| counts.failures.add(error.remedy));
        let cause = chain(&error);
        if error.remedy == Remedy::Fatal {
            tracing::error!(cause, "{sink} failed permanently; the run ends");
            return Some(cause);
        }
        tracing::warn!(
            cause,
            "idle {sink} does not answer; the next write opens a new connection"
        );
        None
    }
}
