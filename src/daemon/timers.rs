//! Timers of a live run: forming updates, checkpoints, gauges, and the ends of idle symbols' bars.

use crate::BarSpec;
use crate::pipeline::ShardTimes;
use barmill_sources::live::{IdleEnd, IdleSettings};
use jiff::tz::TimeZone;
use std::time::Duration;

/// Time between two counts of the open bars.
const GAUGE_EVERY: Duration = Duration::from_secs(1);
/// How often bars that end with a session are looked at.
const SESSION_STEP: Duration = Duration::from_mins(15);
/// How often bars cut by trades are looked at.
const CUT_STEP: Duration = Duration::from_secs(1);

/// Whether throughput counts or latency.
#[cfg(feature = "cli")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LatencyMode {
    /// Batches fill up.
    Throughput,
    /// Batches go at once while nothing is in flight.
    Low,
}

/// What the shards of a live run do by the clock; `None` is never.
pub(crate) fn shard_times(
    forming_every: Option<Duration>,
    checkpoint_every: Option<Duration>,
) -> ShardTimes {
    ShardTimes {
        forming_every,
        checkpoint_every,
        gauge_every: Some(GAUGE_EVERY),
    }
}

/// The ends that quiet symbols are told to have reached, so that their bars close in time.
pub(crate) fn idle_closing(specs: &[BarSpec], zone: &TimeZone, lateness: Duration) -> IdleSettings {
    let end = |spec: &BarSpec| match spec {
        BarSpec::Time(length) => IdleEnd::Window(Duration::from_nanos(length.get())),
        BarSpec::Day => IdleEnd::Day(zone.clone()),
        BarSpec::Session => IdleEnd::Steady(SESSION_STEP),
        BarSpec::Tick(_) | BarSpec::Volume(_) | BarSpec::Value(_) => IdleEnd::Steady(CUT_STEP),
    };
    let mut ends: Vec<IdleEnd> = specs.iter().map(end).collect();
    if specs.contains(&BarSpec::Session) {
        ends.push(IdleEnd::Day(zone.clone()));
    }
    IdleSettings {
        ends,
        slack: lateness,
    }
}
