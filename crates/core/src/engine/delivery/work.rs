//! Settings of delivery, its commands to its actor, and the actor's reports.

use crate::engine::batch::{BatchLimits, bar_of};
use crate::engine::circuit::{ProbePolicy, Transition};
use crate::engine::retry::{Remedy, RetryPolicy};
use crate::model::{BarUpdate, Origin, WriteItem};
use std::sync::Arc;
use std::time::Duration;

/// The bounds of delivery.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// When a batch is closed.
    pub batch: BatchLimits,
    /// Batches under way or waiting for their next attempt at most, 1 and up.
    pub in_flight_max: usize,
    /// Items waiting before no more is taken in.
    pub queue_len_max: usize,
    /// How often and how fast to try again before the circuit opens.
    pub retry: RetryPolicy,
    /// Whether acked bars are also kept in the state store for a while, against a store that forgets them.
    pub keeps_recent: bool,
    /// How often an absent store is probed.
    pub probes: ProbePolicy,
    /// Zone of the manifest's dates.
    pub zone: jiff::tz::TimeZone,
    /// What the manifests say the bars were made from; `None` says nothing.
    pub origin: Option<Origin>,
    /// Seed of the jitter.
    pub seed: u64,
}

/// Items that go to the store together.
#[derive(Debug, Clone)]
pub struct OutgoingBatch {
    /// The number of this batch's flight, used once.
    pub flight: u64,
    /// The items, in order; never empty.
    pub items: Arc<Vec<WriteItem>>,
    /// Attempts made, this one included.
    pub attempts: u32,
}

/// One atomic change of the state store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateChange {
    /// Items for the end of the spool, in order.
    pub append: Vec<WriteItem>,
    /// Positions that leave the spool, as first and last, both included.
    pub remove: Vec<(u64, u64)>,
    /// Items the store refused, with its words.
    pub dead: Vec<(WriteItem, String)>,
    /// Closed bars that the store acked.
    pub recent: Vec<BarUpdate>,
}

impl StateChange {
    /// This change and a later one.
    pub(super) fn followed_by(mut self, mut later: StateChange) -> StateChange {
        self.append.append(&mut later.append);
        self.remove.append(&mut later.remove);
        self.dead.append(&mut later.dead);
        self.recent.append(&mut later.recent);
        self
    }
}

/// Something to do.
#[derive(Debug)]
pub enum Work {
    /// Write a batch; report with [`super::Delivery::completed`].
    Send(OutgoingBatch),
    /// Commit a change; report with [`super::Delivery::committed`] or [`super::Delivery::commit_failed`].
    Commit(StateChange),
    /// Read the front of the spool from this position, so many items at most; report with [`super::Delivery::loaded`].
    Load {
        /// The first position.
        from: u64,
        /// Items at most.
        len_max: usize,
    },
}

/// What a flight came to.
#[derive(Debug)]
pub struct Completion {
    /// The flight.
    pub flight: u64,
    /// One entry per item: `None` for an item in the store, else what its failure calls for and the store's words.
    pub failures: Vec<Option<(Remedy, String)>>,
    /// From the permit to the answer.
    pub took: Duration,
}

impl Completion {
    /// The worst failure among the items.
    pub fn worst(&self) -> Option<&(Remedy, String)> {
        self.failures
            .iter()
            .flatten()
            .max_by_key(|(remedy, _)| remedy.severity())
    }
}

/// What became of the failed items of a flight, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They go again after this delay.
    Again {
        /// Items that go again.
        items: usize,
        /// Time until then.
        delay: Duration,
    },
    /// They go to the spool; the circuit changed if there is a transition.
    Spooled {
        /// Items.
        items: usize,
        /// The change of the circuit.
        transition: Option<Transition>,
    },
    /// The store refuses them for good: they go to the dead letters.
    Dead {
        /// Items.
        items: usize,
    },
    /// Nothing will succeed before a person acts: the run ends.
    Halted,
}

/// Bars among the items.
pub fn count_bars(items: &[WriteItem]) -> u64 {
    items
        .iter()
        .map(|item| u64::from(bar_of(item).is_some()))
        .sum()
}
