//! What every store answers: commands on keys, scripts, and what a failure calls for.

pub(crate) mod command;
pub(crate) mod counters;
pub(crate) mod port;
pub(crate) mod remedy;
pub(crate) mod script;
pub(crate) mod stream;
#[cfg(any(feature = "redis", feature = "upstash"))]
pub(crate) mod tls;

pub use command::{Command, Fields};
pub use port::{CommandResult, KeyStore, Reply};
pub use remedy::{RETRY_AFTER_MAX, remedy_of_http, remedy_of_text, retry_after};
pub use script::Script;
pub use stream::{StreamEntry, StreamId};
#[cfg(any(feature = "redis", feature = "upstash"))]
pub use tls::CaFileError;
