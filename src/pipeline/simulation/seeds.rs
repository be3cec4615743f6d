//! Which seeds run, on all cores, and where those that fail are kept.
//!
//! The file of kept seeds is committed: each of its seeds once showed a defect, and runs first from then on.

use super::run;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Seeds of a run of the suite.
const SEEDS: u64 = 2_000;

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

fn kept_file() -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "proptest-regressions",
        "pipeline",
        "simulation.txt",
    ]
    .iter()
    .collect()
}

/// One seed a line; what follows `#` is for the reader.
fn kept() -> Vec<u64> {
    let text = std::fs::read_to_string(kept_file()).unwrap();
    let seeds = text
        .lines()
        .map(|line| line.split('#').next().unwrap().trim());
    seeds
        .filter(|seed| !seed.is_empty())
        .map(|seed| seed.parse().unwrap())
        .collect()
}

fn keep(seeds: &[u64]) {
    let kept = kept();
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(kept_file())
        .unwrap();
    for seed in seeds.iter().filter(|seed| !kept.contains(seed)) {
        writeln!(file, "{seed}").unwrap();
    }
}

/// Runs the kept seeds and those that are asked for; the failed ones are told and kept.
pub(super) fn run_all() {
    let one = number("BARMILL_SEED");
    let from = number("BARMILL_SEED_FROM").or(one).unwrap_or(0);
    let count = number("BARMILL_SEEDS").or(one.map(|_| 1)).unwrap_or(SEEDS);
    let seeds: Vec<u64> = kept().into_iter().chain(from..from + count).collect();
    let next = AtomicU64::new(0);
    let work = || {
        let mut failed = Vec::new();
        loop {
            let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
            let Some(seed) = seeds.get(at).copied() else {
                return failed;
            };
            if catch_unwind(AssertUnwindSafe(|| run(seed))).is_err() {
                failed.push(seed);
            }
        }
    };
    let threads = thread::available_parallelism().unwrap().get();
    let mut failed: Vec<u64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    failed.sort_unstable();
    failed.dedup();
    keep(&failed);
    assert!(
        failed.is_empty(),
        "seeds {failed:?} failed; BARMILL_SEED=<seed> runs one and tells its steps"
    );
}
