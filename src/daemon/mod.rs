//! What a long run does beside the pipeline: catch-up, resume, the closing of quiet symbols, reload, liveness, health.
//!
//! Knows live feeds, but no vendor, no store and no config: `barmill run` and the builder describe a run in the same
//! words. Deliberately starts no pipeline and spawns nothing.

mod checkpoint;
mod health;
mod live;
mod liveness;
mod profile;
mod timers;

pub use health::{Health, HealthStatus, SourceView};
pub use profile::CatchUp;

pub(crate) use checkpoint::checkpoint_name;
pub(crate) use live::{LiveSource, OpenedLive, SymbolReloader, open};
pub(crate) use profile::MarketProfile;
pub(crate) use timers::{LatencyMode, idle_closing, shard_times};
