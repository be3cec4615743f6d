//! Scenario of one seed: the trades, the settings, and the result of an uninterrupted run.

use crate::PipelineBuilder;
use crate::engine::aggregate::{AggregateCounts, Aggregator, Fill};
use crate::engine::batch::BatchLimits;
use crate::engine::retry::RetryPolicy;
use crate::model::{BarKey, BarUpdate, Symbol, Timestamp, Trade, TradeId};
use crate::pipeline::Partition;
use crate::pipeline::{PaceSettings, PipelineSettings, ResumeSettings};
use crate::port::{Position, TradeBatch};
use fastrand::Rng;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::time::Duration;

const OPEN_NS: i64 = 1_760_535_000_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
/// As many as there are shards at most, each on a shard of its own then.
const SYMBOLS: usize = 4;

/// One closed update: revisions of a bar are told apart.
pub(super) type UpdateId = (BarKey, u32);

pub(super) fn id_of(update: &BarUpdate) -> UpdateId {
    (update.bar.key(), update.revision)
}

/// The input and the settings of a run, and its outcome without faults.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) settings: PipelineSettings,
    pub(super) batches: Vec<Vec<Trade>>,
    /// The closed updates of each shard in order, each with the count of batches that make it.
    pub(super) updates: Vec<Vec<(usize, BarUpdate)>>,
    /// The count of batches that make each of them.
    pub(super) made_at: HashMap<UpdateId, usize>,
    /// Those that each batch makes, counted from 1; the last ones come with the end of the input.
    pub(super) made: Vec<Vec<UpdateId>>,
    /// The most that one batch makes.
    pub(super) made_max: usize,
    /// The counts of all shards by the trades taken in, after each batch.
    pub(super) counts: HashMap<u64, AggregateCounts>,
    /// The last state of each bar.
    pub(super) bars: BTreeMap<BarKey, BarUpdate>,
}

impl Scenario {
    pub(super) fn new(random: &mut Rng) -> Scenario {
        let settings = settings(random);
        let symbols = symbols();
        let symbols = &symbols[..random.usize(1..=SYMBOLS)];
        let trades = trades(random, symbols);
        let len = random.usize(1..24);
        Scenario::of(
            settings,
            trades.chunks(len).map(<[Trade]>::to_vec).collect(),
        )
    }

    fn of(settings: PipelineSettings, batches: Vec<Vec<Trade>>) -> Scenario {
        let mut shards: Vec<(Aggregator, Vec<(usize, BarUpdate)>)> = (0..settings.shards)
            .map(|_| (Aggregator::new(settings.aggregate.clone()), Vec::new()))
            .collect();
        let mut deal = Partition::new(settings.shards);
        let mut counts = HashMap::from([(0, AggregateCounts::default())]);
        for (number, batch) in (1..).zip(&batches) {
            let mut sum = AggregateCounts::default();
            let parts = deal.split(TradeBatch::new(batch.clone(), Position::default()));
            for ((aggregator, updates), part) in shards.iter_mut().zip(parts) {
                let mut out = Vec::new();
                aggregator.push(&part.trades, &mut out);
                updates.extend(out.into_iter().map(|update| (number, update)));
                sum += aggregator.counts();
            }
            counts.insert(sum.trades, sum);
        }
        let end = batches.len() + 1;
        for (aggregator, updates) in &mut shards {
            let mut out = Vec::new();
            aggregator.finish(&mut out);
            updates.extend(out.into_iter().map(|update| (end, update)));
        }
        let updates: Vec<Vec<(usize, BarUpdate)>> =
            shards.into_iter().map(|(_, updates)| updates).collect();
        let bars = updates
            .iter()
            .flatten()
            .map(|(_, update)| (update.bar.key(), *update))
            .collect();
        let mut made = vec![Vec::new(); end + 1];
        for (at, update) in updates.iter().flatten() {
            made[*at].push(id_of(update));
        }
        let made_at = updates
            .iter()
            .flatten()
            .map(|(at, update)| (id_of(update), *at))
            .collect();
        let made_max = made.iter().map(Vec::len).max().unwrap_or(0);
        Scenario {
            settings,
            batches,
            updates,
            made_at,
            made,
            made_max,
            counts,
            bars,
        }
    }

    /// The updates that so many batches make; one more than there are stands for the end of the input.
    pub(super) fn made_by(&self, batches: usize) -> impl Iterator<Item = &UpdateId> {
        self.made.iter().take(batches.saturating_add(1)).flatten()
    }

    pub(super) fn trades(&self) -> usize {
        self.batches.iter().map(Vec::len).sum()
    }
}

/// Symbols of which each lives on a shard of its own, if there are so many.
fn symbols() -> Vec<Symbol> {
    let mut found: Vec<Symbol> = Vec::new();
    let mut deal = Partition::new(SYMBOLS);
    for number in 0.. {
        let symbol: Symbol = format!("SIM{number}").parse().unwrap();
        if deal.shard(symbol) == found.len() {
            found.push(symbol);
        }
        if found.len() == SYMBOLS {
            break;
        }
    }
    found
}

/// Mostly in order, with disorder, duplicates, latecomers and records that count for nothing.
fn trades(random: &mut Rng, symbols: &[Symbol]) -> Vec<Trade> {
    let mut trades: Vec<Trade> = Vec::new();
    let mut second = 0;
    let stride = random.i64(2..40);
    for number in 0..random.u64(20..140) {
        if !trades.is_empty() && random.u8(..20) == 0 {
            trades.push(trades[random.usize(..trades.len())]);
            continue;
        }
        second += random.i64(0..stride);
        let back = match random.u8(..16) {
            0..10 => 0,
            10..13 => random.i64(0..3),
            13..15 => random.i64(0..180),
            _ => random.i64(0..2_000),
        };
        let nanos = OPEN_NS + (second - back.min(second)) * SECOND_NS + random.i64(0..SECOND_NS);
        let price = format!("{}.{:02}", random.u32(9..12), random.u32(0..100));
        let plain = Trade::new(
            symbols[random.usize(..symbols.len())],
            Timestamp::from_nanos(nanos).unwrap(),
            price.parse().unwrap(),
            random.u32(1..500).to_string().parse().unwrap(),
        );
        let correction = if random.u8(..24) == 0 { 7 } else { 0 };
        trades.push(Trade {
            sequence: number,
            id: TradeId::from_number(number),
            correction,
            ..plain
        });
    }
    trades
}

fn settings(random: &mut Rng) -> PipelineSettings {
    let mut settings = None;
    let _builder =
        PipelineBuilder::default().settings(|defaults| settings = Some(defaults.clone()));
    let mut settings = settings.unwrap();
    let specs = ["1m", "1m,5m", "1m,tick:7"][random.usize(..3)];
    settings.aggregate.specs = specs.split(',').map(|spec| spec.parse().unwrap()).collect();
    settings.aggregate.lateness_ns = random.i64(0..4) * SECOND_NS;
    settings.aggregate.revise_within_ns = [0, 60, 900][random.usize(..3)] * SECOND_NS;
    if random.u8(..4) == 0 {
        settings.aggregate.fill = Fill::PreviousClose;
    }
    settings.shards = [1, 1, 2, 4][random.usize(..4)];
    settings.feed_queue_len_max = random.usize(1..4);
    settings.writer_queue_len_max = random.usize(1..4);
    settings.drain_timeout = Duration::from_secs(random.u64(1..60));
    let writer = &mut settings.writer;
    writer.drain_timeout = Duration::from_secs(random.u64(5..60));
    writer.pace = PaceSettings {
        commands_per_second: NonZeroU32::new([0, 3, 20, 1_000][random.usize(..4)]),
        requests_per_second: NonZeroU32::new([0, 1, 5, 1_000][random.usize(..4)]),
    };
    let every = Duration::from_millis(random.u64(1..5_000));
    writer.resume = random.bool().then(|| ResumeSettings {
        name: "scenario".to_owned(),
        every,
    });
    let delivery = &mut writer.delivery;
    delivery.batch = BatchLimits {
        len_max: random.usize(1..9),
        bytes_max: random.usize(100..1_000),
        linger: Duration::from_millis(random.u64(0..5_000)),
        eager: random.bool(),
    };
    delivery.in_flight_max = random.usize(1..4);
    delivery.queue_len_max = random.usize(1..16);
    delivery.retry = RetryPolicy {
        attempts_max: random.u32(1..4),
        ..delivery.retry
    };
    delivery.keeps_recent = random.bool();
    delivery.seed = random.u64(..);
    settings
}
