//! The trait of trade sources, and what they deliver.

use super::history::Gap;
use crate::engine::aggregate::Original;
use crate::model::{Covered, Symbol, Timestamp, Trade};
use futures::future::BoxFuture;
use std::error::Error;

/// A position in a feed's input, up to which a restart need not read again. Only the feed interprets the number, such
/// as a count of trades; it must not decrease.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// Trades of one feed, in the order of delivery, and what belongs to them; without trades only if the feed has gaps or
/// control events instead.
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

/// What changes bars besides trades; it applies after the trades of its batch.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlEvent {
    /// A trade delivered before is replaced or taken back.
    Change {
        /// The instrument.
        symbol: Symbol,
        /// Which trade.
        original: Original,
        /// What it should have been; `None` when it never was.
        replacement: Option<Trade>,
    },
    /// No trade of the symbol before this instant is still to come.
    Quiet {
        /// The instrument.
        symbol: Symbol,
        /// Event time, excluded.
        before: Timestamp,
    },
}

impl ControlEvent {
    /// The instrument it speaks of.
    pub fn symbol(&self) -> Symbol {
        match self {
            ControlEvent::Change { symbol, .. } | ControlEvent::Quiet { symbol, .. } => *symbol,
        }
    }
}

/// What a feed counted besides trades.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
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
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
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
/// Implement it for trades of your own, and pass the feed to `PipelineBuilder::feed`. Only [`TradeFeed::name`] and
/// [`TradeFeed::next_batch`] are required. A stream that cannot fail needs no feed: see `PipelineBuilder::trades`.
///
/// ```
/// # mod barmill { pub use barmill_core::{model::*, port::*}; }
/// use barmill::{FeedError, Position, Trade, TradeBatch, TradeFeed};
/// use futures::future::BoxFuture;
/// use std::error::Error;
///
/// /// Lines such as `AAPL,2025-10-15T13:30:00Z,249.10,100`.
/// #[derive(Debug)]
/// struct Lines {
///     lines: Vec<String>,
///     next: usize,
/// }
///
/// fn trade(line: &str) -> Result<Trade, Box<dyn Error + Send + Sync>> {
///     let fields: Vec<&str> = line.split(',').collect();
///     let [symbol, time, price, size] = fields[..] else {
///         return Err("a line needs 4 fields".into());
///     };
///     Ok(Trade::new(symbol.parse()?, time.parse()?, price.parse()?, size.parse()?))
/// }
///
/// impl TradeFeed for Lines {
///     fn name(&self) -> &str {
///         "lines"
///     }
///
///     fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
///         Box::pin(async move {
///             let Some(line) = self.lines.get(self.next) else {
///                 return Ok(None);
///             };
///             let trades = vec![trade(line).map_err(|source| FeedError { feed: "lines".into(), source })?];
///             self.next += 1;
///             Ok(Some(TradeBatch::new(trades, Position(self.next as u64))))
///         })
///     }
/// }
/// # use futures::FutureExt;
/// # let mut feed = Lines { lines: vec!["AAPL,2025-10-15T13:30:00Z,249.10,100".into()], next: 0 };
/// # let batch = feed.next_batch().now_or_never().unwrap().unwrap().unwrap();
/// # assert_eq!((batch.trades.len(), batch.position), (1, Position(1)));
/// # assert!(feed.next_batch().now_or_never().unwrap().unwrap().is_none());
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

    /// Takes the background task of the feed, which keeps reading while the pipeline waits. Called once, before the
    /// first batch. The task must end when the feed is dropped.
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
