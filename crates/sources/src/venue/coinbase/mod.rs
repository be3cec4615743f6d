//! Coinbase: Exchange, and Advanced Trade for live trades: REST history, live trades, and the simulated venue.

pub(crate) mod history;
pub(crate) mod live;
pub(crate) mod simulate;
