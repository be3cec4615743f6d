//! The timers and gauges of a shard.

use crate::engine::aggregate::AggregateCounts;
use crate::model::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How often a shard does what no trade brings about; `None` is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardTimes {
    /// Time between two forming updates of an open bar.
    pub forming_every: Option<Duration>,
    /// Time between two words on where a restart begins.
    pub place_every: Option<Duration>,
    /// Time between two counts of the open bars.
    pub gauge_every: Option<Duration>,
}

/// What a shard has done so far, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardCounts {
    /// The aggregation.
    pub aggregate: AggregateCounts,
    /// Bars that were open when they were last counted.
    pub open_bars: usize,
    /// The latest event time taken in.
    pub newest: Timestamp,
    /// Start of the oldest bar that may still change, when it was last looked at.
    pub oldest_open: Option<Timestamp>,
    /// Time for which the writer had no room.
    pub blocked: Duration,
}

/// The next time of something that recurs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timer {
    every: Duration,
    due: Instant,
}

impl Timer {
    pub(super) fn new(every: Option<Duration>) -> Option<Timer> {
        every.map(|every| Timer {
            every,
            due: Instant::now() + every,
        })
    }

    pub(super) fn due(timer: Option<Timer>) -> Option<Instant> {
        timer.map(|timer| timer.due)
    }

    /// Whether it is time; missed times are left out.
    pub(super) fn take(timer: &mut Option<Timer>) -> bool {
        let now = Instant::now();
        match timer {
            Some(timer) if timer.due <= now => {
                timer.due = now + timer.every;
                true
            }
            Some(_) | None => false,
        }
    }
}
