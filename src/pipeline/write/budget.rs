//! Accounting of the command budget: counts commands before they are sent, and persists the counts.
//!
//! The counts are saved with every commit of the state, and by themselves a while after they changed, so that a crash
//! forgets the commands of seconds at most.

use super::log;
use super::requests::Requests;
use crate::engine::budget::{Budget, BudgetLimits, BudgetUse, BudgetVerdict};
use crate::model::Timestamp;
use crate::pipeline::error::{chain, may_pass};
use crate::port::{Committed, StateError};
use std::time::Duration;

/// Longest time that counted commands are not saved.
const SAVE_WAIT: Duration = Duration::from_secs(5);

/// The commands of one store, and whether their counts are to be saved.
#[derive(Debug)]
pub(super) struct CommandBudget {
    budget: Budget,
    /// Whether there are limits and a state, so that commands are counted over restarts.
    is_kept: bool,
    /// When the first command was counted since the last save.
    since: Option<Duration>,
    is_saving: bool,
}

impl CommandBudget {
    /// Counts from zero, and saves nothing.
    pub(super) fn new(limits: BudgetLimits, now: Timestamp) -> CommandBudget {
        CommandBudget {
            budget: Budget::new(limits, None, now),
            is_kept: false,
            since: None,
            is_saving: false,
        }
    }

    /// Goes on from what earlier runs used, and saves the counts.
    pub(super) fn resumed(
        limits: BudgetLimits,
        used: Option<BudgetUse>,
        now: Timestamp,
    ) -> CommandBudget {
        CommandBudget {
            budget: Budget::new(limits, used, now),
            is_kept: limits != BudgetLimits::default(),
            ..CommandBudget::new(limits, now)
        }
    }

    pub(super) fn used(&self) -> BudgetUse {
        self.budget.used()
    }

    pub(super) fn verdict(&mut self, commands: u64, time: Timestamp) -> BudgetVerdict {
        self.budget.verdict(commands, time)
    }

    /// Counts commands that are about to be sent; `false` when the budget does not allow them.
    pub(super) fn spend(&mut self, commands: u64, time: Timestamp, now: Duration) -> bool {
        if let BudgetVerdict::Exhausted(_) = self.budget.verdict(commands, time) {
            return false;
        }
        if let Some(warning) = self.budget.spend(commands, time) {
            log::budget(warning);
        }
        self.since.get_or_insert(now);
        true
    }

    /// Whether commands were counted whose save is not known to be done.
    pub(super) fn is_unsaved(&self) -> bool {
        self.is_kept && (self.since.is_some() || self.is_saving)
    }

    /// When the counts are to be saved.
    pub(super) fn save_at(&self) -> Option<Duration> {
        let since = self.since.filter(|_| self.is_kept && !self.is_saving);
        since.map(|since| since + SAVE_WAIT)
    }

    /// Saves the counts if it is time.
    pub(super) fn launch(&mut self, requests: &mut Requests, now: Duration) {
        if self.save_at().is_some_and(|at| at <= now) {
            (self.since, self.is_saving) = (None, true);
            requests.save_budget(self.used());
        }
    }

    /// The save has ended; one that failed is made again.
    ///
    /// # Errors
    /// The state's own, when it takes no more.
    pub(super) fn saved(
        &mut self,
        result: Result<Committed, StateError>,
        now: Duration,
    ) -> Result<(), StateError> {
        self.is_saving = false;
        let Err(error) = result else { return Ok(()) };
        self.since.get_or_insert(now);
        if !may_pass(&error) {
            return Err(error);
        }
        tracing::warn!(cause = %chain(&error), "the command count could not be saved; trying again with the next save");
        Ok(())
    }
}
