//! Signs of life of an idle store: the lease of the fence stays alive, and a dead connection is found before a write
//! hangs on it.
//!
//! A keepalive is due when the store has taken nothing for the sink's interval, nothing is under way and the circuit is
//! closed: writes and probes are signs of life themselves. It takes a permit and is counted like a write.

use super::actor::Writer;
use super::attempt;
use crate::engine::circuit::CircuitState;
use crate::pipeline::error::{Failure, chain};
use crate::port::{Remedy, SinkError};
use std::sync::Arc;
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
}

impl Writer {
    /// When the next keepalive is due; `None` while something else tells whether the store lives.
    pub(super) fn beat_at(&self) -> Option<Duration> {
        let interval = self.keepalive.interval?;
        let is_idle =
            self.delivery.circuit() == CircuitState::Closed && self.delivery.in_flight() == 0;
        (is_idle && !self.keepalive.is_under_way)
            .then(|| self.progress.max(self.keepalive.last) + interval)
    }

    /// Asks for a sign of life if it is time.
    pub(super) fn launch_beat(&mut self) {
        let now = self.origin.elapsed();
        if self.beat_at().is_none_or(|at| now < at) {
            return;
        }
        let sink = Arc::clone(&self.ports.sink);
        if !self.spend(u64::from(sink.keepalive_cost().commands)) {
            // What the budget does not allow is not sent; the lease may end meanwhile, the fencing number stays.
            self.keepalive.last = now;
            return;
        }
        self.keepalive.is_under_way = true;
        self.work.push(attempt::keepalive(
            sink,
            Arc::clone(&self.pace),
            self.timeout(),
        ));
    }

    pub(super) fn on_keepalive(&mut self, result: Result<(), SinkError>) {
        (self.keepalive.is_under_way, self.keepalive.last) = (false, self.origin.elapsed());
        let Err(error) = result else { return };
        let (sink, cause) = (self.ports.sink.name(), chain(&error));
        self.counts
            .send_modify(|counts| counts.failures.add(error.remedy));
        if error.remedy == Remedy::Fatal {
            tracing::error!(cause, "{sink} failed for good; the run ends");
            self.failure.get_or_insert(Failure { attempts: 1, cause });
            self.delivery.stop();
        } else {
            tracing::warn!(
                cause,
                "idle {sink} does not answer; the next write opens a new connection"
            );
        }
    }
}
