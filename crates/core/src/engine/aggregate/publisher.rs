//! The bars of one symbol on their way out: what a bar says of gaps, what is left out, what is counted.

use super::fold::Fold;
use super::settings::{AggregateCounts, VolumeOnly};
use crate::engine::zone_cache::Span;
use crate::model::{Bar, BarFlags, BarSpec, BarState, BarUpdate, Ohlc, Price, Symbol, Timestamp};
use std::collections::BTreeMap;

/// Gaps kept of one symbol; beyond them the two oldest become one.
const GAPS_LEN_MAX: usize = 256;

/// The gaps of all symbols, by their row: spans of event time in which trades are known to be missing. Every bar that
/// overlaps one says so, whenever it is published.
#[derive(Debug, Default)]
pub(super) struct Gaps(BTreeMap<usize, Vec<Span>>);

impl Gaps {
    /// Adds a gap of one symbol.
    pub(super) fn mark(&mut self, row: usize, span: Span) {
        let spans = self.0.entry(row).or_default();
        spans.push(span);
        spans.sort_unstable_by_key(|span| span.start);
        spans.dedup_by(|next, last| {
            let joined = next.start <= last.end;
            if joined {
                last.end = last.end.max(next.end);
            }
            joined
        });
        if spans.len() > GAPS_LEN_MAX {
            spans[1].start = spans[0].start;
            spans.remove(0);
        }
    }

    /// The gaps of one symbol, in order and apart.
    pub(super) fn of(&self, row: usize) -> &[Span] {
        self.0.get(&row).map_or(&[], Vec::as_slice)
    }
}

/// Makes the bars of one symbol and hands them out.
#[derive(Debug)]
pub(super) struct Publisher<'a> {
    pub(super) symbol: Symbol,
    pub(super) volume_only: VolumeOnly,
    pub(super) gaps: &'a [Span],
    pub(super) counts: &'a mut AggregateCounts,
    pub(super) out: &'a mut Vec<BarUpdate>,
}

impl Publisher<'_> {
    /// Whether a span shares an instant with a gap.
    pub(super) fn is_gapped(&self, span: Span) -> bool {
        self.gaps.iter().any(|gap| gap.overlaps(span))
    }

    /// The bar of a window; `fill_price` is the price of one without trades.
    #[inline]
    pub(super) fn bar(
        &self,
        spec: BarSpec,
        span: Span,
        fold: &Fold,
        fill_price: Option<Price>,
    ) -> Bar {
        let instant = |nanos| Timestamp::from_nanos(nanos).unwrap_or(Timestamp::MAX);
        let level = |price| Ohlc {
            open: price,
            high: price,
            low: price,
            close: price,
        };
        Bar {
            symbol: self.symbol,
            spec,
            start: instant(span.start),
            end: instant(span.end),
            prices: fill_price.map_or_else(|| fold.prices(), |price| Some(level(price))),
            volume: fold.volume(),
            notional: fold.notional(),
            notional_volume: fold.notional_volume(),
            trades: fold.trades(),
            buy_volume: fold.buy_volume(),
            sell_volume: fold.sell_volume(),
            first_sequence: fold.first().map_or(0, |(_, sequence)| sequence),
            last_sequence: fold.last().map_or(0, |(_, sequence)| sequence),
            flags: BarFlags {
                gap: self.is_gapped(span),
                partial: false,
                filled: fill_price.is_some(),
            },
        }
    }

    /// Publishes a closed bar for the first time; false when it is left out, since it has no prices.
    #[inline]
    pub(super) fn close(&mut self, bar: Bar) -> bool {
        let is_left_out = self.leaves_out(&bar);
        if is_left_out {
            self.counts.volume_only += 1;
        } else {
            self.counts.bars += 1;
            self.update(bar, BarState::Final, 0, bar.trades);
        }
        !is_left_out
    }

    /// Publishes an open bar.
    pub(super) fn form(&mut self, bar: Bar) {
        if !self.leaves_out(&bar) {
            self.update(bar, BarState::Forming, 0, bar.trades);
        }
    }

    /// Publishes a closed bar that has changed.
    pub(super) fn revise(&mut self, bar: Bar, revision: u32, trades_added: u64) {
        self.update(bar, BarState::Revised, revision, trades_added);
    }

    fn leaves_out(&self, bar: &Bar) -> bool {
        bar.prices.is_none() && self.volume_only == VolumeOnly::Skip
    }

    #[inline]
    fn update(&mut self, bar: Bar, state: BarState, revision: u32, trades_added: u64) {
        self.out.push(BarUpdate {
            bar,
            state,
            revision,
            trades_added,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{GAPS_LEN_MAX, Gaps};
    use crate::engine::zone_cache::Span;

    fn span(start: i64, end: i64) -> Span {
        Span { start, end }
    }

    #[test]
    fn overlapping_gaps_are_one() {
        let mut gaps = Gaps::default();
        for (start, end) in [(10, 20), (30, 40), (18, 25), (25, 26), (35, 36)] {
            gaps.mark(0, span(start, end));
        }
        assert_eq!(gaps.of(0), [span(10, 26), span(30, 40)]);
        assert!(gaps.of(1).is_empty());
    }

    #[test]
    fn ends_are_excluded() {
        let gap = span(10, 20);
        for (start, end, expected) in [
            (0, 10, false),
            (0, 11, true),
            (19, 30, true),
            (20, 30, false),
        ] {
            assert_eq!(gap.overlaps(span(start, end)), expected, "{start}-{end}");
        }
    }

    #[test]
    fn too_many_gaps_are_joined_and_none_is_forgotten() {
        let mut gaps = Gaps::default();
        let count = i64::try_from(2 * GAPS_LEN_MAX).unwrap();
        for index in 0..count {
            gaps.mark(7, span(10 * index, 10 * index + 1));
        }
        assert_eq!(gaps.of(7).len(), GAPS_LEN_MAX);
        let is_known = |gap: Span| gaps.of(7).iter().any(|kept| kept.overlaps(gap));
        assert!((0..count).all(|index| is_known(span(10 * index, 10 * index + 1))));
    }
}
