//! Live trades by WebSocket: what the venues share.
//!
//! Owns the conversations with the venues, the connections and the filling of gaps. Deliberately
//! knows no REST: what a connection missed is asked of a [`GapSource`](barmill_core::port::GapSource).

mod backlog;
mod connection;
pub(crate) mod decoder;
mod driver;
mod error;
pub(crate) mod event;
mod feed;
mod gaps;
mod identity;
mod idle;
pub(crate) mod script;
mod session;
#[cfg(test)]
mod session_tests;
pub(crate) mod settings;
#[cfg(test)]
mod settings_tests;
mod socket;
mod stats;
mod symbol_gaps;

pub use crate::json::{DecodeError, FieldError, JsonError};
pub use decoder::Decoder;
pub use error::LiveError;
pub use event::{Ack, Correction, Event, Refusal, RefusalKind};
pub use feed::{LiveFeed, LiveParts, Reloader};
pub use settings::{
    GapSettings, IdleEnd, IdleSettings, LiveSettings, LiveSettingsError, LiveSymbol, LiveSymbols,
    LiveTimes,
};
pub use stats::LiveStats;
pub use symbol_gaps::GapStats;
