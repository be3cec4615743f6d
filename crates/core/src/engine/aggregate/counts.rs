//! Counters of the aggregation, one for each reason to leave a trade out.

use std::ops::AddAssign;

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
