//! Tests that the aggregation's memory does not grow with the number of trades.

use super::testing::trade;
use super::{Aggregator, AggregatorSettings};
use crate::model::{BarSpec, Trade, TradeId};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

/// A day of one symbol, a trade every `step` nanoseconds.
fn day(symbol: &str, step: i64) -> Vec<Trade> {
    let at = |number: i64| Trade {
        id: TradeId::from_number(number.unsigned_abs()),
        ..trade(symbol, number * step, "1", "1")
    };
    (0..24 * 60 * MINUTE / step).map(at).collect()
}

#[test]
fn windows_kept_follow_the_time_for_revisions_and_not_the_tape() {
    // A window is closed before the next one opens, or after it, as the trades are further apart than the lateness or
    // not; in the last tape one or the other.
    for (symbol, steps) in [
        ("ROOM.A", [SECOND; 2]),
        ("ROOM.B", [7 * SECOND; 2]),
        ("ROOM.C", [SECOND, 7 * SECOND]),
    ] {
        let mut aggregator = Aggregator::new(AggregatorSettings {
            lateness_ns: 2 * SECOND,
            revise_within_ns: 15 * MINUTE,
            ..AggregatorSettings::new(vec![BarSpec::MINUTE])
        });
        let mut tape = [day(symbol, steps[0]), day(symbol, steps[1])].concat();
        tape.sort_by_key(|trade| trade.time);
        let mut out = Vec::new();
        for trades in tape.chunks(1_000) {
            aggregator.push(trades, &mut out);
        }
        aggregator.finish(&mut out);
        assert_eq!(out.len(), 24 * 60, "{symbol}");
        let room = aggregator.room();
        // Sixteen windows of the time for revisions, the open one, and the growth by half.
        assert!(room.iter().all(|room| *room <= 27), "{symbol}: {room:?}");
    }
}
