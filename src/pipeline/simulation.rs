//! Simulation of the entire pipeline under faults, kills and restarts, decided by one seed.
//!
//! Feed actor, aggregators, writer, and the state store with its file format are the real ones; the feed, the store of
//! bars, the clock and the disk are the world's. Time is tokio's, paused. What must hold is checked at every step of a
//! port, and at the end the store equals that of an uninterrupted run, as hashes and as streams.
//!
//! `BARMILL_SEEDS` sets how many seeds run, `BARMILL_SEED_FROM` the first, and `BARMILL_SEED` one that tells its steps:
//! see `docs/testing.md`.

mod checks;
mod harness;
mod ports;
mod scenario;
mod seeds;
mod store;

use super::{End, Finished, Pipeline, WriterPorts};
use crate::engine::testing::SingleChanges;
use crate::pipeline::RunError;
use barmill_stores::state::StateDb;
use harness::{FaultKind, World};
use ports::{SimClock, SimFeed, SimSink, SimSpool, bars_of};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::time::Instant;

/// Runs of one seed, the last of them in fair weather.
const LIVES_MAX: usize = 60;

/// One run of the program, until it ends or is killed.
fn live(world: &Arc<World>) -> Option<Finished> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (disk, bounds) = {
            let inner = world.lock();
            (inner.disk.clone(), inner.bounds)
        };
        let state = StateDb::on_disk(&disk, bounds).unwrap();
        let spooled = state.spool_front(usize::MAX).await.unwrap();
        world.lock().books.found(&spooled);
        let killed = world.begin(&bars_of(&spooled));
        let feed = SimFeed {
            world: Arc::clone(world),
            next: 0,
        };
        let ports = WriterPorts {
            sink: Arc::new(SimSink {
                world: Arc::clone(world),
            }),
            state: Some(Arc::new(SimSpool {
                world: Arc::clone(world),
                state,
            })),
            clock: Arc::new(SimClock {
                world: Arc::clone(world),
                origin: Instant::now(),
            }),
        };
        let running =
            Pipeline::new(vec![Box::new(feed)], ports, world.scenario.settings.clone()).start();
        world.born(running.handle());
        tokio::select! {
            biased;
            () = killed.cancelled() => None,
            finished = running.join() => Some(finished),
        }
    })
}

/// What an end that is no kill must have left; answers whether the whole input is written.
fn check_end(world: &World, finished: &Finished) -> bool {
    let inner = world.lock();
    let books = &inner.books;
    let is_left = match &finished.end {
        End::Drained | End::Aborted => true,
        // The shards are cut off by these; the next run makes their bars again.
        End::Failed(
            RunError::Unwritten { .. }
            | RunError::Owned(_)
            | RunError::State(_)
            | RunError::Feed(_)
            | RunError::Close(_),
        ) => false,
        End::Failed(fault @ (RunError::Panicked { .. } | RunError::Downstream { .. })) => {
            panic!("{fault}")
        }
    };
    if is_left {
        assert_eq!(finished.summary.unwritten, 0);
        books.check_left(&world.scenario);
    }
    matches!(finished.end, End::Drained) && books.is_at_end && !books.is_stopped
}

/// The store equals that of an uninterrupted run.
fn check_store(world: &World, finished: &Finished) {
    let inner = world.lock();
    let (scenario, store, books) = (&world.scenario, &inner.store, &inner.books);
    let summary = &finished.summary;
    assert_eq!(summary.trades, scenario.trades() as u64);
    assert!(
        books.spool.is_empty(),
        "drained with {:?} in the spool",
        books.spool
    );
    for (key, update) in &scenario.bars {
        let is_dead = books.dead.contains(&scenario::id_of(update));
        let stored = store.bars.get(key);
        assert!(
            is_dead || stored.is_some_and(|stored| stored.bar == update.bar),
            "{stored:?}, not {update:?}"
        );
    }
    assert!(
        store.bars.keys().all(|key| scenario.bars.contains_key(key)),
        "a bar that no trade made"
    );
    for id in scenario.made_by(usize::MAX) {
        assert!(
            store.entries.contains(id) || books.dead.contains(id),
            "{id:?} is in no stream"
        );
    }
    let minute: u64 = scenario
        .bars
        .values()
        .filter(|update| update.bar.spec == crate::model::BarSpec::MINUTE)
        .map(|update| update.bar.trades)
        .sum();
    let counted = summary.late + summary.duplicates + summary.ineligible;
    assert_eq!(
        minute + counted,
        summary.trades,
        "each trade in one bar or one counter"
    );
    let dates = scenario
        .bars
        .values()
        .map(|update| (update.bar.spec, update.bar.symbol));
    for (spec, symbol) in dates {
        let manifest = store
            .manifests
            .iter()
            .find(|((of, _, whose), _)| (*of, *whose) == (spec, symbol));
        let is_whole = manifest.is_some_and(|(_, manifest)| manifest.complete);
        assert!(
            is_whole || !books.dead.is_empty() || summary.late > 0,
            "{symbol} {spec}: {manifest:?}"
        );
    }
}

/// Lives until everything is written; answers the digest of all steps, and the faults on the way.
fn run(seed: u64) -> (u64, BTreeSet<FaultKind>) {
    let world = World::new(seed);
    if seeds::number("BARMILL_SEED") == Some(seed) {
        world.tell();
    }
    for _ in 0..LIVES_MAX {
        let Some(finished) = live(&world) else {
            continue;
        };
        if check_end(&world, &finished) {
            check_store(&world, &finished);
            return world.outcome();
        }
        world.lock().disk_is_replaced();
    }
    panic!("what is left never drains");
}

#[test]
fn no_trade_is_lost_and_no_bar_is_wrong_under_any_faults_and_kills() {
    seeds::run_all();
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
