//! What travels between the actors.

use crate::model::{BarUpdate, Trade};
use crate::port::Position;

/// The number of a feed within one pipeline, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedIndex(pub usize);

/// From a feed to a shard.
#[derive(Debug)]
pub enum FeedMessage {
    /// Trades whose symbols live on the shard, in the feed's order.
    Trades {
        /// Whose trades they are.
        feed: FeedIndex,
        /// The trades; empty when the batch had none for the shard.
        trades: Vec<Trade>,
        /// The place in the feed just after them.
        position: Position,
    },
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
    /// Every feed came to its end and every bar of the shard was sent.
    End,
}
