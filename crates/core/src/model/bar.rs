//! Bars, and the updates that publish them.

use super::{BarSpec, Manifest, Notional, Price, Symbol, Timestamp, Volume};

/// The four prices of a bar, set by its eligible trades.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ohlc {
    /// Price of the eligible trade with the smallest (time, sequence, id).
    pub open: Price,
    /// Highest eligible price.
    pub high: Price,
    /// Lowest eligible price.
    pub low: Price,
    /// Price of the eligible trade with the largest (time, sequence, id); where all of them may close only if
    /// first, the open.
    pub close: Price,
}

/// Flags of a bar: what is special or incomplete about it.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BarFlags {
    /// Trades inside the window are known to be missing.
    pub gap: bool,
    /// The window was seen only in part.
    pub partial: bool,
    /// No trade happened; the prices are the close before it.
    pub filled: bool,
}

impl BarFlags {
    /// The flags as bits 0 (gap), 1 (partial) and 2 (filled), for storage.
    pub const fn bits(self) -> u8 {
        self.gap as u8 | (self.partial as u8) << 1 | (self.filled as u8) << 2
    }

    /// Takes back what [`BarFlags::bits`] gave; unknown bits are ignored.
    pub const fn from_bits(bits: u8) -> BarFlags {
        BarFlags {
            gap: bits & 1 != 0,
            partial: bits & 2 != 0,
            filled: bits & 4 != 0,
        }
    }
}

/// The identity of a bar: symbol, spec and start.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BarKey {
    /// The instrument.
    pub symbol: Symbol,
    /// Its spec, such as `1m`.
    pub spec: BarSpec,
    /// Start of the window.
    pub start: Timestamp,
}

/// One bar: the trades of one symbol in one window `[start, end)`.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// The instrument.
    pub symbol: Symbol,
    /// Its spec, such as `1m`.
    pub spec: BarSpec,
    /// Start of the window, included; labels the bar.
    pub start: Timestamp,
    /// End of the window, excluded.
    pub end: Timestamp,
    /// The prices; `None` when no trade of the window may set one.
    pub prices: Option<Ohlc>,
    /// Sum of the sizes that count for volume.
    pub volume: Volume,
    /// Sum of price times size of the trades that count for the vwap.
    pub notional: Notional,
    /// Volume of the trades that count for the vwap.
    pub notional_volume: Volume,
    /// Trades that count for volume.
    pub trades: u64,
    /// Volume whose taker bought; zero where the venue does not tell.
    pub buy_volume: Volume,
    /// Volume whose taker sold; zero where the venue does not tell.
    pub sell_volume: Volume,
    /// Sequence of the first trade in (time, sequence, id) order.
    pub first_sequence: u64,
    /// Sequence of the last trade in (time, sequence, id) order.
    pub last_sequence: u64,
    /// Its flags.
    pub flags: BarFlags,
}

impl Bar {
    /// The identity of this bar.
    pub fn key(&self) -> BarKey {
        BarKey {
            symbol: self.symbol,
            spec: self.spec,
            start: self.start,
        }
    }

    /// The volume-weighted average price: notional / volume, half-even at 9 places.
    pub fn vwap(&self) -> Option<Price> {
        self.notional.per(self.notional_volume)
    }
}

/// How far the publication of a bar has come.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BarState {
    /// The window is open; more trades may come.
    Forming,
    /// The watermark passed the end of the window.
    Final,
    /// Published before, and changed by a trade behind the watermark.
    Revised,
}

impl BarState {
    /// The state's name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            BarState::Forming => "forming",
            BarState::Final => "final",
            BarState::Revised => "revised",
        }
    }

    /// The state of a name; `None` for any other text.
    pub fn from_name(name: &str) -> Option<BarState> {
        [BarState::Forming, BarState::Final, BarState::Revised]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// One published state of a bar.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarUpdate {
    /// The complete bar as it is now, never a difference.
    pub bar: Bar,
    /// Forming, final or revised.
    pub state: BarState,
    /// Zero for the first final bar, then the count of its changes: trades behind the watermark, corrections, gaps.
    pub revision: u32,
    /// Trades that count for volume added since the last final or revised update of this bar; zero where a
    /// correction left fewer.
    pub trades_added: u64,
}

/// An item to write to a store.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteItem {
    /// A bar.
    Bar(BarUpdate),
    /// A manifest; written after the bars that it describes are in the store.
    Manifest(Manifest),
}
