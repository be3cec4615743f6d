//! The engines: pure state machines. Time and seeds are arguments; no tokio, no clock, no I/O.

pub mod batch;
pub mod budget;
pub mod circuit;
pub mod coverage;
pub mod days;
pub mod delivery;
pub mod retry;
#[cfg(test)]
pub(crate) mod testing;
