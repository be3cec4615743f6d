//! Threshold bars: closed by trade count, volume or value instead of time.
//!
//! Where such a bar ends depends on the order of trades, so a trade waits until the watermark has passed
//! it, and goes into the bars in key order. A bar ends with the trade that reaches the threshold; no trade
//! is split. Start is the first trade's time and end the last one's plus 1 ns; where that start is not above
//! the start of the bar before, it is that start plus 1 ns, so that every bar has a name of its own.

use super::fold::Fold;
use super::publisher::Publisher;
use crate::engine::rules::Eligible;
use crate::engine::zone_cache::Span;
use crate::model::{Bar, BarSpec, Notional, Size, Timestamp, Trade, TradeKey, Volume};
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
struct ThresholdBar {
    spec: BarSpec,
    threshold: Threshold,
    fold: Fold,
    /// Start of the bar before.
    start_last: i64,
    changed: bool,
}

impl ThresholdBar {
    fn add(&mut self, queued: &Queued, publisher: &mut Publisher<'_>) {
        self.fold.add(&queued.trade, queued.eligible);
        self.changed = true;
        if self.threshold.is_reached(&self.fold) {
            self.close(false, publisher);
        }
    }

    fn close(&mut self, partial: bool, publisher: &mut Publisher<'_>) {
        let mut bar = self.bar(publisher);
        bar.flags.partial = partial;
        self.start_last = self.span().start;
        (self.fold, self.changed) = (Fold::EMPTY, false);
        publisher.close(bar);
    }

    fn bar(&self, publisher: &Publisher<'_>) -> Bar {
        publisher.bar(self.spec, self.span(), &self.fold, None)
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

/// The bars of one symbol that trades cut, and its trades that the watermark has not passed, in key order.
#[derive(Debug)]
pub(super) struct ThresholdBars {
    bars: Vec<ThresholdBar>,
    waiting: VecDeque<Queued>,
    released: Option<TradeKey>,
}

impl ThresholdBars {
    pub(super) fn new(specs: &[(BarSpec, Threshold)]) -> ThresholdBars {
        let bar = |&(spec, threshold): &(BarSpec, Threshold)| ThresholdBar {
            spec,
            threshold,
            fold: Fold::EMPTY,
            start_last: -1,
            changed: false,
        };
        ThresholdBars {
            bars: specs.iter().map(bar).collect(),
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

    /// Takes a trade out; false when it does not wait.
    pub(super) fn remove(&mut self, trade: &Trade) -> bool {
        let index = self
            .waiting
            .iter()
            .position(|queued| queued.trade == *trade);
        index.and_then(|index| self.waiting.remove(index)).is_some()
    }

    /// Puts the trades before `watermark` into the bars; answers whether there were any.
    pub(super) fn release(&mut self, watermark: i64, publisher: &mut Publisher<'_>) -> bool {
        let mut is_any = false;
        while let Some(queued) = self
            .waiting
            .pop_front_if(|queued| queued.trade.time.as_nanos() < watermark)
        {
            is_any = true;
            self.released = Some(queued.trade.key());
            for bar in &mut self.bars {
                bar.add(&queued, publisher);
            }
        }
        is_any
    }

    /// Publishes what is left at the end of the input, as partial bars.
    pub(super) fn finish(&mut self, publisher: &mut Publisher<'_>) {
        self.release(i64::MAX, publisher);
        for bar in &mut self.bars {
            if !bar.fold.is_empty() {
                bar.close(true, publisher);
            }
        }
    }

    pub(super) fn publish_forming(&mut self, publisher: &mut Publisher<'_>) {
        for bar in &mut self.bars {
            if std::mem::replace(&mut bar.changed, false) {
                publisher.form(bar.bar(publisher));
            }
        }
    }

    /// Notes a gap, so that the next forming update has its flag.
    pub(super) fn mark_gap(&mut self, gap: Span) {
        for bar in &mut self.bars {
            bar.changed |= !bar.fold.is_empty() && gap.overlaps(bar.span());
        }
    }

    /// Start of the first unfinished bar, or time of the first trade that waits.
    pub(super) fn oldest_start(&self) -> Option<i64> {
        let waiting = self.waiting.front();
        let waiting = waiting.map(|queued| queued.trade.time.as_nanos());
        self.open().map(|bar| bar.span().start).chain(waiting).min()
    }

    /// Bars with trades that are not yet published.
    pub(super) fn open_len(&self) -> usize {
        self.open().count()
    }

    fn open(&self) -> impl Iterator<Item = &ThresholdBar> {
        self.bars.iter().filter(|bar| !bar.fold.is_empty())
    }
}
