//! Progress of a fetch: the requested ranges and their covered part, for manifests, second runs and progress bars.

use barmill_core::model::{Symbol, Timestamp};
use barmill_core::port::Position;
use std::sync::{Arc, Mutex, PoisonError};

/// A half-open interval of event time of one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolRange {
    /// The instrument.
    pub symbol: Symbol,
    /// Start, included.
    pub from: Timestamp,
    /// End, excluded; what trades after the run began is not in it, so an end in the future is never reached.
    pub to: Timestamp,
}

impl SymbolRange {
    /// What is left of the interval after a restart from `position` of a feed of these ranges.
    #[must_use]
    pub fn resumed(self, position: Position) -> SymbolRange {
        let start = i64::try_from(position.0)
            .ok()
            .and_then(Timestamp::from_nanos)
            .unwrap_or(Timestamp::MAX);
        SymbolRange {
            from: self.from.max(start),
            ..self
        }
    }
}

/// How far one symbol's history is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// What was asked.
    pub range: SymbolRange,
    /// Every trade of the interval before this instant is delivered; trades at it may be.
    pub covered_to: Timestamp,
    /// Whether every trade of the interval is delivered; then `covered_to` is its end.
    pub is_complete: bool,
    /// Pages fetched.
    pub pages: u64,
    /// Trades delivered.
    pub trades: u64,
    /// Rows left out because the venue gave them twice.
    pub duplicates: u64,
}

/// The coverage of every range of a feed, in the order asked; a handle that outlives the feed.
#[derive(Debug, Clone)]
pub struct Progress {
    ranges: Arc<Mutex<Vec<Coverage>>>,
    now: Timestamp,
}

impl Progress {
    /// A range that ends after `now` cannot become complete.
    pub(crate) fn new(ranges: &[SymbolRange], now: Timestamp) -> Progress {
        let coverage = |&range: &SymbolRange| Coverage {
            range,
            covered_to: range.from,
            is_complete: false,
            pages: 0,
            trades: 0,
            duplicates: 0,
        };
        Progress {
            ranges: Arc::new(Mutex::new(ranges.iter().map(coverage).collect())),
            now,
        }
    }

    /// The state of every range now.
    pub fn coverage(&self) -> Vec<Coverage> {
        self.ranges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The instant before which every range is delivered, in nanoseconds.
    pub(crate) fn position(&self) -> Position {
        let ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let unfinished = ranges.iter().filter(|coverage| !coverage.is_complete);
        let first = unfinished.map(|coverage| coverage.covered_to).min();
        let end = || {
            ranges
                .iter()
                .map(|coverage| coverage.range.to)
                .max()
                .unwrap_or_default()
        };
        Position(u64::try_from(first.unwrap_or_else(end).as_nanos()).unwrap_or(0))
    }

    pub(crate) fn on_page(&self, index: usize, duplicates: u64) {
        self.change(index, |coverage| {
            coverage.pages += 1;
            coverage.duplicates += duplicates;
        });
    }

    pub(crate) fn on_delivered(&self, index: usize, trades: usize, last: Timestamp) {
        self.change(index, |coverage| {
            coverage.trades += u64::try_from(trades).unwrap_or(u64::MAX);
            coverage.covered_to = coverage.covered_to.max(last);
        });
    }

    pub(crate) fn on_complete(&self, index: usize) {
        let now = self.now;
        self.change(index, |coverage| {
            if now < coverage.range.to {
                return;
            }
            coverage.covered_to = coverage.range.to.max(coverage.range.from);
            coverage.is_complete = true;
        });
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut Coverage)) {
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(coverage) = ranges.get_mut(index) {
            change(coverage);
        }
    }
}
