//! The simulated ports: a feed, a store of bars, the state store on its disk, and a clock.

use super::harness::{Answer, Applied, DiskFault, Fate, FaultKind, World};
use crate::engine::budget::BudgetUse;
use crate::engine::delivery::bar_of;
use crate::model::{BarUpdate, Timestamp, WriteItem};
use crate::pipeline::Partition;
use crate::port::{
    BarSink, Changes, Clock, Committed, Cost, DeadLetter, FeedError, ItemError, ItemResult,
    Position, RecentBar, Remedy, SinkError, SinkStats, SpoolStats, StateError, StateStore,
    TradeBatch, TradeFeed,
};
use barmill_stores::state::StateDb;
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::time::Instant;

/// The batches of the scenario, with silences; it may fail.
#[derive(Debug)]
pub(super) struct SimFeed {
    pub(super) world: Arc<World>,
    pub(super) next: usize,
}

impl TradeFeed for SimFeed {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
        Box::pin(async move {
            let silence = self.world.lock().silence();
            if !silence.is_zero() {
                tokio::time::sleep(silence).await;
            }
            self.world.step("feed").await;
            let mut inner = self.world.lock();
            if inner.feed_fails() {
                return Err(FeedError {
                    feed: self.name().to_owned(),
                    source: "the venue hung up".into(),
                });
            }
            let Some(trades) = self.world.scenario.batches.get(self.next).cloned() else {
                inner.books.is_at_end = true;
                return Ok(None);
            };
            self.next += 1;
            inner.books.deliver(&self.world.scenario);
            Ok(Some(TradeBatch::new(trades, Position(self.next as u64))))
        })
    }
}

/// The store of bars.
#[derive(Debug)]
pub(super) struct SimSink {
    pub(super) world: Arc<World>,
}

/// A write under way; it is over when it is dropped, too.
struct InFlight<'a>(&'a World, &'a [WriteItem]);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        // A panic under the lock is told by itself.
        if !std::thread::panicking() {
            self.0.lock().books.land(self.1);
        }
    }
}

impl SimSink {
    fn error(remedy: Remedy) -> SinkError {
        SinkError {
            operation: "write to simulated".to_owned(),
            remedy,
            source: "bad weather".into(),
        }
    }

    async fn answer(&self, items: &[WriteItem]) -> Result<Vec<ItemResult>, SinkError> {
        let fate = {
            let mut inner = self.world.lock();
            inner.take_off(&self.world.scenario, items, self.cost(items));
            let fate = inner.fate();
            inner.faults.extend(fate.faults());
            fate
        };
        let _flight = InFlight(&self.world, items);
        self.world.step("write").await;
        tokio::time::sleep(fate.latency).await;
        let results = self.apply(items, &fate);
        self.world.step("written").await;
        let acked = |results: &[ItemResult]| {
            let written = items
                .iter()
                .zip(results)
                .filter(|(_, result)| result.is_ok());
            self.world
                .lock()
                .books
                .acked(&self.world.scenario, written.map(|(item, _)| item));
        };
        match fate.answer {
            Answer::Items(_) => {
                acked(&results);
                Ok(results)
            }
            Answer::Whole(remedy) => Err(SimSink::error(remedy)),
            Answer::Short => Ok(results.into_iter().skip(1).collect()),
            Answer::Hangs => std::future::pending().await,
        }
    }

    /// Applies what the fate lets through, and says what became of each item.
    fn apply(&self, items: &[WriteItem], fate: &Fate) -> Vec<ItemResult> {
        let mut inner = self.world.lock();
        let remedy = match fate.answer {
            Answer::Items(remedy) | Answer::Whole(remedy) => remedy,
            Answer::Short | Answer::Hangs => Remedy::Retry { after: None },
        };
        let mut is_refused = false;
        let mut result = |item: &WriteItem| -> ItemResult {
            let symbol = match item {
                WriteItem::Bar(update) => update.bar.symbol,
                WriteItem::Manifest(manifest) => manifest.symbol,
            };
            let is_applied = match fate.applied {
                Applied::Nothing => false,
                Applied::Half(half) => Partition::new(2).shard(symbol) == half,
                Applied::All => true,
            };
            if !is_applied {
                Err(ItemError {
                    remedy,
                    reason: "bad weather".to_owned(),
                })
            } else if inner.is_poison(item) {
                is_refused = true;
                Err(ItemError {
                    remedy: Remedy::Refuse,
                    reason: "WRONGTYPE".to_owned(),
                })
            } else {
                Ok(())
            }
        };
        let results: Vec<ItemResult> = items.iter().map(&mut result).collect();
        inner
            .faults
            .extend(is_refused.then_some(FaultKind::Refusal));
        let written = || {
            items
                .iter()
                .zip(&results)
                .filter(|(_, result)| result.is_ok())
                .map(|(item, _)| item)
        };
        inner.store.apply(written());
        inner.books.applied(written());
        results
    }
}

impl BarSink for SimSink {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn write<'a>(
        &'a self,
        items: &'a [WriteItem],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>> {
        Box::pin(self.answer(items))
    }

    fn cost(&self, items: &[WriteItem]) -> Cost {
        Cost {
            requests: 1,
            commands: u32::try_from(items.len()).unwrap(),
        }
    }

    fn weight(&self, _: &WriteItem) -> usize {
        100
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    fn missing_or_stale<'a>(
        &'a self,
        updates: &'a [BarUpdate],
    ) -> BoxFuture<'a, Result<Option<Vec<usize>>, SinkError>> {
        Box::pin(async move {
            self.world.step("read back").await;
            let inner = self.world.lock();
            let missing_or_stale = |index: &usize| inner.store.lacks(&updates[*index]);
            Ok(Some((0..updates.len()).filter(missing_or_stale).collect()))
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            self.world.step("close").await;
            if self.world.lock().close_fails() {
                Err(SimSink::error(Remedy::Fatal))
            } else {
                Ok(())
            }
        })
    }

    fn stats(&self) -> SinkStats {
        SinkStats::default()
    }
}

/// The state store, on a disk that fills, fails and loses power.
#[derive(Debug)]
pub(super) struct SimSpool {
    pub(super) world: Arc<World>,
    pub(super) state: StateDb,
}

impl SimSpool {
    async fn commit(&self, changes: Changes) -> Result<Committed, StateError> {
        self.world.step("commit").await;
        let fault = {
            let mut inner = self.world.lock();
            let fault = inner.disk_fault();
            if let DiskFault::Crash(operations) | DiskFault::Fails(operations) = fault {
                inner.disk.cut_after(operations);
            }
            fault
        };
        let result = self.state.commit(changes.clone()).await;
        self.world
            .lock()
            .tell(format_args!("{changes:?} {result:?}"));
        let dies = {
            let mut inner = self.world.lock();
            let is_cut = matches!(result, Err(StateError::Io { .. }));
            let kind = match &result {
                Err(StateError::Full { .. }) => Some(FaultKind::FullSpool),
                Err(StateError::DiskFull { .. }) => Some(FaultKind::FullDisk),
                Err(_) if matches!(fault, DiskFault::Fails(_)) => Some(FaultKind::DiskFailure),
                Ok(_) | Err(_) => None,
            };
            inner.faults.extend(kind);
            if let Ok(committed) = &result {
                inner
                    .books
                    .committed(&self.world.scenario, &changes, committed);
            } else if is_cut {
                inner.books.doubt(&changes);
            }
            if let DiskFault::Crash(_) = fault
                && is_cut
            {
                let kind = if inner.random.bool() {
                    inner.lose_power();
                    FaultKind::PowerCut
                } else {
                    inner.die();
                    FaultKind::KillInCommit
                };
                inner.faults.insert(kind);
            }
            matches!(fault, DiskFault::Crash(_)) && is_cut
        };
        if dies {
            std::future::pending::<()>().await;
        }
        self.world.step("committed").await;
        result
    }
}

impl StateStore for SimSpool {
    fn commit(&self, changes: Changes) -> BoxFuture<'_, Result<Committed, StateError>> {
        Box::pin(self.commit(changes))
    }

    fn spool_read(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, WriteItem)>, StateError>> {
        Box::pin(async move {
            self.world.step("read").await;
            self.state.spool_read(from, len_max).await
        })
    }

    fn spool_stats(&self) -> BoxFuture<'_, Result<SpoolStats, StateError>> {
        self.state.spool_stats()
    }

    fn dead_letters(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, DeadLetter)>, StateError>> {
        self.state.dead_letters(from, len_max)
    }

    fn checkpoint_load(&self, feed: &str) -> BoxFuture<'_, Result<Option<Position>, StateError>> {
        self.state.checkpoint_load(feed)
    }

    fn budget_load(&self) -> BoxFuture<'_, Result<Option<BudgetUse>, StateError>> {
        self.state.budget_load()
    }

    fn recent_read(
        &self,
        since: Timestamp,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<RecentBar>, StateError>> {
        self.state.recent_read(since, from, len_max)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StateError>> {
        self.state.close()
    }
}

/// A clock on the wall that jumps.
#[derive(Debug)]
pub(super) struct SimClock {
    pub(super) world: Arc<World>,
    pub(super) origin: Instant,
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let base = Timestamp::from_nanos(1_760_600_000_000_000_000).unwrap();
        let since = i64::try_from(self.origin.elapsed().as_nanos()).unwrap();
        base.saturating_add(since)
            .saturating_add(self.world.lock().clock_error)
    }
}

/// The bars among the items of a spool.
pub(super) fn bars_of(items: &[(u64, WriteItem)]) -> Vec<crate::model::BarUpdate> {
    items
        .iter()
        .filter_map(|(_, item)| bar_of(item))
        .copied()
        .collect()
}
