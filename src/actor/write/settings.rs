//! How the writer behaves, and what it counts.

use crate::actor::pace::PaceSettings;
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
}

/// What the writer has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriterCounts {
    /// Final bars acked.
    pub bars: u64,
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
    /// Bars given up when the run ended.
    pub unwritten: u64,
    /// What the store's client counted.
    pub sink: SinkStats,
}
