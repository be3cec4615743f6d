//! The trait of trade sources, and what they deliver.

use super::control_event::ControlEvent;
use super::history::Gap;
use crate::model::{Covered, Trade};
use futures::future::BoxFuture;
use std::error::Error;

/// A position in a feed's input, up to which a restart need not read again. Only the feed interprets the number, such
/// as a count of trades; it must not decrease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// Trades of one feed, in the order the feed delivers them, and what belongs to them; without trades only where the feed
/// has something else to tell.
///
/// ```
/// use barmill_core::port::{Position, TradeBatch};
/// let batch = TradeBatch::new(Vec::new(), Position(7));
/// assert!(batch.gaps.is_empty() && batch.events.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TradeBatch {
    /// Gaps that stay open: the bars they touch are marked `gap`. They apply before the trades.
    pub gaps: Vec<Gap>,
    /// The trades.
    pub trades: Vec<Trade>,
    /// Corrections, cancels and hints on idle symbols. They apply after the trades.
    pub events: Vec<ControlEvent>,
    /// The position just after the last trade.
    pub position: Position,
}

impl TradeBatch {
    /// A batch of trades alone.
    pub fn new(trades: Vec<Trade>, position: Position) -> TradeBatch {
        TradeBatch {
            trades,
            position,
            ..TradeBatch::default()
        }
    }
}

/// What a feed counted besides trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedStats {
    /// Records that could not be decoded and were skipped on request.
    pub malformed: u64,
    /// Trades left out because their symbol was not requested.
    pub filtered: u64,
    /// Requests sent to the venue.
    pub requests: u64,
}

/// An error that ends a feed; its text names the file or venue, the position, the field and the value.
#[derive(Debug, thiserror::Error)]
#[error("feed {feed} failed")]
pub struct FeedError {
    /// The feed's name.
    pub feed: String,
    /// The cause.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// A source of trades: one venue connection, REST partition or sequence of files.
///
/// Only the first two methods are required:
///
/// ```
/// use barmill_core::model::Trade;
/// use barmill_core::port::{FeedError, Position, TradeBatch, TradeFeed};
/// use futures::future::BoxFuture;
///
/// /// Delivers one batch.
/// #[derive(Debug)]
/// struct Once(Vec<Trade>);
///
/// impl TradeFeed for Once {
///     fn name(&self) -> &str {
///         "once"
///     }
///
///     fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
///         let trades = std::mem::take(&mut self.0);
///         let position = Position(trades.len() as u64);
///         let batch = (!trades.is_empty()).then(|| TradeBatch::new(trades, position));
///         Box::pin(async { Ok(batch) })
///     }
/// }
/// ```
pub trait TradeFeed: std::fmt::Debug + Send + 'static {
    /// The name of the feed in logs and errors; it must not contain a secret.
    fn name(&self) -> &str;

    /// Waits for the next trades; `None` at the end of the input.
    ///
    /// # Errors
    /// [`FeedError`] ends the feed; earlier batches stay valid.
    ///
    /// # Cancel safety
    /// Dropping the future must lose no trade: the next call continues after the last returned batch.
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>>;

    /// The counts so far.
    fn stats(&self) -> FeedStats {
        FeedStats::default()
    }

    /// The intervals that the feed has read without a gap so far, one entry per requested interval, in the order of
    /// their trades; empty for a feed without requested intervals.
    fn coverage(&self) -> Vec<Covered> {
        Vec::new()
    }

    /// Takes what must run beside the reader of the feed, so that the feed reads on while its reader waits; asked once,
    /// before the first batch. It ends when the feed is dropped.
    fn take_task(&mut self) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

impl TradeFeed for Box<dyn TradeFeed> {
    fn name(&self) -> &str {
        self.as_ref().name()
    }

    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
        self.as_mut().next_batch()
    }

    fn stats(&self) -> FeedStats {
        self.as_ref().stats()
    }

    fn coverage(&self) -> Vec<Covered> {
        self.as_ref().coverage()
    }

    fn take_task(&mut self) -> Option<BoxFuture<'static, ()>> {
        self.as_mut().take_task()
    }
}
