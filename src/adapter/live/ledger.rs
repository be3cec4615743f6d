//! What the tracks of a feed share: their rules, their counts, and where they leave their results.

use super::settings::GapSettings;
use crate::model::Trade;
use crate::port::Gap;

/// What the tracks of a feed share.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// The settings.
    pub(super) gaps: GapSettings,
    /// Whether identities have no holes.
    pub(super) is_contiguous: bool,
    /// `gaps.overlap` in nanoseconds.
    pub(super) overlap_ns: i64,
}

/// What the tracks of a feed counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GapStats {
    /// Trades left out because they were delivered before.
    pub duplicates: u64,
    /// Holes seen, among them those that closed by themselves.
    pub opened: u64,
    /// Holes that stay open.
    pub unfilled: u64,
    /// Trades that came from the archive.
    pub fetched: u64,
    /// Live trades dropped for want of room and fetched afterwards.
    pub dropped: u64,
}

/// Where one call leaves its results.
#[derive(Debug)]
pub(super) struct Output<'a> {
    /// Trades to deliver, in order.
    pub(super) trades: &'a mut Vec<Trade>,
    /// Holes that stay open.
    pub(super) unfilled: &'a mut Vec<Gap>,
    /// The counts.
    pub(super) stats: &'a mut GapStats,
}
