//! The result of a run, and its counts while it runs.

use crate::engine::aggregate::AggregateCounts;
use crate::pipeline::{FeedCounts, RunError, ShardCounts, WriterCounts};
use std::time::Duration;

/// What every actor has counted so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// One entry per feed.
    pub feeds: Vec<FeedCounts>,
    /// The sum of all shards.
    pub aggregate: AggregateCounts,
    /// One entry per shard.
    pub shards: Vec<ShardCounts>,
    /// Batches waiting before each shard.
    pub shard_queues: Vec<usize>,
    /// Messages waiting before the writer.
    pub writer_queue: usize,
    /// The writer.
    pub writer: WriterCounts,
}

/// The counts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Trades delivered by the feeds.
    pub trades: u64,
    /// Final bars in the store.
    pub bars: u64,
    /// Trades too late for their bar.
    pub late: u64,
    /// Trades seen before.
    pub duplicates: u64,
    /// Trades that may set no price and no volume, or lie outside the session.
    pub ineligible: u64,
    /// Closed bars left out because none of their trades may set a price.
    pub volume_only: u64,
    /// Records that could not be decoded and were skipped on request.
    pub malformed: u64,
    /// Revised updates in the store.
    pub revised: u64,
    /// Requests sent to the store, retries included.
    pub requests: u64,
    /// Commands sent to the store, retries included.
    pub commands: u64,
    /// Connections opened to the store.
    pub connections: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Items in the spool.
    pub spooled: u64,
    /// Bars of an earlier run that could not be compared with the store; run again to compare them.
    pub unproved: u64,
    /// Items that the store refused permanently.
    pub dead_letters: u64,
    /// Recent bars compared with the store.
    pub compared: u64,
    /// Of these, missing or older bars that were written back.
    pub written_back: u64,
    /// Dead letters that were sent again.
    pub redelivered: u64,
    /// Dead letters dropped because the store has the bar in this or a newer version.
    pub outdated: u64,
    /// Bars that are neither in the store nor in the spool.
    pub unwritten: u64,
    /// Whether a feed was stopped before the end of its input.
    pub stopped: bool,
    /// From the start to the end of the last actor.
    pub elapsed: Duration,
}

impl Summary {
    pub(super) fn of(state: &State, elapsed: Duration) -> Summary {
        let aggregate = &state.aggregate;
        let writer = &state.writer;
        Summary {
            trades: state.feeds.iter().map(|feed| feed.trades).sum(),
            malformed: state.feeds.iter().map(|feed| feed.stats.malformed).sum(),
            bars: writer.bars,
            late: aggregate.late,
            duplicates: aggregate.duplicates,
            ineligible: aggregate.ineligible + aggregate.outside_session,
            volume_only: aggregate.volume_only,
            revised: writer.revised,
            requests: writer.sink.requests,
            commands: writer.sink.commands,
            connections: writer.sink.connections,
            retries: writer.retries,
            spooled: writer.spooled,
            unproved: writer.unproved,
            dead_letters: writer.dead_letters,
            compared: writer.compared,
            written_back: writer.written_back,
            redelivered: writer.redelivered,
            outdated: writer.outdated,
            unwritten: writer.unwritten,
            stopped: state.feeds.iter().any(|feed| feed.stopped),
            elapsed,
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// Every bar handed to the writer is in the store.
    Drained,
    /// The drain deadline passed, or the run was aborted.
    Aborted,
    /// An actor failed.
    Failed(RunError),
}

/// How a run ended, and its counts.
#[derive(Debug)]
pub struct Finished {
    /// The figures.
    pub summary: Summary,
    /// How it ended.
    pub end: End,
}
