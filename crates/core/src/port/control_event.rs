//! Control events of a feed: corrections, cancels and idle-symbol hints.

use crate::engine::aggregate::Original;
use crate::model::{Symbol, Timestamp, Trade};

/// What a feed tells behind the trades of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlEvent {
    /// A trade delivered before is replaced or taken back.
    Change {
        /// The instrument.
        symbol: Symbol,
        /// Which trade.
        original: Original,
        /// What it should have been; `None` when it never was.
        replacement: Option<Trade>,
    },
    /// No trade of the symbol before this instant is still to come.
    Quiet {
        /// The instrument.
        symbol: Symbol,
        /// Event time, excluded.
        before: Timestamp,
    },
}

impl ControlEvent {
    /// The instrument it speaks of.
    pub fn symbol(&self) -> Symbol {
        match self {
            ControlEvent::Change { symbol, .. } | ControlEvent::Quiet { symbol, .. } => *symbol,
        }
    }
}
