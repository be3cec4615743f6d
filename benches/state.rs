//! Speed of the state store on a real file: appends of 500 items, each batch durable, and the drain.
//!
//! `cargo bench --bench state`; the folder is the system's temporary one, so `TMPDIR` chooses the disk.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run has nothing to report"
)]

use barmill::internals::pipeline::clock::SystemClock;
use barmill::{
    Bar, BarFlags, BarSpec, BarState, BarUpdate, Notional, Ohlc, Price, Symbol, Timestamp, Volume,
};
use barmill_core::port::{Changes, SpoolRange, StateStore, WriteItem};
use barmill_stores::state::{Bounds, SimDisk, StateDb, StateSettings};
use divan::Bencher;
use divan::counter::ItemsCount;
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const BATCH: u64 = 500;
const BATCHES: u64 = 20;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().unwrap());

fn main() {
    divan::main();
}

/// A minute bar of one of a thousand symbols.
fn update(number: u64) -> BarUpdate {
    let symbol = Symbol::intern(format!("S{}", number % 1_000).as_bytes()).unwrap();
    let start = Timestamp::EPOCH.saturating_add(60_000_000_000 * (number / 1_000).cast_signed());
    let price = Price::from_raw(255_120_000_000 + number);
    let volume = Volume::from_raw(1_000_000_000_000);
    let bar = Bar {
        symbol,
        spec: BarSpec::MINUTE,
        start,
        end: start.saturating_add(60_000_000_000),
        prices: Some(Ohlc {
            open: price,
            high: price,
            low: price,
            close: price,
        }),
        volume,
        notional: Notional::from_raw(0, 1 << 90),
        notional_volume: volume,
        trades: number,
        buy_volume: Volume::ZERO,
        sell_volume: Volume::ZERO,
        first_sequence: 1,
        last_sequence: 2,
        flags: BarFlags::default(),
    };
    BarUpdate {
        bar,
        state: BarState::Final,
        revision: 0,
        trades_added: number,
    }
}

fn batches() -> Vec<Vec<BarUpdate>> {
    (0..BATCHES)
        .map(|batch| (batch * BATCH..(batch + 1) * BATCH).map(update).collect())
        .collect()
}

fn empty() -> (TempDir, StateDb) {
    let folder = TempDir::new().unwrap();
    let settings = StateSettings::new(folder.path());
    let state = StateDb::new(settings, Arc::new(SystemClock));
    RUNTIME.block_on(state.commit(Changes::default())).unwrap();
    (folder, state)
}

fn append(state: &StateDb) {
    for batch in batches() {
        let spool_append = batch.into_iter().map(WriteItem::Bar).collect();
        let committed = RUNTIME.block_on(state.commit(Changes {
            spool_append,
            ..Changes::default()
        }));
        divan::black_box(committed).unwrap();
    }
}

#[divan::bench(sample_count = 10)]
fn spool_append_500(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(BATCH * BATCHES))
        .with_inputs(empty)
        .bench_refs(|(_folder, state)| append(state));
}

#[divan::bench(sample_count = 10)]
fn spool_drain_500(bencher: Bencher<'_, '_>) {
    let filled = || {
        let (folder, state) = empty();
        append(&state);
        (folder, state)
    };
    bencher
        .counter(ItemsCount::new(BATCH * BATCHES))
        .with_inputs(filled)
        .bench_refs(|(_folder, state)| {
            let mut from = 0;
            loop {
                let items = RUNTIME.block_on(state.spool_read(from, 500)).unwrap();
                let (Some((first, _)), Some((last, _))) = (items.first(), items.last()) else {
                    break;
                };
                let spool_remove = vec![SpoolRange {
                    first: *first,
                    last: *last,
                }];
                from = *last + 1;
                let removed = RUNTIME.block_on(state.commit(Changes {
                    spool_remove,
                    ..Changes::default()
                }));
                divan::black_box(removed).unwrap();
            }
        });
}

#[divan::bench(sample_count = 10)]
fn recent_put_500(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(BATCH * BATCHES))
        .with_inputs(empty)
        .bench_refs(|(_folder, state)| {
            for recent in batches() {
                let committed = RUNTIME.block_on(state.commit(Changes {
                    recent,
                    ..Changes::default()
                }));
                divan::black_box(committed).unwrap();
            }
        });
}

#[divan::bench(sample_count = 10)]
fn spool_append_500_without_a_file(bencher: Bencher<'_, '_>) {
    let memory = || StateDb::on_disk(&SimDisk::default(), Bounds::default()).unwrap();
    bencher
        .counter(ItemsCount::new(BATCH * BATCHES))
        .with_inputs(memory)
        .bench_refs(|state| append(state));
}
