//! The messages between the actors.

use crate::model::{BarSpec, BarUpdate, Covered, Manifest, Symbol, Timestamp, Trade};
use crate::port::{ControlEvent, Gap, Position};

/// The number of a feed within one pipeline, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FeedIndex(pub usize);

/// From a feed to a shard.
#[derive(Debug)]
pub(crate) enum FeedMessage {
    /// Trades whose symbols live on the shard, in the feed's order.
    Trades {
        /// Whose trades they are.
        feed: FeedIndex,
        /// The trades; empty when the batch had none for the shard.
        trades: Vec<Trade>,
        /// The place in the feed just after them.
        position: Position,
    },
    /// Holes that stay open, of the shard's symbols; before the trades that come after them.
    Gaps(Vec<Gap>),
    /// Changes of trades sent before, and the word on quiet symbols, of the shard's symbols.
    Asides(Vec<ControlEvent>),
    /// What the feed vouches for, of the shard's symbols; sent once, when no more trades of the feed come.
    Covered(Vec<Covered>),
    /// The feed's input is at its end: every trade of it was sent.
    End {
        /// Whose input.
        feed: FeedIndex,
    },
}

/// From a shard to the writer.
#[derive(Debug)]
pub enum ShardMessage {
    /// Bars of one shard in the order they changed.
    Updates {
        /// The shard, from 0.
        shard: usize,
        /// The bars; never empty.
        updates: Vec<BarUpdate>,
    },
    /// For each feed, the event time from which a restart gives every bar of the shard that is not among the updates sent
    /// so far; `None` while that is not known.
    Place {
        /// The shard, from 0.
        shard: usize,
        /// One entry per feed.
        feeds: Vec<Option<Timestamp>>,
    },
    /// What earlier runs wrote and vouched for; sent before any bar.
    Earlier(Vec<Manifest>),
    /// What a feed vouches for, after every bar of it.
    Covered {
        /// The specs whose bars it speaks of.
        specs: Vec<BarSpec>,
        /// The intervals.
        covered: Vec<Covered>,
    },
    /// Symbols and times of trades that came too late for any bar, a few for each day; before the end.
    Late(Vec<(Symbol, Timestamp)>),
    /// Every feed came to its end and every bar of the shard was sent.
    End,
}
