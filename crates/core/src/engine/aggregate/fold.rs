//! The state of one bar: a fold of trades that does not depend on their order.
//!
//! Folding is commutative and associative (sums, extremes, and the trades with the smallest and largest
//! key), so any order, any chunks and any merge of parts give the same bar. Deliberately knows nothing of
//! windows, watermarks or publication.

use crate::engine::rules::Eligible;
use crate::model::{Notional, Ohlc, Price, Side, Timestamp, Trade, TradeId, TradeKey, Volume};

const KEY_MIN: TradeKey = TradeKey {
    time: Timestamp::EPOCH,
    sequence: 0,
    id: TradeId::from_raw(0),
    price: Price::ZERO,
};
const KEY_MAX: TradeKey = TradeKey {
    time: Timestamp::MAX,
    sequence: u64::MAX,
    id: TradeId::NONE,
    price: Price::MAX,
};

/// The fold of any number of trades of one symbol.
///
/// What no trade has set yet stands crossed (first above last, low above high), so that adding needs no
/// case for it. The fields stand in the order of their use: a trade in order touches the first two lines of
/// the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Fold {
    last: (Timestamp, u64),
    close: TradeKey,
    high: Price,
    low: Price,
    trades: u64,
    notional: Notional,
    volume: Volume,
    first: (Timestamp, u64),
    open: TradeKey,
    buy_volume: Volume,
    sell_volume: Volume,
    /// Volume of the trades that do not count for the vwap.
    outside_vwap: Volume,
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
        outside_vwap: Volume::ZERO,
        first: (Timestamp::MAX, u64::MAX),
        open: KEY_MAX,
    };

    /// Adds one trade, as far as it is eligible.
    #[inline]
    pub fn add(&mut self, trade: &Trade, eligible: Eligible) {
        let key = trade.key();
        let is_plain = eligible == Eligible::ALL && trade.side == Side::Unknown;
        if is_plain && self.last < (key.time, key.sequence) && self.close.price != Price::ZERO {
            self.add_last(trade);
        } else {
            self.add_any(trade, eligible);
        }
    }

    /// The most common case: a trade after the last one, which may do everything, in a fold with a close.
    #[inline]
    fn add_last(&mut self, trade: &Trade) {
        self.last = (trade.time, trade.sequence);
        self.close = trade.key();
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.trades += 1;
        self.volume += trade.size;
        self.notional.add(Notional::of(trade.price, trade.size));
    }

    fn add_any(&mut self, trade: &Trade, eligible: Eligible) {
        let key = trade.key();
        let place = (key.time, key.sequence);
        // After the last trade, and with a close, which is never without an open: the first ones stay.
        if self.last < place && self.close.price != Price::ZERO {
            self.last = place;
            if eligible.close() {
                self.close = key;
            }
        } else {
            self.add_ends(key, eligible);
        }
        if eligible.high_low() {
            self.high = self.high.max(trade.price);
            self.low = self.low.min(trade.price);
        }
        if eligible.volume() {
            self.trades += 1;
            self.volume += trade.size;
            if eligible.vwap() {
                self.notional.add(Notional::of(trade.price, trade.size));
            } else {
                self.outside_vwap += trade.size;
            }
            match trade.side {
                Side::Buy => self.buy_volume += trade.size,
                Side::Sell => self.sell_volume += trade.size,
                Side::Unknown => {}
            }
        }
    }

    /// Moves the first and the last, whatever the order.
    fn add_ends(&mut self, key: TradeKey, eligible: Eligible) {
        raise(&mut self.last, (key.time, key.sequence));
        lower(&mut self.first, (key.time, key.sequence));
        if eligible.close() {
            raise(&mut self.close, key);
        }
        if eligible.open() {
            lower(&mut self.open, key);
        }
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

    /// The price of the last trade that may set the close whatever else there is; without one, of the first
    /// that may set it only if first, which then is the open.
    pub fn close(&self) -> Option<Price> {
        if self.close == KEY_MIN {
            (self.open != KEY_MAX).then_some(self.open.price)
        } else {
            Some(self.close.price)
        }
    }

    /// Trades that count for volume.
    pub const fn trades(&self) -> u64 {
        self.trades
    }

    /// Sum of the sizes that count for volume.
    pub const fn volume(&self) -> Volume {
        self.volume
    }

    /// Sum of price times size of the trades that count for the vwap.
    pub const fn notional(&self) -> Notional {
        self.notional
    }

    /// Sum of the sizes that count for the vwap.
    pub const fn notional_volume(&self) -> Volume {
        Volume::from_raw(self.volume.raw() - self.outside_vwap.raw())
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
impl Fold {
    /// Adds the trades of another fold.
    fn merge(&mut self, other: &Fold) {
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
        self.outside_vwap += other.outside_vwap;
    }
}

#[cfg(test)]
mod tests {
    use super::Fold;
    use crate::engine::aggregate::testing::{any_eligible, any_trades, price, trade};
    use crate::engine::rules::{Eligible, OpenClose};
    use crate::model::{Notional, Price, Trade, Volume};
    use proptest::prelude::*;

    fn fold(trades: &[(Trade, Eligible)]) -> Fold {
        let mut fold = Fold::EMPTY;
        for (trade, eligible) in trades {
            fold.add(trade, *eligible);
        }
        fold
    }

    #[test]
    fn prices_need_all_four() {
        let one = trade("A", 5, "10", "1");
        let of =
            |high_low, open_close| fold(&[(one, Eligible::new(high_low, open_close, true, true))]);
        assert!(of(true, OpenClose::Yes).prices().is_some());
        assert!(of(true, OpenClose::OnlyIfFirst).prices().is_some());
        assert_eq!(of(true, OpenClose::No).prices(), None);
        assert_eq!(of(false, OpenClose::Yes).prices(), None);
        assert_eq!(of(false, OpenClose::No).trades(), 1);
        assert_eq!(Fold::EMPTY.prices(), None);
    }

    #[test]
    fn open_and_close_follow_the_key_and_not_the_arrival() {
        let trades = [
            trade("A", 5, "12", "1"),
            trade("A", 3, "11", "1"),
            trade("A", 9, "10", "1"),
        ];
        let prices = fold(&trades.map(|trade| (trade, Eligible::ALL)))
            .prices()
            .unwrap();
        assert_eq!((prices.open, prices.close), (price("11"), price("10")));
        assert_eq!((prices.high, prices.low), (price("12"), price("10")));
    }

    #[test]
    fn only_if_first_opens_always_and_closes_only_alone() {
        let if_first = Eligible::new(true, OpenClose::OnlyIfFirst, true, true);
        let ends = |trades: &[(i64, &str, Eligible)]| {
            let trades: Vec<(Trade, Eligible)> = trades
                .iter()
                .map(|(time, price, eligible)| (trade("A", *time, price, "1"), *eligible))
                .collect();
            let prices = fold(&trades).prices().unwrap();
            (prices.open.to_string(), prices.close.to_string())
        };
        let of = |open: &str, close: &str| (open.to_owned(), close.to_owned());
        assert_eq!(
            ends(&[(1, "5", if_first), (2, "6", if_first)]),
            of("5", "5")
        );
        assert_eq!(
            ends(&[(2, "6", if_first), (1, "5", if_first)]),
            of("5", "5")
        );
        assert_eq!(
            ends(&[
                (1, "5", if_first),
                (2, "6", Eligible::ALL),
                (3, "7", if_first)
            ]),
            of("5", "6")
        );
        assert_eq!(
            ends(&[(1, "5", Eligible::ALL), (2, "6", if_first)]),
            of("5", "5")
        );
    }

    #[test]
    fn vwap_has_a_volume_of_its_own() {
        let odd = Eligible::new(false, OpenClose::No, true, false);
        let fold = fold(&[
            (trade("A", 1, "10", "4"), Eligible::ALL),
            (trade("A", 2, "20", "3"), odd),
        ]);
        assert_eq!(
            (
                fold.volume().to_string(),
                fold.notional_volume().to_string()
            ),
            ("7".into(), "4".into())
        );
        assert_eq!(
            fold.notional().per(fold.notional_volume()),
            Some(price("10"))
        );
    }

    /// The close as the rule words it.
    fn plain_close(trades: &[(Trade, Eligible)]) -> Option<Price> {
        let of = |wanted| {
            trades
                .iter()
                .filter(move |(_, eligible)| eligible.open_close() == wanted)
                .map(|(trade, _)| trade)
        };
        let last = of(OpenClose::Yes).max_by_key(|trade| trade.key());
        last.or_else(|| of(OpenClose::OnlyIfFirst).min_by_key(|trade| trade.key()))
            .map(|trade| trade.price)
    }

    proptest! {
        #[test]
        fn any_order_and_any_parts_give_one_fold(
            trades in proptest::collection::vec((any_trades(), any_eligible()), 0..40),
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
            prop_assert_eq!(whole.close(), plain_close(&trades));
            let (mut volume, mut notional) = (Volume::ZERO, Notional::ZERO);
            for (trade, _) in trades.iter().filter(|(_, eligible)| eligible.vwap()) {
                volume += trade.size;
                notional.add(Notional::of(trade.price, trade.size));
            }
            prop_assert_eq!((whole.notional_volume(), whole.notional()), (volume, notional));
        }
    }
}
