//! The descriptor of a venue's simulation, a part of the venue's descriptor.

use super::protocol::{Call, Dialect};
use super::request::{Ask, Reply};
use barmill_core::model::{Timestamp, Trade};

/// How a venue numbers the trades of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// Each number is one more than the one before.
    Contiguous,
    /// Numbers grow.
    Ascending,
    /// Trades have identities, but no numbers.
    None,
}

/// What the printed request for a venue's history asks for.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// Scheme, host and port of the simulated venue.
    pub base_url: &'a str,
    /// The first symbol of the recording.
    pub symbol: &'a str,
    /// The times of the first and the last trade.
    pub span: (Timestamp, Timestamp),
}

/// The simulated side of a venue.
#[derive(Debug, Clone, Copy)]
pub struct Simulation {
    /// How it numbers trades.
    pub numbering: Numbering,
    /// Nanoseconds of the finest step of its clock, as its history tells it.
    pub resolution_ns: i64,
    /// The path of its socket.
    pub socket_path: &'static str,
    /// The query that a client should add to the path, with its question mark; empty for none.
    pub socket_query: &'static str,
    /// Keys of the venue's config section with the values under which a client reads every recorded trade.
    pub client_settings: &'static [(&'static str, &'static str)],
    /// A `curl` command for the first trades of a symbol.
    pub example: fn(&Example<'_>) -> String,
    /// Leaves of a trade what the history can tell, beyond what numbering and market say.
    pub(crate) restate: fn(&mut Trade),
    /// The venue's side of one socket.
    pub(crate) protocol: fn(&Call) -> Box<dyn Dialect>,
    /// Answers a request for the history.
    pub(crate) answer: fn(&Ask<'_>) -> Reply,
    /// How it says that there were too many requests.
    pub(crate) too_many: fn() -> Reply,
}
