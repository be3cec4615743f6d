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
    /// A trade that is replaced or taken back.
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
    /// The venue says no, in these words.
    pub(crate) fn refused(kind: RefusalKind, text: impl Into<String>) -> Event {
        let text = text.into();
        Event::Refused(Refusal { kind, text })
    }

    /// The trade that it gives.
    pub(crate) fn trade(&self) -> Option<&Trade> {
        if let Event::Trade(trade) | Event::Snapshot(trade) = self {
            return Some(trade);
        }
        None
    }

    /// The time of the trade that it gives or corrects.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        if let Event::Correction(pair) = self {
            let corrected = pair.corrected.map(|trade| trade.time);
            return corrected.max(Some(pair.original.time));
        }
        self.trade().map(|trade| trade.time)
    }
}

/// A trade and what it should have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The trade as it was, with correction code 11, or 10 where it was cancelled.
    pub original: Trade,
    /// The trade as it should be, with correction code 12 and, where the venue gives one, an identity of its own; `None`
    /// for one that is taken back.
    pub corrected: Option<Trade>,
}

/// What a confirmation confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// This many symbols or messages more.
    More(usize),
    /// This many in all.
    Total(usize),
}

/// Why the venue says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("venue refuses: {text}; {}", .kind.remedy_and_advice().1)]
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
        self.remedy_and_advice().0
    }

    const fn remedy_and_advice(self) -> (Remedy, &'static str) {
        match self {
            RefusalKind::Auth => (Remedy::Fatal, "check the key"),
            RefusalKind::Plan => (Remedy::Fatal, "check the plan of the key"),
            RefusalKind::ConnectionLimit => {
                (Remedy::Fatal, "end the other connections of this key")
            }
            RefusalKind::SymbolLimit => (Remedy::Fatal, "ask for fewer symbols"),
            RefusalKind::Symbol => (Remedy::Fatal, "check the symbol's name at this venue"),
            RefusalKind::SlowClient | RefusalKind::Shutdown | RefusalKind::Other => {
                (Remedy::Reconnect, "a new connection is tried")
            }
        }
    }
}
