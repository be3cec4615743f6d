//! Errors of a history: the position, and the remedy. No message contains a key or a full URL.

use crate::json::{DecodeError, FieldError, JsonError};
use barmill_core::model::{Symbol, Timestamp};
use barmill_core::port::Remedy;
use std::fmt::Display;
use std::time::Duration;

/// The end of one symbol's history before the end of its interval.
#[derive(Debug, thiserror::Error)]
#[error("{venue} {symbol}, page {page} from {position}, attempt {attempts}")]
pub struct HistoryError {
    /// The venue.
    pub venue: &'static str,
    /// The instrument.
    pub symbol: Symbol,
    /// Number of the page, from 1.
    pub page: u64,
    /// Event time of the last trade before the page, or the start of the interval.
    pub position: Timestamp,
    /// Attempts made for the page.
    pub attempts: u32,
    /// What went wrong.
    #[source]
    pub fault: PageError,
}

/// What can go wrong with one page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// No whole reply: refused, reset, timed out or cut off.
    #[error("no complete reply from the venue")]
    Transport(#[source] reqwest::Error),
    /// A reply that says no.
    #[error("venue answered {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The venue's words, shortened and without the key.
        message: String,
        /// How long the venue asks to wait.
        retry_after: Option<Duration>,
    },
    /// The venue does not know the key, or does not let it see this.
    #[error("venue denies access with {status}: {message}; check the key and its plan")]
    Denied {
        /// 401 or 403.
        status: u16,
        /// The venue's words, shortened and without the key.
        message: String,
    },
    /// An address banned for longer than the source is willing to wait.
    #[error("venue bans this address for {} s: {message}", .retry_after.as_secs())]
    Banned {
        /// How long the ban lasts.
        retry_after: Duration,
        /// The venue's words, shortened and without the key.
        message: String,
    },
    /// A reply of 200 that says it is busy or broken.
    #[error("venue answered with an error in place of trades: {message}")]
    Busy {
        /// The venue's words, shortened and without the key.
        message: String,
    },
    /// More bytes than one page may have.
    #[error(
        "page is larger than {bytes_max} bytes after decompression; lower page_len or raise page_bytes_max"
    )]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// Compressed bytes that do not decompress.
    #[error("page does not decompress")]
    Gzip(#[source] std::io::Error),
    /// A compression nobody asked for.
    #[error("page is compressed by {encoding:?} instead of gzip")]
    Encoding {
        /// The name in the reply.
        encoding: String,
    },
    /// No JSON, or cut off.
    #[error("page is not complete JSON")]
    Json(#[source] serde_json::Error),
    /// JSON of another shape.
    #[error("page does not have the form of {expected}")]
    Shape {
        /// What was expected.
        expected: &'static str,
        /// Where it differs.
        #[source]
        source: serde_json::Error,
    },
    /// A row that is no trade.
    #[error("row {row} is not a trade")]
    Row {
        /// Number of the row in the page, from 0.
        row: usize,
        /// What is wrong with it.
        #[source]
        source: RowError,
    },
    /// Trades of another instrument.
    #[error("page contains {found:?} instead")]
    WrongSymbol {
        /// The name in the page.
        found: String,
    },
    /// No trade in the interval, and none before it.
    #[error(
        "venue has no trade of the symbol, in the interval or before it; check its spelling, or whether the plan has it"
    )]
    UnknownSymbol,
    /// A cursor that was given before: following it would never end.
    #[error("cursor {cursor:?} was given before; a proxy may drop cursors")]
    CursorRepeated {
        /// The start of the cursor.
        cursor: String,
    },
    /// A page that moves nothing on although there is more.
    #[error("page of {rows} trades up to {time} has nothing new although more are said to follow")]
    Stuck {
        /// Rows in the page.
        rows: usize,
        /// Event time of the last of them.
        time: Timestamp,
    },
    /// Many pages in a row without a trade.
    #[error("{pages} pages in a row without a new trade")]
    Idle {
        /// How many.
        pages: u32,
    },
    /// A trade that was not asked for.
    #[error("row {row} of {time} is outside the interval {from} to {to}")]
    Outside {
        /// Number of the row in the page, from 0.
        row: usize,
        /// Its event time.
        time: Timestamp,
        /// Start of the asked interval, included.
        from: Timestamp,
        /// End of the asked interval, excluded.
        to: Timestamp,
    },
    /// A trade before its predecessor.
    #[error("row {row} of {time} comes after a trade of {previous}")]
    Order {
        /// Number of the row in the page, from 0.
        row: usize,
        /// Its event time.
        time: Timestamp,
        /// Event time of the trade before it.
        previous: Timestamp,
    },
    /// A page that was asked for from the last trade on and does not hold it.
    #[error("page does not join the one before: the trade of {last} is missing in it")]
    Torn {
        /// Event time of the trade that should be there.
        last: Timestamp,
    },
    /// A venue that answers something else than was asked.
    #[error("venue ignores {parameter}: requested {asked}, got {got}")]
    Ignored {
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        asked: String,
        /// What came.
        got: String,
    },
    /// A link to the next page that would take the key elsewhere.
    #[error("next_url {reason}; the key is not sent there")]
    Link {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A symbol that cannot be part of a path.
    #[error("symbol cannot be part of a URL")]
    Symbol,
}

/// Why a row is no trade.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// A missing field or another type.
    #[error("row does not have the form of a trade")]
    Shape(#[source] JsonError),
    /// A field with a value that no trade has.
    #[error("{field} {value:?}: {reason}")]
    Field {
        /// The field's name on the wire.
        field: &'static str,
        /// Its text, shortened.
        value: String,
        /// Why it is refused.
        reason: String,
    },
}

impl From<DecodeError> for RowError {
    fn from(error: DecodeError) -> RowError {
        match error {
            DecodeError::Json(error) => RowError::Shape(error),
            error @ (DecodeError::Missing { .. }
            | DecodeError::Field {
                source: FieldError::Whole,
                ..
            }) => RowError::Shape(JsonError::Shape(error.to_string())),
            DecodeError::Field {
                field,
                text: value,
                source,
            } => RowError::Field {
                field,
                value,
                reason: match source {
                    FieldError::Time => "time is before 1970 or after 2262".into(),
                    FieldError::Word(known) => format!("{field} is not {}", known.join(" or ")),
                    FieldError::Decimal(_)
                    | FieldError::Symbol(_)
                    | FieldError::ZeroPrice
                    | FieldError::Whole => source.to_string(),
                },
            },
        }
    }
}

impl HistoryError {
    /// What the error calls for: `Fatal` ends the whole source, anything else this symbol.
    pub fn remedy(&self) -> Remedy {
        self.fault.remedy()
    }
}

impl PageError {
    pub(crate) fn ignored(
        parameter: &'static str,
        asked: impl Display,
        got: impl Display,
    ) -> PageError {
        PageError::Ignored {
            parameter,
            asked: asked.to_string(),
            got: got.to_string(),
        }
    }

    /// What the fault calls for; what asking again cannot change is refused.
    pub fn remedy(&self) -> Remedy {
        if let PageError::Status {
            status: 408 | 418 | 425 | 429 | 500..=599,
            retry_after: after,
            ..
        } = self
        {
            return Remedy::Retry { after: *after };
        }
        let is_lost = matches!(self, PageError::Transport(error) if !error.is_builder());
        let is_broken = matches!(
            self,
            PageError::Busy { .. } | PageError::Gzip(_) | PageError::Json(_)
        );
        if is_lost || is_broken {
            Remedy::Retry { after: None }
        } else if matches!(self, PageError::Denied { .. } | PageError::Banned { .. }) {
            Remedy::Fatal
        } else {
            Remedy::Refuse
        }
    }

    /// Whether the venue asks the whole source to slow down, not this request alone.
    pub(crate) fn is_throttle(&self) -> bool {
        matches!(self, PageError::Status { status, retry_after, .. }
            if matches!(status, 418 | 429) || retry_after.is_some())
    }
}
