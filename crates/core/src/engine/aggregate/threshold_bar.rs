//! Threshold bars: closed by trade count, volume or value instead of time.
//!
//! Where such a bar ends depends on the order of trades, so a trade waits until the watermark has passed
//! it, and goes into the bars in key order. A bar ends with the trade that reaches the threshold; no trade
//! is split. Start is the first trade's time and end the last one's plus 1 ns; where that start is not above
//! the start of the bar before, it is that start plus 1 ns, so that every bar has a name of its own.

use super::context::{VolumeOnly, bar, first_final};
use super::counts::AggregateCounts;
use super::fold::Fold;
use super::gaps::meets;
use super::zone_cache::Span;
use crate::engine::rules::Eligible;
use crate::model::{
    Bar, BarSpec, BarState, BarUpdate, Notional, Size, Symbol, Timestamp, Trade, TradeKey, Volume,
};
use std::collections::VecDeque;

/// Raw units of a size of one.
const ONE: u128 = 10_000_000_000;

/// What a bar must reach to end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Threshold {
    Trades(u64),
    Volume(Volume),
    Value(Notional),
}

impl Threshold {
    /// The threshold of a spec that trades cut; `None` for the others.
    pub(super) fn of(spec: BarSpec) -> Option<Threshold> {
        match spec {
            BarSpec::Tick(count) => Some(Threshold::Trades(count.get())),
            BarSpec::Volume(volume) => Some(Threshold::Volume(volume)),
            BarSpec::Value(value) => {
                let one = Size::from_raw(ONE).unwrap_or(Size::MAX);
                Some(Threshold::Value(Notional::of(value, one)))
            }
            BarSpec::Time(_) | BarSpec::Day | BarSpec::Session => None,
        }
    }

    fn is_reached(self, fold: &Fold) -> bool {
        match self {
            Threshold::Trades(count) => count <= fold.trades(),
            Threshold::Volume(volume) => volume <= fold.volume(),
            Threshold::Value(value) => value <= fold.notional(),
        }
    }
}

/// The unfinished bar of one symbol and spec.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    fold: Fold,
    start_last: i64,
    changed: bool,
}

/// Where the bars of a [`Cut`] go.
#[derive(Debug)]
pub(super) struct CutContext<'a> {
    pub(super) symbol: Symbol,
    pub(super) spec: BarSpec,
    pub(super) volume_only: VolumeOnly,
    /// The symbol's gaps.
    pub(super) gaps: &'a [Span],
    pub(super) counts: &'a mut AggregateCounts,
    pub(super) out: &'a mut Vec<BarUpdate>,
}

impl CutContext<'_> {
    fn leaves_out(&self, bar: &Bar) -> bool {
        bar.prices.is_none() && self.volume_only == VolumeOnly::Skip
    }
}

impl Cut {
    pub(super) const EMPTY: Cut = Cut {
        fold: Fold::EMPTY,
        start_last: -1,
        changed: false,
    };

    /// Takes the next trade in key order.
    pub(super) fn add(
        &mut self,
        queued: &Queued,
        threshold: Threshold,
        context: &mut CutContext<'_>,
    ) {
        self.fold.add(&queued.trade, queued.eligible);
        self.changed = true;
        if threshold.is_reached(&self.fold) {
            self.publish(false, context);
        }
    }

    /// Publishes what is left at the end of the input, as a partial bar.
    pub(super) fn finish(&mut self, context: &mut CutContext<'_>) {
        if !self.fold.is_empty() {
            self.publish(true, context);
        }
    }

    pub(super) fn publish_forming(&mut self, context: &mut CutContext<'_>) {
        if self.changed {
            self.changed = false;
            let bar = self.bar(context);
            if context.leaves_out(&bar) {
                return;
            }
            let trades_added = bar.trades;
            context.out.push(BarUpdate {
                bar,
                state: BarState::Forming,
                revision: 0,
                trades_added,
            });
        }
    }

    /// Notes a gap, so that the next forming update tells of it.
    pub(super) fn mark_gap(&mut self, gap: Span) {
        self.changed |= !self.fold.is_empty() && gap.overlaps(self.span());
    }

    /// Start of the unfinished bar.
    pub(super) fn oldest_start(&self) -> Option<i64> {
        (!self.fold.is_empty()).then(|| self.span().start)
    }

    fn publish(&mut self, partial: bool, context: &mut CutContext<'_>) {
        let mut bar = self.bar(context);
        bar.flags.partial = partial;
        *self = Cut {
            start_last: self.span().start,
            ..Cut::EMPTY
        };
        if context.leaves_out(&bar) {
            context.counts.volume_only += 1;
        } else {
            context.counts.bars += 1;
            context.out.push(first_final(bar));
        }
    }

    fn bar(&self, context: &CutContext<'_>) -> Bar {
        let mut bar = bar(context.symbol, context.spec, self.span(), &self.fold, None);
        bar.flags.gap = meets(context.gaps, self.span());
        bar
    }

    fn span(&self) -> Span {
        let time = |place: Option<(Timestamp, u64)>| place.map_or(0, |(time, _)| time.as_nanos());
        let start = time(self.fold.first()).max(self.start_last.saturating_add(1));
        let end = time(self.fold.last()).max(start).saturating_add(1);
        Span { start, end }
    }
}

/// A trade that waits for its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub(super) trade: Trade,
    pub(super) eligible: Eligible,
}

/// The trades of one symbol that the watermark has not passed, in key order.
#[derive(Debug)]
pub(super) struct Reorder {
    waiting: VecDeque<Queued>,
    released: Option<TradeKey>,
}

impl Reorder {
    pub(super) fn new() -> Reorder {
        Reorder {
            waiting: VecDeque::new(),
            released: None,
        }
    }

    /// Takes a trade; false when one with a larger key was released already.
    pub(super) fn insert(&mut self, queued: Queued) -> bool {
        let key = queued.trade.key();
        if self.released.is_some_and(|released| key < released) {
            return false;
        }
        match self.waiting.back() {
            Some(last) if key < last.trade.key() => {
                let index = self
                    .waiting
                    .partition_point(|other| other.trade.key() <= key);
                self.waiting.insert(index, queued);
            }
            Some(_) | None => self.waiting.push_back(queued),
        }
        true
    }

    /// Gives the next trade before `watermark`.
    pub(super) fn release(&mut self, watermark: i64) -> Option<Queued> {
        let is_due = self
            .waiting
            .front()
            .is_some_and(|queued| queued.trade.time.as_nanos() < watermark);
        let queued = if is_due {
            self.waiting.pop_front()?
        } else {
            return None;
        };
        self.released = Some(queued.trade.key());
        Some(queued)
    }

    /// Takes a trade out; false when it does not wait.
    pub(super) fn remove(&mut self, trade: &Trade) -> bool {
        let index = self
            .waiting
            .iter()
            .position(|queued| queued.trade == *trade);
        index.and_then(|index| self.waiting.remove(index)).is_some()
    }

    /// Gives the next trade whatever its time.
    pub(super) fn release_any(&mut self) -> Option<Queued> {
        self.waiting.pop_front()
    }

    /// Time of the first trade that waits.
    pub(super) fn oldest_time(&self) -> Option<i64> {
        self.waiting
            .front()
            .map(|queued| queued.trade.time.as_nanos())
    }
}
