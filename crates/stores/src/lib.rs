//! Stores of bars: Redis, Upstash over REST, an embedded store; and the durable state of a run.
//!
//! Owns layouts, clients and files. Deliberately knows no trades, no venues and no pipeline.

mod batch;
#[cfg(feature = "embedded")]
mod embedded;
mod fence;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod key_store;
mod layout;
mod null;
#[cfg(any(feature = "redis", feature = "upstash", feature = "embedded"))]
mod open;
mod owner;
mod read;
#[cfg(feature = "redis")]
mod resp;
#[cfg(test)]
mod server_tests;
mod sink_url;
#[cfg(feature = "state")]
pub mod state;
mod stdout;
#[cfg(test)]
mod test_servers;
#[cfg(test)]
mod testing;
#[cfg(feature = "upstash")]
mod upstash;
mod url;
mod write;

#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedError, EmbeddedStore};
pub use fence::{FenceError, FenceSettings, Guard};
#[cfg(any(feature = "redis", feature = "upstash"))]
pub use key_store::CaFileError;
pub use key_store::{
    Command, CommandResult, Fields, KeyStore, RETRY_AFTER_MAX, Reply, Script, StreamEntry,
    StreamId, remedy_of_http, remedy_of_text, retry_after,
};
pub use layout::{
    BarDetail, NAMESPACE_DEFAULT, Placeholder, STREAM_LEN_MAX_DEFAULT, StoredBar, StoredManifest,
    TTL_S_DEFAULT, TTL_S_MAX, Template, TemplateError, ValueError, ValueForm, View, ViewError,
    ViewKind, ViewSettings,
};
pub use null::NullSink;
#[cfg(any(feature = "redis", feature = "upstash", feature = "embedded"))]
pub use open::{OpenError, Opened, StoreSettings, connect};
pub use owner::{Owner, SymbolSources};
pub use read::{BarReader, ReadError, UnlistedError};
#[cfg(feature = "redis")]
pub use resp::{RedisUrl, RespError, RespSettings, RespStore};
pub use sink_url::SinkUrl;
pub use stdout::LinesSink;
#[cfg(feature = "upstash")]
pub use upstash::{RestError, RestSettings, RestStore, RestUrl};
pub use url::SinkUrlError;
pub use write::ViewSink;
#[cfg(all(feature = "redis", feature = "upstash"))]
pub use write::{CostEstimator, WireForm};
