//! The wall clock, for logs and timestamps; it never decides what is in a bar.

use crate::model::Timestamp;

/// Tells the time of day. Waiting is tokio's, so that a test can pause it.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// The current instant, UTC.
    fn now(&self) -> Timestamp;
}
