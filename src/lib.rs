//! Trades in, bars in Redis: every trade counted once, every bar written once.

pub mod adapter;
pub mod cli;
pub mod config;
pub mod pipeline;
pub mod status;

pub use barmill_core::{engine, model, port};
pub use pipeline::{Fault, Pipeline, PipelineBuilder, Summary};

pub use barmill_core::model::{
    Bar, BarFlags, BarKey, BarSpec, BarState, BarUpdate, Conditions, Covered, DecimalError,
    Manifest, Notional, Ohlc, Origin, Price, Side, Size, SpecError, Symbol, SymbolError, Timestamp,
    TimestampError, Trade, TradeId, TradeKey, Volume,
};
