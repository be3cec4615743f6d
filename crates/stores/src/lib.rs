//! Where bars go: Redis, Upstash over REST, an embedded store; and the state that outlives a run.
//!
//! Owns layouts, clients and files. Deliberately knows no trades, no venues and no pipeline.

#[cfg(feature = "state")]
pub mod state;
#[cfg(any(feature = "redis", feature = "upstash", feature = "embedded"))]
pub mod store;
