//! Why a connection ended, and its remedy.

use super::event::Refusal;
use barmill_core::port::Remedy;
use std::time::Duration;
use tokio_tungstenite::tungstenite;

/// The end of one connection.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The venue says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The venue answered the HTTP upgrade with another status.
    #[error("venue answered the upgrade with HTTP {status}")]
    Http {
        /// The status.
        status: u16,
    },
    /// The connection broke, or a frame was too large or none.
    #[error("connection broke")]
    Socket(#[source] Box<tungstenite::Error>),
    /// The venue closed the connection.
    #[error("venue closed the connection with code {code}: {reason:?}")]
    Closed {
        /// The WebSocket close code; 1006 where there was none.
        code: u16,
        /// The venue's words.
        reason: String,
    },
    /// A step took too long.
    #[error("{step} took longer than {} ms", .limit.as_millis())]
    Timeout {
        /// What was waited for.
        step: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// Nothing was received, not even a heartbeat.
    #[error("nothing was received for {} ms", .limit.as_millis())]
    Silent {
        /// The limit.
        limit: Duration,
    },
    /// Frames came, but no trade.
    #[error("no trade was received for {} ms", .limit.as_millis())]
    Stalled {
        /// The limit.
        limit: Duration,
    },
    /// The venue would soon end the connection by itself.
    #[error("connection reached its age of {} s", .limit.as_secs())]
    Expired {
        /// The age.
        limit: Duration,
    },
    /// Closed on purpose, as the consumer is too slow.
    #[error("connection was closed until the consumer catches up")]
    Held,
    /// Closed on purpose, as the feed ends.
    #[error("feed ends")]
    Left,
    /// Closed on purpose, as it is to carry other symbols.
    #[error("reconnecting for other symbols")]
    Changed,
    /// What reads the connections has ended without a word.
    #[error("connections are no longer read")]
    Gone,
}

impl LiveError {
    /// What the fault calls for: [`Remedy::Fatal`] or [`Remedy::Reconnect`].
    pub fn remedy(&self) -> Remedy {
        match self {
            LiveError::Refused(refusal) => refusal.kind.remedy(),
            LiveError::Http {
                status: 400 | 401 | 403 | 404 | 451,
            }
            | LiveError::Gone => Remedy::Fatal,
            LiveError::Http { .. }
            | LiveError::Socket(_)
            | LiveError::Closed { .. }
            | LiveError::Timeout { .. }
            | LiveError::Silent { .. }
            | LiveError::Stalled { .. }
            | LiveError::Expired { .. }
            | LiveError::Changed
            | LiveError::Left
            | LiveError::Held => Remedy::Reconnect,
        }
    }
}

impl From<tungstenite::Error> for LiveError {
    fn from(error: tungstenite::Error) -> LiveError {
        if let tungstenite::Error::Http(response) = &error {
            return LiveError::Http {
                status: response.status().as_u16(),
            };
        }
        LiveError::Socket(Box::new(error))
    }
}
