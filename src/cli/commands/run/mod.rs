//! `barmill run`: config becomes a daemon, which catches up from history, goes live, and keeps the bars right.

mod daemon;
mod live;
mod market;
mod metrics;
mod pages;
mod side_tasks;
pub(super) mod symbols;

pub(super) use daemon::run;
pub(super) use live::listen;
pub(super) use market::Market;
