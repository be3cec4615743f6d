//! The engines: pure state machines. Time and seeds are arguments; no tokio, no clock, no I/O.

pub mod aggregate;
pub mod batch;
pub mod budget;
pub mod calendar;
pub mod circuit;
pub mod concurrency;
pub mod coverage;
pub mod delivery;
pub mod pace;
mod prefetch;
pub mod requested;
pub mod resume;
pub mod retry;
pub mod rules;
mod slots;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
pub mod zone_cache;
