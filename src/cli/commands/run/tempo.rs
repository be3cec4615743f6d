//! What a live run does by the clock: forming updates, saved places, gauges, and the ends that quiet symbols reach.

use crate::BarSpec;
use crate::config::{Config, SourceName};
use crate::pipeline::{PipelineSettings, ShardTimes};
use barmill_sources::live::{QuietEnd, QuietSettings};
use jiff::tz::TimeZone;
use std::time::Duration;

/// Time between two counts of the open bars.
const GAUGE_EVERY: Duration = Duration::from_secs(1);
/// How often bars that end with a session are looked at.
const SESSION_STEP: Duration = Duration::from_mins(15);
/// How often bars cut by trades are looked at.
const CUT_STEP: Duration = Duration::from_secs(1);

/// Sets what the shards and the writer do by the clock; `places` are the names of the feeds' saved places.
pub(super) fn set(settings: &mut PipelineSettings, config: &Config, places: Vec<String>) {
    let live = &config.live;
    let forming_every =
        (live.forming_every_ms > 0).then(|| Duration::from_millis(live.forming_every_ms));
    settings.aggregate.forming = forming_every.is_some();
    // Of these venues only Alpaca corrects and cancels over its socket.
    settings.aggregate.corrections = live.sources.as_slice().contains(&SourceName::Alpaca);
    settings.times = ShardTimes {
        forming_every,
        place_every: (!places.is_empty()).then(|| Duration::from_millis(live.checkpoint_every_ms)),
        gauge_every: Some(GAUGE_EVERY),
    };
    settings.writer.places = places;
}

/// The ends that quiet symbols are told to have reached.
pub(super) fn quiet(config: &Config, zone: &TimeZone) -> QuietSettings {
    let end = |spec: &BarSpec| match spec {
        BarSpec::Time(length) => QuietEnd::Window(Duration::from_nanos(length.get())),
        BarSpec::Day => QuietEnd::Day(zone.clone()),
        BarSpec::Session => QuietEnd::Steady(SESSION_STEP),
        BarSpec::Tick(_) | BarSpec::Volume(_) | BarSpec::Value(_) => QuietEnd::Steady(CUT_STEP),
    };
    let specs = config.bars.specs.as_slice();
    let mut ends: Vec<QuietEnd> = specs.iter().map(end).collect();
    if specs.contains(&BarSpec::Session) {
        ends.push(QuietEnd::Day(zone.clone()));
    }
    QuietSettings {
        ends,
        slack: Duration::from_millis(config.bars.lateness_ms),
    }
}
