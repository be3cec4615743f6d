//! Repair of the store: lost bars are written back, and dead letters are retried.
//!
//! Owns the two passes over the state store. Both append to the spool, whose drain is the one way into the store that
//! keeps the order of updates; both run only while nothing is on its way, so that what they compare stands still.

use crate::model::{BarKey, BarUpdate, Timestamp, WriteItem};
use crate::pipeline::pace::Pace;
use crate::port::{BarSink, Changes, DeadLetter, Remedy, SinkError, StateError, StateStore};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Bars or letters taken at a time: bounds the memory.
const PAGE_LEN: usize = 1_000;

/// What is put right, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReconcileSettings {
    /// Bars acked within this time are compared; not longer than bars live in the store.
    pub within: Duration,
    /// Whether bars are compared once the spool of an earlier run is empty.
    pub on_start: bool,
    /// Whether bars are compared when the store is back after a failure that may have been a failover.
    pub on_reconnect: bool,
    /// Whether dead letters are tried once more at the start.
    pub redeliver: bool,
}

/// What a pass found and appended to the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Repaired {
    /// Bars compared with the store.
    pub(super) compared: u64,
    /// Of these, bars that it lacked or held in an older version.
    pub(super) missing_or_stale: u64,
    /// Dead letters appended.
    pub(super) redelivered: u64,
    /// Dead letters dropped because the store has the bar in this or a newer version.
    pub(super) outdated: u64,
    /// Items in the spool after the last commit; `None` when nothing was committed.
    pub(super) spool_items: Option<u64>,
}

/// Why a pass ended early; what it has appended stays.
#[derive(Debug, thiserror::Error)]
pub(super) enum RepairError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Nothing can be read back from this store.
    #[error("{sink} cannot be read back")]
    Unreadable { sink: String },
}

/// What the passes work with.
#[derive(Debug, Clone)]
pub(super) struct Repairer {
    pub(super) sink: Arc<dyn BarSink>,
    pub(super) state: Arc<dyn StateStore>,
    pub(super) pace: Arc<Pace>,
    pub(super) timeout: Duration,
    pub(super) now: Timestamp,
}

impl Repairer {
    /// Compares the newest state of every bar acked since then, and appends what the store lacks.
    ///
    /// # Errors
    /// [`RepairError`]; what was appended before is counted all the same.
    pub(super) async fn reconcile(
        &self,
        since: Timestamp,
        mended: &mut Repaired,
    ) -> Result<(), RepairError> {
        let newest = self.newest(since).await?;
        let mut from = 0;
        loop {
            let page = self.state.recent_read(since, from, PAGE_LEN).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            from = last.place + 1;
            let is_newest = |one: &crate::port::RecentBar| {
                newest.get(&one.update.bar.key()) == Some(&one.place)
            };
            let updates: Vec<BarUpdate> = page
                .iter()
                .filter(|one| is_newest(one))
                .map(|one| one.update)
                .collect();
            let missing_or_stale = self.missing_or_stale(&updates).await?;
            mended.compared += count(updates.len());
            mended.missing_or_stale += count(missing_or_stale.len());
            let spool_append: Vec<WriteItem> = missing_or_stale
                .into_iter()
                .map(|place| WriteItem::Bar(updates[place]))
                .collect();
            if !spool_append.is_empty() {
                let changes = Changes {
                    now: self.now,
                    spool_append,
                    ..Changes::default()
                };
                mended.spool_items = Some(self.state.commit(changes).await?.spool_items);
            }
        }
    }

    /// The place of the newest state of each bar; one entry of about 50 bytes each.
    async fn newest(
        &self,
        since: Timestamp,
    ) -> Result<HashMap<BarKey, u64, FixedState>, StateError> {
        let (mut newest, mut from) = (HashMap::default(), 0);
        loop {
            let page = self.state.recent_read(since, from, PAGE_LEN).await?;
            let Some(last) = page.last() else {
                return Ok(newest);
            };
            from = last.place + 1;
            newest.extend(page.iter().map(|one| (one.update.bar.key(), one.place)));
        }
    }

    /// Appends the dead letters in order and removes them, but for bars that the store holds in a newer version.
    ///
    /// # Errors
    /// [`RepairError`]; what was appended before is counted all the same.
    pub(super) async fn redeliver(&self, mended: &mut Repaired) -> Result<(), RepairError> {
        loop {
            let letters = self.state.dead_letters(0, PAGE_LEN).await?;
            let Some((last, _)) = letters.last() else {
                return Ok(());
            };
            let dead_letters_remove = Some(*last);
            let all = letters.len();
            let spool_append = self.still_wanted(letters).await?;
            mended.redelivered += count(spool_append.len());
            mended.outdated += count(all - spool_append.len());
            let changes = Changes {
                now: self.now,
                spool_append,
                dead_letters_remove,
                ..Changes::default()
            };
            mended.spool_items = Some(self.state.commit(changes).await?.spool_items);
        }
    }

    async fn still_wanted(
        &self,
        letters: Vec<(u64, DeadLetter)>,
    ) -> Result<Vec<WriteItem>, RepairError> {
        let bar = |(_, letter): &(u64, DeadLetter)| match &letter.item {
            WriteItem::Bar(update) => Some(*update),
            WriteItem::Manifest(_) => None,
        };
        let updates: Vec<BarUpdate> = letters.iter().filter_map(bar).collect();
        let missing_or_stale = self.missing_or_stale(&updates).await?;
        let wanted: Vec<BarUpdate> = missing_or_stale
            .into_iter()
            .map(|place| updates[place])
            .collect();
        let is_wanted = |item: &WriteItem| match item {
            WriteItem::Bar(update) => wanted.contains(update),
            WriteItem::Manifest(_) => true,
        };
        Ok(letters
            .into_iter()
            .map(|(_, letter)| letter.item)
            .filter(is_wanted)
            .collect())
    }

    /// Asks the store, at its pace and within the timeout.
    async fn missing_or_stale(&self, updates: &[BarUpdate]) -> Result<Vec<usize>, RepairError> {
        if updates.is_empty() {
            return Ok(Vec::new());
        }
        let items: Vec<WriteItem> = updates.iter().copied().map(WriteItem::Bar).collect();
        // Reading a bar back costs no more than writing it.
        self.pace.permit(self.sink.cost(&items)).await;
        let operation = || format!("read bars back from {}", self.sink.name());
        let late = |elapsed| SinkError {
            operation: operation(),
            remedy: Remedy::Reconnect,
            source: Box::new(elapsed),
        };
        let asked = tokio::time::timeout(self.timeout, self.sink.missing_or_stale(updates))
            .await
            .map_err(late)?;
        asked?.ok_or_else(|| RepairError::Unreadable {
            sink: self.sink.name().to_owned(),
        })
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
