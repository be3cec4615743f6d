//! `barmill run`: config becomes a daemon, which catches up from history, goes live, and keeps the bars right.

mod care;
mod daemon;
mod live;
mod market;
mod metrics;
mod pages;
pub(super) mod symbols;

pub(super) use daemon::run;
pub(super) use live::listen;
pub(super) use market::Market;
