//! The recent trades of one symbol, so that a correction can fold its bars again.
//!
//! Sums could be undone, but not an extreme or an end. So the trades that a correction may still name are kept,
//! and of a window that began before them the fold of its older trades: a fold merges, so the two give the
//! bar exactly. Deliberately does not know what a trade may set: the caller weighs it.

use super::fold::Fold;
use crate::engine::rules::Eligible;
use crate::engine::zone_cache::Span;
use crate::model::{Timestamp, Trade, TradeId};
use std::collections::VecDeque;

/// Names a trade taken before, as the venue identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Original {
    /// By its identity within the venue; of several the latest.
    Id {
        /// As [`Trade::venue`].
        venue: u16,
        /// As [`Trade::id`].
        id: TradeId,
    },
    /// By its time and the venue's sequence.
    Sequence {
        /// As [`Trade::venue`].
        venue: u16,
        /// As [`Trade::time`].
        time: Timestamp,
        /// As [`Trade::sequence`].
        sequence: u64,
    },
}

impl Original {
    /// The name of a trade; `None` when its venue gives it neither identity nor sequence.
    pub fn of(trade: &Trade) -> Option<Original> {
        let (venue, time, sequence) = (trade.venue, trade.time, trade.sequence);
        if trade.id == TradeId::NONE {
            trade.sequenced.then_some(Original::Sequence {
                venue,
                time,
                sequence,
            })
        } else {
            Some(Original::Id {
                venue,
                id: trade.id,
            })
        }
    }

    fn names(self, trade: &Trade) -> bool {
        Original::of(trade) == Some(self)
    }
}

/// The trades of one symbol within the horizon, and the folds of what lies before it.
#[derive(Debug)]
pub(super) struct RecentTrades {
    /// Sorted by time.
    recent: VecDeque<Trade>,
    /// Per time spec: the start of the window across the horizon, and the fold of its trades before it.
    behind: Vec<(i64, Fold)>,
}

impl RecentTrades {
    pub(super) fn new(spec_count: usize) -> RecentTrades {
        RecentTrades {
            recent: VecDeque::new(),
            behind: vec![(i64::MIN, Fold::EMPTY); spec_count],
        }
    }

    pub(super) fn keep(&mut self, trade: &Trade) {
        match self.recent.back() {
            Some(last) if trade.time < last.time => {
                let index = self
                    .recent
                    .partition_point(|other| other.time <= trade.time);
                self.recent.insert(index, *trade);
            }
            Some(_) | None => self.recent.push_back(*trade),
        }
    }

    /// Takes out a trade that is not before `horizon`.
    pub(super) fn take(&mut self, original: Original, horizon: i64) -> Option<Trade> {
        let is_valid = |trade: &Trade| !trade.is_void() && original.names(trade);
        let valid = self.recent.iter().rposition(is_valid);
        let index =
            valid.or_else(|| self.recent.iter().rposition(|trade| original.names(trade)))?;
        self.recent
            .get(index)
            .filter(|trade| horizon <= trade.time.as_nanos())?;
        self.recent.remove(index)
    }

    /// Lets go the oldest trade if it is before `horizon`.
    pub(super) fn let_go(&mut self, horizon: i64) -> Option<Trade> {
        self.recent
            .pop_front_if(|trade| trade.time.as_nanos() < horizon)
    }

    /// Adds a trade let go to its window of the spec at `index`.
    pub(super) fn put_behind(
        &mut self,
        index: usize,
        start: i64,
        trade: &Trade,
        eligible: Eligible,
    ) {
        let behind = &mut self.behind[index];
        if behind.0 != start {
            *behind = (start, Fold::EMPTY);
        }
        behind.1.add(trade, eligible);
    }

    /// The trades of a window that are kept, and the fold of those that are not.
    pub(super) fn window(&self, index: usize, span: Span) -> (Fold, Vec<Trade>) {
        let (start, fold) = self.behind[index];
        let fold = if start == span.start {
            fold
        } else {
            Fold::EMPTY
        };
        let at = |time| {
            self.recent
                .partition_point(|trade| trade.time.as_nanos() < time)
        };
        let trades = self.recent.range(at(span.start)..at(span.end));
        (fold, trades.copied().collect())
    }
}
