//! One attempt at the store, and one change of the state, as futures that own what they need.

use super::repair::{RepairError, Repaired};
use crate::engine::budget::BudgetUse;
use crate::engine::delivery::{Completion, OutgoingBatch, StateChange};
use crate::model::{Timestamp, WriteItem};
use crate::pipeline::error::chain;
use crate::pipeline::pace::Pace;
use crate::port::{
    BarSink, Changes, Committed, Cost, DeadLetter, Remedy, SinkError, SpoolRange, StateError,
    StateStore,
};
use futures::future::BoxFuture;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a piece of work came to.
#[derive(Debug)]
pub(super) enum Report {
    /// A batch; with the error when the whole of it failed.
    Completion(OutgoingBatch, Completion, Option<SinkError>),
    /// A commit.
    Committed(Result<Committed, StateError>),
    /// A read of the spool.
    Loaded(Result<Vec<(u64, WriteItem)>, StateError>),
    /// A sign of life of an idle store.
    Keepalive(Result<(), SinkError>),
    /// The commands counted so far were saved.
    BudgetSaved(Result<Committed, StateError>),
    /// Updates that an earlier run delivered: the places of those that the store lacks.
    Rechecked(Result<Option<Vec<usize>>, SinkError>),
    /// A pass over what the store may lack.
    Repaired(Repaired, Result<(), RepairError>),
}

/// Takes a permit for what it costs and writes within the timeout.
pub(super) fn send(
    (batch, cost): (OutgoingBatch, Cost),
    sink: Arc<dyn BarSink>,
    pace: Arc<Pace>,
    timeout: Duration,
) -> BoxFuture<'static, Report> {
    Box::pin(async move {
        pace.permit(cost).await;
        let start = Instant::now();
        let result = if sink.is_patient() {
            sink.write(&batch.items).await
        } else {
            match tokio::time::timeout(timeout, sink.write(&batch.items)).await {
                Ok(result) => result,
                Err(elapsed) => Err(failed(sink.as_ref(), Remedy::Reconnect, elapsed)),
            }
        };
        let result = result.and_then(|results| {
            // Which items were written is unknown then, and writing one again does no harm.
            let cause = || format!("{} results for {} items", results.len(), batch.items.len());
            let short = || failed(sink.as_ref(), Remedy::Retry { after: None }, cause());
            if results.len() == batch.items.len() {
                Ok(results)
            } else {
                Err(short())
            }
        });
        let took = start.elapsed();
        let (failures, error) = match result {
            Ok(results) => {
                let failure = |result: Result<(), crate::port::ItemError>| {
                    result.err().map(|error| (error.remedy, error.reason))
                };
                (results.into_iter().map(failure).collect(), None)
            }
            Err(error) => {
                if error.remedy == Remedy::Reconnect {
                    // A client that does not let go in time is used as it is; the next attempt tells.
                    let _in_time = tokio::time::timeout(timeout, sink.reconnect()).await;
                }
                let failure = Some((error.remedy, chain(&error)));
                (vec![failure; batch.items.len()], Some(error))
            }
        };
        let completion = Completion {
            flight: batch.flight,
            failures,
            took,
        };
        feel(
            &pace,
            sink.name(),
            completion.worst().map(|(remedy, _)| *remedy),
        );
        Report::Completion(batch, completion, error)
    })
}

/// Asks an idle store for a sign of life, within the timeout.
pub(super) fn keepalive(
    sink: Arc<dyn BarSink>,
    pace: Arc<Pace>,
    timeout: Duration,
) -> BoxFuture<'static, Report> {
    Box::pin(async move {
        pace.permit(sink.keepalive_cost()).await;
        let result = match tokio::time::timeout(timeout, sink.keepalive()).await {
            Ok(result) => result,
            Err(elapsed) => Err(failed(sink.as_ref(), Remedy::Reconnect, elapsed)),
        };
        if result
            .as_ref()
            .is_err_and(|error| error.remedy != Remedy::Fatal)
        {
            // Whatever the cause, the next write starts from a fresh connection.
            let _in_time = tokio::time::timeout(timeout, sink.reconnect()).await;
        }
        feel(
            &pace,
            sink.name(),
            result.as_ref().err().map(|error| error.remedy),
        );
        Report::Keepalive(result)
    })
}

/// Lets the pace of all requests feel what one came to.
fn feel(pace: &Pace, sink: &str, remedy: Option<Remedy>) {
    if let Some(wait) = pace.on_answer(remedy) {
        tracing::warn!(
            wait_s = wait.as_secs_f64(),
            "{sink} asked to wait (Retry-After); all requests pause"
        );
    }
}

fn failed(
    sink: &dyn BarSink,
    remedy: Remedy,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> SinkError {
    SinkError {
        operation: format!("write to {}", sink.name()),
        remedy,
        source: source.into(),
    }
}

/// Makes one change durable.
pub(super) fn commit(
    change: StateChange,
    state: Arc<dyn StateStore>,
    now: Timestamp,
    budget: Option<BudgetUse>,
) -> BoxFuture<'static, Report> {
    Box::pin(async move { Report::Committed(state.commit(changes(change, now, budget)).await) })
}

/// The port's form of a change.
pub(super) fn changes(change: StateChange, now: Timestamp, budget: Option<BudgetUse>) -> Changes {
    let dead_letter = |(item, reason)| DeadLetter {
        item,
        reason,
        time: now,
    };
    Changes {
        now,
        spool_append: change.append,
        spool_remove: change
            .remove
            .into_iter()
            .map(|(first, last)| SpoolRange { first, last })
            .collect(),
        dead_letters: change.dead.into_iter().map(dead_letter).collect(),
        recent: change.recent,
        budget,
        ..Changes::default()
    }
}
