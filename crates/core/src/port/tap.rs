//! The trait of observers of a live feed's raw frames.

use crate::model::Timestamp;

/// Takes down every frame a live feed receives, for a recording that is replayed through the same decoder.
pub trait FrameTap: std::fmt::Debug + Send + Sync + 'static {
    /// Takes one frame; called in order of receipt per connection, on the feed's own task, so it must not wait.
    ///
    /// Frames sent to the venue, which may hold keys, never come here.
    fn on_frame(&self, received: Timestamp, connection: usize, frame: &[u8]);
}
