//! Trades in, bars in Redis: every trade counted once, every bar written once.
//!
//! A [`Pipeline`] connects sources of trades to a store of bars. Add `barmill`, `tokio` and `futures` to your program.
//! The start checks the description and reports all errors at once:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use barmill::{Binance, Pipeline, Redis};
//! use futures::StreamExt;
//!
//! let running = Pipeline::builder()
//!     .source(Binance::live(["BTCUSDT", "ETHUSDT"]))
//!     .bars("1m,5m")
//!     .sink(Redis::at("redis://127.0.0.1:6379"))
//!     .start()
//!     .await?;
//! let mut bars = running.bars();
//! while let Some(update) = bars.next().await {
//!     println!("{update:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - **Sources:** recorded [`Files`], a venue live or from its history ([`Massive`], [`Alpaca`], [`Binance`],
//!   [`Coinbase`], [`Kraken`], or by name [`VenueSource`]), a recording served as a venue ([`SimulatedSource`]), any
//!   stream of trades, or your own type ([`TradeFeed`]).
//! - **Stores:** [`Redis`], [`Upstash`], an [`Embedded`] folder, [`Stdout`], or your own type ([`BarSink`]).
//! - **In tests:** recorded trades in, bars out.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use barmill::{Files, Pipeline};
//!
//! let bars = Pipeline::builder()
//!     .source(Files::open("examples/data/sample-trades.csv").symbols(["SPY"]))
//!     .bars("5m")
//!     .collect()
//!     .await?;
//! assert_eq!(bars.len(), 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - **A daemon inside a program** is a pipeline with a live source. It catches up, resumes from the folder of
//!   [`PipelineBuilder::state`], closes the bars of quiet symbols, and changes its symbols while it runs
//!   ([`Running::reload`]). [`Running::readiness`] reports its state.
//! - **Reading bars** from a store: [`Store::reader`].
//!
//! # Cargo features
//!
//! | feature | adds |
//! |---|---|
//! | none | trades, bars, [`Pipeline`], sources and stores of your own: 43 crates |
//! | `files` | [`Files`] |
//! | `history`, `live` | [`VenueSource`], [`Massive`], [`Binance`] and the other venues; either feature adds all of this, because a live feed fills its gaps from the history |
//! | `simulate` | [`SimulatedSource`] |
//! | `redis`, `upstash`, `embedded` | [`Redis`], [`Upstash`], [`Embedded`]; each also adds [`Stdout`] and the reader |
//! | `state` | [`PipelineBuilder::state`]: spool and checkpoints |
//! | `cli` (default) | all of them, and the command `barmill` |
//!
//! The crates `barmill-core`, `barmill-sources` and `barmill-stores` are parts of this one and follow its version;
//! depend only on `barmill`.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "cli"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "links to what other features bring"
    )
)]
#![allow(
    unreachable_pub,
    reason = "modules are private, and `internals` shows some of them to tests and benchmarks"
)]

mod builder;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod config;
#[cfg(feature = "venues")]
mod daemon;
mod faults;
#[cfg(feature = "venues")]
mod period;
mod pipeline;
mod running;
mod sink;
mod source;
#[cfg(feature = "cli")]
mod status;

use barmill_core::{engine, model, port};

pub use barmill_core::engine::aggregate::Fill;
pub use barmill_core::model::{
    Bar, BarFlags, BarKey, BarSpec, BarState, BarUpdate, Conditions, Covered, DecimalError,
    Manifest, Notional, Ohlc, Origin, Price, Side, Size, SpecError, Symbol, SymbolError, Timestamp,
    TimestampError, Trade, TradeId, TradeKey, Volume,
};
pub use barmill_core::port::{
    BarSink, ControlEvent, Cost, FeedError, FeedStats, Gap, ItemError, ItemResult, Position,
    Remedy, SinkError, SinkStats, TradeBatch, TradeFeed, WriteItem,
};
#[cfg(any(feature = "redis", feature = "upstash", feature = "embedded"))]
pub use barmill_stores::{BarDetail, BarReader, ReadError, StoredBar};
pub use builder::{PipelineBuilder, PipelineError};
#[cfg(feature = "cli")]
#[doc(hidden)]
pub use cli::main;
#[cfg(feature = "venues")]
pub use daemon::{CatchUp, Health};
pub use faults::BuildError;
pub use pipeline::stream::StreamFeed;
pub use pipeline::{End, Finished, Handle, Pipeline, RunError, State, Summary};
pub use running::{BarUpdates, Running};
#[cfg(feature = "embedded")]
pub use sink::Embedded;
#[cfg(feature = "redis")]
pub use sink::Redis;
pub use sink::Sink;
#[cfg(feature = "upstash")]
pub use sink::Upstash;
#[cfg(any(feature = "redis", feature = "upstash", feature = "embedded"))]
pub use sink::{Null, Stdout, Store};
#[cfg(feature = "files")]
pub use source::Files;
#[cfg(feature = "simulate")]
pub use source::SimulatedSource;
pub use source::Source;
#[cfg(feature = "venues")]
pub use source::venue::{Alpaca, Binance, Coinbase, Kraken, Massive, VenueSource};

/// What tests, benchmarks and fuzz targets reach of the inside; no part of the API.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    /// The command line.
    #[cfg(feature = "cli")]
    pub mod cli {
        pub use crate::period::{Moment, Period};
    }
    /// The settings.
    #[cfg(feature = "cli")]
    pub mod config {
        pub use crate::config::{ConfigError, Environment, Layers, Loaded, Origin, SinkUrl, load};
    }
    /// The actors and their settings.
    pub mod pipeline {
        pub use crate::pipeline::*;
    }
}
