//! `barmill run`: builds a daemon from the config; it catches up from history and then follows live trades.

mod daemon;
mod live;
mod market;
mod metrics;
mod pages;
mod side_tasks;
pub(super) mod symbols;

pub(in crate::cli) use daemon::RunArguments;
pub(super) use daemon::run;
pub(super) use live::listen;
pub(super) use market::Market;
