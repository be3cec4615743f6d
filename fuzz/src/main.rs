//! Runs every target, or those named, on stable: `cargo run --release -- [--seconds N] [--seed N] [TARGET|FILE]...`.
//!
//! A name that is a path `.../TARGET/FILE` runs that one input. Ends with 1 when a target failed.

use barmill_fuzz::driver;
use barmill_fuzz::targets::{TARGETS, Target};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let mut seconds = 60;
    let mut seed = 1;
    let mut names: Vec<String> = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            arguments
                .next()
                .and_then(|text| text.parse().ok())
                .expect("a number behind the flag")
        };
        match argument.as_str() {
            "--seconds" => seconds = number(),
            "--seed" => seed = number(),
            "--list" => {
                TARGETS
                    .iter()
                    .for_each(|target| println!("{}", target.name));
                return ExitCode::SUCCESS;
            }
            _ => names.push(argument),
        }
    }
    if let [path] = names.as_slice()
        && Path::new(path).is_file()
    {
        return run_file(Path::new(path));
    }
    let unknown: Vec<&String> = names
        .iter()
        .filter(|name| !TARGETS.iter().any(|target| target.name == **name))
        .collect();
    assert!(
        unknown.is_empty(),
        "no target is named {unknown:?}; see --list"
    );
    let mut findings = 0;
    for target in TARGETS
        .iter()
        .filter(|target| names.is_empty() || names.iter().any(|name| name == target.name))
    {
        findings += run_target(target, seed, Duration::from_secs(seconds));
    }
    if findings == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_target(target: &Target, seed: u64, time: Duration) -> usize {
    let artifacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    let report = driver::run(target, seed, time, &artifacts, 5);
    println!(
        "{:<20} {:>10} executions in {:>4} s, slowest {:>5} ms, {} findings",
        target.name,
        report.executions,
        report.time.as_secs(),
        report.slowest.as_millis(),
        report.findings.len()
    );
    report
        .findings
        .iter()
        .for_each(|path| println!("  {}", path.display()));
    report.findings.len()
}

fn run_file(path: &Path) -> ExitCode {
    let folder = path
        .parent()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let target = TARGETS
        .iter()
        .find(|target| target.name == folder)
        .expect("the folder is named as a target");
    (target.run)(&std::fs::read(path).expect("read the input"));
    println!("{folder} holds on {}", path.display());
    ExitCode::SUCCESS
}
