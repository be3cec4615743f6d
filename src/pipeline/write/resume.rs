//! Tests of where a killed run resumes.
//!
//! The same input with the same settings gives each shard's updates in the same order, so the count of updates whose
//! whole prefix is in the store or the spool is a place to go on from. It is saved now and then at a moment when nothing
//! is outstanding; the run that goes on recomputes every bar and sends only what comes after the place.

use super::settings::ResumeSettings;
use crate::port::{Position, StateError, StateStore};
use std::time::Duration;

/// The places of the shards of one run.
#[derive(Debug)]
pub(super) struct Resume {
    settings: ResumeSettings,
    /// Updates of each shard that an earlier run has delivered.
    delivered: Vec<u64>,
    /// Updates of each shard received in this run.
    received: Vec<u64>,
    next_at: Duration,
    is_saved: bool,
    /// Whether an update came since the last saved place.
    has_moved: bool,
}

impl Resume {
    /// Reads the places of an earlier run.
    pub(super) async fn load(
        settings: ResumeSettings,
        shards: usize,
        state: &dyn StateStore,
    ) -> Result<Resume, StateError> {
        let mut delivered = Vec::new();
        for shard in 0..shards {
            let place = state.checkpoint_load(&key(&settings.name, shard)).await?;
            delivered.push(place.unwrap_or_default().0);
        }
        let is_saved = delivered.iter().any(|place| *place > 0);
        let (next_at, received) = (settings.every, vec![0; shards]);
        Ok(Resume {
            next_at,
            settings,
            received,
            delivered,
            is_saved,
            has_moved: false,
        })
    }

    /// Whether the next update of a shard was delivered by an earlier run, as its place says.
    pub(super) fn is_claimed(&self, shard: usize) -> bool {
        self.received[shard] < self.delivered[shard]
    }

    /// Counts an update of a shard.
    pub(super) fn receive(&mut self, shard: usize) {
        self.received[shard] += 1;
        self.has_moved = true;
    }

    /// When the next place is to be saved; `None` while there is none but the last one.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.has_moved.then_some(self.next_at)
    }

    /// The places to save now that nothing is outstanding.
    pub(super) fn places(&mut self, now: Duration) -> Vec<(String, Position)> {
        self.next_at = now + self.settings.every;
        (self.is_saved, self.has_moved) = (true, false);
        self.named(|shard| self.received[shard].max(self.delivered[shard]))
    }

    /// The places to save when the run has come to its end: the next one starts from the beginning.
    pub(super) fn forgotten(&self) -> Vec<(String, Position)> {
        if self.is_saved {
            self.named(|_| 0)
        } else {
            Vec::new()
        }
    }

    fn named(&self, place: impl Fn(usize) -> u64) -> Vec<(String, Position)> {
        (0..self.received.len())
            .map(|shard| (key(&self.settings.name, shard), Position(place(shard))))
            .collect()
    }
}

fn key(name: &str, shard: usize) -> String {
    format!("{name}/{shard}")
}
