//! Events that the frames of any venue decode to.

use crate::json::DecodeError;
use barmill_core::model::{Symbol, Timestamp, Trade};
use barmill_core::port::Remedy;

/// One thing a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A trade.
    Trade(Trade),
    /// A trade from before the subscription, given as a start.
    Snapshot(Trade),
    /// The record of a trade that is taken back, with that trade's identity and correction code 10 (cancelled) or 11
    /// (erroneous).
    Cancel(Trade),
    /// A trade that is replaced.
    Correction(Box<Correction>),
    /// The identity of a symbol's newest trade, so that a lost one is noticed without the next.
    Newest {
        /// The instrument.
        symbol: Symbol,
        /// The identity as a number.
        sequence: u64,
    },
    /// The venue is ready to be spoken to.
    Greeting,
    /// The key is accepted.
    AuthOk,
    /// A subscription is confirmed.
    Subscribed(Ack),
    /// A sign of life without content.
    Heartbeat,
    /// Messages of this connection were lost, of any symbol.
    Lost {
        /// How many.
        messages: u64,
    },
    /// The venue says no.
    Refused(Refusal),
    /// The venue gives some symbols of a subscription not, and the others all the same.
    SymbolsRefused {
        /// The symbols.
        symbols: Vec<Symbol>,
        /// The venue's words, shortened.
        text: String,
    },
    /// A record that should be a trade and is none.
    Malformed(DecodeError),
    /// Something else that is well formed and of no interest.
    Other,
}

impl Event {
    /// The trade that it gives or takes back.
    pub(crate) fn trade(&self) -> Option<&Trade> {
        match self {
            Event::Trade(trade) | Event::Snapshot(trade) | Event::Cancel(trade) => Some(trade),
            Event::Correction(_)
            | Event::Newest { .. }
            | Event::Greeting
            | Event::AuthOk
            | Event::Subscribed(_)
            | Event::Heartbeat
            | Event::Lost { .. }
            | Event::Refused(_)
            | Event::SymbolsRefused { .. }
            | Event::Malformed(_)
            | Event::Other => None,
        }
    }

    /// The time of the trade that it gives or corrects.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        if let Event::Correction(pair) = self {
            return Some(pair.corrected.time.max(pair.original.time));
        }
        self.trade().map(|trade| trade.time)
    }
}

/// A trade and what it should have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The trade as it was, with correction code 11.
    pub original: Trade,
    /// The trade as it should be, with correction code 12 and, where the venue gives one, an identity of its own.
    pub corrected: Trade,
}

/// What a confirmation confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// This many symbols more.
    Symbols(usize),
    /// This many symbols in all.
    Total(usize),
    /// One subscribe message.
    Message,
}

/// Why the venue says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("venue refuses: {text}; {}", .kind.advice())]
pub struct Refusal {
    /// What it refuses.
    pub kind: RefusalKind,
    /// The venue's words, shortened.
    pub text: String,
}

/// What the venue refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The key.
    Auth,
    /// What the key's plan does not hold.
    Plan,
    /// One connection more.
    ConnectionLimit,
    /// One symbol more.
    SymbolLimit,
    /// A symbol it does not know.
    Symbol,
    /// This connection, for being too slow.
    SlowClient,
    /// Every connection, as it goes down for a while.
    Shutdown,
    /// Anything else.
    Other,
}

impl RefusalKind {
    /// What the refusal calls for.
    pub const fn remedy(self) -> Remedy {
        match self {
            RefusalKind::Auth
            | RefusalKind::Plan
            | RefusalKind::ConnectionLimit
            | RefusalKind::SymbolLimit
            | RefusalKind::Symbol => Remedy::Fatal,
            RefusalKind::SlowClient | RefusalKind::Shutdown | RefusalKind::Other => {
                Remedy::Reconnect
            }
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            RefusalKind::Auth => "check the key",
            RefusalKind::Plan => "check the plan of the key",
            RefusalKind::ConnectionLimit => "end the other connections of this key",
            RefusalKind::SymbolLimit => "ask for fewer symbols",
            RefusalKind::Symbol => "check the symbol's name at this venue",
            RefusalKind::SlowClient | RefusalKind::Shutdown | RefusalKind::Other => {
                "a new connection is tried"
            }
        }
    }
}
