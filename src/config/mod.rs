//! The config: every key with its default, its range and its layers.
//!
//! Layers, later over earlier: defaults, the file, `BARMILL__SECTION__KEY` in the environment,
//! `--set SECTION.KEY=VALUE`, and the flags that stand for a key. No file is read unless one is named. Secrets
//! are no keys. The only place that reads the environment.

mod bars;
mod check;
mod environment;
mod error;
mod file;
mod live;
mod live_symbols;
mod load;
mod plan;
mod redis;
mod replay;
mod run;
mod secret;
mod section;
mod settings;
mod sink;
mod source;
mod source_key;
mod status;
#[cfg(test)]
mod tests;
mod value;
mod view;
mod writer;

pub use bars::{Bars, RulesName, Session, VolumeOnly, Zone};
pub use environment::Environment;
pub use error::ConfigError;
#[cfg(any(test, feature = "internals"))]
pub use error::Origin;
pub use live::Live;
pub use live_symbols::LiveNames;
pub use load::{Flag, Layers, Loaded, load, read_file};
pub use plan::Plan;
pub use redis::Redis;
pub use replay::{Aggregate, Replay, Speed};
#[cfg(test)]
pub use run::LogLevel;
pub use run::{Log, LogFormat, Run};
pub use secret::{SecretError, SinkTarget};
pub use settings::Config;
pub use sink::{Sink, SinkUrl};
pub use source::{SourceName, Sources, source_choices, source_name};
pub use source_key::SourceKeys;
pub use status::Status;
pub use value::ValueError;
pub use view::{AlsoViews, ValueFormat, View};
pub use writer::{Guard, TakeOver, Writer};
