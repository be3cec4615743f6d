//! The config: every knob with its default, its range and its layers.
//!
//! Layers, later over earlier: defaults, the file, `BARMILL__SECTION__KEY` in the environment,
//! `--set SECTION.KEY=VALUE`, and the flags that stand for a key. No file is read unless one is named. Secrets
//! are no keys. The only place that reads the environment.

mod bars;
mod check;
mod environment;
mod fault;
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

pub use bars::{BarSpecs, Bars, DayInterval, Fill, Rules, Session, VolumeOnly, Zone};
pub use environment::Environment;
pub use fault::{ConfigError, Fault, Origin, Problem};
pub use live::{CatchUp, Live, LiveSources};
pub use live_symbols::{LiveNames, LiveNamesFault};
pub use load::{Flag, Layers, Loaded, load, read_file};
pub use plan::{Dollars, Plan};
pub use redis::Redis;
pub use replay::{Aggregate, FileFormat, OnBadRow, Replay, Speed};
pub use run::{Log, LogFormat, LogLevel, Run};
pub use secret::{SecretError, SinkTarget};
pub use settings::Config;
pub use sink::{RedisUrl, Sink, SinkUrl, SinkUrlError};
pub use source::{
    AlpacaSource, BaseUrl, BinanceHistory, BinanceSource, CoinbaseInterface, CoinbaseSource,
    KrakenSource, MassiveSource, Paging, SourceName, Sources, TickerPath, Word, WsUrl,
};
pub use source_key::SourceKeys;
pub use status::{Hosts, Listen, Status};
pub use value::{ValueError, VariableName};
pub use view::{
    AlsoView, AlsoViews, Namespace, Template, TemplateError, ValueFormat, View, ViewKind,
};
pub use writer::{Guard, TakeOver, Writer};
