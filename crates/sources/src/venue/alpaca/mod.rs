//! Alpaca: US equities: REST history, live trades, and the simulated venue.

pub(crate) mod history;
pub(crate) mod live;
pub(crate) mod simulate;
