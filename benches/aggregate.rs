//! Aggregation alone: trades in memory to bar updates, by the full engine and by the plain way beside it.
//!
//! Two million generated trades, Zipf-like over the symbols, in order of time or of ticker and then time,
//! pushed in batches of 1,024. Run with `cargo bench --bench aggregate`; items are trades.

use barmill::{BarUpdate, Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
use barmill_core::engine::aggregate::{Aggregator, AggregatorSettings, Fold};
use barmill_core::engine::rules::{Eligible, Rules};
use divan::{Bencher, black_box};
use std::collections::{BTreeMap, HashSet};

const TRADES: usize = 2_000_000;
const BATCH_LEN: usize = 1_024;
const SECOND: i64 = 1_000_000_000;
const OPEN: i64 = 1_760_535_000 * SECOND;
/// As dense as ten million trades over a session of 6.5 hours.
const SPAN_NS: i64 = 4_680 * SECOND;

fn main() {
    divan::main();
}

fn tape(symbol_count: u32) -> Vec<Trade> {
    let mut random = fastrand::Rng::with_seed(7);
    let symbols: Vec<Symbol> = (0..symbol_count)
        .filter_map(|number| Symbol::intern(format!("S{number}").as_bytes()).ok())
        .collect();
    let mut weights = Vec::new();
    let mut sum = 0.0;
    for rank in 1..=symbol_count {
        sum += 1.0 / f64::from(rank);
        weights.push(sum);
    }
    let mut times: Vec<i64> = (0..TRADES).map(|_| OPEN + random.i64(0..SPAN_NS)).collect();
    times.sort_unstable();
    let trades = times.into_iter().zip(0u64..).map(|(time, sequence)| {
        let draw = random.f64() * sum;
        let rank = weights
            .partition_point(|weight| *weight < draw)
            .min(symbols.len() - 1);
        Trade {
            symbol: symbols[rank],
            time: Timestamp::from_nanos(time).unwrap_or_default(),
            sequence,
            id: TradeId::from_number(random.u64(0..1 << 62)),
            price: Price::from_raw(100_000_000_000 + random.u64(0..500) * 10_000_000),
            size: Size::from_raw(u128::from(random.u64(1..500)) * 10_000_000_000)
                .unwrap_or_default(),
            conditions: Conditions::from_bits(if random.u8(0..4) == 0 { 1 << 37 } else { 0 }),
            venue: random.u16(1..16),
            correction: 0,
            side: Side::Unknown,
            sequenced: true,
        }
    });
    trades.collect()
}

fn by_ticker(mut trades: Vec<Trade>) -> Vec<Trade> {
    trades.sort_by_key(|trade| trade.symbol);
    trades
}

fn settings(specs: &[&str]) -> AggregatorSettings {
    let rules = Rules::by_name("massive-minute").unwrap_or(Rules::all());
    let specs = specs.iter().filter_map(|spec| spec.parse().ok()).collect();
    AggregatorSettings {
        rules,
        ..AggregatorSettings::new(specs)
    }
}

fn revisable(specs: &[&str]) -> AggregatorSettings {
    AggregatorSettings {
        lateness_ns: 5 * SECOND,
        revise_within_ns: 900 * SECOND,
        ..settings(specs)
    }
}

fn engine(bencher: Bencher, trades: &[Trade], settings: &AggregatorSettings) {
    bencher
        .counter(divan::counter::ItemsCount::new(trades.len()))
        .bench(|| {
            let mut aggregator = Aggregator::new(settings.clone());
            let mut out: Vec<BarUpdate> = Vec::new();
            let mut bars = 0;
            for batch in trades.chunks(BATCH_LEN) {
                aggregator.push(black_box(batch), &mut out);
                bars += out.len();
                out.clear();
            }
            aggregator.finish(&mut out);
            black_box(bars + out.len())
        });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn symbols_5000_by_time(bencher: Bencher) {
    engine(bencher, &tape(5_000), &settings(&["1m"]));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn symbols_5000_by_ticker(bencher: Bencher) {
    engine(bencher, &by_ticker(tape(5_000)), &settings(&["1m"]));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn symbols_5000_by_time_revisable(bencher: Bencher) {
    engine(bencher, &tape(5_000), &revisable(&["1m"]));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn symbols_5000_by_time_1m_5m_1h(bencher: Bencher) {
    engine(bencher, &tape(5_000), &settings(&["1m", "5m", "1h"]));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn symbols_5000_by_time_ticks(bencher: Bencher) {
    engine(bencher, &tape(5_000), &settings(&["tick:100"]));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn symbols_1(bencher: Bencher) {
    engine(bencher, &tape(1), &settings(&["1m"]));
}

/// Every trade kept, duplicates by a set, windows by a map, sorted and added up at the end.
fn plain(bencher: Bencher, trades: &[Trade]) {
    bencher
        .counter(divan::counter::ItemsCount::new(trades.len()))
        .bench(|| {
            let mut known = HashSet::new();
            let mut groups: BTreeMap<(usize, i64), Vec<&Trade>> = BTreeMap::new();
            for trade in black_box(trades) {
                if known.insert((trade.symbol.index(), trade.venue, trade.id)) {
                    let minute = trade.time.as_nanos() / (60 * SECOND);
                    groups
                        .entry((trade.symbol.index(), minute))
                        .or_default()
                        .push(trade);
                }
            }
            let mut bars = Vec::new();
            for group in groups.values_mut() {
                group.sort_by_key(|trade| trade.key());
                let mut fold = Fold::EMPTY;
                for trade in group {
                    fold.add(trade, Eligible::ALL);
                }
                bars.push(fold);
            }
            black_box(bars.len())
        });
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn plain_symbols_5000_by_time(bencher: Bencher) {
    plain(bencher, &tape(5_000));
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn plain_symbols_1(bencher: Bencher) {
    plain(bencher, &tape(1));
}
