//! Settings of an aggregator.

use super::context::{Fill, VolumeOnly};
use super::session::SessionWindows;
use crate::engine::rules::Rules;
use crate::model::BarSpec;
use jiff::tz::TimeZone;

/// What an aggregator is told at its start.
#[derive(Debug, Clone)]
pub struct AggregatorSettings {
    /// The bars to make, in the order of their output; each spec once.
    pub specs: Vec<BarSpec>,
    /// The zone whose civil days are the bars of `1d`.
    pub zone: TimeZone,
    /// Nanoseconds by which the watermark stays behind the latest event time; zero or above.
    pub lateness_ns: i64,
    /// Nanoseconds behind the watermark within which a trade still revises published bars; zero or above.
    pub revise_within_ns: i64,
    /// What becomes of windows without trades.
    pub fill: Fill,
    /// What becomes of bars whose trades may set no price.
    pub volume_only: VolumeOnly,
    /// What each trade may set; `1d` and `session` follow the daily profile that belongs to it.
    pub rules: Rules,
    /// The sessions whose trades count; `None` for all hours.
    pub session: Option<SessionWindows>,
    /// Whether [`super::Aggregator::forming`] publishes open bars.
    pub forming: bool,
    /// Whether trades of the last `lateness_ns` and `revise_within_ns` are kept, so that
    /// [`super::Aggregator::correct`] can change them: about 100 bytes a trade.
    pub corrections: bool,
}

impl AggregatorSettings {
    /// Bars of trades in order, of all hours and every condition, days in UTC.
    pub fn new(specs: Vec<BarSpec>) -> AggregatorSettings {
        AggregatorSettings {
            specs,
            zone: TimeZone::UTC,
            lateness_ns: 0,
            revise_within_ns: 0,
            fill: Fill::None,
            volume_only: VolumeOnly::Carry,
            rules: Rules::all(),
            session: None,
            forming: false,
            corrections: false,
        }
    }
}
