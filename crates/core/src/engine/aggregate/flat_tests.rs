//! Tests of flat bars: the rules of filling, and equality with a naive model in any order.

use super::testing::{any_trades, at, trade};
use super::{Aggregator, AggregatorSettings, Fill, SessionWindows};
use crate::engine::calendar::{Calendar, SessionKind};
use crate::model::{BarKey, BarState, BarUpdate, Ohlc, Price, Timestamp, Trade};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

fn filling(spec: &str, revise_within_ns: i64) -> AggregatorSettings {
    AggregatorSettings {
        fill: Fill::PreviousClose,
        revise_within_ns,
        ..AggregatorSettings::new(vec![spec.parse().unwrap()])
    }
}

fn tick(minute: i64, price: &str) -> Trade {
    trade("FL.A", minute * MINUTE, price, "1")
}

/// State, minute, close and revision of each update; a star marks flat bars.
fn push(aggregator: &mut Aggregator, trades: &[Trade]) -> Vec<String> {
    let mut out = Vec::new();
    aggregator.push(trades, &mut out);
    out.iter().map(brief).collect()
}

fn brief(update: &BarUpdate) -> String {
    let flat = if update.bar.flags.filled { "*" } else { "" };
    let (minute, close) = (
        update.bar.start.as_nanos() / MINUTE,
        update.bar.prices.unwrap().close,
    );
    format!(
        "{} {minute} {close}{flat} r{}",
        update.state.as_str(),
        update.revision
    )
}

#[test]
fn windows_without_trades_are_flat_before_the_next_bar() {
    let mut aggregator = Aggregator::new(filling("1m", 0));
    push(&mut aggregator, &[tick(0, "1"), tick(3, "2")]);
    let updates = push(&mut aggregator, &[tick(4, "3")]);
    assert_eq!(updates, ["final 1 1* r0", "final 2 1* r0", "final 3 2 r0"]);
    assert_eq!(aggregator.counts().bars, 4);
}

#[test]
fn late_trade_revises_the_flat_bar_and_those_after_it() {
    let mut aggregator = Aggregator::new(filling("1m", 60 * MINUTE));
    push(&mut aggregator, &[tick(0, "1"), tick(4, "2"), tick(5, "3")]);
    assert_eq!(
        push(&mut aggregator, &[tick(2, "7")]),
        ["revised 2 7 r1", "revised 3 7* r1"]
    );
    let same = Trade {
        sequence: 1,
        ..tick(0, "1")
    };
    assert_eq!(
        push(&mut aggregator, &[same]),
        ["revised 0 1 r1"],
        "flat bars keep an equal price"
    );
    assert_eq!(
        push(
            &mut aggregator,
            &[Trade {
                sequence: 2,
                ..tick(0, "9")
            }]
        ),
        ["revised 0 9 r2", "revised 1 9* r1"]
    );
}

#[test]
fn late_first_bar_is_followed_by_flat_ones() {
    let mut aggregator = Aggregator::new(filling("1m", 60 * MINUTE));
    let updates = push(&mut aggregator, &[tick(4, "2"), tick(5, "3"), tick(2, "7")]);
    assert_eq!(updates, ["final 4 2 r0", "final 2 7 r0", "final 3 7* r0"]);
}

#[test]
fn one_run_of_flat_bars_is_at_most_a_day_long() {
    let mut aggregator = Aggregator::new(filling("1h", 0));
    let updates = push(
        &mut aggregator,
        &[tick(0, "1"), tick(3 * 1_440, "2"), tick(4 * 1_440, "2")],
    );
    assert_eq!(updates.len(), 1 + 24 + 1);
    assert_eq!(updates[24], "final 1440 1* r0");
}

#[test]
fn nights_between_sessions_are_not_filled() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let session = Some(SessionWindows::new(
        SessionKind::Regular,
        zone,
        Calendar::us_equities_assumed(),
    ));
    let mut aggregator = Aggregator::new(AggregatorSettings {
        session,
        ..filling("5m", 0)
    });
    let one = |text: &str| Trade {
        time: text.parse().unwrap(),
        ..tick(0, "1")
    };
    let mut out = Vec::new();
    aggregator.push(
        &[one("2025-07-01T19:50:00Z"), one("2025-07-02T13:35:00Z")],
        &mut out,
    );
    aggregator.finish(&mut out);
    let starts: Vec<String> = out
        .iter()
        .map(|update| update.bar.start.to_string())
        .collect();
    let expected = [
        "2025-07-01T19:50:00Z",
        "2025-07-01T19:55:00Z",
        "2025-07-02T13:30:00Z",
        "2025-07-02T13:35:00Z",
    ];
    assert_eq!(starts, expected);
}

fn plain_closes(tape: &[Trade]) -> BTreeMap<Timestamp, (Price, u64)> {
    let mut sorted = tape.to_vec();
    sorted.sort_by_key(Trade::key);
    let mut bars: BTreeMap<i64, (Price, u64)> = BTreeMap::new();
    for one in sorted {
        let bar = bars
            .entry(one.time.as_nanos() / SECOND)
            .or_insert((one.price, 0));
        *bar = (one.price, bar.1 + 1);
    }
    let (Some(first), Some(last)) = (bars.keys().next().copied(), bars.keys().last().copied())
    else {
        return BTreeMap::new();
    };
    let mut filled = BTreeMap::new();
    let mut close = Price::ZERO;
    for second in first..=last {
        let (price, trades) = bars.get(&second).copied().unwrap_or((close, 0));
        close = price;
        filled.insert(at(second * SECOND), (price, trades));
    }
    filled
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_the_flat_bars_of_the_model(
        times in proptest::collection::vec((any_trades(), 0i64..40), 0..40),
        chunk in 1usize..20,
    ) {
        let with_time = |(number, (one, half)): (u64, (Trade, i64))| {
            Trade { time: at(half * SECOND / 2), id: crate::model::TradeId::from_number(number), ..one }
        };
        let tape: Vec<Trade> = (0u64..).zip(times).map(with_time).collect();
        let mut aggregator = Aggregator::new(filling("1s", 60 * SECOND));
        let mut out = Vec::new();
        for trades in tape.chunks(chunk) {
            aggregator.push(trades, &mut out);
        }
        aggregator.finish(&mut out);
        let mut bars: BTreeMap<BarKey, BarUpdate> = BTreeMap::new();
        for update in out {
            let before = bars.insert(update.bar.key(), update);
            prop_assert_eq!(before.is_none(), update.state == BarState::Final);
            prop_assert!(before.is_none_or(|before| before.revision < update.revision));
        }
        let level = |bar: &crate::model::Bar, price| bar.prices == Some(Ohlc { open: price, high: price, low: price, close: price });
        prop_assert!(bars.values().all(|one| !one.bar.flags.filled || level(&one.bar, one.bar.prices.unwrap().close)));
        let closes: BTreeMap<Timestamp, (Price, u64)> =
            bars.values().map(|one| (one.bar.start, (one.bar.prices.unwrap().close, one.bar.trades))).collect();
        prop_assert_eq!(closes, plain_closes(&tape));
    }
}

#[test]
fn forming_after_a_close_tells_of_no_bar_that_is_none() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        forming: true,
        ..filling("1m", 0)
    });
    let mut out = Vec::new();
    aggregator.push(&[tick(0, "1")], &mut out);
    aggregator.close_before(tick(0, "1").symbol, at(MINUTE), &mut out);
    assert_eq!(out.len(), 1);
    out.clear();
    aggregator.forming(&mut out);
    assert_eq!(out, []);
}
