//! Checkpoints: the positions from which a restart must read, saved when nothing that was received is outstanding.
//!
//! Two kinds of input need two kinds of position.
//!
//! - History and live: each shard reports the event time from which a feed must be read again so that every bar not yet
//!   sent comes about. Once all shards have reported, the earliest time of each feed is saved, under the feed's name.
//! - Replay: the same input with the same settings gives each shard's updates in the same order, so the count of updates
//!   whose whole prefix is in the store or the spool is a position. It is saved now and then for each shard. The run that
//!   goes on makes every bar again and sends only what comes after the count; what lies before it is claimed, see
//!   `recheck`.

use super::settings::ResumeSettings;
use crate::model::Timestamp;
use crate::port::{Changes, Position, StateError, StateStore};
use std::time::Duration;

/// The positions of one run.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// Under which name the event time of each feed is saved; empty saves none.
    feeds: Vec<String>,
    shards: Vec<ShardPosition>,
    replay: Option<Replay>,
    /// Whether positions are to be saved as soon as nothing is outstanding.
    is_pausing: bool,
}

#[derive(Debug, Clone, Default)]
struct ShardPosition {
    /// Event times of the feeds, as reported since the last save.
    reported: Option<Vec<Option<Timestamp>>>,
    /// Updates that an earlier run has delivered.
    delivered: u64,
    /// Updates received in this run.
    received: u64,
}

/// The saving of a replay's counts.
#[derive(Debug)]
struct Replay {
    settings: ResumeSettings,
    next_at: Duration,
    is_saved: bool,
    /// Whether an update came since the last save.
    has_moved: bool,
}

impl Checkpoints {
    /// Saves nothing but the event times of these feeds.
    pub(super) fn new(feeds: Vec<String>, shards: usize) -> Checkpoints {
        Checkpoints {
            feeds,
            shards: vec![ShardPosition::default(); shards],
            replay: None,
            is_pausing: false,
        }
    }

    /// Reads the counts of an earlier run of the same replay, and saves those of this one.
    pub(super) async fn load(
        &mut self,
        settings: ResumeSettings,
        state: &dyn StateStore,
    ) -> Result<(), StateError> {
        for (index, shard) in self.shards.iter_mut().enumerate() {
            let saved = state.checkpoint_load(&key(&settings.name, index)).await?;
            shard.delivered = saved.unwrap_or_default().0;
        }
        self.replay = Some(Replay {
            next_at: settings.every,
            settings,
            is_saved: self.shards.iter().any(|shard| shard.delivered > 0),
            has_moved: false,
        });
        Ok(())
    }

    /// Takes one shard's event times; the latest count.
    pub(super) fn report(&mut self, shard: usize, feeds: Vec<Option<Timestamp>>) {
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.reported = Some(feeds);
        }
    }

    /// How many of a shard's next updates an earlier run says it delivered.
    pub(super) fn claimed(&self, shard: usize) -> usize {
        let ShardPosition {
            delivered,
            received,
            ..
        } = self.shards[shard];
        usize::try_from(delivered.saturating_sub(received)).unwrap_or(usize::MAX)
    }

    /// Counts updates of a shard.
    pub(super) fn receive(&mut self, shard: usize, updates: usize) {
        self.shards[shard].received += u64::try_from(updates).unwrap_or(u64::MAX);
        if let Some(replay) = &mut self.replay {
            replay.has_moved |= updates > 0;
        }
    }

    /// When the next counts are to be saved; `None` while nothing has changed.
    pub(super) fn due_at(&self) -> Option<Duration> {
        let replay = self.replay.as_ref().filter(|_| !self.is_pausing)?;
        replay.has_moved.then_some(replay.next_at)
    }

    /// Whether positions wait until nothing is outstanding.
    pub(super) fn is_pausing(&self) -> bool {
        self.is_pausing
    }

    /// Begins to wait if it is time; answers whether it did. The last counts of an input that has ended are not worth it.
    pub(super) fn pause_if_due(&mut self, now: Duration, is_open: bool) -> bool {
        let is_due = is_open && self.due_at().is_some_and(|at| at <= now);
        let begins = !self.is_pausing && (is_due || self.is_reported());
        self.is_pausing |= begins;
        begins
    }

    fn is_reported(&self) -> bool {
        !self.feeds.is_empty() && self.shards.iter().all(|shard| shard.reported.is_some())
    }

    /// Saves the positions now that nothing is outstanding.
    pub(super) async fn save(
        &mut self,
        state: Option<&dyn StateStore>,
        now: Duration,
    ) -> Result<(), StateError> {
        let checkpoints = self.take(now);
        let Some(state) = state.filter(|_| !checkpoints.is_empty()) else {
            return Ok(());
        };
        let changes = Changes {
            checkpoints,
            ..Changes::default()
        };
        state.commit(changes).await.map(|_| ())
    }

    fn take(&mut self, now: Duration) -> Vec<(String, Position)> {
        self.is_pausing = false;
        let mut positions = Vec::new();
        if self.is_reported() {
            let shards = self.shards.iter_mut();
            let reported: Vec<_> = shards.filter_map(|shard| shard.reported.take()).collect();
            for (index, name) in self.feeds.iter().enumerate() {
                // A feed of which a shard knows no time has no position.
                let times = reported
                    .iter()
                    .map(|feeds| feeds.get(index).copied().flatten());
                let times: Option<Vec<Timestamp>> = times.collect();
                let earliest = times.and_then(|times| times.into_iter().min());
                let nanos = earliest.and_then(|time| u64::try_from(time.as_nanos()).ok());
                positions.extend(nanos.map(|nanos| (name.clone(), Position(nanos))));
            }
        }
        positions.extend(self.counts(now));
        positions
    }

    /// The counts of a replay, as far as it has come.
    pub(super) fn counts(&mut self, now: Duration) -> Vec<(String, Position)> {
        if let Some(replay) = &mut self.replay {
            replay.next_at = now + replay.settings.every;
            (replay.is_saved, replay.has_moved) = (true, false);
        }
        self.named(|shard| shard.received.max(shard.delivered))
    }

    /// The counts to save when a replay has come to its end: the next one starts from the beginning.
    pub(super) fn reset_positions(&self) -> Vec<(String, Position)> {
        let is_saved = self.replay.as_ref().is_some_and(|replay| replay.is_saved);
        if is_saved {
            self.named(|_| 0)
        } else {
            Vec::new()
        }
    }

    fn named(&self, count: impl Fn(&ShardPosition) -> u64) -> Vec<(String, Position)> {
        let Some(replay) = &self.replay else {
            return Vec::new();
        };
        let shards = self.shards.iter().enumerate();
        shards
            .map(|(index, shard)| (key(&replay.settings.name, index), Position(count(shard))))
            .collect()
    }
}

fn key(name: &str, shard: usize) -> String {
    format!("{name}/{shard}")
}

#[cfg(test)]
mod tests {
    use super::Checkpoints;
    use crate::model::Timestamp;
    use crate::port::Position;
    use std::time::Duration;

    fn at(nanos: i64) -> Option<Timestamp> {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn earliest_time_of_all_shards_is_saved_once_all_have_reported() {
        let mut checkpoints = Checkpoints::new(vec!["a".to_owned(), "b".to_owned()], 2);
        checkpoints.report(0, vec![at(5), at(9)]);
        assert!(!checkpoints.pause_if_due(Duration::ZERO, true));
        checkpoints.report(1, vec![at(7), None]);
        assert!(checkpoints.pause_if_due(Duration::ZERO, true));
        assert_eq!(
            checkpoints.take(Duration::ZERO),
            [("a".to_owned(), Position(5))],
            "of b a shard knows nothing yet"
        );
        assert!(!checkpoints.pause_if_due(Duration::ZERO, true));
    }
}
