//! Stall detection: a run stalls when work waits and no counter moves.

use crate::pipeline::State;
use std::time::Duration;
use tokio::time::Instant;

/// What was counted at the last sign of progress.
#[derive(Debug)]
pub(super) struct StallDetector {
    counted: [u64; 8],
    at: Instant,
}

impl StallDetector {
    pub(super) fn new() -> StallDetector {
        StallDetector {
            counted: [0; 8],
            at: Instant::now(),
        }
    }

    /// Looks at the run, and answers for how long it has made no progress although work waits.
    pub(super) fn stalled_for(&mut self, state: &State) -> Duration {
        let counted = counted(state);
        let writer = &state.writer;
        let pending = writer.queued
            + writer.in_flight
            + state.writer_queue
            + state.shard_queues.iter().sum::<usize>();
        if counted != self.counted || pending == 0 {
            (self.counted, self.at) = (counted, Instant::now());
        }
        self.at.elapsed()
    }
}

/// What grows when anything is done; failed attempts count, as a store that is out is no fault of the run.
fn counted(state: &State) -> [u64; 8] {
    let writer = &state.writer;
    let failures = &writer.failures;
    [
        state.aggregate.trades,
        writer.bars,
        writer.revised,
        writer.coalesced,
        writer.spooled,
        writer.retries,
        writer.sink.requests,
        failures.throttled
            + failures.retry
            + failures.reconnect
            + failures.pause
            + failures.refuse
            + failures.fatal,
    ]
}
