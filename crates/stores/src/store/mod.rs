//! The stores: sinks for bars, and the reader of what they hold.

mod batch;
mod command;
mod commands;
mod cost;
#[cfg(all(feature = "redis", feature = "upstash"))]
mod cost_estimator;
mod counters;
mod diff;
#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "embedded")]
mod embedded_stream;
#[cfg(feature = "embedded")]
mod embedded_table;
mod encoded_len;
mod encoder;
mod fence;
mod final_batch;
#[cfg(test)]
mod final_batch_tests;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
#[cfg(test)]
mod guard_tests;
mod key_store;
mod key_time;
mod notification;
mod null;
mod open;
mod owner;
mod read;
mod read_plan;
mod reply;
#[cfg(feature = "redis")]
mod resp;
#[cfg(feature = "upstash")]
mod rest;
#[cfg(feature = "upstash")]
mod rest_client;
#[cfg(feature = "upstash")]
mod rest_reply;
mod script;
#[cfg(test)]
mod server_tests;
mod sink;
mod stdout;
mod stored;
mod stream;
#[cfg(test)]
mod stream_tests;
mod symbol_day;
mod template;
#[cfg(test)]
mod test_servers;
#[cfg(test)]
mod testing;
#[cfg(any(feature = "redis", feature = "upstash"))]
mod tls;
mod url;
mod value;
mod version;
mod view;
mod view_settings;

pub use command::Command;
#[cfg(all(feature = "redis", feature = "upstash"))]
pub use cost_estimator::{CostEstimator, WireForm};
#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedError, EmbeddedSettings, EmbeddedStore};
pub use fence::{FenceError, FenceSettings, Guard};
pub use key_store::{CommandResult, KeyStore, Reply};
pub use null::NullSink;
pub use open::{OpenError, Opened, StoreSettings, connect};
pub use owner::{Owner, SymbolSources};
pub use read::{BarReader, ReadError};
pub use read_plan::Unlisted;
pub use reply::{RETRY_AFTER_MAX, remedy_of_http, remedy_of_text, retry_after};
#[cfg(feature = "redis")]
pub use resp::{RespError, RespSettings, RespStore};
#[cfg(feature = "upstash")]
pub use rest::RestStore;
#[cfg(feature = "upstash")]
pub use rest_client::{RestError, RestSettings};
pub use script::Script;
pub use sink::ViewSink;
pub use stdout::LinesSink;
pub use stored::{BarDetail, StoredBar, StoredManifest, ValueError};
pub use stream::{StreamEntry, StreamId};
pub use symbol_day::Days;
pub use template::{Placeholder, Template, TemplateError};
#[cfg(any(feature = "redis", feature = "upstash"))]
pub use tls::CaFileError;
#[cfg(feature = "redis")]
pub use url::RedisUrl;
#[cfg(feature = "upstash")]
pub use url::RestUrl;
pub use url::{SinkUrl, SinkUrlError};
pub use view::View;
pub use view_settings::{
    NAMESPACE_DEFAULT, STREAM_LEN_MAX_DEFAULT, TTL_S_DEFAULT, TTL_S_MAX, ValueForm, ViewError,
    ViewKind, ViewSettings,
};
