//! Trades for the tests of the engines.

use crate::engine::rules::{Eligible, OpenClose};
use crate::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
use proptest::prelude::*;

/// A price from text.
pub(super) fn price(text: &str) -> Price {
    text.parse().unwrap()
}

/// An instant from nanoseconds.
pub(super) fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos).unwrap()
}

/// A trade without identity, in the order of its time.
pub(super) fn trade(symbol: &str, nanos: i64, price: &str, size: &str) -> Trade {
    Trade {
        symbol: symbol.parse::<Symbol>().unwrap(),
        time: at(nanos),
        sequence: 0,
        id: TradeId::NONE,
        price: price.parse().unwrap(),
        size: size.parse().unwrap(),
        conditions: Conditions::NONE,
        venue: 0,
        correction: 0,
        side: Side::Unknown,
        sequenced: false,
    }
}

/// Any answer of the rules.
pub(super) fn any_eligible() -> impl Strategy<Value = Eligible> {
    let open_close =
        proptest::sample::select(vec![OpenClose::No, OpenClose::OnlyIfFirst, OpenClose::Yes]);
    (any::<bool>(), open_close, any::<bool>(), any::<bool>()).prop_map(
        |(high_low, open_close, volume, vwap)| Eligible::new(high_low, open_close, volume, vwap),
    )
}

/// A trade of one symbol, close to others in every field, so that ties happen.
pub(super) fn any_trades() -> impl Strategy<Value = Trade> {
    (0i64..50, 0u64..3, 0u64..3, 1u64..20, 0u128..1000, 0u8..3).prop_map(
        |(time, sequence, id, price, size, side)| Trade {
            time: at(time),
            sequence,
            id: TradeId::from_number(id),
            price: Price::from_raw(price),
            size: Size::from_raw(size).unwrap(),
            side: [Side::Unknown, Side::Buy, Side::Sell][usize::from(side)],
            ..trade("A", 0, "1", "1")
        },
    )
}
