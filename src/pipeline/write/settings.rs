//! Ports, settings and counts of the writer.

use crate::engine::budget::BudgetLimits;
use crate::engine::circuit::CircuitState;
use crate::engine::delivery::DeliverySettings;
use crate::model::Timestamp;
use crate::pipeline::pace::PaceSettings;
use crate::port::{BarSink, Clock, Remedy, SinkStats, StateStore};
use std::sync::Arc;
use std::time::Duration;

/// What the writer talks to.
#[derive(Debug, Clone)]
pub struct WriterPorts {
    /// The store of bars.
    pub sink: Arc<dyn BarSink>,
    /// The durable state; without it an outage ends the run after the last attempt.
    pub state: Option<Arc<dyn StateStore>>,
    /// The time of day, for what is stamped.
    pub clock: Arc<dyn Clock>,
}

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
    /// Under which name the checkpoint of each feed is saved, by the feed's number; empty saves none.
    pub checkpoints: Vec<String>,
    /// What is put right in a store that lost or refused something.
    pub reconcile: ReconcileSettings,
    /// After the end of the input: longest time without an ack before the rest stays in the spool.
    pub drain_timeout: Duration,
}

/// How a run that is repeated with the same input and settings is recognized, and how often its checkpoint is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeSettings {
    /// Names input and settings: the same name must give the same updates in the same order per shard.
    pub name: String,
    /// Time between two saved places; each costs one pause of about a round trip.
    pub every: Duration,
}

/// What is repaired in a store that lost or refused something, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReconcileSettings {
    /// Bars acked within this time are compared; not longer than bars live in the store.
    pub within: Duration,
    /// Whether bars are compared once the spool of an earlier run is empty.
    pub on_start: bool,
    /// Whether bars are compared when the store is back after a failure that may have been a failover.
    pub on_reconnect: bool,
    /// Whether dead letters are tried once more at the start.
    pub redeliver: bool,
}

/// What the writer has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriterCounts {
    /// Final bars acked, those of an earlier run's spool included.
    pub bars: u64,
    /// Updates not sent again, because an earlier run of the same input has delivered them.
    pub resumed: u64,
    /// Of these, updates that could not be looked for in the store; while there are any, no day is called complete.
    pub unproved: u64,
    /// Revised updates acked.
    pub revised: u64,
    /// Forming updates replaced by newer ones before they were sent.
    pub coalesced: u64,
    /// Forming updates left out so that what is left of the budget goes to final bars.
    pub left_out: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Attempts that failed, by what the failure called for.
    pub failures: FailureCounts,
    /// Items waiting.
    pub queued: usize,
    /// Batches under way or waiting for their next attempt.
    pub in_flight: usize,
    /// Items in the spool.
    pub spooled: u64,
    /// Bytes of spool and dead letters as stored, as the bound of the spool counts them.
    pub spool_bytes: u64,
    /// Where the circuit of the store stands.
    pub circuit: CircuitState,
    /// Percent of the pace that is used, 1 to 100; below 100 after failures.
    pub pace_percent: u64,
    /// Commands sent in the UTC day, those of earlier runs included.
    pub day_commands: u64,
    /// Commands sent in the UTC month, those of earlier runs included.
    pub month_commands: u64,
    /// Time for which the writer took nothing in, so that the sources waited.
    pub blocked: Duration,
    /// When the store last took something; `None` before the first time.
    pub acked_at: Option<Timestamp>,
    /// Items the store refused, now in the dead letters.
    pub dead_letters: u64,
    /// Recent bars compared with the store.
    pub compared: u64,
    /// Of these, bars that the store lacked or held in an older version, and that go to it again.
    pub written_back: u64,
    /// Dead letters that go to the store once more.
    pub redelivered: u64,
    /// Dead letters dropped because the store has the bar in this or a newer version.
    pub outdated: u64,
    /// Bars that are neither in the store nor in the spool when the run has ended.
    pub unwritten: u64,
    /// What the store's client counted.
    pub sink: SinkStats,
}

/// Failed attempts, each by the worst remedy of its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FailureCounts {
    /// The store asked to be left alone for a time (`Retry-After`).
    pub throttled: u64,
    /// Another attempt may succeed: server errors, a store that is loading or full.
    pub retry: u64,
    /// No answer in time, or a broken connection.
    pub reconnect: u64,
    /// The quota or the budget is used up.
    pub pause: u64,
    /// Items that the store refuses for good.
    pub refuse: u64,
    /// Nothing helps before a person acts.
    pub fatal: u64,
}

impl FailureCounts {
    pub(super) fn add(&mut self, remedy: Remedy) {
        let count = match remedy {
            Remedy::Retry { after: Some(_) } => &mut self.throttled,
            Remedy::Retry { after: None } => &mut self.retry,
            Remedy::Reconnect => &mut self.reconnect,
            Remedy::Pause => &mut self.pause,
            Remedy::Refuse => &mut self.refuse,
            Remedy::Fatal => &mut self.fatal,
        };
        *count += 1;
    }
}
