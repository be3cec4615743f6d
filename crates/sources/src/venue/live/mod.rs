//! Live trades by WebSocket: what the venues share.
//!
//! Owns the wire formats, the conversations with the venues, the connections and the closing of gaps. Deliberately
//! knows no REST: what a connection missed is asked of a [`GapSource`](barmill_core::port::GapSource).

mod backlog;
mod backoff;
mod changes;
mod connection;
mod continuity;
pub(crate) mod decoder;
mod driver;
mod error;
pub(crate) mod event;
mod feed;
mod gap_context;
mod identity;
mod idle;
pub(crate) mod scan;
pub(crate) mod session;
pub(crate) mod settings;
mod skew;
mod socket;
mod track;
pub(crate) mod value;

pub use decoder::Decoder;
pub use driver::LiveDriver;
pub use error::LiveError;
pub use event::{Ack, Correction, Event, Refusal, RefusalKind};
pub use feed::{LiveFeed, LiveParts, LiveStats, Reloader};
pub use gap_context::GapStats;
pub use scan::ScanError;
pub use settings::{
    GapSettings, IdleEnd, IdleSettings, LiveSettings, LiveSettingsError, LiveSymbol, LiveSymbols,
    LiveTimes,
};
pub use value::{DecodeError, FieldError};
