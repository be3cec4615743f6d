//! The stable driver: runs each target on its seeds and on mutations of them for a stated time.
//!
//! No coverage guides it; it keeps what it knows about the formats in the mutator. A run repeats with its seed. The
//! failing input is written to `artifacts/<target>/`, and given to the same binary it fails again.

use crate::mutate::mutate;
use crate::targets::Target;
use fastrand::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One execution that takes longer than this is a finding.
pub const SLOW: Duration = Duration::from_secs(5);

/// What a run of one target came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Executions, the seeds included.
    pub executions: u64,
    /// Time spent.
    pub time: Duration,
    /// The longest execution.
    pub slowest: Duration,
    /// Where failing inputs were written.
    pub findings: Vec<PathBuf>,
}

/// Runs a target until the time is over or it has failed `findings_max` times.
pub fn run(
    target: &Target,
    seed: u64,
    time: Duration,
    artifacts: &Path,
    findings_max: usize,
) -> Report {
    let mut rng = Rng::with_seed(seed);
    let seeds = (target.seeds)();
    let start = Instant::now();
    let mut report = Report::default();
    let mut next = seeds.iter();
    while report.findings.len() < findings_max {
        let input = match next.next() {
            Some(seed) => seed.clone(),
            None if start.elapsed() < time => {
                let (one, other) = (
                    &seeds[rng.usize(..seeds.len())],
                    &seeds[rng.usize(..seeds.len())],
                );
                mutate(&mut rng, one, other)
            }
            None => break,
        };
        let before = Instant::now();
        let failed = catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err();
        let took = before.elapsed();
        report.executions += 1;
        report.slowest = report.slowest.max(took);
        if failed || took > SLOW {
            report.findings.push(keep(artifacts, target.name, &input));
        }
    }
    report.time = start.elapsed();
    report
}

fn keep(artifacts: &Path, name: &str, input: &[u8]) -> PathBuf {
    let folder = artifacts.join(name);
    std::fs::create_dir_all(&folder).expect("make the folder of the artifacts");
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let path = folder.join(format!("crash-{hash:016x}"));
    std::fs::write(&path, input).expect("write the artifact");
    path
}

#[cfg(test)]
mod tests {
    use super::run;
    use crate::targets::TARGETS;
    use std::time::Duration;

    /// Enough to notice a target that no longer fits the code; `src/main.rs` runs for as long as wished.
    #[test]
    fn every_target_holds_on_its_seeds_and_some_mutations() {
        let artifacts = std::env::temp_dir().join("barmill-fuzz-artifacts");
        for target in TARGETS {
            assert!(!(target.seeds)().is_empty(), "{} has no seeds", target.name);
            let report = run(target, 1, Duration::from_millis(300), &artifacts, 1);
            assert!(
                report.findings.is_empty(),
                "{} fails on {:?}",
                target.name,
                report.findings
            );
        }
    }
}
