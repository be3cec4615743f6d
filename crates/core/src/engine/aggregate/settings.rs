//! Settings and counts of an aggregator.

use super::window::SessionWindows;
use crate::engine::rules::Rules;
use crate::model::BarSpec;
use jiff::tz::TimeZone;
use std::ops::AddAssign;

/// Whether and how windows without trades become bars.
///
/// See the example of [`BarSpec`](crate::model::BarSpec).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fill {
    /// They become none.
    #[default]
    None,
    /// Between two bars of a symbol they become flat bars at the close before them.
    PreviousClose,
}

/// What becomes of bars whose trades may set no price, such as a minute of odd lots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VolumeOnly {
    /// They are published without prices, with their volume.
    #[default]
    Carry,
    /// They are left out and counted; longer bars hold their volume all the same. One that was published before
    /// is revised.
    Skip,
}

/// Settings of an aggregator.
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

/// What an aggregator counted. Every trade is in a bar or in exactly one of `late`, `duplicates`,
/// `ineligible`, `outside_session` and `cancelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AggregateCounts {
    /// Trades taken in.
    pub trades: u64,
    /// Trades behind the watermark by more than `revise_within_ns`, or behind every cut.
    pub late: u64,
    /// Trades seen before.
    pub duplicates: u64,
    /// Trades whose conditions or correction let them set nothing.
    pub ineligible: u64,
    /// Trades outside the session.
    pub outside_session: u64,
    /// Trades and corrections that time bars took, while tick, volume and value bars were already cut behind
    /// them.
    pub behind_cut: u64,
    /// Changes of bars after their publication, one per bar and trade, correction or gap.
    pub revised: u64,
    /// Bars published, each counted once.
    pub bars: u64,
    /// Closed bars left out because none of their trades may set a price.
    pub volume_only: u64,
    /// Trades that a correction replaced.
    pub corrected: u64,
    /// Trades that a correction took away.
    pub cancelled: u64,
    /// Corrections of trades that are not kept, or not any more.
    pub uncorrected: u64,
}

impl AddAssign for AggregateCounts {
    fn add_assign(&mut self, other: AggregateCounts) {
        self.trades += other.trades;
        self.late += other.late;
        self.duplicates += other.duplicates;
        self.ineligible += other.ineligible;
        self.outside_session += other.outside_session;
        self.behind_cut += other.behind_cut;
        self.revised += other.revised;
        self.bars += other.bars;
        self.volume_only += other.volume_only;
        self.corrected += other.corrected;
        self.cancelled += other.cancelled;
        self.uncorrected += other.uncorrected;
    }
}
