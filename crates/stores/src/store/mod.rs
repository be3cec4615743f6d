//! The stores: sinks for bars, and the reader of what they hold.

mod audit;
mod batch;
mod close;
#[cfg(test)]
mod close_tests;
mod command;
mod counters;
mod days;
mod embedded;
mod embedded_stream;
mod embedded_table;
mod fence;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
#[cfg(test)]
mod guard_tests;
mod key_store;
mod meter;
mod notice;
mod null;
mod open;
mod pack;
mod plain;
mod read;
mod read_plan;
mod reply;
mod resp;
mod rest;
mod rest_client;
mod rest_reply;
mod script;
#[cfg(test)]
mod server_tests;
mod sink;
mod stamp;
mod stdout;
mod stored;
mod stream;
#[cfg(test)]
mod stream_tests;
mod template;
#[cfg(test)]
mod test_servers;
#[cfg(test)]
mod testing;
mod tls;
mod url;
mod value;
mod version;
mod view;
mod view_settings;
mod weight;

pub use command::Command;
pub use days::Days;
pub use embedded::{EmbeddedError, EmbeddedSettings, EmbeddedStore};
pub use fence::{FenceError, FenceSettings, Guard};
pub use key_store::{CommandResult, KeyStore, Reply};
pub use meter::{Meter, WireForm};
pub use null::NullSink;
pub use open::{OpenError, Opened, StoreSettings, connect};
pub use read::{BarReader, ReadError};
pub use read_plan::Unlisted;
pub use reply::{RETRY_AFTER_MAX, remedy_of_http, remedy_of_text, retry_after};
pub use resp::{RespError, RespSettings, RespStore};
pub use rest::RestStore;
pub use rest_client::{RestError, RestSettings};
pub use script::Script;
pub use sink::ViewSink;
pub use stdout::LinesSink;
pub use stored::{BarDetail, StoredBar, StoredManifest, ValueError};
pub use stream::{StreamEntry, StreamId};
pub use template::{Placeholder, Template, TemplateError};
pub use tls::CaFileError;
pub use url::{RedisUrl, RestUrl, SinkUrl, SinkUrlError};
pub use view::View;
pub use view_settings::{
    NAMESPACE_DEFAULT, STREAM_LEN_MAX_DEFAULT, TTL_S_DEFAULT, TTL_S_MAX, ValueForm, ViewError,
    ViewKind, ViewSettings,
};
