//! The naive model of the aggregation, and the claim that the engine equals it.
//!
//! The model keeps every trade, forgets duplicates by a set, groups by window, sorts by key and folds; it
//! shares no code with the engine but the calendar library.

use super::testing::{any_rights, at, trade};
use super::{AggregateCounts, Aggregator, AggregatorSettings, Eligibility};
use crate::model::{
    Bar, BarKey, BarSpec, BarState, BarUpdate, Conditions, Notional, Ohlc, Price, Side, Size, Symbol,
    Timestamp, Trade, TradeId, Volume,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};

const SECOND: i64 = 1_000_000_000;
const SPECS: [&str; 5] = ["1s", "5s", "1m", "1d", "session"];
const CUTS: [&str; 3] = ["tick:3", "volume:1000", "value:5000"];
const NO_HIGH_LOW: u128 = 1;
const NO_OPEN_CLOSE: u128 = 2;
const NO_VOLUME: u128 = 4;

fn zone() -> TimeZone {
    TimeZone::get("America/New_York").unwrap()
}

fn specs(texts: &[&str]) -> Vec<BarSpec> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn settings(lateness_ns: i64, revise_within_ns: i64, texts: &[&str]) -> AggregatorSettings {
    let bits = Conditions::from_bits;
    let rules = Eligibility::masks(bits(NO_HIGH_LOW), bits(NO_OPEN_CLOSE), bits(NO_VOLUME), &[8]);
    AggregatorSettings {
        lateness_ns,
        revise_within_ns,
        rules,
        zone: zone(),
        ..AggregatorSettings::new(specs(texts))
    }
}

/// Trades around the hour that daylight saving skips or repeats, and around the days' ends.
fn any_trade() -> impl Strategy<Value = Trade> {
    let starts = ["2025-03-09T04:59:50Z", "2025-03-09T06:59:50Z", "2025-11-03T04:59:50Z"];
    let start = proptest::sample::select(starts.map(|text| text.parse::<Timestamp>().unwrap()).to_vec());
    let place = (0usize..3, start, 0i64..40, 0i64..4, 0u64..3);
    let values = (1u64..20, 1u128..1000, 0u8..3, any_rights(), 0u8..12);
    (place, values).prop_map(
        |((symbol, start, halves, nanos, sequence), (price, size, side, rights, code))| {
            let mut one = trade(["NV.A", "NV.B", "NV.C"][symbol], 0, "1", "1");
            one.time = start.saturating_add(halves * SECOND / 2 + nanos);
            (one.sequence, one.price, one.size) =
                (sequence, Price::from_raw(price), Size::from_raw(size).unwrap());
            one.side = [Side::Unknown, Side::Buy, Side::Sell][usize::from(side)];
            let bit = |may: bool, bit| if may { 0 } else { bit };
            one.conditions = Conditions::from_bits(
                bit(rights.high_low(), NO_HIGH_LOW)
                    | bit(rights.open_close(), NO_OPEN_CLOSE)
                    | bit(rights.volume(), NO_VOLUME),
            );
            one.correction = if code == 11 { 8 } else { 0 };
            one
        },
    )
}

/// Trades with identities of their own, some of them twice.
fn any_tape() -> impl Strategy<Value = Vec<Trade>> {
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
fn delayed(tape: &[Trade], lateness_ns: i64, seed: u64) -> Vec<Trade> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut tape: Vec<(i64, Trade)> =
        tape.iter().map(|one| (one.time.as_nanos() + random.i64(0..=lateness_ns), *one)).collect();
    tape.sort_by_key(|(arrival, _)| *arrival);
    tape.into_iter().map(|(_, one)| one).collect()
}

fn run(settings: AggregatorSettings, tape: &[Trade], chunk: usize) -> (Vec<BarUpdate>, AggregateCounts) {
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
            Some((_, revision)) => assert!(update.state == BarState::Revised && revision < update.revision),
        }
        *trades.entry(update.bar.key()).or_insert(0) += update.trades_added;
    }
    assert!(bars.iter().all(|(key, (bar, _))| trades[key] == bar.trades));
    bars
}

fn window(spec: BarSpec, time: Timestamp) -> (Timestamp, Timestamp) {
    if let Some(length) = spec.interval_ns() {
        let length = i64::try_from(length).unwrap();
        let start = at(time.as_nanos() / length * length);
        return (start, start.saturating_add(length));
    }
    let start = time.to_jiff().to_zoned(zone()).start_of_day().unwrap();
    let end = start.tomorrow().unwrap().start_of_day().unwrap();
    let instant = |time: jiff::Zoned| Timestamp::from_jiff(time.timestamp()).unwrap();
    (instant(start), instant(end))
}

fn plain_bar(symbol: Symbol, spec: BarSpec, (start, end): (Timestamp, Timestamp), trades: &[Trade]) -> Bar {
    let mut trades = trades.to_vec();
    trades.sort_by_key(Trade::key);
    let may = |one: &&Trade, bit: u128| one.conditions.bits() & bit == 0;
    let (first, last) = (trades[0], trades[trades.len() - 1]);
    let (mut volume, mut buy, mut sell) = (Volume::ZERO, Volume::ZERO, Volume::ZERO);
    let mut notional = Notional::ZERO;
    for one in trades.iter().filter(|one| may(one, NO_VOLUME)) {
        volume += one.size;
        notional.add(Notional::of(one.price, one.size));
        match one.side {
            Side::Buy => buy += one.size,
            Side::Sell => sell += one.size,
            Side::Unknown => {}
        }
    }
    let ends: Vec<Price> = trades.iter().filter(|one| may(one, NO_OPEN_CLOSE)).map(|one| one.price).collect();
    let range: Vec<Price> = trades.iter().filter(|one| may(one, NO_HIGH_LOW)).map(|one| one.price).collect();
    let prices = (!ends.is_empty() && !range.is_empty()).then(|| Ohlc {
        open: ends[0],
        high: *range.iter().max().unwrap(),
        low: *range.iter().min().unwrap(),
        close: ends[ends.len() - 1],
    });
    Bar {
        symbol,
        spec,
        start,
        end,
        prices,
        volume,
        notional,
        notional_volume: volume,
        trades: trades.iter().filter(|one| may(one, NO_VOLUME)).count() as u64,
        buy_volume: buy,
        sell_volume: sell,
        first_sequence: first.sequence,
        last_sequence: last.sequence,
        flags: crate::BarFlags::default(),
    }
}

struct Kept {
    trade: Trade,
    watermark: i64,
}

/// The trades that reach a bar, with the watermark each met, and the counts of the others.
fn keep(tape: &[Trade], lateness: i64, revise: i64) -> (Vec<Kept>, AggregateCounts) {
    let mut counts = AggregateCounts::default();
    let (mut seen, mut known, mut kept) = (HashMap::new(), HashSet::new(), Vec::new());
    for &one in tape {
        counts.trades += 1;
        let latest = seen.entry(one.symbol).or_insert(0);
        *latest = one.time.as_nanos().max(*latest);
        let watermark = *latest - lateness;
        if one.time.as_nanos() < watermark - revise {
            counts.late += 1;
        } else if !known.insert((one.symbol, one.venue, one.id)) {
            counts.duplicates += 1;
        } else if one.correction == 8 || one.conditions.bits() == 7 {
            counts.ineligible += 1;
        } else {
            kept.push(Kept { trade: one, watermark });
        }
    }
    (kept, counts)
}

fn plain_bars(kept: &[Kept], spec: BarSpec) -> BTreeMap<BarKey, (Bar, u32)> {
    let mut groups: BTreeMap<(Symbol, Timestamp), Vec<&Kept>> = BTreeMap::new();
    for one in kept {
        groups.entry((one.trade.symbol, window(spec, one.trade.time).0)).or_default().push(one);
    }
    let bars = groups.into_iter().map(|((symbol, start), kept)| {
        let span = window(spec, start);
        let trades: Vec<Trade> = kept.iter().map(|one| one.trade).collect();
        let after = kept.iter().filter(|one| one.watermark >= span.1.as_nanos()).count();
        let revision = if after == kept.len() { after - 1 } else { after };
        let bar = plain_bar(symbol, spec, span, &trades);
        (bar.key(), (bar, u32::try_from(revision).unwrap()))
    });
    bars.collect()
}

fn plain_cuts(kept: &[Kept], spec: BarSpec) -> Vec<Bar> {
    let mut tapes: BTreeMap<Symbol, Vec<Trade>> = BTreeMap::new();
    for one in kept {
        tapes.entry(one.trade.symbol).or_default().push(one.trade);
    }
    let mut bars = Vec::new();
    for (symbol, mut tape) in tapes {
        tape.sort_by_key(Trade::key);
        let (mut part, mut start_last) = (Vec::new(), -1);
        for (index, &one) in tape.iter().enumerate() {
            part.push(one);
            let start = part[0].time.as_nanos().max(start_last + 1);
            let end = one.time.as_nanos().max(start) + 1;
            let mut bar = plain_bar(symbol, spec, (at(start), at(end)), &part);
            let reached = match spec {
                BarSpec::Tick(count) => bar.trades >= count.get(),
                BarSpec::Volume(volume) => bar.volume >= volume,
                BarSpec::Value(value) => bar.notional >= Notional::of(value, "1".parse().unwrap()),
                BarSpec::Time(_) | BarSpec::Day | BarSpec::Session => unreachable!(),
            };
            if reached || index + 1 == tape.len() {
                bar.flags.partial = !reached;
                bars.push(bar);
                (part, start_last) = (Vec::new(), start);
            }
        }
    }
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
        ordered in any::<bool>(),
        chunk in 1usize..50,
    ) {
        let tape = if ordered { delayed(&tape, 3 * lateness, seed) } else { shuffled(&tape, seed) };
        let (updates, counts) = run(settings(lateness, revise, &SPECS), &tape, chunk);
        let (kept, expected) = keep(&tape, lateness, revise);
        let bars = settled(&updates);
        let mut plain = BTreeMap::new();
        for spec in specs(&SPECS) {
            plain.append(&mut plain_bars(&kept, spec));
        }
        prop_assert_eq!(&bars, &plain);
        let revised: u64 = plain.values().map(|(_, revision)| u64::from(*revision)).sum();
        prop_assert_eq!(counts, AggregateCounts { revised, bars: plain.len() as u64, ..expected });
        let lost = counts.late + counts.duplicates + counts.ineligible + counts.outside_session;
        prop_assert_eq!(kept.len() as u64 + lost, counts.trades);
    }

    #[test]
    fn any_order_within_lateness_gives_the_bars_of_the_ordered_tape(
        tape in any_tape(),
        seed in any::<u64>(),
        chunk in 1usize..50,
    ) {
        let all: Vec<&str> = SPECS.into_iter().chain(CUTS).collect();
        let lateness = 2 * SECOND;
        let ordered = run(settings(0, 0, &all), &delayed(&tape, 0, 0), 7);
        let late = run(settings(lateness, 0, &all), &delayed(&tape, lateness, seed), chunk);
        prop_assert_eq!(settled(&late.0), settled(&ordered.0));
        prop_assert_eq!(late.1, ordered.1);
        prop_assert_eq!(late.1.late + late.1.revised + late.1.behind_cut, 0);
    }

    #[test]
    fn trades_cut_bars_as_in_the_model(tape in any_tape(), seed in any::<u64>(), chunk in 1usize..50) {
        let lateness = 2 * SECOND;
        let tape = delayed(&tape, lateness, seed);
        let (kept, _) = keep(&tape, lateness, 0);
        for text in CUTS {
            let (updates, counts) = run(settings(lateness, 0, &[text]), &tape, chunk);
            let mut bars: Vec<Bar> = updates.iter().map(|update| update.bar).collect();
            bars.sort_by_key(Bar::key);
            prop_assert_eq!(&bars, &plain_cuts(&kept, specs(&[text])[0]));
            prop_assert_eq!(bars.len(), settled(&updates).len());
            prop_assert_eq!(counts.late, 0);
        }
    }

    #[test]
    fn any_number_of_shards_gives_the_same_bars(tape in any_tape(), seed in any::<u64>(), shards in 1usize..5) {
        let tape = shuffled(&tape, seed);
        let all: Vec<&str> = SPECS.into_iter().chain(CUTS).collect();
        let (whole, counts) = run(settings(SECOND, 9 * SECOND, &all), &tape, 8);
        let (mut bars, mut sum) = (BTreeMap::new(), AggregateCounts::default());
        for shard in 0..shards {
            let part: Vec<Trade> =
                tape.iter().filter(|one| one.symbol.index() % shards == shard).copied().collect();
            let (updates, counts) = run(settings(SECOND, 9 * SECOND, &all), &part, 5);
            bars.append(&mut settled(&updates));
            sum += counts;
        }
        prop_assert_eq!(bars, settled(&whole));
        prop_assert_eq!(sum, counts);
    }

    #[test]
    fn long_bars_are_the_merge_of_the_short_ones(tape in any_tape()) {
        let tape = delayed(&tape, 0, 0);
        let (updates, _) = run(settings(0, 0, &["1s", "5s", "1m"]), &tape, 16);
        let bars: Vec<Bar> = updates.iter().map(|update| update.bar).collect();
        let of = |text| {
 let spec = specs(&[text])[0];
 bars.iter().filter(move |bar| bar.spec == spec)
};
        for long in of("5s").chain(of("1m")) {
            let parts = of("1s").filter(|bar| {
                bar.symbol == long.symbol && long.start <= bar.start && bar.end <= long.end
            });
            let (mut volume, mut notional, mut trades) = (Volume::ZERO, Notional::ZERO, 0);
            for part in parts {
                volume += part.volume;
                notional.add(part.notional);
                trades += part.trades;
            }
            prop_assert_eq!((volume, notional, trades), (long.volume, long.notional, long.trades));
        }
    }
}
