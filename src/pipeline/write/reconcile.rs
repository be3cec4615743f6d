//! When the writer reconciles the store: at the start if requested, and after a possible failover.
//!
//! The inbox is held back until nothing is on its way and while the store is read; what is found goes through the spool.

use super::actor::Writer;
use super::attempt::Report;
use super::repair::{RepairError, Repaired, Repairer};
use crate::engine::circuit::CircuitState;
use crate::pipeline::error::{Failure, RunError, chain};
use crate::port::{Remedy, SinkError};
use std::sync::Arc;
use std::time::Duration;

/// Shortest time between two comparisons, so that a store that fails again and again is not also read again and again.
const PAUSE: Duration = Duration::from_mins(1);

/// What is still to be put right.
#[derive(Debug)]
pub(super) struct Reconciler {
    redeliver: bool,
    reconcile: bool,
    /// Whether it is what the run is for, so that a failure is the run's own.
    is_purpose: bool,
    not_before: Duration,
    phase: Phase,
    commands_before: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// The inbox is held back until nothing is on its way.
    Waiting,
    Working,
}

impl Reconciler {
    pub(super) fn new(redeliver: bool, reconcile: bool) -> Reconciler {
        Reconciler {
            redeliver,
            reconcile,
            is_purpose: redeliver || reconcile,
            not_before: Duration::ZERO,
            phase: Phase::Idle,
            commands_before: 0,
        }
    }

    /// Whether something is to be done before the run may end.
    pub(super) fn is_wanted(&self) -> bool {
        self.redeliver || self.reconcile
    }

    /// Whether nothing may be taken in.
    pub(super) fn holds_back(&self) -> bool {
        self.phase != Phase::Idle
    }
}

impl Writer {
    /// Notes a failure after which the store may hold less than it has acked.
    pub(super) fn suspect(&mut self, error: Option<&SinkError>) {
        let Some(error) = error else { return };
        let may_be_failover = matches!(
            error.remedy,
            Remedy::Reconnect | Remedy::Retry { after: None }
        );
        self.reconcile.reconcile |= may_be_failover && self.settings.reconcile.on_reconnect;
    }

    /// When there is something to be put right that waits for time alone.
    pub(super) fn mend_at(&self) -> Option<Duration> {
        let is_idle =
            self.reconcile.phase == Phase::Idle && self.delivery.circuit() == CircuitState::Closed;
        (is_idle && self.reconcile.is_wanted()).then(|| self.mend_not_before())
    }

    /// After the end of the input there is nothing else to wait for.
    fn mend_not_before(&self) -> Duration {
        if self.inbox_open {
            self.reconcile.not_before
        } else {
            Duration::ZERO
        }
    }

    /// Takes the next step towards it.
    pub(super) fn mend(&mut self) {
        let is_closed = self.delivery.circuit() == CircuitState::Closed;
        let now = self.origin.elapsed();
        match self.reconcile.phase {
            Phase::Idle
                if is_closed && self.reconcile.is_wanted() && self.mend_not_before() <= now =>
            {
                self.reconcile.phase = Phase::Waiting;
            }
            // The store went away again; the spool comes first.
            Phase::Waiting if !is_closed => self.reconcile.phase = Phase::Idle,
            // Bars matter more than what may be missing.
            Phase::Waiting if self.delivery.lacks_room() && self.inbox_open => {
                (self.reconcile.phase, self.reconcile.not_before) = (Phase::Idle, now + PAUSE);
            }
            Phase::Idle | Phase::Waiting | Phase::Working => {}
        }
        self.hold_back();
        if self.reconcile.phase == Phase::Waiting && self.delivery.is_durable() {
            self.launch_mending();
        }
    }

    fn launch_mending(&mut self) {
        let Some(state) = self.ports.state.clone() else {
            (
                self.reconcile.redeliver,
                self.reconcile.reconcile,
                self.reconcile.phase,
            ) = (false, false, Phase::Idle);
            return self.hold_back();
        };
        self.reconcile.phase = Phase::Working;
        self.reconcile.commands_before = self.ports.sink.stats().commands;
        let now = self.ports.clock.now();
        let within = i64::try_from(self.settings.reconcile.within.as_nanos()).unwrap_or(i64::MAX);
        let since = now.saturating_sub(within);
        let sink = Arc::clone(&self.ports.sink);
        let work = Repairer {
            sink,
            state,
            pace: Arc::clone(&self.pace),
            timeout: self.timeout(),
            now,
        };
        let redeliver = self.reconcile.redeliver;
        self.work.push(Box::pin(async move {
            let mut mended = Repaired::default();
            let result = if redeliver {
                work.redeliver(&mut mended).await
            } else {
                work.reconcile(since, &mut mended).await
            };
            Report::Repaired(mended, result)
        }));
    }

    pub(super) fn on_mended(
        &mut self,
        mended: &Repaired,
        result: Result<(), RepairError>,
    ) -> Result<(), RunError> {
        self.reconcile.phase = Phase::Idle;
        let now = self.origin.elapsed();
        let spent = self
            .ports
            .sink
            .stats()
            .commands
            .saturating_sub(self.reconcile.commands_before);
        let _allowed = self.spend(spent);
        self.told(mended);
        if let Some(items) = mended.spool_items {
            self.delivery.spool_grew(items, now);
        }
        match result {
            Ok(()) => {
                if self.reconcile.redeliver {
                    self.reconcile.redeliver = false;
                } else {
                    (self.reconcile.reconcile, self.reconcile.not_before) = (false, now + PAUSE);
                }
            }
            Err(RepairError::State(error)) if !matches!(error.remedy(), Remedy::Retry { .. }) => {
                return Err(RunError::State(error));
            }
            Err(error) => {
                let cause = chain(&error);
                tracing::error!(cause, "reconciliation failed");
                self.reconcile.not_before = now + PAUSE;
                if matches!(error, RepairError::Unreadable { .. }) || !self.inbox_open {
                    (self.reconcile.redeliver, self.reconcile.reconcile) = (false, false);
                }
                if self.reconcile.is_purpose {
                    self.failure.get_or_insert(Failure { attempts: 1, cause });
                    self.delivery.stop();
                }
            }
        }
        self.hold_back();
        Ok(())
    }

    fn told(&mut self, mended: &Repaired) {
        let Repaired {
            compared,
            missing_or_stale,
            redelivered,
            outdated,
            ..
        } = *mended;
        self.counts.send_modify(|counts| {
            counts.compared += compared;
            counts.written_back += missing_or_stale;
            counts.redelivered += redelivered;
            counts.outdated += outdated;
        });
        let sink = self.ports.sink.name();
        if redelivered + outdated > 0 {
            tracing::info!(
                redelivered,
                outdated,
                "sending dead letters to {sink} again"
            );
        }
        if compared > 0 {
            tracing::info!(
                compared,
                lacking = missing_or_stale,
                "compared recent bars with {sink}; writing back what it lacks"
            );
        }
    }
}
