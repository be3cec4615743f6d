//! `barmill run`: the daemon. It catches up from history, goes live, and keeps the bars of its symbols right.

mod daemon;
mod live;
mod market;
mod symbols;

pub(super) use daemon::run;
