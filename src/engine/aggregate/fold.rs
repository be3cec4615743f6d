//! The state of one bar: a fold of trades that does not depend on their order.
//!
//! Folding is commutative and associative (sums, extremes, and the trades with the smallest and largest
//! key), so any order, any chunks and any merge of parts give the same bar. Deliberately knows nothing of
//! windows, watermarks or publication.

use super::eligibility::Rights;
use crate::model::{Notional, Ohlc, Price, Side, Timestamp, Trade, TradeId, TradeKey, Volume};

const KEY_MIN: TradeKey =
    TradeKey { time: Timestamp::EPOCH, sequence: 0, id: TradeId::from_raw(0), price: Price::ZERO };
const KEY_MAX: TradeKey =
    TradeKey { time: Timestamp::MAX, sequence: u64::MAX, id: TradeId::NONE, price: Price::MAX };

/// The fold of any number of trades of one symbol.
///
/// What no trade has set yet stands crossed (first above last, low above high), so that adding needs no
/// case for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    last: (Timestamp, u64),
    close: TradeKey,
    high: Price,
    low: Price,
    trades: u64,
    volume: Volume,
    notional: Notional,
    buy_volume: Volume,
    sell_volume: Volume,
    first: (Timestamp, u64),
    open: TradeKey,
}

impl Fold {
    /// The fold of no trade.
    pub const EMPTY: Fold = Fold {
        last: (Timestamp::EPOCH, 0),
        close: KEY_MIN,
        high: Price::ZERO,
        low: Price::MAX,
        trades: 0,
        volume: Volume::ZERO,
        notional: Notional::ZERO,
        buy_volume: Volume::ZERO,
        sell_volume: Volume::ZERO,
        first: (Timestamp::MAX, u64::MAX),
        open: KEY_MAX,
    };

    /// Adds one trade, as far as its rights go.
    #[inline]
    pub fn add(&mut self, trade: &Trade, rights: Rights) {
        let key = trade.key();
        raise(&mut self.last, (trade.time, trade.sequence));
        lower(&mut self.first, (trade.time, trade.sequence));
        if rights.open_close() {
            raise(&mut self.close, key);
            lower(&mut self.open, key);
        }
        if rights.high_low() {
            self.high = self.high.max(trade.price);
            self.low = self.low.min(trade.price);
        }
        if rights.volume() {
            self.trades += 1;
            self.volume += trade.size;
            self.notional.add(Notional::of(trade.price, trade.size));
            match trade.side {
                Side::Buy => self.buy_volume += trade.size,
                Side::Sell => self.sell_volume += trade.size,
                Side::Unknown => {}
            }
        }
    }

    /// Adds the trades of another fold.
    pub fn merge(&mut self, other: &Fold) {
        raise(&mut self.last, other.last);
        lower(&mut self.first, other.first);
        raise(&mut self.close, other.close);
        lower(&mut self.open, other.open);
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.trades += other.trades;
        self.volume += other.volume;
        self.notional.add(other.notional);
        self.buy_volume += other.buy_volume;
        self.sell_volume += other.sell_volume;
    }

    /// Whether no trade was added.
    pub fn is_empty(&self) -> bool {
        self.last < self.first
    }

    /// The four prices; `None` unless all four are set.
    pub fn prices(&self) -> Option<Ohlc> {
        let close = self.close()?;
        (self.low <= self.high).then_some(Ohlc {
            open: self.open.price,
            high: self.high,
            low: self.low,
            close,
        })
    }

    /// The price of the last trade that may set one.
    pub fn close(&self) -> Option<Price> {
        (self.open <= self.close).then_some(self.close.price)
    }

    /// Trades that count for volume.
    pub const fn trades(&self) -> u64 {
        self.trades
    }

    /// Sum of the sizes that count for volume; the same trades count for the vwap.
    pub const fn volume(&self) -> Volume {
        self.volume
    }

    /// Sum of price times size of the trades that count for volume.
    pub const fn notional(&self) -> Notional {
        self.notional
    }

    /// Volume whose taker bought.
    pub const fn buy_volume(&self) -> Volume {
        self.buy_volume
    }

    /// Volume whose taker sold.
    pub const fn sell_volume(&self) -> Volume {
        self.sell_volume
    }

    /// Time and sequence of the first trade; `None` for the empty fold.
    pub fn first(&self) -> Option<(Timestamp, u64)> {
        (!self.is_empty()).then_some(self.first)
    }

    /// Time and sequence of the last trade; `None` for the empty fold.
    pub fn last(&self) -> Option<(Timestamp, u64)> {
        (!self.is_empty()).then_some(self.last)
    }
}

#[inline]
fn raise<K: Ord>(bound: &mut K, key: K) {
    if *bound <= key {
        *bound = key;
    }
}

#[inline]
fn lower<K: Ord>(bound: &mut K, key: K) {
    if key <= *bound {
        *bound = key;
    }
}

#[cfg(test)]
mod tests {
    use super::Fold;
    use crate::engine::aggregate::eligibility::Rights;
    use crate::engine::aggregate::testing::{any_rights, any_trades, price, trade};
    use proptest::prelude::*;

    fn fold(trades: &[(crate::Trade, Rights)]) -> Fold {
        let mut fold = Fold::EMPTY;
        for (trade, rights) in trades {
            fold.add(trade, *rights);
        }
        fold
    }

    #[test]
    fn prices_need_all_four() {
        let one = trade("A", 5, "10", "1");
        let of = |high_low, open_close| fold(&[(one, Rights::new(high_low, open_close, true))]);
        assert!(of(true, true).prices().is_some());
        assert_eq!(of(true, false).prices(), None);
        assert_eq!(of(false, true).prices(), None);
        assert_eq!(of(false, false).trades(), 1);
        assert_eq!(Fold::EMPTY.prices(), None);
    }

    #[test]
    fn open_and_close_follow_the_key_and_not_the_arrival() {
        let trades = [trade("A", 5, "12", "1"), trade("A", 3, "11", "1"), trade("A", 9, "10", "1")];
        let prices = fold(&trades.map(|trade| (trade, Rights::ALL))).prices().unwrap();
        assert_eq!((prices.open, prices.close), (price("11"), price("10")));
        assert_eq!((prices.high, prices.low), (price("12"), price("10")));
    }

    proptest! {
        #[test]
        fn any_order_and_any_parts_give_one_fold(
            trades in proptest::collection::vec((any_trades(), any_rights()), 0..40),
            cut in 0usize..40,
            seed in any::<u64>(),
        ) {
            let whole = fold(&trades);
            let mut shuffled = trades.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let (left, right) = shuffled.split_at(cut.min(trades.len()));
            let mut merged = fold(right);
            merged.merge(&fold(left));
            prop_assert_eq!(merged, whole);
            prop_assert_eq!(whole.is_empty(), trades.is_empty());
        }
    }
}
