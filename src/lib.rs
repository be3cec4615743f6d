//! Trades in, bars in Redis: every trade counted once, every bar written once.

#![allow(
    unreachable_pub,
    reason = "modules are private, and `internals` shows some of them to tests and benchmarks"
)]

mod builder;
mod cli;
mod config;
mod daemon;
mod period;
mod pipeline;
mod running;
mod sink;
mod source;
mod status;

use barmill_core::{engine, model, port};

pub use barmill_core::engine::aggregate::Fill;
pub use barmill_core::model::{
    Bar, BarFlags, BarKey, BarSpec, BarState, BarUpdate, Conditions, Covered, DecimalError,
    Manifest, Notional, Ohlc, Origin, Price, Side, Size, SpecError, Symbol, SymbolError, Timestamp,
    TimestampError, Trade, TradeId, TradeKey, Volume,
};
pub use barmill_core::port::{
    BarSink, Cost, FeedError, FeedStats, ItemError, ItemResult, Position, Remedy, SinkError,
    SinkStats, TradeBatch, TradeFeed, WriteItem,
};
pub use barmill_stores::store::{BarReader, ReadError, StoredBar};
pub use builder::{BuildError, PipelineBuilder, PipelineError};
#[doc(hidden)]
pub use cli::main;
pub use daemon::{CatchUp, Health};
pub use pipeline::stream::StreamFeed;
pub use pipeline::{End, Fault as RunError, Finished, Handle, Pipeline, State, Summary};
pub use running::{BarUpdates, Running};
pub use sink::{Embedded, Null, Redis, Sink, Stdout, Store, Upstash};
pub use source::{
    Alpaca, Binance, Coinbase, Files, Kraken, Massive, SimulatedSource, Source, VenueSource,
};

/// What tests, benchmarks and fuzz targets reach of the inside; no part of the API.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    /// The command line.
    pub mod cli {
        pub use crate::period::{Moment, Period};
    }
    /// The settings.
    pub mod config {
        pub use crate::config::{ConfigError, Environment, Layers, Loaded, Origin, SinkUrl, load};
    }
    /// The actors and their settings.
    pub mod pipeline {
        pub use crate::pipeline::*;
    }
}
