//! `barmill run`: the daemon. It catches up from history, goes live, and keeps the bars of its symbols right.

mod care;
mod daemon;
mod live;
mod market;
mod metrics;
mod place;
mod pulse;
mod standing;
pub(super) mod symbols;
mod tempo;

pub(super) use daemon::run;
pub(super) use live::listen;
pub(super) use market::Market;
