//! `barmill run`: the daemon. It catches up from history, goes live, and keeps the bars of its symbols right.

mod daemon;
mod live;
mod market;
mod place;
mod symbols;
mod tempo;

pub(super) use daemon::run;
pub(super) use live::listen;
