//! Property tests: the engine equals the naive model in any order, chunks and number of shards.

use super::reference::{keep, merged, plain_bars, plain_cuts};
use super::testing::trade;
use super::{AggregateCounts, Aggregator, AggregatorSettings, VolumeOnly};
use crate::engine::rules::{OpenClose, Rules};
use crate::model::{
    Bar, BarKey, BarSpec, BarState, BarUpdate, Conditions, Price, Side, Size, Timestamp, Trade,
    TradeId,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

pub(super) const SECOND: i64 = 1_000_000_000;
pub(super) const SPECS: [&str; 5] = ["1s", "5s", "1m", "1d", "session"];
pub(super) const CUTS: [&str; 3] = ["tick:3", "volume:1000", "value:5000"];
/// Conditions that forbid different things in different profiles; most trades have none of them.
const CODES: [u32; 11] = [37, 12, 8, 15, 22, 38, 41, 20, 25, 45, 10];

pub(super) fn zone() -> TimeZone {
    TimeZone::get("America/New_York").unwrap()
}

pub(super) fn specs(texts: &[&str]) -> Vec<BarSpec> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(super) fn settings(
    lateness_ns: i64,
    revise_within_ns: i64,
    texts: &[&str],
    rules: &Rules,
) -> AggregatorSettings {
    AggregatorSettings {
        lateness_ns,
        revise_within_ns,
        rules: rules.clone(),
        zone: zone(),
        ..AggregatorSettings::new(specs(texts))
    }
}

pub(super) fn any_rules() -> impl Strategy<Value = Rules> {
    proptest::sample::select(
        Rules::names()
            .map(|name| Rules::by_name(name).unwrap())
            .collect::<Vec<_>>(),
    )
}

/// Trades around the hour that daylight saving skips or repeats, and around the days' ends.
fn any_trade() -> impl Strategy<Value = Trade> {
    let starts = [
        "2025-03-09T04:59:50Z",
        "2025-03-09T06:59:50Z",
        "2025-11-03T04:59:50Z",
    ];
    let start = proptest::sample::select(
        starts
            .map(|text| text.parse::<Timestamp>().unwrap())
            .to_vec(),
    );
    let place = (0usize..3, start, 0i64..40, 0i64..4, 0u64..3);
    let values = (
        1u64..20,
        1u128..1000,
        0u8..3,
        (0usize..22, 0usize..22),
        0u8..12,
    );
    (place, values).prop_map(
        |((symbol, start, halves, nanos, sequence), (price, size, side, codes, correction))| {
            let mut one = trade(["NV.A", "NV.B", "NV.C"][symbol], 0, "1", "1");
            one.time = start.saturating_add(halves * SECOND / 2 + nanos);
            (one.sequence, one.price, one.size) = (
                sequence,
                Price::from_raw(price),
                Size::from_raw(size).unwrap(),
            );
            one.side = [Side::Unknown, Side::Buy, Side::Sell][usize::from(side)];
            let bits = |code: usize| CODES.get(code).map_or(0, |code| 1 << code);
            one.conditions = Conditions::from_bits(bits(codes.0) | bits(codes.1));
            one.correction = if correction == 11 { 8 } else { 0 };
            one
        },
    )
}

/// Trades with identities of their own, some of them twice.
pub(super) fn any_tape() -> impl Strategy<Value = Vec<Trade>> {
    proptest::collection::vec((any_trade(), 0u8..6), 0..120).prop_map(|trades| {
        let mut tape = Vec::new();
        for (number, (mut one, copies)) in (0u64..).zip(trades) {
            one.id = TradeId::from_number(number);
            tape.push(one);
            if copies == 0 {
                tape.push(one);
            }
        }
        tape
    })
}

fn shuffled(tape: &[Trade], seed: u64) -> Vec<Trade> {
    let mut tape = tape.to_vec();
    fastrand::Rng::with_seed(seed).shuffle(&mut tape);
    tape
}

/// Sorts by time with each trade delayed by less than `lateness_ns`.
pub(super) fn delayed(tape: &[Trade], lateness_ns: i64, seed: u64) -> Vec<Trade> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut tape: Vec<(i64, Trade)> = tape
        .iter()
        .map(|one| (one.time.as_nanos() + random.i64(0..=lateness_ns), *one))
        .collect();
    tape.sort_by_key(|(arrival, _)| *arrival);
    tape.into_iter().map(|(_, one)| one).collect()
}

pub(super) fn run(
    settings: AggregatorSettings,
    tape: &[Trade],
    chunk: usize,
) -> (Vec<BarUpdate>, AggregateCounts) {
    let mut aggregator = Aggregator::new(settings);
    let mut out = Vec::new();
    for trades in tape.chunks(chunk) {
        aggregator.push(trades, &mut out);
    }
    aggregator.finish(&mut out);
    assert_eq!(aggregator.oldest_open(), None);
    (out, aggregator.counts())
}

/// The last update of every bar; every bar is final once, and its revisions rise.
fn settled(updates: &[BarUpdate]) -> BTreeMap<BarKey, (Bar, u32)> {
    let mut bars: BTreeMap<BarKey, (Bar, u32)> = BTreeMap::new();
    let mut trades = HashMap::new();
    for update in updates {
        let before = bars.insert(update.bar.key(), (update.bar, update.revision));
        match before {
            None => assert_eq!((update.state, update.revision), (BarState::Final, 0)),
            Some((_, revision)) => {
                assert!(update.state == BarState::Revised && revision < update.revision);
            }
        }
        *trades.entry(update.bar.key()).or_insert(0) += update.trades_added;
    }
    assert!(bars.iter().all(|(key, (bar, _))| trades[key] == bar.trades));
    bars
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_the_bars_revisions_and_counts_of_the_model(
        tape in any_tape(),
        seed in any::<u64>(),
        lateness in (0i64..12).prop_map(|seconds| seconds * SECOND / 2),
        revise in (0i64..40).prop_map(|seconds| seconds * SECOND),
        (ordered, skip, chunk) in (any::<bool>(), any::<bool>(), 1usize..50),
        rules in any_rules(),
    ) {
        let tape = if ordered { delayed(&tape, 3 * lateness, seed) } else { shuffled(&tape, seed) };
        let volume_only = if skip { VolumeOnly::Skip } else { VolumeOnly::Carry };
        let settings = AggregatorSettings { volume_only, ..settings(lateness, revise, &SPECS, &rules) };
        let (updates, counts) = run(settings, &tape, chunk);
        let (kept, expected) = keep(&tape, (lateness, revise), &SPECS, &rules);
        let bars = settled(&updates);
        let (mut plain, mut volume_only_bars) = (BTreeMap::new(), 0);
        for spec in specs(&SPECS) {
            let (mut bars, left_out) = plain_bars(&kept, spec, &rules, volume_only);
            plain.append(&mut bars);
            volume_only_bars += left_out;
        }
        prop_assert_eq!(&bars, &plain);
        let revised: u64 = plain.values().map(|(_, revision)| u64::from(*revision)).sum();
        let bars = plain.len() as u64;
        prop_assert_eq!(counts, AggregateCounts { revised, bars, volume_only: volume_only_bars, ..expected });
        let lost = counts.late + counts.duplicates + counts.ineligible + counts.outside_session;
        prop_assert_eq!(kept.len() as u64 + lost, counts.trades);
    }

    #[test]
    fn any_order_within_lateness_gives_the_bars_of_the_ordered_tape(
        tape in any_tape(),
        seed in any::<u64>(),
        chunk in 1usize..50,
        rules in any_rules(),
    ) {
        let all: Vec<&str> = SPECS.into_iter().chain(CUTS).collect();
        let lateness = 2 * SECOND;
        let ordered = run(settings(0, 0, &all, &rules), &delayed(&tape, 0, 0), 7);
        let late = run(settings(lateness, 0, &all, &rules), &delayed(&tape, lateness, seed), chunk);
        prop_assert_eq!(settled(&late.0), settled(&ordered.0));
        prop_assert_eq!(late.1, ordered.1);
        prop_assert_eq!(late.1.late + late.1.revised + late.1.behind_cut, 0);
    }

    #[test]
    fn trades_cut_bars_as_in_the_model(
        tape in any_tape(),
        seed in any::<u64>(),
        chunk in 1usize..50,
        rules in any_rules(),
    ) {
        let lateness = 2 * SECOND;
        let tape = delayed(&tape, lateness, seed);
        let (kept, _) = keep(&tape, (lateness, 0), &CUTS, &rules);
        for text in CUTS {
            let (updates, counts) = run(settings(lateness, 0, &[text], &rules), &tape, chunk);
            let mut bars: Vec<Bar> = updates.iter().map(|update| update.bar).collect();
            bars.sort_by_key(Bar::key);
            prop_assert_eq!(&bars, &plain_cuts(&kept, specs(&[text])[0], &rules));
            prop_assert_eq!(bars.len(), settled(&updates).len());
            prop_assert_eq!(counts.late, 0);
        }
    }

    #[test]
    fn any_number_of_shards_gives_the_same_bars(tape in any_tape(), seed in any::<u64>(), shards in 1usize..5) {
        let tape = shuffled(&tape, seed);
        let all: Vec<&str> = SPECS.into_iter().chain(CUTS).collect();
        let rules = Rules::by_name("alpaca-minute").unwrap();
        let (whole, counts) = run(settings(SECOND, 9 * SECOND, &all, &rules), &tape, 8);
        let (mut bars, mut sum) = (BTreeMap::new(), AggregateCounts::default());
        for shard in 0..shards {
            let part: Vec<Trade> =
                tape.iter().filter(|one| one.symbol.index() % shards == shard).copied().collect();
            let (updates, counts) = run(settings(SECOND, 9 * SECOND, &all, &rules), &part, 5);
            bars.append(&mut settled(&updates));
            sum += counts;
        }
        prop_assert_eq!(bars, settled(&whole));
        prop_assert_eq!(sum, counts);
    }

    #[test]
    fn long_bars_are_the_merge_of_the_short_ones(tape in any_tape()) {
        let tape = delayed(&tape, 0, 0);
        let (updates, _) = run(settings(0, 0, &["1s", "5s", "1m", "1d", "session"], &Rules::all()), &tape, 16);
        let bars: Vec<Bar> = updates.iter().map(|update| update.bar).collect();
        let of = |text| {
            let spec = specs(&[text])[0];
            bars.iter().filter(move |bar| bar.spec == spec)
        };
        for long in ["5s", "1m", "1d", "session"].into_iter().flat_map(of) {
            let parts: Vec<&Bar> = of("1s")
                .filter(|bar| bar.symbol == long.symbol && long.start <= bar.start && bar.end <= long.end)
                .collect();
            prop_assert_eq!(&merged(&parts, long), long);
        }
    }

    #[test]
    fn long_bars_by_a_vendors_rules_are_the_merge_of_the_short_ones(
        tape in any_tape(),
        // Not by those of a day that let a trade close only if it is the first: first of the long bar, that is.
        name in proptest::sample::select(vec!["massive-minute", "massive-daily", "alpaca-minute"]),
    ) {
        let rules = Rules::by_name(name).unwrap();
        let tape = delayed(&tape, 0, 0);
        let is_daily = rules.daily().name() == name;
        let texts: &[&str] = if is_daily { &SPECS } else { &SPECS[..3] };
        let (updates, _) = run(settings(0, 0, texts, &rules), &tape, 16);
        let bars: Vec<Bar> = updates.iter().map(|update| update.bar).collect();
        // A trade may set the high and not the open: what it does shows in the long bar alone.
        let is_whole = |bar: &&Bar| {
            let own = tape.iter().filter(|one| one.symbol == bar.symbol && bar.start <= one.time && one.time < bar.end);
            let mut rights = own.map(|one| rules.eligibility(one));
            bar.prices.is_some() || rights.all(|can| !can.high_low() && can.open_close() == OpenClose::No)
        };
        for long in bars.iter().filter(|bar| bar.spec != specs(&["1s"])[0]) {
            let parts: Vec<&Bar> = bars.iter()
                .filter(|bar| bar.spec == specs(&["1s"])[0] && bar.symbol == long.symbol)
                .filter(|bar| long.start <= bar.start && bar.end <= long.end)
                .collect();
            let merge = merged(&parts, long);
            prop_assert_eq!(Bar { prices: long.prices, ..merge }, *long);
            if parts.iter().all(is_whole) {
                prop_assert_eq!(merge.prices, long.prices);
            }
        }
    }
}
