//! When an idle store is asked for a sign of life: its lease stays alive, and a dead connection is found before a write
//! hangs on it.
//!
//! A keepalive is due when the store has taken nothing for the sink's interval, nothing is under way and the circuit is
//! closed: writes and probes are signs of life themselves. It takes a permit and is counted like a write.

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

    pub(super) fn began(&mut self) {
        self.is_under_way = true;
    }

    /// One has ended, or was left out.
    pub(super) fn ended(&mut self, now: Duration) {
        (self.is_under_way, self.last) = (false, now);
    }
}
