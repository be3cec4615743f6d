//! The delivery state machine: what to accept, and what to send next.
//!
//! The spool side is in `spool`, the fate of what was sent in `completion`, the end of the input in `drain`.

use super::settings::DeliverySettings;
use super::spool::Spool;
use super::work::{OutgoingBatch, Work, bar_of};
use crate::engine::batch::{Batch, Batcher};
use crate::engine::circuit::{Circuit, CircuitState, Sending, Sent};
use crate::engine::concurrency::Concurrency;
use crate::engine::coverage::Coverage;
use crate::engine::retry::Backoff;
use crate::model::{BarState, BarUpdate, WriteItem};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The state of everything between the shards and the store.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any may hold with any other"
)]
pub struct Delivery {
    pub(super) settings: DeliverySettings,
    pub(super) batcher: Batcher,
    pub(super) backoff: Backoff,
    pub(super) coverage: Coverage,
    pub(super) circuit: Circuit,
    pub(super) concurrency: Concurrency,
    pub(super) flights: BTreeMap<u64, InFlight>,
    pub(super) next_flight: u64,
    /// Batches between two attempts, by the instant of the next one.
    pub(super) waiting: BTreeMap<(Duration, u64), Batch>,
    pub(super) spool: Option<Spool>,
    pub(super) finals_only: bool,
    /// Forming updates that were left out for the sake of the budget.
    left_out: u64,
    /// Set while everything is to leave memory as soon as it can.
    pub(super) flushing: bool,
    pub(super) halted: bool,
    /// Whether the store takes manifests behind the bars they speak of.
    pub(super) joins: bool,
    pub(super) closing: Option<Closing>,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct InFlight {
    pub(super) items: Arc<Vec<WriteItem>>,
    pub(super) attempts: u32,
    pub(super) sent: Sent,
    /// The places of the items in the spool; empty for items that come from the queue.
    pub(super) places: Vec<u64>,
    /// Whether the items were on their way into the spool, which took nothing.
    pub(super) bypasses: bool,
    /// Whether manifests stand behind the bars; they are no items of the queue.
    pub(super) closes: bool,
}

impl InFlight {
    /// Whether it goes before anything that comes from the queue.
    pub(super) fn drains(&self) -> bool {
        self.bypasses || !self.places.is_empty()
    }
}

/// The end of the input, told once.
#[derive(Debug, Clone)]
pub(super) struct Closing {
    pub(super) complete: bool,
    pub(super) manifests_queued: bool,
    /// Manifests that are in the store already.
    pub(super) written: Vec<WriteItem>,
}

impl Delivery {
    /// Makes an empty state; `spooled` is what an earlier run left in the spool, `None` when there is no state store.
    pub fn new(settings: DeliverySettings, spooled: Option<u64>) -> Delivery {
        let is_empty = spooled.unwrap_or(0) == 0;
        Delivery {
            batcher: Batcher::new(settings.batch),
            backoff: Backoff::new(settings.retry, settings.seed),
            coverage: Coverage::new(&settings.zone, settings.origin.clone()),
            circuit: Circuit::new(settings.probes, settings.seed, is_empty, Duration::ZERO),
            concurrency: Concurrency::new(settings.in_flight_max),
            flights: BTreeMap::new(),
            next_flight: 0,
            waiting: BTreeMap::new(),
            spool: spooled.map(|items| Spool {
                items,
                ..Spool::default()
            }),
            finals_only: false,
            left_out: 0,
            flushing: false,
            halted: false,
            joins: false,
            closing: None,
            settings,
        }
    }

    /// Whether more may be pushed.
    pub fn has_room(&self) -> bool {
        let spooling = self
            .spool
            .as_ref()
            .map_or(0, |spool| spool.next.append.len() + spool.next.dead.len());
        !self.halted
            && !self.flushing
            && self.batcher.len() + spooling < self.settings.queue_len_max
    }

    /// Takes in an item of an estimated weight in bytes.
    #[inline]
    pub fn push(&mut self, item: WriteItem, weight: usize, now: Duration) {
        if self.finals_only && is_forming(&item) {
            self.left_out += 1;
            return;
        }
        self.batcher.push(item, weight, now);
    }

    /// Lets forming updates go from now on, or no longer, so that what is left of a budget goes to final bars.
    pub fn set_finals_only(&mut self, finals_only: bool) {
        if finals_only && !self.finals_only {
            self.left_out += self.batcher.drop_forming();
        }
        self.finals_only = finals_only;
    }

    /// Ends sending, because nothing will succeed before a person acts; what is left is for [`Delivery::rescue`].
    pub fn stop(&mut self) {
        self.halted = true;
    }

    /// Takes in an update that an earlier run left in the store or the spool: it counts, and is not sent again.
    pub fn skip(&mut self, update: &BarUpdate) {
        self.coverage.record(update);
    }

    /// Takes nothing more in and closes every batch at once, until called with `false`.
    pub fn set_flushing(&mut self, flushing: bool) {
        self.flushing = flushing;
    }

    /// The next thing to do now; `None` when only time or a report changes anything.
    pub fn next_work(&mut self, now: Duration) -> Option<Work> {
        if let Some(change) = self.next_commit(now) {
            return Some(Work::Commit(change));
        }
        if self.halted {
            return None;
        }
        match self.circuit.may_send(now) {
            Sending::Yes if self.circuit.state() == CircuitState::Closed => {
                self.next_batch(now).map(Work::Send)
            }
            // The front of the spool first: a disk that is never done with appending would let nothing out.
            Sending::Yes => self.next_of_spool(Sent::Batch).or_else(|| self.divert(now)),
            Sending::Probe => self.next_of_spool(Sent::Probe).or_else(|| self.divert(now)),
            Sending::No => self.divert(now),
        }
    }

    fn next_batch(&mut self, now: Duration) -> Option<OutgoingBatch> {
        let (mut batch, manifests) = match self.take_waiting(now) {
            Some(batch) => (batch, Vec::new()),
            None => self.take_queued(now)?,
        };
        batch.attempts += 1;
        let closes = !manifests.is_empty();
        batch.items.extend(manifests);
        let parcel = self.take_off(batch.items, batch.attempts, Sent::Batch, Vec::new());
        if let Some(flight) = self.flights.get_mut(&parcel.flight) {
            flight.closes = closes;
        }
        Some(parcel)
    }

    pub(super) fn take_off(
        &mut self,
        items: Vec<WriteItem>,
        attempts: u32,
        sent: Sent,
        places: Vec<u64>,
    ) -> OutgoingBatch {
        let (flight, items) = (self.next_flight, Arc::new(items));
        self.next_flight += 1;
        self.flights.insert(
            flight,
            InFlight {
                items: Arc::clone(&items),
                attempts,
                sent,
                places,
                bypasses: false,
                closes: false,
            },
        );
        OutgoingBatch {
            flight,
            items,
            attempts,
        }
    }

    fn take_waiting(&mut self, now: Duration) -> Option<Batch> {
        let first = self.waiting.first_entry()?;
        if first.key().0 <= now {
            Some(first.remove())
        } else {
            None
        }
    }

    /// The next batch of the queue, and the manifests that go with it when it is the last one.
    fn take_queued(&mut self, now: Duration) -> Option<(Batch, Vec<WriteItem>)> {
        let idle = self.flights.is_empty() && self.waiting.is_empty();
        let waits = !idle && self.may_join();
        if waits || !self.has_slot() || !self.batcher.is_due(now, idle, self.is_draining()) {
            return None;
        }
        let bytes = self.batcher.bytes();
        let batch = self.batcher.take()?;
        let is_last = idle && self.batcher.is_empty();
        let manifests = if is_last {
            self.closing_manifests(&batch.items, bytes)
        } else {
            Vec::new()
        };
        Some((batch, manifests))
    }

    pub(super) fn is_draining(&self) -> bool {
        self.flushing || self.closing.is_some()
    }

    pub(super) fn has_slot(&self) -> bool {
        self.flights.len() + self.waiting.len() < self.concurrency.limit()
    }

    /// The next instant at which time alone makes something due.
    pub fn deadline(&self) -> Option<Duration> {
        let enough = self.recent_enough();
        let idle = self
            .spool
            .as_ref()
            .filter(|spool| spool.committing.is_none());
        let commit = idle.and_then(|spool| spool.commit_at(enough));
        if self.halted {
            return commit;
        }
        let is_closed = self.circuit.state() == CircuitState::Closed;
        let attempt = self.waiting.keys().next().map(|(due, _)| *due);
        let bypassed = self.flights.values().any(|flight| flight.bypasses);
        let diverts =
            !is_closed && !bypassed && !self.spool.as_ref().is_some_and(Spool::is_appending);
        let batch = if (is_closed && self.has_slot() && !self.may_join()) || diverts {
            self.batcher.due_at()
        } else {
            None
        };
        let spool_flies = self.flights.values().any(InFlight::drains);
        let can_probe = self.spool.as_ref().is_some_and(|spool| {
            spool.can_drain() && (spool.items > 0 || !spool.next.append.is_empty())
        });
        let probe = if spool_flies || !can_probe {
            None
        } else {
            self.circuit.deadline()
        };
        [commit, attempt, batch, probe].into_iter().flatten().min()
    }

    /// Where the circuit stands.
    pub fn circuit(&self) -> CircuitState {
        self.circuit.state()
    }

    /// Items in the spool after the last commit.
    pub fn spooled(&self) -> u64 {
        self.spool.as_ref().map_or(0, |spool| spool.items)
    }

    /// Items waiting.
    pub fn queued(&self) -> usize {
        self.batcher.len()
    }

    /// Batches under way or waiting for their next attempt.
    pub fn in_flight(&self) -> usize {
        self.flights.len() + self.waiting.len()
    }

    /// Forming updates left out so that what is left of a budget goes to final bars.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Forming updates replaced by newer ones before they were sent.
    pub fn coalesced(&self) -> u64 {
        self.batcher.coalesced()
    }
}

pub(super) fn is_forming(item: &WriteItem) -> bool {
    bar_of(item).is_some_and(|update| update.state == BarState::Forming)
}
