//! REST history: complete intervals of trades from the venues' archives.
//!
//! Owns the requests, the paging and its proofs, the pace and the retries; the wire formats are in the venues'
//! folders. Deliberately knows no session, no bar and no store: it is asked for half-open intervals of event time and
//! says which part of each it covered.
//!
//! A venue says where the next page begins; `pager` and `page_join` prove that the pages join.

mod body;
mod client;
mod error;
mod feed;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gap;
mod json;
mod link;
mod pace;
mod page;
mod page_join;
mod page_stream;
#[cfg(test)]
mod page_stream_tests;
mod pager;
mod progress;
mod settings;
mod source;

pub use error::{HistoryError, PageError, RowError};
pub use feed::HistoryFeed;
pub(crate) use json::{Rows, message, parse, shorten, text_of};
pub use link::BaseUrlError;
pub(crate) use link::{follow, join};
pub(crate) use page::{Asked, HistoryProtocol, Listing, Next, PageOrder, Request, VenueHistory};
pub(crate) use page_stream::{PageStream, StreamedPage};
pub use progress::{Coverage, Progress, SymbolRange};
pub use settings::{HistorySettings, HistorySettingsError};
pub use source::HistorySource;
