//! The feed actor: reads batches from one feed and sends them to the shards of their symbols.
//!
//! It waits for room at every shard before it asks the feed for more, so the slowness of the store reaches
//! the source. Knows nothing of formats and venues. Whatever ends the feed, its word on what it delivered goes to the
//! shards last.

use super::error::RunError;
use super::message::{FeedIndex, FeedMessage};
use super::partition::Partition;
use crate::model::{Covered, Symbol, Timestamp, Trade};
use crate::port::{ControlEvent, FeedError, FeedStats, TradeBatch, TradeFeed};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a feed actor has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedCounts {
    /// Trades delivered.
    pub trades: u64,
    /// What the feed counted besides trades.
    pub stats: FeedStats,
    /// Whether the input came to its end.
    pub ended: bool,
    /// Whether the run was stopped before the input came to its end.
    pub stopped: bool,
    /// The latest event time delivered.
    pub newest: Timestamp,
    /// Time for which a shard had no room.
    pub blocked: Duration,
}

/// The actor around one feed.
#[derive(Debug)]
pub(crate) struct FeedActor<F> {
    feed: F,
    index: FeedIndex,
    shards: Vec<mpsc::Sender<FeedMessage>>,
    deal: Partition,
    stop: CancellationToken,
    counts: watch::Sender<FeedCounts>,
}

enum Event {
    Stop,
    Batch(Result<Option<TradeBatch>, FeedError>),
}

impl<F: TradeFeed> FeedActor<F> {
    /// Builds the actor and the view of its counts; spawns nothing.
    pub(crate) fn pair(
        feed: F,
        index: FeedIndex,
        shards: Vec<mpsc::Sender<FeedMessage>>,
        stop: CancellationToken,
    ) -> (FeedActor<F>, watch::Receiver<FeedCounts>) {
        let (counts, view) = watch::channel(FeedCounts::default());
        let deal = Partition::new(shards.len().max(1));
        (
            FeedActor {
                feed,
                index,
                shards,
                deal,
                stop,
                counts,
            },
            view,
        )
    }

    /// Delivers the feed until its end or until `stop`.
    ///
    /// # Errors
    /// [`RunError::Feed`] when the feed fails, [`RunError::Downstream`] when a shard is gone.
    pub(crate) async fn run(mut self) -> Result<(), RunError> {
        loop {
            match self.next_event().await {
                Event::Stop => return self.on_stop(&[]).await,
                Event::Batch(Ok(Some(batch))) => {
                    if let Some(lost) = self.on_batch(batch).await? {
                        return self.on_stop(&lost).await;
                    }
                }
                Event::Batch(Ok(None)) => return self.on_end().await,
                Event::Batch(Err(error)) => {
                    self.publish(0, false);
                    // The feed's fault is the cause; a shard that is gone as well follows from another.
                    let _downstream = self.cover(&[]).await;
                    return Err(error.into());
                }
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Event::Stop,
            batch = self.feed.next_batch() => Event::Batch(batch),
        }
    }

    /// Deals a batch out; `stop` wins over a shard without room, and what then was not dealt comes back.
    async fn on_batch(&mut self, batch: TradeBatch) -> Result<Option<Vec<Trade>>, RunError> {
        let gaps = self.feed.take_gaps();
        self.tell(gaps, |gap| gap.symbol, FeedMessage::Gaps).await?;
        let asides = self.feed.take_control_events();
        let delivered = u64::try_from(batch.trades.len()).unwrap_or(u64::MAX);
        let newest = batch.trades.iter().map(|trade| trade.time).max();
        let start = Instant::now();
        let position = batch.position;
        let mut parts = self.deal.split(batch.trades).into_iter();
        for shard in &self.shards {
            let permit = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(Some(parts.flatten().collect())),
                permit = shard.reserve() => permit.map_err(|_| self.downstream())?,
            };
            let trades = parts.next().unwrap_or_default();
            permit.send(FeedMessage::Trades {
                feed: self.index,
                trades,
                position,
            });
        }
        self.tell(asides, ControlEvent::symbol, FeedMessage::Asides)
            .await?;
        let blocked = start.elapsed();
        self.counts.send_modify(|counts| {
            counts.newest = newest.map_or(counts.newest, |newest| newest.max(counts.newest));
            counts.blocked += blocked;
        });
        self.publish(delivered, false);
        Ok(None)
    }

    /// Tells the shards of their symbols' items.
    async fn tell<T>(
        &mut self,
        items: Vec<T>,
        symbol: impl Fn(&T) -> Symbol,
        message: impl Fn(Vec<T>) -> FeedMessage,
    ) -> Result<(), RunError> {
        if items.is_empty() {
            return Ok(());
        }
        let mut parts: Vec<Vec<T>> = self.shards.iter().map(|_| Vec::new()).collect();
        for item in items {
            parts[self.deal.shard(symbol(&item))].push(item);
        }
        for (shard, part) in self.shards.iter().zip(parts) {
            if !part.is_empty() {
                shard
                    .send(message(part))
                    .await
                    .map_err(|_| self.downstream())?;
            }
        }
        Ok(())
    }

    /// Tells the shards what the feed vouches for, and answers whether that is all it was asked for.
    async fn cover(&mut self, lost: &[Trade]) -> Result<bool, RunError> {
        let covered: Vec<Covered> = self
            .feed
            .coverage()
            .into_iter()
            .map(|one| one.without(lost))
            .collect();
        let is_complete = covered.iter().all(|one| one.complete);
        self.tell(covered, |one| one.symbol, FeedMessage::Covered)
            .await?;
        Ok(is_complete)
    }

    /// After a stop, a shard that is gone has followed an abort.
    async fn on_stop(&mut self, lost: &[Trade]) -> Result<(), RunError> {
        self.counts.send_modify(|counts| counts.stopped = true);
        let _downstream = self.cover(lost).await;
        Ok(())
    }

    /// An input that ends before what was asked for, as today's, leaves its last bars open.
    async fn on_end(&mut self) -> Result<(), RunError> {
        if !self.cover(&[]).await? {
            self.publish(0, false);
            return Ok(());
        }
        for shard in &self.shards {
            shard
                .send(FeedMessage::End { feed: self.index })
                .await
                .map_err(|_| self.downstream())?;
        }
        self.publish(0, true);
        Ok(())
    }

    fn publish(&self, delivered: u64, ended: bool) {
        let stats = self.feed.stats();
        self.counts.send_modify(|counts| {
            counts.trades += delivered;
            counts.stats = stats;
            counts.ended = ended;
        });
    }

    fn downstream(&self) -> RunError {
        RunError::Downstream {
            actor: format!("feed {}", self.feed.name()),
        }
    }
}
