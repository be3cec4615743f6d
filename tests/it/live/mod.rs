//! The live feeds by their public API: recorded frames, and a venue on loopback that misbehaves.

#![allow(clippy::print_stdout, reason = "what was measured or skipped is told")]
#![allow(
    clippy::disallowed_methods,
    reason = "the venue of a test runs on a task of its own"
)]

mod ends;
mod faults;
#[cfg(test)]
mod idle_symbols;
pub(crate) mod published_trades;
mod recorded;
pub(crate) mod venue;
pub(crate) mod venue_frames;
