//! REST history: complete intervals of trades from the venues' archives.
//!
//! Owns the requests, the paging and its proofs, the pace and the retries; the wire formats are in the venues'
//! folders. Deliberately knows no session, no bar and no store: it is asked for half-open intervals of event time and
//! says which part of each it covered.
//!
//! A venue says where the next page begins; `pager` and `page_join` prove that the pages join.

mod body;
mod client;
pub(crate) mod error;
mod feed;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gap;
pub(crate) mod json;
pub(crate) mod link;
mod pace;
pub(crate) mod page;
mod page_join;
pub(crate) mod page_stream;
#[cfg(test)]
mod page_stream_tests;
#[cfg(feature = "fuzzing")]
mod page_walk;
pub(crate) mod pager;
pub(crate) mod progress;
pub(crate) mod settings;
pub(crate) mod source;

pub use error::{HistoryError, PageError, RowError};
pub use feed::HistoryFeed;
pub use link::BaseUrlError;
pub use progress::{Coverage, Progress, SymbolRange};
pub use settings::{HistorySettings, HistorySettingsError};
pub use source::HistorySource;
