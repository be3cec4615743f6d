//! From items to commands: the sink that writes bars through a view into any key store, and what that costs.

pub(crate) mod batch;
pub(crate) mod commands;
pub(crate) mod cost;
#[cfg(all(feature = "redis", feature = "upstash"))]
mod cost_estimator;
mod encoded_len;
pub(crate) mod final_batch;
#[cfg(test)]
mod final_batch_tests;
mod sink;
#[cfg(test)]
mod stream_tests;
pub(crate) mod symbol_day;

#[cfg(all(feature = "redis", feature = "upstash"))]
pub use cost_estimator::{CostEstimator, WireForm};
pub use sink::ViewSink;
pub use symbol_day::Days;
