//! The tasks of a long run: catch-up, resume, closing bars of idle symbols, reload, liveness, health.
//!
//! Knows live feeds, but no vendor, no store and no config: `barmill run` and the builder describe a run in the same
//! words. Deliberately starts no pipeline and spawns nothing.

mod checkpoint;
mod health;
mod live;
mod liveness;
mod profile;
mod timers;

#[cfg(feature = "cli")]
pub(crate) use health::SourceView;
pub use health::{Health, HealthStatus};
pub use profile::CatchUp;

pub(crate) use checkpoint::checkpoint_name;
#[cfg(feature = "cli")]
pub(crate) use live::OpenedLive;
pub(crate) use live::{LiveSource, SymbolReloader, live_feed, open};
pub(crate) use profile::{MarketProfile, market_hours};
#[cfg(feature = "cli")]
pub(crate) use timers::LatencyMode;
pub(crate) use timers::{idle_closing, shard_times};
