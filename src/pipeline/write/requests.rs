//! What the writer has under way at the store and the state: futures that own what they need, each with one report.
//!
//! Every request to the store takes a permit of the pace and has a timeout.

use super::read_back::{BackReader, within};
use super::reconcile::{RepairError, Repaired, Repairer};
use super::settings::WriterPorts;
use crate::engine::budget::BudgetUse;
use crate::engine::delivery::{Completion, OutgoingBatch, StateChange};
use crate::model::{BarUpdate, Timestamp, WriteItem};
use crate::pipeline::error::chain;
use crate::pipeline::pace::{Pace, PaceSettings};
use crate::port::{
    BarSink, Changes, Committed, Cost, DeadLetter, ItemError, Remedy, SinkError, SpoolRange,
    StateError, StateStore,
};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::future::Future;
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
    /// Updates that an earlier run delivered: the indexes of those that the store lacks.
    Rechecked(Result<Option<Vec<usize>>, SinkError>),
    /// A pass over what the store may lack.
    Repaired(Repaired, Result<(), RepairError>),
}

/// The writer's way to the store and the state.
#[derive(Debug)]
pub(super) struct Requests {
    ports: WriterPorts,
    pace: Arc<Pace>,
    timeout: Duration,
    under_way: FuturesUnordered<BoxFuture<'static, Report>>,
}

impl Requests {
    pub(super) fn new(ports: WriterPorts, pace: PaceSettings, timeout: Duration) -> Requests {
        Requests {
            ports,
            pace: Arc::new(Pace::new(pace)),
            timeout,
            under_way: FuturesUnordered::new(),
        }
    }

    /// The store of bars.
    pub(super) fn sink(&self) -> &dyn BarSink {
        self.ports.sink.as_ref()
    }

    /// The durable state, if there is one.
    pub(super) fn state(&self) -> Option<&dyn StateStore> {
        self.ports.state.as_deref()
    }

    /// The time of day.
    pub(super) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Percent of the pace that is used, 1 to 100.
    pub(super) fn pace_percent(&self) -> u64 {
        self.pace.share()
    }

    /// Waits for the next report; `None` when nothing is under way.
    ///
    /// # Cancel safety
    /// Dropping the future loses no report.
    pub(super) async fn next(&mut self) -> Option<Report> {
        self.under_way.next().await
    }

    fn launch(&mut self, request: impl Future<Output = Report> + Send + 'static) {
        self.under_way.push(Box::pin(request));
    }

    /// Writes a batch. `refusal` is why it is not sent at all.
    pub(super) fn send(&mut self, batch: OutgoingBatch, cost: Cost, refusal: Option<String>) {
        let completed = |batch: OutgoingBatch, failures, took, error| {
            let flight = batch.flight;
            let completion = Completion {
                flight,
                failures,
                took,
            };
            Report::Completion(batch, completion, error)
        };
        if let Some(cause) = refusal {
            let failures = vec![Some((Remedy::Pause, cause)); batch.items.len()];
            let report = completed(batch, failures, Duration::ZERO, None);
            return self.launch(std::future::ready(report));
        }
        let (sink, pace) = (Arc::clone(&self.ports.sink), Arc::clone(&self.pace));
        let timeout = self.timeout;
        self.launch(async move {
            pace.permit(cost).await;
            let start = Instant::now();
            let result = write(sink.as_ref(), &batch.items, timeout).await;
            let took = start.elapsed();
            let (failures, error) = match result {
                Ok(failures) => (failures, None),
                Err(error) => {
                    if error.remedy == Remedy::Reconnect {
                        reconnect(sink.as_ref(), timeout).await;
                    }
                    let failure = Some((error.remedy, chain(&error)));
                    (vec![failure; batch.items.len()], Some(error))
                }
            };
            let report = completed(batch, failures, took, error);
            if let Report::Completion(_, completion, _) = &report {
                let worst = completion.worst().map(|(remedy, _)| *remedy);
                throttle(&pace, sink.name(), worst);
            }
            report
        });
    }

    /// Asks an idle store for a sign of life.
    pub(super) fn keepalive(&mut self) {
        let (sink, pace) = (Arc::clone(&self.ports.sink), Arc::clone(&self.pace));
        let timeout = self.timeout;
        self.launch(async move {
            pace.permit(sink.keepalive_cost()).await;
            let operation = || format!("write to {}", sink.name());
            let result = within(timeout, operation, sink.keepalive()).await;
            let remedy = result.as_ref().err().map(|error| error.remedy);
            if remedy.is_some_and(|remedy| remedy != Remedy::Fatal) {
                // Whatever the cause, the next write starts from a fresh connection.
                reconnect(sink.as_ref(), timeout).await;
            }
            throttle(&pace, sink.name(), remedy);
            Report::Keepalive(result)
        });
    }

    /// Makes one change durable.
    pub(super) fn commit(&mut self, change: StateChange, budget: BudgetUse) {
        let changes = changes(change, self.now(), Some(budget));
        self.with_state(|state| async move { Report::Committed(state.commit(changes).await) });
    }

    /// Reads the front of the spool.
    pub(super) fn load(&mut self, from: u64, len_max: usize) {
        self.with_state(
            |state| async move { Report::Loaded(state.spool_read(from, len_max).await) },
        );
    }

    /// Saves the commands counted so far.
    pub(super) fn save_budget(&mut self, used: BudgetUse) {
        let changes = Changes {
            now: self.now(),
            budget: Some(used),
            ..Changes::default()
        };
        self.with_state(|state| async move { Report::BudgetSaved(state.commit(changes).await) });
    }

    fn with_state<F>(&mut self, request: impl FnOnce(Arc<dyn StateStore>) -> F)
    where
        F: Future<Output = Report> + Send + 'static,
    {
        if let Some(state) = &self.ports.state {
            let request = request(Arc::clone(state));
            self.launch(request);
        }
    }

    /// Compares closed updates with the store.
    pub(super) fn recheck(&mut self, updates: Vec<BarUpdate>) {
        let reader = self.reader();
        self.launch(async move {
            let cost = Cost {
                requests: 1,
                commands: 1,
            };
            Report::Rechecked(reader.missing_or_stale(&updates, cost).await)
        });
    }

    /// Tries the dead letters again, or compares the bars acked within this time with the store; `false` without a state.
    pub(super) fn repair(&mut self, redeliver: bool, within: Duration) -> bool {
        let Some(state) = self.ports.state.clone() else {
            return false;
        };
        let now = self.now();
        let since = now.saturating_sub(i64::try_from(within.as_nanos()).unwrap_or(i64::MAX));
        let passes = Repairer::new(self.reader(), state, now);
        self.launch(async move {
            let mut repaired = Repaired::default();
            let result = if redeliver {
                passes.redeliver(&mut repaired).await
            } else {
                passes.reconcile(since, &mut repaired).await
            };
            Report::Repaired(repaired, result)
        });
        true
    }

    fn reader(&self) -> BackReader {
        let (sink, pace) = (Arc::clone(&self.ports.sink), Arc::clone(&self.pace));
        BackReader::new(sink, pace, self.timeout)
    }
}

/// What failed, item by item.
async fn write(
    sink: &dyn BarSink,
    items: &[WriteItem],
    timeout: Duration,
) -> Result<Vec<Option<(Remedy, String)>>, SinkError> {
    let operation = || format!("write to {}", sink.name());
    let results = if sink.is_patient() {
        sink.write(items).await?
    } else {
        within(timeout, operation, sink.write(items)).await?
    };
    if results.len() != items.len() {
        // Which items were written is unknown then, and writing one again does no harm.
        let cause = format!("{} results for {} items", results.len(), items.len());
        return Err(SinkError {
            operation: operation(),
            remedy: Remedy::Retry { after: None },
            source: cause.into(),
        });
    }
    let failure = |error: ItemError| (error.remedy, error.reason);
    let results = results.into_iter();
    Ok(results.map(|result| result.err().map(failure)).collect())
}

/// A client that does not let go in time is used as it is; the next attempt shows.
async fn reconnect(sink: &dyn BarSink, timeout: Duration) {
    let _in_time = tokio::time::timeout(timeout, sink.reconnect()).await;
}

/// Lets the pace of all requests follow what one came to.
fn throttle(pace: &Pace, sink: &str, remedy: Option<Remedy>) {
    if let Some(wait) = pace.on_answer(remedy) {
        tracing::warn!(
            wait_s = wait.as_secs_f64(),
            "{sink} asked to wait (Retry-After); pausing all requests"
        );
    }
}

/// The port's form of a change.
pub(super) fn changes(change: StateChange, now: Timestamp, budget: Option<BudgetUse>) -> Changes {
    let dead_letter = |(item, reason)| DeadLetter {
        item,
        reason,
        time: now,
    };
    let range = |(first, last)| SpoolRange { first, last };
    Changes {
        now,
        spool_append: change.append,
        spool_remove: change.remove.into_iter().map(range).collect(),
        dead_letters: change.dead.into_iter().map(dead_letter).collect(),
        recent: change.recent,
        budget,
        ..Changes::default()
    }
}
