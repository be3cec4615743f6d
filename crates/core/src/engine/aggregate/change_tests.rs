//! Corrections and gaps: each rule by hand, and corrections against the corrected tape.

use super::reference_tests::{CUTS, SECOND, SPECS, any_rules, any_tape, delayed, run, settings};
use super::testing::{at, trade};
use super::{AggregateCounts, Aggregator, AggregatorSettings, Fill, Original};
use crate::model::{Bar, BarKey, BarUpdate, Conditions, Price, Symbol, Trade, TradeId};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

const MINUTE: i64 = 60 * SECOND;

fn correctable(texts: &[&str]) -> AggregatorSettings {
    AggregatorSettings {
        revise_within_ns: 10 * MINUTE,
        corrections: true,
        ..AggregatorSettings::new(texts.iter().map(|text| text.parse().unwrap()).collect())
    }
}

fn tick(id: u64, nanos: i64, price: &str) -> Trade {
    Trade {
        id: TradeId::from_number(id),
        ..trade("CH.A", nanos, price, "1")
    }
}

fn named(id: u64) -> Original {
    Original::Id {
        venue: 0,
        id: TradeId::from_number(id),
    }
}

fn symbol() -> Symbol {
    "CH.A".parse().unwrap()
}

/// State, spec, minute, close, volume, revision and flags of each update.
fn brief(updates: &[BarUpdate]) -> Vec<String> {
    let line = |update: &BarUpdate| {
        let bar = update.bar;
        let close = bar
            .prices
            .map_or("-".to_owned(), |prices| prices.close.to_string());
        let flags = [(bar.flags.gap, " gap"), (bar.flags.filled, " flat")];
        let flags: String = flags
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| *name)
            .collect();
        let minute = bar.start.as_nanos() / MINUTE;
        let state = update.state.as_str();
        format!(
            "{state} {} {minute} {close} v{} r{}{flags}",
            bar.spec, bar.volume, update.revision
        )
    };
    updates.iter().map(line).collect()
}

fn push(aggregator: &mut Aggregator, trades: &[Trade]) -> Vec<String> {
    let mut out = Vec::new();
    aggregator.push(trades, &mut out);
    brief(&out)
}

fn correct(aggregator: &mut Aggregator, id: u64, replacement: Option<Trade>) -> Vec<String> {
    let mut out = Vec::new();
    aggregator.correct(symbol(), named(id), replacement, &mut out);
    brief(&out)
}

#[test]
fn correction_revises_the_published_bars_of_its_trade() {
    let mut aggregator = Aggregator::new(correctable(&["1m", "1d"]));
    push(
        &mut aggregator,
        &[tick(1, 0, "1"), tick(2, 1, "9"), tick(3, MINUTE, "2")],
    );
    assert_eq!(
        correct(&mut aggregator, 2, Some(tick(2, 1, "3"))),
        ["revised 1m 0 3 v2 r1"]
    );
    assert_eq!(correct(&mut aggregator, 2, None), ["revised 1m 0 1 v1 r2"]);
    assert_eq!(
        correct(&mut aggregator, 1, Some(tick(7, MINUTE + 1, "4"))),
        ["revised 1m 0 - v0 r3"]
    );
    let counts = aggregator.counts();
    assert_eq!(
        (
            counts.corrected,
            counts.cancelled,
            counts.uncorrected,
            counts.revised
        ),
        (2, 1, 0, 3)
    );
    let mut out = Vec::new();
    aggregator.finish(&mut out);
    assert_eq!(brief(&out), ["final 1m 1 4 v2 r0", "final 1d 0 4 v2 r0"]);
}

#[test]
fn correction_of_an_unknown_or_settled_trade_is_counted_and_changes_nothing() {
    let mut aggregator = Aggregator::new(correctable(&["1m"]));
    push(
        &mut aggregator,
        &[tick(1, 0, "1"), tick(2, 10 * MINUTE + 1, "2")],
    );
    assert!(correct(&mut aggregator, 9, None).is_empty());
    assert!(
        correct(&mut aggregator, 1, None).is_empty(),
        "before the horizon"
    );
    assert!(
        correct(&mut aggregator, 2, Some(tick(2, 0, "2"))).is_empty(),
        "to before the horizon"
    );
    let mut without = Aggregator::new(AggregatorSettings {
        corrections: false,
        ..correctable(&["1m"])
    });
    push(&mut without, &[tick(1, 0, "1")]);
    assert!(correct(&mut without, 1, None).is_empty(), "not kept");
    assert_eq!(
        (
            aggregator.counts().uncorrected,
            without.counts().uncorrected
        ),
        (3, 1)
    );
}

#[test]
fn cancelled_trade_stays_a_duplicate_and_a_replacement_becomes_one() {
    let mut aggregator = Aggregator::new(correctable(&["1m"]));
    push(&mut aggregator, &[tick(1, 0, "1"), tick(2, 1, "2")]);
    correct(&mut aggregator, 1, None);
    correct(&mut aggregator, 2, Some(tick(3, 2, "4")));
    assert!(
        push(
            &mut aggregator,
            &[tick(1, 0, "1"), tick(2, 1, "2"), tick(3, 2, "4")]
        )
        .is_empty()
    );
    assert_eq!(aggregator.counts().duplicates, 3);
    let mut out = Vec::new();
    aggregator.finish(&mut out);
    assert_eq!(brief(&out), ["final 1m 0 4 v1 r0"]);
}

#[test]
fn bar_emptied_by_a_cancel_is_flat_where_windows_are_filled() {
    let filling = AggregatorSettings {
        fill: Fill::PreviousClose,
        ..correctable(&["1m"])
    };
    let mut aggregator = Aggregator::new(filling);
    push(
        &mut aggregator,
        &[
            tick(1, 0, "1"),
            tick(2, MINUTE, "2"),
            tick(3, 3 * MINUTE, "3"),
        ],
    );
    push(&mut aggregator, &[tick(4, 4 * MINUTE, "4")]);
    let expected = ["revised 1m 1 1 v0 r1 flat", "revised 1m 2 1 v0 r1 flat"];
    assert_eq!(correct(&mut aggregator, 2, None), expected);
}

#[test]
fn trade_that_is_cut_already_is_corrected_in_time_bars_only() {
    let mut both = Aggregator::new(correctable(&["1m", "tick:1"]));
    push(&mut both, &[tick(1, 0, "1"), tick(2, 1, "2")]);
    assert!(correct(&mut both, 1, None).is_empty());
    assert_eq!((both.counts().behind_cut, both.counts().cancelled), (1, 1));
    let mut cut = Aggregator::new(correctable(&["tick:1"]));
    push(&mut cut, &[tick(1, 0, "1"), tick(2, 1, "2")]);
    assert!(correct(&mut cut, 1, None).is_empty());
    assert_eq!((cut.counts().uncorrected, cut.counts().cancelled), (1, 0));
    assert_eq!(correct(&mut cut, 2, Some(tick(2, 1, "3"))), [""; 0]);
    assert_eq!(
        push(&mut cut, &[tick(3, 2, "4")]),
        ["final tick:1 0 3 v1 r0"]
    );
}

#[test]
fn gap_marks_published_open_and_later_bars() {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        forming: true,
        ..correctable(&["1m", "tick:9"])
    });
    push(
        &mut aggregator,
        &[
            tick(1, 0, "1"),
            tick(2, MINUTE, "2"),
            tick(3, 2 * MINUTE, "3"),
        ],
    );
    let mut out = Vec::new();
    aggregator.forming(&mut out);
    out.clear();
    aggregator.mark_gap(symbol(), at(MINUTE + 1), at(3 * MINUTE + 1), &mut out);
    assert_eq!(brief(&out), ["revised 1m 1 2 v1 r1 gap"]);
    out.clear();
    aggregator.mark_gap(symbol(), at(MINUTE), at(2 * MINUTE), &mut out);
    aggregator.mark_gap(symbol(), at(MINUTE), at(MINUTE), &mut out);
    assert!(
        out.is_empty(),
        "a bar is marked once, and an empty gap marks none"
    );
    aggregator.forming(&mut out);
    assert_eq!(
        brief(&out),
        ["forming 1m 2 3 v1 r0 gap", "forming tick:9 0 2 v2 r0 gap"]
    );
    out.clear();
    aggregator.push(
        &[tick(4, 3 * MINUTE, "4"), tick(5, 4 * MINUTE, "5")],
        &mut out,
    );
    aggregator.finish(&mut out);
    assert_eq!(
        brief(&out),
        [
            "final 1m 2 3 v1 r0 gap",
            "final 1m 3 4 v1 r0 gap",
            "final 1m 4 5 v1 r0",
            "final tick:9 0 5 v5 r0 gap"
        ]
    );
}

#[test]
fn gap_of_one_symbol_is_not_that_of_another() {
    let mut aggregator = Aggregator::new(correctable(&["1m"]));
    let mut out = Vec::new();
    aggregator.mark_gap("CH.B".parse().unwrap(), at(0), at(MINUTE), &mut out);
    aggregator.push(&[tick(1, 0, "1"), trade("CH.B", 0, "1", "1")], &mut out);
    aggregator.finish(&mut out);
    assert_eq!(
        brief(&out),
        ["final 1m 0 1 v1 r0", "final 1m 0 1 v1 r0 gap"]
    );
}

/// The last content of every bar that has trades.
fn content(updates: &[BarUpdate]) -> BTreeMap<BarKey, Bar> {
    let mut bars: BTreeMap<BarKey, Bar> = updates
        .iter()
        .map(|update| (update.bar.key(), update.bar))
        .collect();
    bars.retain(|_, bar| bar.prices.is_some() || bar.trades > 0 || bar.last_sequence > 0);
    bars
}

/// A correction: after how many trades, of which of them, and what it makes of it.
#[derive(Debug, Clone, Copy)]
struct Change {
    after: usize,
    which: usize,
    cancels: bool,
    renames: bool,
    shift: i64,
    price: u64,
    condition: u32,
}

fn any_change() -> impl Strategy<Value = Change> {
    let place = (0usize..120, 0usize..120, any::<bool>(), any::<bool>());
    (place, -6i64..6, 1u64..40, 0u32..50).prop_map(
        |((after, which, cancels, renames), halves, price, condition)| Change {
            after,
            which,
            cancels,
            renames,
            shift: halves * SECOND / 2,
            price,
            condition,
        },
    )
}

impl Change {
    fn replacement(self, old: &Trade, id: u64) -> Option<Trade> {
        (!self.cancels).then(|| Trade {
            time: old.time.saturating_add(self.shift),
            price: Price::from_raw(self.price),
            id: if self.renames {
                TradeId::from_number(id)
            } else {
                old.id
            },
            conditions: Conditions::NONE.with(self.condition).unwrap(),
            ..*old
        })
    }
}

/// Runs the tape with the changes, and gives the tape as it should have been.
fn run_changed(
    settings: AggregatorSettings,
    tape: &[Trade],
    changes: &[Change],
) -> (Vec<BarUpdate>, AggregateCounts, Vec<Trade>) {
    let mut aggregator = Aggregator::new(settings);
    let (mut out, mut corrected) = (Vec::new(), Vec::new());
    for (count, one) in (1..).zip(tape) {
        aggregator.push(std::slice::from_ref(one), &mut out);
        corrected.push(*one);
        for (id, change) in (1_000 * count..).zip(
            changes
                .iter()
                .filter(|change| u64::try_from(change.after) == Ok(one.id.raw())),
        ) {
            let which = change.which % corrected.len();
            let old = corrected[which];
            let replacement = change.replacement(&old, id);
            let before = aggregator.counts().uncorrected;
            aggregator.correct(
                old.symbol,
                Original::of(&old).unwrap(),
                replacement,
                &mut out,
            );
            if aggregator.counts().uncorrected == before {
                match replacement {
                    Some(new) => corrected[which] = new,
                    None => drop(corrected.remove(which)),
                }
            }
            if corrected.is_empty() {
                break;
            }
        }
    }
    aggregator.finish(&mut out);
    (out, aggregator.counts(), corrected)
}

/// Each trade once.
fn unique(tape: &[Trade]) -> Vec<Trade> {
    let mut known = HashSet::new();
    tape.iter()
        .filter(|one| known.insert(one.id))
        .copied()
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn corrections_give_the_bars_of_the_corrected_tape(
        tape in any_tape(),
        changes in proptest::collection::vec(any_change(), 0..40),
        seed in any::<u64>(),
        revise in 0i64..30,
        rules in any_rules(),
    ) {
        let lateness = 2 * SECOND;
        let tape = delayed(&unique(&tape), lateness, seed);
        let corrections = AggregatorSettings { corrections: true, ..settings(lateness, revise * SECOND, &SPECS, &rules) };
        let (updates, counts, corrected) = run_changed(corrections, &tape, &changes);
        let (plain, expected) = run(settings(0, 0, &SPECS, &rules), &delayed(&corrected, 0, 0), 16);
        prop_assert_eq!(content(&updates), content(&plain));
        prop_assert_eq!(counts.ineligible, expected.ineligible);
        prop_assert_eq!(counts.trades - counts.cancelled, expected.trades);
        prop_assert_eq!(counts.late + counts.duplicates, 0);
    }

    #[test]
    fn corrections_of_trades_that_wait_cut_as_the_corrected_tape(
        tape in any_tape(),
        changes in proptest::collection::vec(any_change(), 0..40),
        rules in any_rules(),
    ) {
        let tape = delayed(&unique(&tape), 0, 0);
        for text in CUTS {
            let waiting = AggregatorSettings { corrections: true, ..settings(i64::MAX / 2, 0, &[text], &rules) };
            let (updates, counts, corrected) = run_changed(waiting, &tape, &changes);
            let (plain, _) = run(settings(0, 0, &[text], &rules), &delayed(&corrected, 0, 0), 16);
            prop_assert_eq!(content(&updates), content(&plain));
            prop_assert_eq!(counts.uncorrected + counts.behind_cut, 0);
        }
    }
}
