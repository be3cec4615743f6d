//! One test for each rule of the aggregation that has a name.

use super::testing::{at, price, trade};
use super::{Aggregator, AggregatorSettings, Fill, SessionWindows, VolumeOnly};
use crate::engine::calendar::{Calendar, SessionKind};
use crate::engine::rules::Rules;
use crate::model::{BarState, BarUpdate, Conditions, Trade, TradeId};
use jiff::tz::TimeZone;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

fn settings(texts: &[&str]) -> AggregatorSettings {
    AggregatorSettings::new(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn tick(nanos: i64, price: &str) -> Trade {
    trade("RU.A", nanos, price, "1")
}

/// State, start in seconds, close, revision and trades added of each update.
fn brief(updates: &[BarUpdate]) -> Vec<String> {
    let line = |update: &BarUpdate| {
        let bar = update.bar;
        let close = bar
            .prices
            .map_or("-".to_owned(), |prices| prices.close.to_string());
        let flat = if bar.flags.filled { " flat" } else { "" };
        let (state, start) = (update.state.as_str(), bar.start.as_nanos() / SECOND);
        format!(
            "{state} {start} {close} r{} +{}{flat}",
            update.revision, update.trades_added
        )
    };
    updates.iter().map(line).collect()
}

fn push(aggregator: &mut Aggregator, trades: &[Trade]) -> Vec<String> {
    let mut out = Vec::new();
    aggregator.push(trades, &mut out);
    brief(&out)
}

fn finish(aggregator: &mut Aggregator) -> Vec<String> {
    let mut out = Vec::new();
    aggregator.finish(&mut out);
    brief(&out)
}

#[test]
fn bar_is_final_when_the_watermark_reaches_its_end() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        lateness_ns: SECOND,
        ..settings(&["1m"])
    });
    let ahead = [
        tick(5 * SECOND, "1"),
        tick(MINUTE, "2"),
        tick(MINUTE + SECOND - 1, "3"),
    ];
    assert!(push(&mut aggregator, &ahead).is_empty());
    assert_eq!(
        push(&mut aggregator, &[tick(MINUTE + SECOND, "4")]),
        ["final 0 1 r0 +1"]
    );
    assert_eq!(finish(&mut aggregator), ["final 60 4 r0 +3"]);
}

#[test]
fn idle_time_closes_bars_as_a_trade_would() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        lateness_ns: SECOND,
        ..settings(&["1m"])
    });
    push(&mut aggregator, &[tick(5 * SECOND, "1")]);
    let mut out = Vec::new();
    aggregator.advance(at(MINUTE + SECOND - 1), &mut out);
    assert!(out.is_empty());
    aggregator.advance(at(MINUTE + SECOND), &mut out);
    assert_eq!(brief(&out), ["final 0 1 r0 +1"]);
    push(&mut aggregator, &[trade("RU.NEW", MINUTE - 1, "1", "1")]);
    assert_eq!(
        aggregator.counts().late,
        1,
        "idle time holds for symbols not seen before"
    );
}

#[test]
fn late_trade_is_counted_and_handed_over_not_folded() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        revise_within_ns: SECOND,
        ..settings(&["1m"])
    });
    let late = tick(MINUTE - 1, "9");
    push(&mut aggregator, &[tick(MINUTE + SECOND, "1"), late]);
    assert_eq!(aggregator.take_late(), [late]);
    assert!(aggregator.take_late().is_empty());
    assert_eq!(aggregator.counts().late, 1);
    assert_eq!(finish(&mut aggregator), ["final 60 1 r0 +1"]);
}

#[test]
fn published_bar_is_revised_once_per_push() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        revise_within_ns: MINUTE,
        ..settings(&["1m"])
    });
    push(&mut aggregator, &[tick(0, "1"), tick(MINUTE, "2")]);
    let behind = [tick(1, "3"), tick(2, "4")];
    assert_eq!(push(&mut aggregator, &behind), ["revised 0 4 r2 +2"]);
    assert_eq!(
        push(&mut aggregator, &[tick(3, "5")]),
        ["revised 0 5 r3 +1"]
    );
    assert_eq!(aggregator.counts().revised, 3);
    assert_eq!(aggregator.counts().bars, 1);
}

#[test]
fn first_trade_of_a_closed_window_is_final_and_the_next_revises() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        revise_within_ns: MINUTE,
        ..settings(&["1m"])
    });
    let trades = [tick(MINUTE, "2"), tick(1, "3"), tick(2, "4")];
    assert_eq!(
        push(&mut aggregator, &trades),
        ["final 0 3 r0 +1", "revised 0 4 r1 +1"]
    );
}

#[test]
fn forming_bars_are_published_when_they_changed() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        forming: true,
        ..settings(&["1m", "tick:9"])
    });
    let forming = |aggregator: &mut Aggregator| {
        let mut out = Vec::new();
        aggregator.forming(&mut out);
        brief(&out)
    };
    push(&mut aggregator, &[tick(0, "1"), tick(1, "2")]);
    assert_eq!(
        forming(&mut aggregator),
        ["forming 0 2 r0 +2", "forming 0 1 r0 +1"]
    );
    assert!(forming(&mut aggregator).is_empty());
    push(&mut aggregator, &[tick(2, "3")]);
    assert_eq!(
        forming(&mut aggregator),
        ["forming 0 3 r0 +3", "forming 0 2 r0 +2"]
    );
}

#[test]
fn bar_without_prices_is_published_with_its_volume() {
    let odd = Conditions::NONE.with(37).unwrap();
    let rules = Rules::by_name("massive-minute").unwrap();
    let mut aggregator = Aggregator::new(AggregatorSettings {
        rules,
        ..settings(&["1m"])
    });
    let mut out = Vec::new();
    aggregator.push(
        &[Trade {
            conditions: odd,
            ..tick(0, "1")
        }],
        &mut out,
    );
    aggregator.finish(&mut out);
    assert_eq!(brief(&out), ["final 0 - r0 +1"]);
    assert_eq!(
        (out[0].bar.volume, out[0].bar.vwap()),
        ("1".parse().unwrap(), Some(price("1")))
    );
}

#[test]
fn skipped_bar_without_prices_is_counted_and_comes_when_a_trade_prices_it() {
    let odd = Conditions::NONE.with(37).unwrap();
    let skipping = AggregatorSettings {
        rules: Rules::by_name("massive-minute").unwrap(),
        volume_only: VolumeOnly::Skip,
        revise_within_ns: MINUTE,
        forming: true,
        ..settings(&["1m"])
    };
    let mut aggregator = Aggregator::new(skipping);
    push(
        &mut aggregator,
        &[Trade {
            conditions: odd,
            ..tick(0, "1")
        }],
    );
    let mut out = Vec::new();
    aggregator.forming(&mut out);
    assert!(out.is_empty());
    assert!(push(&mut aggregator, &[tick(MINUTE, "2")]).is_empty());
    assert_eq!(
        (aggregator.counts().volume_only, aggregator.counts().bars),
        (1, 0)
    );
    assert!(
        push(
            &mut aggregator,
            &[Trade {
                conditions: odd,
                ..tick(1, "3")
            }]
        )
        .is_empty()
    );
    assert_eq!(push(&mut aggregator, &[tick(2, "4")]), ["final 0 4 r0 +3"]);
    assert_eq!(
        push(&mut aggregator, &[tick(3, "5")]),
        ["revised 0 5 r1 +1"]
    );
    assert_eq!(
        (aggregator.counts().volume_only, aggregator.counts().bars),
        (0, 1)
    );
}

#[test]
fn trades_outside_the_session_are_counted_not_folded() {
    let session = SessionWindows::new(
        SessionKind::Regular,
        TimeZone::get("America/New_York").unwrap(),
        Calendar::us_equities_assumed(),
    );
    let mut aggregator = Aggregator::new(AggregatorSettings {
        session: Some(session),
        ..settings(&["session"])
    });
    let instant = |text: &str| text.parse::<crate::model::Timestamp>().unwrap().as_nanos();
    let times = [
        "2025-07-01T13:29:59Z",
        "2025-07-01T13:30:00Z",
        "2025-07-01T19:59:59Z",
        "2025-07-01T20:00:00Z",
    ];
    let mut out = Vec::new();
    aggregator.push(&times.map(|time| tick(instant(time), "1")), &mut out);
    assert_eq!(aggregator.counts().outside_session, 2);
    assert_eq!((out.len(), out[0].bar.trades), (1, 2));
    assert_eq!(out[0].bar.start.as_nanos(), instant("2025-07-01T13:30:00Z"));
}

#[test]
fn files_by_ticker_and_streams_by_time_give_the_same_bars() {
    let one = |symbol, minute| trade(symbol, minute * MINUTE, "1", "1");
    let mut by_time = Vec::new();
    for minute in 0..9 {
        by_time.extend([one("RU.B", minute), one("RU.A", minute)]);
    }
    let mut by_ticker = by_time.clone();
    by_ticker.sort_by_key(|trade| (trade.symbol, trade.time));
    let bars = |trades: &[Trade]| {
        let mut aggregator = Aggregator::new(settings(&["1m", "5m"]));
        let mut out = Vec::new();
        aggregator.push(trades, &mut out);
        aggregator.finish(&mut out);
        out.sort_by_key(|update| update.bar.key());
        assert_eq!(aggregator.counts().late, 0);
        out
    };
    assert_eq!(bars(&by_time), bars(&by_ticker));
}

#[test]
fn end_of_input_closes_everything_by_symbol_spec_and_start() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        lateness_ns: MINUTE,
        ..settings(&["5m", "1m"])
    });
    let mut out = Vec::new();
    let one = |symbol, minute| trade(symbol, minute * MINUTE, "1", "1");
    aggregator.push(&[one("RU.B", 1), one("RU.A", 1), one("RU.A", 0)], &mut out);
    assert!(out.is_empty());
    aggregator.finish(&mut out);
    let keys: Vec<String> = out
        .iter()
        .map(|update| {
            format!(
                "{} {} {}",
                update.bar.symbol, update.bar.spec, update.bar.start
            )
        })
        .collect();
    assert_eq!(
        keys,
        [
            "RU.A 5m 1970-01-01T00:00:00Z",
            "RU.A 1m 1970-01-01T00:00:00Z",
            "RU.A 1m 1970-01-01T00:01:00Z",
            "RU.B 5m 1970-01-01T00:00:00Z",
            "RU.B 1m 1970-01-01T00:01:00Z",
        ]
    );
    assert!(
        out.iter()
            .all(|update| update.state == BarState::Final && !update.bar.flags.partial)
    );
}

#[test]
fn bars_cut_by_trades_never_share_a_start() {
    let mut aggregator = Aggregator::new(settings(&["tick:2"]));
    let mut out = Vec::new();
    let same = |sequence, nanos| Trade {
        sequence,
        ..tick(nanos, "1")
    };
    let trades = [
        same(0, 7),
        same(1, 7),
        same(2, 7),
        same(3, 7),
        same(4, 8),
        same(5, 9),
        same(6, 9),
    ];
    aggregator.push(&trades, &mut out);
    aggregator.finish(&mut out);
    let spans: Vec<(i64, i64, bool)> = out
        .iter()
        .map(|update| {
            (
                update.bar.start.as_nanos(),
                update.bar.end.as_nanos(),
                update.bar.flags.partial,
            )
        })
        .collect();
    assert_eq!(
        spans,
        [(7, 8, false), (8, 9, false), (9, 10, false), (10, 11, true)]
    );
}

#[test]
fn bar_ends_with_the_trade_that_reaches_the_threshold() {
    for (spec, volumes) in [
        ("volume:10", ["12", "12", "4"]),
        ("value:20", ["12", "12", "4"]),
    ] {
        let mut aggregator = Aggregator::new(settings(&[spec]));
        let mut out = Vec::new();
        let lots: Vec<Trade> = (0..7)
            .map(|second| trade("RU.A", second * SECOND, "2", "4"))
            .collect();
        aggregator.push(&lots, &mut out);
        aggregator.finish(&mut out);
        let got: Vec<String> = out
            .iter()
            .map(|update| update.bar.volume.to_string())
            .collect();
        assert_eq!(got, volumes, "{spec}");
    }
}

#[test]
fn trade_behind_the_cut_is_late() {
    let within = |specs: &[&str]| AggregatorSettings {
        revise_within_ns: MINUTE,
        ..settings(specs)
    };
    let trades = [tick(5, "1"), tick(9, "1"), tick(3, "1"), tick(7, "1")];
    let mut cut_only = Aggregator::new(within(&["tick:2"]));
    push(&mut cut_only, &trades);
    assert_eq!(
        (cut_only.counts().late, cut_only.take_late()),
        (1, vec![trades[2]])
    );
    assert_eq!(
        finish(&mut cut_only).len(),
        1,
        "the trade at 7 still joins the one at 9"
    );
    let mut both = Aggregator::new(within(&["1m", "tick:2"]));
    push(&mut both, &trades);
    assert_eq!((both.counts().late, both.counts().behind_cut), (0, 1));
}

#[test]
fn trade_equal_to_the_last_one_cut_is_not_behind_it() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        revise_within_ns: MINUTE,
        ..settings(&["tick:2"])
    });
    assert_eq!(
        push(&mut aggregator, &[tick(5, "1"), tick(9, "1"), tick(5, "1")]),
        ["final 0 1 r0 +2"]
    );
    assert_eq!(aggregator.counts().late, 0);
}

#[test]
fn duplicates_are_dropped_within_the_horizon() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        revise_within_ns: MINUTE,
        ..settings(&["1m"])
    });
    let one = Trade {
        id: TradeId::from_number(1),
        ..tick(0, "1")
    };
    let copy = Trade {
        time: at(1_000_000),
        ..one
    };
    push(&mut aggregator, &[one, tick(30 * SECOND, "2"), copy, one]);
    assert_eq!(aggregator.counts().duplicates, 2);
    assert_eq!(finish(&mut aggregator), ["final 0 2 r0 +2"]);
}

#[test]
fn oldest_open_is_the_start_of_what_may_still_change() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        revise_within_ns: 2 * MINUTE,
        ..settings(&["1m", "tick:2"])
    });
    assert_eq!(aggregator.oldest_open(), None);
    push(
        &mut aggregator,
        &[
            tick(30 * SECOND, "1"),
            tick(MINUTE, "1"),
            tick(2 * MINUTE, "1"),
        ],
    );
    assert_eq!(
        aggregator.oldest_open(),
        Some(at(0)),
        "published, but within the time for revisions"
    );
    push(&mut aggregator, &[tick(3 * MINUTE, "1")]);
    assert_eq!(aggregator.oldest_open(), Some(at(MINUTE)));
    finish(&mut aggregator);
    assert_eq!(aggregator.oldest_open(), None);
}

#[test]
fn content_does_not_depend_on_the_fill_of_another_symbol() {
    let fill = AggregatorSettings {
        fill: Fill::PreviousClose,
        ..settings(&["1m"])
    };
    let mut aggregator = Aggregator::new(fill);
    let trades = [
        trade("RU.A", 0, "1", "1"),
        trade("RU.B", 5 * MINUTE, "2", "1"),
        trade("RU.A", MINUTE, "3", "1"),
    ];
    push(&mut aggregator, &trades);
    assert_eq!(
        finish(&mut aggregator),
        ["final 60 3 r0 +1", "final 300 2 r0 +1"]
    );
}
