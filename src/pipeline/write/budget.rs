//! Accounting of the command budget: counts commands before they are sent, and persists the counts.
//!
//! The counts are saved with every commit of the state, and by themselves a while after they changed, so that a crash
//! forgets the commands of seconds at most.

use super::log;
use crate::engine::budget::{Budget, BudgetLimits, BudgetUse, BudgetVerdict};
use crate::model::Timestamp;
use std::time::Duration;

/// Longest time that counted commands are not saved.
const SAVE_WAIT: Duration = Duration::from_secs(5);

/// The commands of one store, and whether their counts are to be saved.
#[derive(Debug)]
pub(super) struct CommandBudget {
    budget: Budget,
    /// Whether there are limits, so that commands are counted over restarts.
    is_limited: bool,
    /// When the first command was counted since the last save.
    since: Option<Duration>,
    is_saving: bool,
}

impl CommandBudget {
    pub(super) fn new(
        limits: BudgetLimits,
        used: Option<BudgetUse>,
        now: Timestamp,
    ) -> CommandBudget {
        CommandBudget {
            budget: Budget::new(limits, used, now),
            is_limited: limits != BudgetLimits::default(),
            since: None,
            is_saving: false,
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
        self.is_limited && (self.since.is_some() || self.is_saving)
    }

    /// When the counts are to be saved.
    pub(super) fn save_at(&self) -> Option<Duration> {
        let since = self.since.filter(|_| self.is_limited && !self.is_saving);
        since.map(|since| since + SAVE_WAIT)
    }

    /// The counts to save now, if it is time.
    pub(super) fn next_save(&mut self, now: Duration) -> Option<BudgetUse> {
        self.save_at().filter(|at| *at <= now)?;
        (self.since, self.is_saving) = (None, true);
        Some(self.used())
    }

    /// The save has ended; one that failed is made again.
    pub(super) fn saved(&mut self, is_done: bool, now: Duration) {
        self.is_saving = false;
        if !is_done {
            self.since.get_or_insert(now);
        }
    }
}
