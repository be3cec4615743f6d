//! What the writer has under way at the store and the state: futures that own what they need, each with one outcome.

use super::reconcile::{RepairError, Repaired, Repairer};
use super::settings::WriterPorts;
use super::store::PacedStore;
use crate::engine::budget::BudgetUse;
use crate::engine::delivery::{Completion, OutgoingBatch, StateChange};
use crate::model::{BarUpdate, Timestamp, WriteItem};
use crate::pipeline::pace::PaceSettings;
use crate::port::{
    BarSink, Changes, Clock, Committed, Cost, DeadLetter, Remedy, SinkError, SpoolRange,
    StateError, StateStore,
};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// What a piece of work came to.
#[derive(Debug)]
pub(super) enum Outcome {
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
    store: PacedStore,
    state: Option<Arc<dyn StateStore>>,
    clock: Arc<dyn Clock>,
    under_way: FuturesUnordered<BoxFuture<'static, Outcome>>,
}

impl Requests {
    pub(super) fn new(ports: WriterPorts, pace: PaceSettings, timeout: Duration) -> Requests {
        Requests {
            store: PacedStore::new(ports.sink, pace, timeout),
            state: ports.state,
            clock: ports.clock,
            under_way: FuturesUnordered::new(),
        }
    }

    /// The store of bars.
    pub(super) fn sink(&self) -> &dyn BarSink {
        self.store.sink()
    }

    /// The store at its pace.
    pub(super) fn store(&self) -> &PacedStore {
        &self.store
    }

    /// The durable state, if there is one.
    pub(super) fn state(&self) -> Option<&dyn StateStore> {
        self.state.as_deref()
    }

    /// The time of day.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits for the next outcome; `None` when nothing is under way.
    ///
    /// # Cancel safety
    /// Dropping the future loses no outcome.
    pub(super) async fn next(&mut self) -> Option<Outcome> {
        self.under_way.next().await
    }

    fn launch(&mut self, request: impl Future<Output = Outcome> + Send + 'static) {
        self.under_way.push(Box::pin(request));
    }

    /// Writes a batch. `refusal` is why it is not sent at all.
    pub(super) fn send(&mut self, batch: OutgoingBatch, cost: Cost, refusal: Option<String>) {
        let store = self.store.clone();
        self.launch(async move {
            let (completion, error) = match refusal {
                Some(cause) => (refused(&batch, cause), None),
                None => store.write(&batch, cost).await,
            };
            Outcome::Completion(batch, completion, error)
        });
    }

    /// Asks an idle store for a sign of life.
    pub(super) fn keepalive(&mut self) {
        let store = self.store.clone();
        self.launch(async move { Outcome::Keepalive(store.keepalive().await) });
    }

    /// Makes one change durable.
    pub(super) fn commit(&mut self, change: StateChange, budget: BudgetUse) {
        let changes = changes(change, self.now(), Some(budget));
        self.with_state(|state| async move { Outcome::Committed(state.commit(changes).await) });
    }

    /// Reads the front of the spool.
    pub(super) fn load(&mut self, from: u64, len_max: usize) {
        self.with_state(
            |state| async move { Outcome::Loaded(state.spool_read(from, len_max).await) },
        );
    }

    /// Saves the commands counted so far.
    pub(super) fn save_budget(&mut self, used: BudgetUse) {
        let changes = Changes {
            now: self.now(),
            budget: Some(used),
            ..Changes::default()
        };
        self.with_state(|state| async move { Outcome::BudgetSaved(state.commit(changes).await) });
    }

    fn with_state<F>(&mut self, request: impl FnOnce(Arc<dyn StateStore>) -> F)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        if let Some(state) = &self.state {
            let request = request(Arc::clone(state));
            self.launch(request);
        }
    }

    /// Compares closed updates with the store.
    pub(super) fn recheck(&mut self, updates: Vec<BarUpdate>) {
        let store = self.store.clone();
        self.launch(async move {
            let cost = Cost {
                requests: 1,
                commands: 1,
            };
            Outcome::Rechecked(store.missing_or_stale(&updates, cost).await)
        });
    }

    /// Tries the dead letters again, or compares the bars acked within this time with the store.
    pub(super) fn repair(&mut self, redeliver: bool, within: Duration) {
        let (store, now) = (self.store.clone(), self.now());
        let since = now.saturating_sub(i64::try_from(within.as_nanos()).unwrap_or(i64::MAX));
        self.with_state(|state| async move {
            let passes = Repairer { store, state, now };
            let mut repaired = Repaired::default();
            let result = if redeliver {
                passes.redeliver(&mut repaired).await
            } else {
                passes.reconcile(since, &mut repaired).await
            };
            Outcome::Repaired(repaired, result)
        });
    }
}

/// What a batch comes to that is not sent.
fn refused(batch: &OutgoingBatch, cause: String) -> Completion {
    Completion {
        flight: batch.flight,
        failures: vec![Some((Remedy::Pause, cause)); batch.items.len()],
        took: Duration::ZERO,
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
