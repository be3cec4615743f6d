//! Borrowed context passed to a series while it publishes bars.

use super::counts::AggregateCounts;
use super::fold::Fold;
use super::gaps::meets;
use super::window::{Cadence, Windows};
use super::zone_cache::Span;
use crate::model::{Bar, BarFlags, BarSpec, BarState, BarUpdate, Ohlc, Price, Symbol, Timestamp};

/// Whether and how windows without trades become bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fill {
    /// They become none.
    #[default]
    None,
    /// Between two bars of a symbol they become flat bars at the close before them.
    PreviousClose,
}

/// What becomes of bars whose trades may set no price, such as a minute of odd lots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VolumeOnly {
    /// They are published without prices, with their volume.
    #[default]
    Carry,
    /// They are left out and counted; longer bars hold their volume all the same. One that was published before
    /// is revised.
    Skip,
}

/// Names a bar that changed after its publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revision {
    pub(super) slot: usize,
    pub(super) start: i64,
}

/// The surroundings of one series while it works.
#[derive(Debug)]
pub(super) struct SeriesContext<'a> {
    pub(super) symbol: Symbol,
    pub(super) spec: BarSpec,
    pub(super) cadence: Cadence,
    /// The series' place in the table.
    pub(super) slot: usize,
    /// Windows that end here or earlier are closed.
    pub(super) watermark: i64,
    /// Windows that end here or earlier can change no more.
    pub(super) settled: i64,
    pub(super) fill: Fill,
    pub(super) volume_only: VolumeOnly,
    /// The symbol's gaps.
    pub(super) gaps: &'a [Span],
    pub(super) windows: &'a mut Windows,
    pub(super) revisions: &'a mut Vec<Revision>,
    pub(super) counts: &'a mut AggregateCounts,
    pub(super) out: &'a mut Vec<BarUpdate>,
}

impl SeriesContext<'_> {
    /// The bar of a window; `flat` is the price of one without trades.
    #[inline]
    pub(super) fn bar(&self, span: Span, fold: &Fold, flat: Option<Price>) -> Bar {
        let mut bar = bar(self.symbol, self.spec, span, fold, flat);
        bar.flags.gap = meets(self.gaps, span);
        bar
    }
}

/// The bar of a fold; `flat` is the price of a window without trades.
#[inline]
pub(super) fn bar(
    symbol: Symbol,
    spec: BarSpec,
    span: Span,
    fold: &Fold,
    flat: Option<Price>,
) -> Bar {
    let instant = |nanos| Timestamp::from_nanos(nanos).unwrap_or(Timestamp::MAX);
    let level = |price| Ohlc {
        open: price,
        high: price,
        low: price,
        close: price,
    };
    Bar {
        symbol,
        spec,
        start: instant(span.start),
        end: instant(span.end),
        prices: flat.map_or_else(|| fold.prices(), |price| Some(level(price))),
        volume: fold.volume(),
        notional: fold.notional(),
        notional_volume: fold.notional_volume(),
        trades: fold.trades(),
        buy_volume: fold.buy_volume(),
        sell_volume: fold.sell_volume(),
        first_sequence: fold.first().map_or(0, |(_, sequence)| sequence),
        last_sequence: fold.last().map_or(0, |(_, sequence)| sequence),
        flags: BarFlags {
            gap: false,
            partial: false,
            filled: flat.is_some(),
        },
    }
}

/// The first publication of a closed bar.
#[inline]
pub(super) fn first_final(bar: Bar) -> BarUpdate {
    BarUpdate {
        bar,
        state: BarState::Final,
        revision: 0,
        trades_added: bar.trades,
    }
}
