//! The simulated venues, heard by the real feeds.

mod feeds;
mod program;
mod stage;
