//! Which seeds run, on all cores.
//!
//! The file of kept seeds is committed: each of its seeds once showed a defect that its line names, and runs first from
//! then on.

use super::harness::FaultKind;
use super::run;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Seeds of a run of the suite, which must meet every kind of fault. `BARMILL_SEEDS=2000` is the long run.
const SEEDS: u64 = 400;

/// The number that a variable of the environment holds.
pub(super) fn number(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "only a longer test run, or one seed, is asked for"
    )]
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|error| panic!("{name}={text}: {error}")),
    )
}

/// One seed a line; what follows `#` is for the reader.
fn kept() -> Vec<u64> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proptest-regressions/pipeline");
    let text = std::fs::read_to_string(folder.join("simulation.txt")).unwrap();
    let seeds = text
        .lines()
        .map(|line| line.split('#').next().unwrap().trim());
    seeds
        .filter(|seed| !seed.is_empty())
        .map(|seed| seed.parse().unwrap())
        .collect()
}

/// Runs seeds until there are none left; answers those that failed, and the faults of the others.
fn work(seeds: &[u64], next: &AtomicU64) -> (BTreeSet<u64>, BTreeSet<FaultKind>) {
    let (mut failed, mut faults) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
        let Some(seed) = seeds.get(at).copied() else {
            return (failed, faults);
        };
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok((_, met)) => faults.extend(met),
            Err(_) => {
                failed.insert(seed);
            }
        }
    }
}

/// Runs the kept seeds and those that are asked for. A run of the suite must meet every kind of fault.
pub(super) fn run_all() {
    let one = number("BARMILL_SEED");
    let from = number("BARMILL_SEED_FROM").or(one).unwrap_or(0);
    let count = number("BARMILL_SEEDS").or(one.map(|_| 1)).unwrap_or(SEEDS);
    let seeds: Vec<u64> = kept().into_iter().chain(from..from + count).collect();
    let next = AtomicU64::new(0);
    let (mut failed, mut faults) = (BTreeSet::new(), BTreeSet::new());
    thread::scope(|scope| {
        let threads = thread::available_parallelism().unwrap().get();
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(&seeds, &next)))
            .collect();
        for worker in workers {
            let (of_worker, met) = worker.join().unwrap();
            failed.extend(of_worker);
            faults.extend(met);
        }
    });
    assert!(
        failed.is_empty(),
        "seeds {failed:?} failed; BARMILL_SEED=<seed> runs one and tells its steps; when it is mended, keep the seed in \
         proptest-regressions/pipeline/simulation.txt with what it showed"
    );
    let missing = |kind: &FaultKind| !faults.contains(kind);
    let missing: Vec<FaultKind> = FaultKind::ALL.into_iter().filter(missing).collect();
    assert!(
        count < SEEDS || missing.is_empty(),
        "no seed met {missing:?}"
    );
}
