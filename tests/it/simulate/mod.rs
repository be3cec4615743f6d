//! The simulated venues, heard by the real feeds.

#![allow(clippy::print_stdout, reason = "what was measured is told")]

#[cfg(test)]
mod faults;
mod feeds;
mod hours;
mod program;
pub(crate) mod proof;
mod record;
pub(crate) mod stage;
