//! The live feeds by their public API: recorded frames, and a venue on loopback that misbehaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]
#![allow(clippy::print_stdout, reason = "what was measured or skipped is told")]

mod recorded;
