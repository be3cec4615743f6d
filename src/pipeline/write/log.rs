//! The writer's log lines, one per change that an operator must know about.

use super::reconcile::Repaired;
use crate::engine::budget::{BudgetPeriod, BudgetWarning};
use crate::engine::circuit::Transition;
use crate::engine::delivery::{Completion, Verdict};
use crate::pipeline::error::chain;
use crate::port::{SinkError, StateError};
use std::time::Duration;

/// Least time between two log lines on a full spool: each failed commit is one such case.
const SPOOL_FULL_EVERY: Duration = Duration::from_mins(1);

/// When the log last said that the spool is full.
#[derive(Debug, Default)]
pub(super) struct SpoolFullLog(Option<Duration>);

impl SpoolFullLog {
    /// Logs that the spool takes nothing, unless it just did.
    pub(super) fn log(&mut self, error: &StateError, now: Duration) {
        let cause = chain(error);
        if self.0.is_some_and(|last| now < last + SPOOL_FULL_EVERY) {
            tracing::debug!(cause, "the spool still cannot be written");
            return;
        }
        self.0 = Some(now);
        tracing::error!(
            cause,
            "the spool cannot be written; applying backpressure to sources"
        );
    }
}

/// Says what becomes of failed items of a batch, which may be attempted `of` times.
pub(super) fn verdict(verdict: &Verdict, sink: &str, attempt: u32, of: u32, cause: &str) {
    match verdict {
        Verdict::Again { items, delay } => {
            let retry_in_s = delay.as_secs_f64();
            tracing::warn!(
                attempt,
                of,
                items,
                cause,
                retry_in_s,
                "{sink} failed (attempt {attempt}/{of}), retrying in {retry_in_s:.1} s"
            );
        }
        Verdict::Spooled {
            transition: Some(change),
            ..
        } => transition(*change, sink, cause),
        Verdict::Spooled {
            items,
            transition: None,
        } => tracing::debug!(items, cause, "{sink} is still unavailable"),
        Verdict::Dead { items } => {
            tracing::error!(
                items,
                cause,
                "{sink} refused {items} items; they are kept as dead letters"
            );
        }
        Verdict::Halted => {
            tracing::error!(
                attempt,
                of,
                cause,
                "{sink} failed permanently; the run ends"
            );
        }
    }
}

/// Says that the circuit has changed.
pub(super) fn transition(transition: Transition, sink: &str, cause: &str) {
    match transition {
        Transition::Opened { probe_in } => {
            tracing::error!(
                cause,
                probe_in_s = probe_in.as_secs_f64(),
                "{sink} is unreachable; bars go to the spool"
            );
        }
        Transition::Paused { probe_in } => tracing::error!(
            cause,
            probe_in_s = probe_in.as_secs_f64(),
            "the quota of {sink} is used up; bars go to the spool"
        ),
        Transition::Draining { outage } => {
            tracing::info!(
                outage_s = outage.as_secs(),
                "{sink} is reachable again; sending the spool"
            );
        }
        Transition::Closed { outage } => {
            tracing::info!(
                outage_s = outage.as_secs(),
                "the spool of {sink} is empty; bars go to the store again"
            );
        }
    }
}

/// Says that the budget nears its end.
pub(super) fn budget(
    BudgetWarning {
        period,
        commands,
        limit,
    }: BudgetWarning,
) {
    let period = match period {
        BudgetPeriod::Day => "day",
        BudgetPeriod::Month => "month",
    };
    tracing::warn!(
        commands,
        limit,
        "80 % of the command budget of the {period} is used; only final bars are sent from now on"
    );
}

/// Says what a repair of the store has found.
pub(super) fn repaired(repaired: &Repaired, sink: &str) {
    let Repaired {
        compared,
        missing_or_stale,
        redelivered,
        outdated,
        ..
    } = *repaired;
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
            "compared recent bars with {sink}; writing back missing ones"
        );
    }
}

/// The cause of a failed flight: the whole batch's, else the worst item's.
pub(super) fn cause(completion: &Completion, error: Option<&SinkError>) -> String {
    let worst = || {
        completion
            .worst()
            .map(|(_, reason)| reason.clone())
            .unwrap_or_default()
    };
    error.map_or_else(worst, |error| chain(error))
}
