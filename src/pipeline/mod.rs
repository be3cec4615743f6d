//! The pipeline: feeds, shards and the writer, joined by bounded channels.

mod aggregate;
pub mod channel;
pub mod clock;
mod error;
mod feed;
#[cfg(feature = "cli")]
mod forecast;
mod late;
mod message;
mod pace;
#[cfg(feature = "files")]
pub mod paced;
mod running;
#[cfg(test)]
mod simulation;
mod start;
pub mod stream;
mod supervise;
mod timer;
mod write;

#[cfg(feature = "internals")]
pub use aggregate::ShardCounts;
pub use aggregate::ShardTimes;
pub use error::RunError;
#[cfg(any(feature = "cli", feature = "internals"))]
pub use feed::FeedCounts;
#[cfg(test)]
pub(crate) use feed::Partition;
#[cfg(feature = "cli")]
pub use forecast::{Arrival, Forecast, ForecastDay, forecast};
#[cfg(feature = "internals")]
#[doc(hidden)]
pub use message::ShardMessage;
#[cfg(feature = "cli")]
pub(crate) use message::{LISTENER_LEN_MAX, UPDATES_LEN_MAX};
pub use pace::PaceSettings;
pub use running::{End, Finished, Handle, Running, State, Summary};
#[cfg(any(feature = "cli", feature = "internals"))]
pub use start::NoStateError;
pub use start::{Pipeline, PipelineSettings};
#[cfg(any(feature = "cli", feature = "internals"))]
pub use write::ResumeSettings;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub use write::Writer;
#[cfg(feature = "internals")]
pub use write::WriterCounts;
pub use write::{ReconcileSettings, WriterPorts, WriterSettings};
