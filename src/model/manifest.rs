//! The manifest: what is covered, so that a reader knows in one command that a day is whole.

use super::{BarSpec, Symbol, Timestamp};

/// What is known about the bars of one spec, civil date and symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The bars' spec.
    pub spec: BarSpec,
    /// The civil date in `zone`.
    pub date: jiff::civil::Date,
    /// The instrument.
    pub symbol: Symbol,
    /// IANA name of the zone that `date`, and `{date}` and `{time}` in keys, are in.
    pub zone: String,
    /// Start of the covered interval, included.
    pub from: Timestamp,
    /// End of the covered interval, excluded.
    pub to: Timestamp,
    /// Whether every trade of the interval was seen.
    pub complete: bool,
    /// Bars written.
    pub bars: u64,
    /// Trades that count for volume in them.
    pub trades: u64,
    /// The highest revision among them.
    pub revision: u32,
}
