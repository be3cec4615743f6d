//! The contestants of `benches/run` that live in this crate: `table NAME [ARGUMENT]` runs one of them once.
//!
//! Prints one line of JSON: nanoseconds of the measured part, items, and what else the row needs. Everything but the
//! measured part (making data, starting servers, connecting) is outside the clock.

#![allow(clippy::print_stdout, reason = "the line is what the program is for")]
#![allow(clippy::disallowed_methods, reason = "a stopwatch needs the clock")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what cannot run has nothing to report"
)]
#![allow(clippy::panic, reason = "what cannot run has nothing to report")]

mod live;
mod memory;
#[expect(dead_code, reason = "the test servers can do more than is measured")]
#[path = "../../tests/it/support/mod.rs"]
mod support;
mod writer;

use std::process::ExitCode;

/// What a contestant has to say.
struct Line {
    ns: u128,
    items: usize,
    /// Further members, each with a comma before it.
    rest: String,
}

fn main() -> ExitCode {
    // `cargo bench` appends a flag of its own harness.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let argument = words.get(1).map_or("", String::as_str);
    let line = match words.first().map(String::as_str) {
        Some("aggregate") => memory::aggregate(argument),
        Some("hop") => memory::hop(),
        Some("hop-single") => memory::hop_single(),
        Some("resp") => writer::resp(argument),
        Some("resp-hand") => writer::resp_hand(argument),
        Some("rest") => writer::rest(),
        Some("rest-per-bar") => writer::rest_per_bar(argument),
        Some("live") => live::ours(argument),
        Some("live-serde") => live::serde(argument),
        _ => return ExitCode::from(2),
    };
    println!(
        "{{\"ns\":{},\"items\":{}{}}}",
        line.ns, line.items, line.rest
    );
    ExitCode::SUCCESS
}
