//! What the tracks of a feed share: their rules, their counts, and where they leave their results.

use super::settings::GapSettings;
use barmill_core::model::{Timestamp, Trade};
use barmill_core::port::Gap;

/// What the tracks of a feed share.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The settings.
    pub(crate) gaps: GapSettings,
    /// Whether identities have no holes.
    pub(crate) is_contiguous: bool,
    /// `gaps.overlap` in nanoseconds.
    pub(crate) overlap_ns: i64,
    /// Nanoseconds of the finest step of the socket's clock, at least 1.
    pub(crate) resolution_ns: i64,
}

impl Rules {
    /// An instant as the socket's clock tells it.
    ///
    /// The archive's clock may be finer. A copy of its own among trades of the socket would seem later than those that
    /// follow it within the step, and close a bar in their place.
    pub(crate) fn as_told(&self, time: Timestamp) -> Timestamp {
        time.saturating_sub(time.as_nanos().rem_euclid(self.resolution_ns))
    }
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
pub(crate) struct Output<'a> {
    /// Trades to deliver, in order.
    pub(crate) trades: &'a mut Vec<Trade>,
    /// Holes that stay open.
    pub(crate) unfilled: &'a mut Vec<Gap>,
    /// The counts.
    pub(crate) stats: &'a mut GapStats,
    /// Live trades that may still be held, of all symbols together.
    pub(crate) room: usize,
}
