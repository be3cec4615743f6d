//! Naive reference model of the aggregation, for tests.
//!
//! It keeps every trade, forgets duplicates by a set, groups by window, sorts by key and folds; it shares no
//! code with the engine but the calendar library and the rules.

use super::reference_tests::{specs, zone};
use super::testing::at;
use super::{AggregateCounts, VolumeOnly};
use crate::engine::rules::{Eligible, OpenClose, Rules};
use crate::model::{
    Bar, BarKey, BarSpec, Notional, Ohlc, Price, Side, Symbol, Timestamp, Trade, Volume,
};
use std::collections::{BTreeMap, HashMap, HashSet};

pub(super) fn eligible(rules: &Rules, spec: BarSpec, one: &Trade) -> Eligible {
    match spec {
        BarSpec::Day | BarSpec::Session => rules.daily().eligibility(one),
        BarSpec::Time(_) | BarSpec::Tick(_) | BarSpec::Volume(_) | BarSpec::Value(_) => {
            rules.eligibility(one)
        }
    }
}

pub(super) fn window(spec: BarSpec, time: Timestamp) -> (Timestamp, Timestamp) {
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

pub(super) fn plain_bar(
    rules: &Rules,
    (symbol, spec): (Symbol, BarSpec),
    (start, end): (Timestamp, Timestamp),
    trades: &[Trade],
) -> Bar {
    let mut trades = trades.to_vec();
    trades.sort_by_key(Trade::key);
    let of = |one: &&Trade| eligible(rules, spec, one);
    let (first, last) = (trades[0], trades[trades.len() - 1]);
    let (mut volume, mut buy, mut sell) = (Volume::ZERO, Volume::ZERO, Volume::ZERO);
    let (mut notional, mut notional_volume) = (Notional::ZERO, Volume::ZERO);
    for one in trades.iter().filter(|one| of(one).volume()) {
        volume += one.size;
        match one.side {
            Side::Buy => buy += one.size,
            Side::Sell => sell += one.size,
            Side::Unknown => {}
        }
    }
    for one in trades.iter().filter(|one| of(one).vwap()) {
        notional.add(Notional::of(one.price, one.size));
        notional_volume += one.size;
    }
    let open = trades
        .iter()
        .find(|one| of(one).open_close() != OpenClose::No);
    let close = trades
        .iter()
        .rfind(|one| of(one).open_close() == OpenClose::Yes)
        .or(open);
    let range: Vec<Price> = trades
        .iter()
        .filter(|one| of(one).high_low())
        .map(|one| one.price)
        .collect();
    let prices = open
        .zip(close)
        .filter(|_| !range.is_empty())
        .map(|(open, close)| Ohlc {
            open: open.price,
            high: *range.iter().max().unwrap(),
            low: *range.iter().min().unwrap(),
            close: close.price,
        });
    Bar {
        symbol,
        spec,
        start,
        end,
        prices,
        volume,
        notional,
        notional_volume,
        trades: trades.iter().filter(|one| of(one).volume()).count() as u64,
        buy_volume: buy,
        sell_volume: sell,
        first_sequence: first.sequence,
        last_sequence: last.sequence,
        flags: crate::model::BarFlags::default(),
    }
}

pub(super) struct Kept {
    pub(super) trade: Trade,
    pub(super) watermark: i64,
}

/// The trades that reach a bar, with the watermark each met, and the counts of the others.
pub(super) fn keep(
    tape: &[Trade],
    (lateness, revise): (i64, i64),
    texts: &[&str],
    rules: &Rules,
) -> (Vec<Kept>, AggregateCounts) {
    let specs = specs(texts);
    let mut counts = AggregateCounts::default();
    let (mut seen, mut known, mut kept) = (HashMap::new(), HashSet::new(), Vec::new());
    for &one in tape {
        counts.trades += 1;
        let latest = seen.entry(one.symbol).or_insert(0);
        *latest = one.time.as_nanos().max(*latest);
        let watermark = *latest - lateness;
        if one.time.as_nanos() < watermark - revise {
            counts.late += 1;
        } else if !known.insert((one.symbol, one.venue, one.id, one.is_void())) {
            counts.duplicates += 1;
        } else if specs
            .iter()
            .all(|spec| eligible(rules, *spec, &one).is_none())
        {
            counts.ineligible += 1;
        } else {
            kept.push(Kept {
                trade: one,
                watermark,
            });
        }
    }
    (kept, counts)
}

/// The bars of one spec, without the left-out ones where those are skipped, and how many these are.
pub(super) fn plain_bars(
    kept: &[Kept],
    spec: BarSpec,
    rules: &Rules,
    volume_only: VolumeOnly,
) -> (BTreeMap<BarKey, (Bar, u32)>, u64) {
    let mut groups: BTreeMap<(Symbol, Timestamp), Vec<&Kept>> = BTreeMap::new();
    for one in kept
        .iter()
        .filter(|one| !eligible(rules, spec, &one.trade).is_none())
    {
        groups
            .entry((one.trade.symbol, window(spec, one.trade.time).0))
            .or_default()
            .push(one);
    }
    let (mut bars, mut left_out) = (BTreeMap::new(), 0);
    for ((symbol, start), kept) in groups {
        let span = window(spec, start);
        let trades: Vec<Trade> = kept.iter().map(|one| one.trade).collect();
        let bar = |count: usize| plain_bar(rules, (symbol, spec), span, &trades[..count]);
        // Trades behind the watermark revise, once there is a bar to revise.
        let is_behind = |one: &Kept| one.watermark >= span.1.as_nanos();
        let mut behind = kept
            .iter()
            .position(|one| is_behind(one))
            .unwrap_or(kept.len())
            .max(1);
        while behind < kept.len() && volume_only == VolumeOnly::Skip && bar(behind).prices.is_none()
        {
            behind += 1;
        }
        if volume_only == VolumeOnly::Skip && bar(behind).prices.is_none() {
            left_out += 1;
        } else {
            let bar = bar(kept.len());
            bars.insert(
                bar.key(),
                (bar, u32::try_from(kept.len() - behind).unwrap()),
            );
        }
    }
    (bars, left_out)
}

pub(super) fn plain_cuts(kept: &[Kept], spec: BarSpec, rules: &Rules) -> Vec<Bar> {
    let mut tapes: BTreeMap<Symbol, Vec<Trade>> = BTreeMap::new();
    for one in kept
        .iter()
        .filter(|one| !rules.eligibility(&one.trade).is_none())
    {
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
            let mut bar = plain_bar(rules, (symbol, spec), (at(start), at(end)), &part);
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

/// The merge of consecutive bars into one with the name of `long`; those without prices add their sums only.
pub(super) fn merged(parts: &[&Bar], long: &Bar) -> Bar {
    let mut bar = Bar {
        spec: long.spec,
        start: long.start,
        end: long.end,
        ..*parts[0]
    };
    for part in &parts[1..] {
        let joined = bar.prices.zip(part.prices).map(|(first, second)| Ohlc {
            open: first.open,
            high: first.high.max(second.high),
            low: first.low.min(second.low),
            close: second.close,
        });
        bar.prices = joined.or(bar.prices).or(part.prices);
        bar.volume += part.volume;
        bar.notional.add(part.notional);
        bar.notional_volume += part.notional_volume;
        bar.trades += part.trades;
        bar.buy_volume += part.buy_volume;
        bar.sell_volume += part.sell_volume;
        bar.last_sequence = part.last_sequence;
    }
    bar
}
