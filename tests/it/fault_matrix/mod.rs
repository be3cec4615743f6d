//! Every fault of the writer's remedies, over every wire, before, midway and after the write: the store ends as if
//! nothing had been.
//!
//! A real pipeline writes a small day into a real Redis behind a faulty server. After each row: no bar is missing, none
//! is wrong, no older value came over a newer one, the requests are bounded, and the log says what an operator needs.

mod bench;
mod elsewhere;
mod heal;
mod real;
mod rows;
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};

use barmill::RunError as RunFault;
use barmill::internals::pipeline::{End, Summary};

use bench::{AnswerWait, Bench, Held, Log, Ran, check_order};
use rows::{Ending, Met, ROWS, Row, Wire};

use crate::support::dump::is_manifest;
use crate::support::fault::{Choice, Fault, Rule, Stage};
use crate::support::upstash::TOKEN;

/// Rows under way at once; most of them wait.
const WORKERS: usize = 8;
/// One faulty request, and so many that the circuit opens and a probe fails.
const TIMES: [usize; 2] = [1, 7];

/// One row over one wire at one stage.
struct Case {
    row: &'static Row,
    stage: Stage,
    times: usize,
}

/// What an undisturbed run leaves and costs.
struct Undisturbed {
    held: Held,
    requests: u64,
}

impl Bench {
    async fn undisturbed(&self) -> Undisturbed {
        let Ran {
            finished,
            log,
            requests,
        } = self.write(AnswerWait::Long, async |_| {}).await;
        assert!(
            matches!(finished.end, End::Drained),
            "{:?} {log}",
            finished.end
        );
        assert!(0 < finished.summary.revised, "{:?}", finished.summary);
        let held = self.held();
        assert!(held.len() > 20, "{held:?}");
        self.server.take_recorded();
        self.reset();
        Undisturbed { held, requests }
    }
}

impl Case {
    fn name(&self, wire: Wire) -> String {
        format!(
            "{} over {wire:?}, {:?}, x{}",
            self.row.fault, self.stage, self.times
        )
    }

    /// Puts the fault where it is to be met.
    fn arm(&self, bench: &Bench) {
        let rule = |fault: Fault, times| Rule::next(fault).at(self.stage).times(times);
        let server = &bench.server;
        match (self.row.met.clone(), self.stage) {
            (Met::Request(fault), _) => server.inject(rule(fault, self.times)),
            (Met::Commands(error), stage) => {
                let choice =
                    Choice::new(move |index, _| stage == Stage::BeforeApply || index % 2 == 0);
                server.inject(rule(Fault::CommandErrors { choice, error }, self.times));
            }
            (Met::Connections(fault), Stage::BeforeApply) => {
                server.inject_connections(fault, self.times);
            }
            (Met::Connections(fault), _) => {
                server.inject(rule(Fault::ResetThen(fault, self.times), 1));
            }
            (Met::Refused, Stage::BeforeApply) => server.refuse(),
            (Met::Refused, _) => server.inject(rule(Fault::ResetAndRefuse, 1)),
            (Met::Poison(fault), _) => {
                let is_meant = |command: &Vec<Vec<u8>>| command[1].ends_with(b":AAPL");
                server.inject(
                    rule(fault, usize::MAX).when(move |commands| commands.iter().any(is_meant)),
                );
            }
        }
    }

    async fn lift(&self, bench: &Bench, log: Log) {
        if matches!(self.row.met, Met::Refused) {
            log.tells("retrying in", 2 * self.times.min(2)).await;
            bench.server.clear_faults();
        }
    }

    /// Runs once, and once more when the fault ends the run, and looks at what is there.
    async fn prove(&self, bench: &Bench, wire: Wire, undisturbed: &Undisturbed) {
        let (name, row) = (self.name(wire), self.row);
        self.arm(bench);
        let Ran {
            finished,
            log,
            mut requests,
        } = bench
            .write(row.wait(), async |log| self.lift(bench, log).await)
            .await;
        let summary = finished.summary;
        self.check_log(&name, &log);
        // Manifests that go with the last bars take a request of their own when those fail.
        let mut requests_max = undisturbed.requests + 1 + self.times as u64 + row.requests_over;
        if row.ending == Ending::Halted {
            let is_kept = matches!(
                finished.end,
                End::Failed(RunFault::Unwritten { bars: 0, .. })
            );
            assert!(
                is_kept && 0 < summary.spooled,
                "{name}: {:?} {log}",
                finished.end
            );
            bench.server.clear_faults();
            let second = bench.write(AnswerWait::Long, async |_| {}).await;
            assert!(
                matches!(second.finished.end, End::Drained),
                "{name}: {:?} {}",
                second.finished.end,
                second.log
            );
            assert!(
                second
                    .log
                    .contains("sending the spool of an earlier run first"),
                "{name}: {}",
                second.log
            );
            requests += second.requests;
            // It looks in the store for what the first run delivered: two batches of claims.
            requests_max += undisturbed.requests + 2;
        } else {
            assert!(
                matches!(finished.end, End::Drained),
                "{name}: {:?} {log}",
                finished.end
            );
        }
        assert!(
            requests <= requests_max,
            "{name}: {requests} requests, at most {requests_max}: {log}"
        );
        check_order(&name, &bench.server.take_recorded());
        let is_retried = row.ending == Ending::Retried;
        assert_eq!(
            is_retried,
            0 < summary.retries,
            "{name}: {} retries {log}",
            summary.retries
        );
        assert_eq!(
            row.ending == Ending::DeadLetters,
            0 < summary.dead_letters,
            "{name}: {log}"
        );
        check_store(&name, &bench.held(), &undisturbed.held, &summary);
        bench.reset();
    }

    /// One line tells the fault; a fault that is no outage makes no noise; no line holds a secret.
    fn check_log(&self, name: &str, log: &str) {
        let kind = match self.row.ending {
            Ending::Unseen => "store closed",
            Ending::Retried => "retrying in",
            Ending::Paused => "the quota of",
            Ending::DeadLetters => "they are kept as dead letters",
            Ending::Halted => "failed permanently",
        };
        let is_meant = |line: &str| self.row.line.split('|').any(|words| line.contains(words));
        let is_told = log
            .lines()
            .any(|line| line.contains(kind) && is_meant(line));
        assert!(
            is_told,
            "{name}: no line says {kind:?} and {:?}: {log}",
            self.row.line
        );
        let told = log
            .lines()
            .filter(|line| line.contains(" WARN ") || line.contains("ERROR"))
            .count();
        let told_max = if self.row.ending == Ending::Unseen {
            0
        } else {
            4 + 2 * self.times
        };
        assert!(told <= told_max, "{name}: {told} lines of warnings: {log}");
        assert!(!log.contains(TOKEN), "{name}: the token is in the log");
        let is_out = log.contains("bars go to the spool");
        assert_eq!(
            is_out,
            log.contains("bars go to the store again"),
            "{name}: {log}"
        );
    }
}

/// The store equals that of an undisturbed run, but for what is in the dead letters.
fn check_store(name: &str, held: &Held, expected: &Held, summary: &Summary) {
    if summary.dead_letters == 0 {
        assert_eq!(held, expected, "{name}");
        return;
    }
    let is_bar = |((key, _), _): &(&(String, String), &String)| !is_manifest(key);
    for (place, value) in held.iter().filter(is_bar) {
        let newest = expected
            .get(place)
            .unwrap_or_else(|| panic!("{name}: {place:?} is no bar"));
        assert!(
            value == newest || revision(value) < revision(newest),
            "{name}: {value} is wrong"
        );
    }
    let wanting = expected
        .iter()
        .filter(is_bar)
        .filter(|(place, value)| held.get(*place) != Some(value));
    let wanting = wanting.count() as u64;
    assert!(
        wanting <= summary.dead_letters,
        "{name}: {wanting} of {} bars",
        summary.dead_letters
    );
}

fn revision(value: &str) -> u64 {
    let value: serde_json::Value = serde_json::from_str(value).expect("JSON");
    value["revision"].as_u64().unwrap_or_default()
}

fn cases(wire: Wire) -> Vec<Case> {
    let rows = ROWS.iter().filter(|row| row.wires.contains(&wire));
    rows.flat_map(|row| row.stages.iter().map(move |stage| (row, *stage)))
        .flat_map(|(row, stage)| TIMES.map(|times| Case { row, stage, times }))
        .filter(|case| case.times == 1 || case.row.is_repeated())
        .collect()
}

/// Runs on a runtime of this thread alone, so that the log is that of one run.
fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future);
}

fn prove_all(wire: Wire) {
    let (cases, next) = (cases(wire), AtomicUsize::new(0));
    let work = || {
        let bench = Bench::new(wire);
        block_on(async {
            let undisturbed = bench.undisturbed().await;
            while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                case.prove(&bench, wire, &undisturbed).await;
            }
        });
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
}

#[test]
fn every_fault_over_http1_before_midway_and_after_costs_nothing() {
    prove_all(Wire::Http1);
}

#[test]
fn every_fault_over_http2_before_midway_and_after_costs_nothing() {
    prove_all(Wire::Http2);
}

#[test]
fn every_fault_over_resp_before_midway_and_after_costs_nothing() {
    prove_all(Wire::Resp);
}
