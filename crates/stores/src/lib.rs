//! Where bars go: Redis, Upstash over REST, an embedded store; and the state that outlives a run.
//!
//! Owns layouts, clients and files. Deliberately knows no trades, no venues and no pipeline.

pub mod state;
pub mod store;
