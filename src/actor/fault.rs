//! Why an actor ended before its work was done.

use crate::port::{FeedError, SinkError};
use std::error::Error;

/// The end of an actor by a fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A feed could not go on.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The store refused for good, or every attempt failed.
    #[error("failed to write {bars} bars after {attempts} attempts")]
    Unwritten {
        /// Bars handed to the writer that are not in the store.
        bars: u64,
        /// Attempts made for the batch that gave up.
        attempts: u32,
        /// The cause of the last attempt.
        #[source]
        source: SinkError,
    },
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

impl Fault {
    /// Whether this fault only follows from another actor's.
    pub(crate) fn is_consequence(&self) -> bool {
        match self {
            Fault::Downstream { .. } => true,
            Fault::Feed(_) | Fault::Unwritten { .. } | Fault::Close(_) | Fault::Panicked { .. } => false,
        }
    }
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
