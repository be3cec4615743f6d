//! How the writer behaves, and what it counts.

use crate::actor::pace::PaceSettings;
use crate::engine::budget::BudgetLimits;
use crate::engine::delivery::DeliverySettings;
use crate::port::SinkStats;
use std::time::Duration;

/// How the writer behaves.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    /// The bounds of delivery.
    pub delivery: DeliverySettings,
    /// Longest time of one attempt, from the permit to the last byte of the answer.
    pub timeout: Duration,
    /// What the store accepts.
    pub pace: PaceSettings,
    /// The commands that may be spent.
    pub budget: BudgetLimits,
    /// Where a run that was killed goes on; `None` starts from the beginning.
    pub resume: Option<ResumeSettings>,
    /// After the end of the input: longest time without an ack before the rest stays in the spool.
    pub drain_timeout: Duration,
}

/// How a run that is repeated with the same input and settings is told, and how often its place is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeSettings {
    /// Names input and settings: the same name must give the same updates in the same order per shard.
    pub name: String,
    /// Time between two saved places; each costs one pause of about a round trip.
    pub every: Duration,
}

/// What the writer has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriterCounts {
    /// Final bars acked, those of an earlier run's spool included.
    pub bars: u64,
    /// Updates not sent again, because an earlier run of the same input has delivered them.
    pub resumed: u64,
    /// Revised updates acked.
    pub revised: u64,
    /// Forming updates replaced by newer ones before they were sent.
    pub coalesced: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Items waiting.
    pub queued: usize,
    /// Batches under way or waiting for their next attempt.
    pub in_flight: usize,
    /// Items in the spool.
    pub spooled: u64,
    /// Items the store refused, now in the dead letters.
    pub dead_letters: u64,
    /// Bars that are neither in the store nor in the spool when the run has ended.
    pub unwritten: u64,
    /// What the store's client counted.
    pub sink: SinkStats,
}
