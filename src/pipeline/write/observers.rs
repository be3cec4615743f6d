//! What others see of the writer: its counts, and the acked updates for whoever listens.

use super::settings::WriterCounts;
use crate::model::{BarState, BarUpdate};
use tokio::sync::{broadcast, watch};

/// The writer's counts and its listeners.
#[derive(Debug)]
pub(super) struct Observers {
    counts: watch::Sender<WriterCounts>,
    acked: broadcast::Sender<BarUpdate>,
}

impl Observers {
    /// Builds the observers and the view of the counts.
    pub(super) fn pair(
        acked: broadcast::Sender<BarUpdate>,
    ) -> (Observers, watch::Receiver<WriterCounts>) {
        let (counts, view) = watch::channel(WriterCounts::default());
        (Observers { counts, acked }, view)
    }

    pub(super) fn counts(&self) -> WriterCounts {
        *self.counts.borrow()
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut WriterCounts)) {
        self.counts.send_modify(change);
    }

    /// Counts acked updates and passes them to the listeners.
    pub(super) fn on_acked<'a>(&self, updates: impl Iterator<Item = &'a BarUpdate>) {
        let (mut bars, mut revised) = (0, 0);
        let is_heard = self.acked.receiver_count() > 0;
        for update in updates {
            match update.state {
                BarState::Forming => {}
                BarState::Final => bars += 1,
                BarState::Revised => revised += 1,
            }
            if is_heard {
                // The update is in the store already, so a listener that has just left loses nothing.
                let _listeners = self.acked.send(*update);
            }
        }
        self.count(|counts| {
            counts.bars += bars;
            counts.revised += revised;
        });
    }
}
