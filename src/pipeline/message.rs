//! The messages between the actors.

use crate::model::{BarSpec, BarUpdate, Covered, Manifest, Symbol, Timestamp};
use crate::port::TradeBatch;

/// Bars in one message to the writer at most, so that a message's memory is bounded.
pub(crate) const UPDATES_LEN_MAX: usize = 4_096;

/// Acked updates kept for a slow listener at most.
pub(crate) const LISTENER_LEN_MAX: usize = 4_096;

/// From a feed to a shard.
#[derive(Debug)]
pub(crate) enum FeedMessage {
    /// The part of a batch whose symbols live on the shard; a part without trades still brings the position.
    Batch {
        /// The number of the feed within the pipeline, from 0.
        feed: usize,
        /// The part.
        batch: TradeBatch,
    },
    /// What the feed vouches for, of the shard's symbols; sent once, when no more trades of the feed come.
    Covered(Vec<Covered>),
    /// The feed's input is at its end: every trade of it was sent.
    End {
        /// The number of the feed.
        feed: usize,
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
    Checkpoint {
        /// The shard, from 0.
        shard: usize,
        /// One entry per feed.
        feeds: Vec<Option<Timestamp>>,
    },
    /// What earlier runs wrote and vouched for; sent before any bar.
    Previous(Vec<Manifest>),
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
