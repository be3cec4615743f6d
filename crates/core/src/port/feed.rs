//! Where trades come from.

use super::control_event::ControlEvent;
use super::history::Gap;
use crate::model::{Covered, Trade};
use futures::future::BoxFuture;
use std::error::Error;

/// A place in a feed's input: what is before it need not be read again. Opaque to all but the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// Trades of one feed, in the order the feed delivers them; empty only where the feed has something else to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeBatch {
    /// The trades.
    pub trades: Vec<Trade>,
    /// The place just after the last of them.
    pub position: Position,
}

/// What a feed counted besides trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedStats {
    /// Records that could not be decoded and were skipped on request.
    pub malformed: u64,
    /// Trades left out because their symbol was not asked for.
    pub filtered: u64,
    /// Requests sent to the venue.
    pub requests: u64,
}

/// The end of a feed by a fault; the text names the file or venue, the place, the field and the value.
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
pub trait TradeFeed: std::fmt::Debug + Send + 'static {
    /// Names the feed in logs and errors; holds no secret.
    fn name(&self) -> &str;

    /// Waits for the next trades; `None` at the end of the input.
    ///
    /// # Errors
    /// [`FeedError`] ends the feed; what was delivered before it stays valid.
    ///
    /// # Cancel safety
    /// Dropping the future loses no trade: the next call goes on where the last batch ended.
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>>;

    /// What was counted so far.
    fn stats(&self) -> FeedStats {
        FeedStats::default()
    }

    /// What the feed can vouch for so far, one entry per interval asked for, in the order of their trades; empty
    /// for a feed that was asked for no interval.
    fn coverage(&self) -> Vec<Covered> {
        Vec::new()
    }

    /// Takes the holes that stay open: the bars they touch are marked `gap`. Asked after every batch; a hole is
    /// told before the trades that come after it.
    fn take_gaps(&mut self) -> Vec<Gap> {
        Vec::new()
    }

    /// Takes the changes of trades delivered before, and the word on quiet symbols; asked after every batch, and true
    /// behind its trades.
    fn take_control_events(&mut self) -> Vec<ControlEvent> {
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

    fn take_gaps(&mut self) -> Vec<Gap> {
        self.as_mut().take_gaps()
    }

    fn take_control_events(&mut self) -> Vec<ControlEvent> {
        self.as_mut().take_control_events()
    }

    fn coverage(&self) -> Vec<Covered> {
        self.as_ref().coverage()
    }

    fn take_task(&mut self) -> Option<BoxFuture<'static, ()>> {
        self.as_mut().take_task()
    }
}
