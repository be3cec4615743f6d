//! The manifest: the covered interval, so that a reader knows in one command whether a day is complete.
//!
//! Also what a feed says of its own input, from which manifests are made.

use super::{BarSpec, Symbol, Timestamp, Trade};

/// Which trades the bars of one spec, date and symbol contain, and whether the day is complete.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The bars' spec.
    pub spec: BarSpec,
    /// The civil date in `zone`.
    pub date: jiff::civil::Date,
    /// The instrument.
    pub symbol: Symbol,
    /// IANA name of the zone that `date`, and `{date}` and `{time}` in keys, are in.
    pub zone: String,
    /// Start of the covered interval, included.
    pub from: Timestamp,
    /// End of the covered interval, excluded.
    pub to: Timestamp,
    /// Whether everything that was asked for is in the interval.
    pub complete: bool,
    /// Whether the feed vouches that every trade of `[from, to)` was read, so that a later run may go on from `to`;
    /// without it the interval is only that of the bars.
    pub gapless: bool,
    /// Bars written.
    pub bars: u64,
    /// Trades that count for volume in them.
    pub trades: u64,
    /// The highest revision among them.
    pub revision: u32,
    /// What the bars were made from, and by which rules; `None` where the writer did not tell.
    pub origin: Option<Origin>,
}

/// The source and rules of bars; the bars of a day have one origin.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The source, with what else decides its trades, such as the feed of a venue.
    pub source: String,
    /// The name of the tape rules, with what else decides the bars.
    pub rules: String,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} by {}", self.source, self.rules)
    }
}

/// One interval of one symbol that a feed has read without a gap.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// The instrument.
    pub symbol: Symbol,
    /// Start of the interval asked for, included.
    pub from: Timestamp,
    /// Every trade of the interval before this instant was delivered; the interval's end when it is complete.
    pub to: Timestamp,
    /// Whether every trade of the interval was delivered.
    pub complete: bool,
}

impl Covered {
    /// What remains covered when these trades, in order of time, did not arrive after all.
    #[must_use]
    pub fn without(self, lost: &[Trade]) -> Covered {
        let is_inside = |trade: &&Trade| {
            trade.symbol == self.symbol
                && self.from <= trade.time
                && (trade.time < self.to || !self.complete)
        };
        match lost.iter().find(is_inside) {
            Some(first) => Covered {
                to: self.to.min(first.time),
                complete: false,
                ..self
            },
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Covered;
    use crate::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos).unwrap()
    }

    fn symbol(name: &str) -> Symbol {
        name.parse().unwrap()
    }

    fn trade(name: &str, nanos: i64) -> Trade {
        Trade {
            symbol: symbol(name),
            time: at(nanos),
            sequence: 0,
            id: TradeId::NONE,
            price: Price::from_raw(1),
            size: Size::ZERO,
            conditions: Conditions::NONE,
            venue: 0,
            correction: 0,
            side: Side::Unknown,
            sequenced: false,
        }
    }

    #[test]
    fn lost_trades_shorten_what_is_vouched_for() {
        let whole = Covered {
            symbol: symbol("A"),
            from: at(10),
            to: at(20),
            complete: true,
        };
        assert_eq!(
            whole.without(&[trade("B", 15), trade("A", 20), trade("A", 5)]),
            whole
        );
        let short = whole.without(&[trade("A", 15), trade("A", 18)]);
        assert_eq!((short.to, short.complete), (at(15), false));
        let part = Covered {
            complete: false,
            ..whole
        };
        assert_eq!(part.without(&[trade("A", 25)]), part);
        assert_eq!(part.without(&[trade("A", 12)]).to, at(12));
    }
}
