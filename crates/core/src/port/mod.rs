//! The ports: traits for everything outside the pipeline.
//!
//! Owns the traits and the shapes that cross them. Deliberately knows no implementation.

mod clock;
mod feed;
mod history;
mod late;
mod sink;
mod state;
mod tap;

pub use crate::engine::retry::Remedy;
pub use crate::model::{Covered, WriteItem};
pub use clock::Clock;
pub use feed::{ControlEvent, FeedError, FeedStats, Position, TradeBatch, TradeFeed};
pub use history::{Gap, GapError, GapFill, GapSource};
pub use late::{LateError, LateStore};
pub use sink::{BarSink, Cost, ItemError, ItemResult, OwnedError, SinkError, SinkStats};
pub use state::{
    Changes, Committed, DeadLetter, RecentBar, SpoolRange, SpoolStats, StateError, StateStore,
};
pub use tap::FrameTap;
