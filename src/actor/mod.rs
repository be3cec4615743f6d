//! The actors: tokio shells, each around one engine, and the supervisor that spawns them.

mod aggregate;
mod deal;
mod fault;
mod feed;
mod late;
mod message;
mod pace;
mod shard_times;
mod supervise;
mod write;

pub use aggregate::AggregateActor;
#[cfg(test)]
pub(crate) use deal::Deal;
pub use fault::{Failure, Fault};
pub use feed::{FeedActor, FeedCounts};
pub use late::LateActor;
pub use message::{FeedIndex, FeedMessage, ShardMessage};
pub use pace::PaceSettings;
pub use shard_times::{ShardCounts, ShardTimes};
pub use supervise::Supervisor;
pub use write::{
    FailureCounts, MendingSettings, ResumeSettings, Writer, WriterCounts, WriterPorts,
    WriterSettings,
};
