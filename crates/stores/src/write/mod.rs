//! From items to commands: the sink that writes bars through a view into any key store, and what that costs.

pub(crate) mod cost;
#[cfg(all(feature = "redis", feature = "upstash"))]
mod cost_estimator;
#[cfg(test)]
mod final_batch_tests;
mod sink;
#[cfg(test)]
mod stream_tests;

#[cfg(all(feature = "redis", feature = "upstash"))]
pub use cost_estimator::{CostEstimator, WireForm};
pub use sink::ViewSink;
