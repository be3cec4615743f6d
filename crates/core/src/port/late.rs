//! Where trades go that come too late for their bars: counted they are in any case, kept they are here.

use crate::model::Trade;
use futures::future::BoxFuture;
use std::error::Error;

/// Why late trades are not kept; they are counted all the same.
#[derive(Debug, thiserror::Error)]
pub enum LateError {
    /// The bound is reached.
    #[error(
        "file {file} has reached its limit of {bytes_max} bytes; move it away or raise run.late_max_mb"
    )]
    Full {
        /// The file.
        file: String,
        /// Its bound.
        bytes_max: u64,
    },
    /// The disk or the folder failed.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
}

/// Keeps late trades for a person who wants to know which they were.
pub trait LateStore: std::fmt::Debug + Send + Sync + 'static {
    /// Appends trades, in order of arrival; durable when it resolves.
    ///
    /// # Errors
    /// [`LateError`]; some of the trades may be kept nevertheless.
    fn write(&self, trades: Vec<Trade>) -> BoxFuture<'_, Result<(), LateError>>;

    /// Where they are, for a log line.
    fn location(&self) -> String;
}
