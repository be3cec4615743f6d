//! Accounting of the command budget: counts commands before they are sent, and persists the counts.
//!
//! The counts are saved with every commit of the state, and by themselves a while after they changed, so that a crash
//! forgets the commands of seconds at most.

use super::actor::Writer;
use super::attempt::{self, Report};
use super::log;
use crate::engine::budget::BudgetVerdict;
use crate::engine::delivery::{Completion, OutgoingBatch};
use crate::pipeline::error::{RunError, chain};
use crate::port::{Changes, Committed, Remedy, StateError};
use std::sync::Arc;
use std::time::Duration;

/// Longest time that counted commands are not saved.
const SAVE_WAIT: Duration = Duration::from_secs(5);

/// Whether the counts are to be saved.
#[derive(Debug, Default)]
pub(super) struct BudgetSaver {
    /// When the first command was counted since the last save.
    since: Option<Duration>,
    is_saving: bool,
}

impl BudgetSaver {
    /// Whether commands were counted whose save is not known to be done.
    pub(super) fn are_due(&self) -> bool {
        self.since.is_some() || self.is_saving
    }
}

impl Writer {
    /// One attempt, unless the budget forbids it.
    pub(super) fn send(&mut self, batch: OutgoingBatch) {
        let cost = self.ports.sink.cost(&batch.items);
        let commands = u64::from(cost.commands);
        let now = self.ports.clock.now();
        let verdict = self.budget.verdict(commands, now);
        self.delivery
            .set_finals_only(verdict != BudgetVerdict::Spend);
        if let BudgetVerdict::Exhausted(until) = verdict {
            let failure = (
                Remedy::Pause,
                format!("the command budget is spent until {until}"),
            );
            let failures = vec![Some(failure); batch.items.len()];
            let completion = Completion {
                flight: batch.flight,
                failures,
                took: Duration::ZERO,
            };
            self.work
                .push(Box::pin(std::future::ready(Report::Completion(
                    batch, completion, None,
                ))));
            return;
        }
        self.spend(commands);
        if batch.attempts > 1 {
            self.counts.send_modify(|counts| counts.retries += 1);
        }
        let (sink, pace) = (Arc::clone(&self.ports.sink), Arc::clone(&self.pace));
        self.work.push(attempt::send(
            (batch, cost),
            sink,
            pace,
            self.settings.timeout,
        ));
    }

    /// Counts commands that are about to be sent; `false` when the budget does not allow them.
    pub(super) fn spend(&mut self, commands: u64) -> bool {
        let now = self.ports.clock.now();
        if matches!(
            self.budget.verdict(commands, now),
            BudgetVerdict::Exhausted(_)
        ) {
            return false;
        }
        if let Some(warning) = self.budget.spend(commands, now) {
            log::budget(warning);
        }
        self.savings.since.get_or_insert(self.origin.elapsed());
        true
    }

    /// When the counts are to be saved.
    pub(super) fn saving_at(&self) -> Option<Duration> {
        let is_kept = self.has_budget() && self.ports.state.is_some() && !self.savings.is_saving;
        self.savings
            .since
            .filter(|_| is_kept)
            .map(|since| since + SAVE_WAIT)
    }

    /// Saves the counts if it is time.
    pub(super) fn save_budget(&mut self) {
        let is_due = self
            .saving_at()
            .is_some_and(|at| at <= self.origin.elapsed());
        let Some(state) = self.ports.state.clone().filter(|_| is_due) else {
            return;
        };
        self.savings = BudgetSaver {
            since: None,
            is_saving: true,
        };
        let (now, budget) = (self.ports.clock.now(), Some(self.budget.used()));
        let save = async move {
            Report::BudgetSaved(
                state
                    .commit(Changes {
                        now,
                        budget,
                        ..Changes::default()
                    })
                    .await,
            )
        };
        self.work.push(Box::pin(save));
    }

    pub(super) fn on_budget_saved(
        &mut self,
        result: Result<Committed, StateError>,
    ) -> Result<(), RunError> {
        self.savings.is_saving = false;
        match result {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.remedy(), Remedy::Retry { .. }) => {
                tracing::warn!(cause = %chain(&error), "the command count could not be saved; trying again with the next save");
                self.savings.since.get_or_insert(self.origin.elapsed());
                Ok(())
            }
            Err(error) => Err(RunError::State(error)),
        }
    }
}
