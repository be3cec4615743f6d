//! The commands of delivery to its actor, and the actor's reports.

use crate::engine::circuit::Transition;
use crate::engine::retry::Remedy;
use crate::model::{BarUpdate, WriteItem};
use std::sync::Arc;
use std::time::Duration;

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
    /// Places that leave the spool, as first and last, both included.
    pub remove: Vec<(u64, u64)>,
    /// Items the store refused, with its words.
    pub dead: Vec<(WriteItem, String)>,
    /// Closed bars that the store acked.
    pub recent: Vec<BarUpdate>,
}

/// Something to do.
#[derive(Debug)]
pub enum Work {
    /// Write a batch; report with [`super::Delivery::completed`].
    Send(OutgoingBatch),
    /// Commit a change; report with [`super::Delivery::committed`] or [`super::Delivery::commit_failed`].
    Commit(StateChange),
    /// Read the front of the spool from this place, so many items at most; report with [`super::Delivery::loaded`].
    Load {
        /// The first place.
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
    /// The gravest failure among the items.
    pub fn gravest(&self) -> Option<&(Remedy, String)> {
        self.failures
            .iter()
            .flatten()
            .max_by_key(|(remedy, _)| remedy.gravity())
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

/// The bar of an item, if it is one.
pub fn bar_of(item: &WriteItem) -> Option<&BarUpdate> {
    match item {
        WriteItem::Bar(update) => Some(update),
        WriteItem::Manifest(_) => None,
    }
}
