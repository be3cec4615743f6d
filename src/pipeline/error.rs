//! Errors that end an actor.

use crate::port::{FeedError, Remedy, SinkError, StateError};
use std::error::Error;

/// The last attempt of a batch that gave up.
#[derive(Debug, thiserror::Error)]
#[error("gave up after {attempts} attempts: {cause}")]
pub struct Failure {
    /// Attempts made.
    pub attempts: u32,
    /// The store's words, without secrets.
    pub cause: String,
}

/// The end of an actor by a fault.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A feed could not go on.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The store takes no more.
    #[error("{bars} bars are not written and {spooled} items wait in the spool")]
    Unwritten {
        /// Bars that are neither in the store nor in the spool.
        bars: u64,
        /// Items in the spool; the next run sends them first.
        spooled: u64,
        /// What the store answered.
        #[source]
        failure: Failure,
    },
    /// Another pipeline owns the bars; nothing of this run is kept for later.
    #[error(transparent)]
    Owned(SinkError),
    /// The durable state cannot be read or written.
    #[error("state store failed")]
    State(#[source] StateError),
    /// The store could not be closed in order.
    #[error("failed to close the store")]
    Close(#[source] SinkError),
    /// An actor panicked; a defect of this program.
    #[error("actor {actor} panicked")]
    Panicked {
        /// The actor's name.
        actor: String,
    },
    /// The actor that this one hands its output to has ended; never the first cause.
    #[error("actor {actor} lost its receiver")]
    Downstream {
        /// The actor's name.
        actor: String,
    },
}

impl RunError {
    /// Whether this fault only follows from another actor's.
    pub(crate) fn is_consequence(&self) -> bool {
        matches!(self, RunError::Downstream { .. })
    }
}

/// Whether the state may take the same again, as when there is space again.
pub(super) fn may_pass(error: &StateError) -> bool {
    matches!(error.remedy(), Remedy::Retry { .. })
}

/// The error and its causes in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
