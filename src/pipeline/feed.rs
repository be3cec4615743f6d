//! The feed actor: reads batches from one feed and sends them to the shards of their symbols.
//!
//! It waits for room at every shard before it asks the feed for more, so the slowness of the store reaches
//! the source. Knows nothing of formats and venues. Whatever ends the feed, its coverage goes to the shards last.

use super::error::RunError;
use super::message::FeedMessage;
use crate::model::{Covered, Symbol, Timestamp, Trade};
use crate::port::{FeedError, FeedStats, TradeBatch, TradeFeed};
use foldhash::fast::FixedState;
use std::hash::BuildHasher;
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
    index: usize,
    shards: Vec<mpsc::Sender<FeedMessage>>,
    partition: Partition,
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
        index: usize,
        shards: Vec<mpsc::Sender<FeedMessage>>,
        stop: CancellationToken,
    ) -> (FeedActor<F>, watch::Receiver<FeedCounts>) {
        let (counts, view) = watch::channel(FeedCounts::default());
        let partition = Partition::new(shards.len().max(1));
        (
            FeedActor {
                feed,
                index,
                shards,
                partition,
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
                    self.publish(|_| ());
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

    /// Sends each shard its part of a batch; `stop` wins over a shard without room, and the trades not sent come back.
    async fn on_batch(&mut self, batch: TradeBatch) -> Result<Option<Vec<Trade>>, RunError> {
        let delivered = u64::try_from(batch.trades.len()).unwrap_or(u64::MAX);
        let newest = batch.trades.iter().map(|trade| trade.time).max();
        let newest = newest.unwrap_or_default();
        let start = Instant::now();
        let mut parts = self.partition.split(batch).into_iter();
        for shard in &self.shards {
            let permit = tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    return Ok(Some(parts.flat_map(|part| part.trades).collect()));
                }
                permit = shard.reserve() => permit.map_err(|_| self.downstream())?,
            };
            permit.send(FeedMessage::Batch {
                feed: self.index,
                batch: parts.next().unwrap_or_default(),
            });
        }
        let blocked = start.elapsed();
        self.publish(|counts| {
            counts.trades += delivered;
            counts.newest = counts.newest.max(newest);
            counts.blocked += blocked;
        });
        Ok(None)
    }

    /// Sends the shards what the feed vouches for, and answers whether that is all it was asked for.
    async fn cover(&mut self, lost: &[Trade]) -> Result<bool, RunError> {
        let covered = self.feed.coverage().into_iter();
        let covered: Vec<Covered> = covered.map(|one| one.without(lost)).collect();
        let is_complete = covered.iter().all(|one| one.complete);
        let mut parts: Vec<Vec<Covered>> = self.shards.iter().map(|_| Vec::new()).collect();
        for one in covered {
            parts[self.partition.shard(one.symbol)].push(one);
        }
        for (shard, part) in self.shards.iter().zip(parts) {
            if !part.is_empty() {
                let sent = shard.send(FeedMessage::Covered(part)).await;
                sent.map_err(|_| self.downstream())?;
            }
        }
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
            self.publish(|_| ());
            return Ok(());
        }
        for shard in &self.shards {
            let sent = shard.send(FeedMessage::End { feed: self.index }).await;
            sent.map_err(|_| self.downstream())?;
        }
        self.publish(|counts| counts.ended = true);
        Ok(())
    }

    fn publish(&self, change: impl FnOnce(&mut FeedCounts)) {
        let stats = self.feed.stats();
        self.counts.send_modify(|counts| {
            counts.stats = stats;
            change(counts);
        });
    }

    fn downstream(&self) -> RunError {
        RunError::Downstream {
            actor: format!("feed {}", self.feed.name()),
        }
    }
}

const UNKNOWN: u8 = u8::MAX;

/// Decides which shard a symbol lives on, and keeps the answers by the symbols' numbers.
///
/// The name alone decides: the numbers of symbols follow the order in which threads meet them, and a run that goes on
/// after a crash must find each symbol on the same shard.
#[derive(Debug)]
pub(crate) struct Partition {
    shards: usize,
    /// At most 64 shards, see `aggregate.shards`; more are looked up each time.
    known: Vec<u8>,
}

impl Partition {
    pub(crate) fn new(shards: usize) -> Partition {
        Partition {
            shards,
            known: Vec::new(),
        }
    }

    /// The shard of a symbol, from 0.
    #[inline]
    pub(crate) fn shard(&mut self, symbol: Symbol) -> usize {
        match self.known.get(symbol.index()) {
            Some(&shard) if shard != UNKNOWN => usize::from(shard),
            Some(_) | None => self.look_up(symbol),
        }
    }

    #[cold]
    fn look_up(&mut self, symbol: Symbol) -> usize {
        // A fixed seed gives the same hash in every run of one build.
        let hash = FixedState::with_seed(0).hash_one(symbol.as_str());
        let shard = usize::try_from(hash).unwrap_or(0) % self.shards;
        if self.known.len() <= symbol.index() {
            self.known.resize(symbol.index() + 1, UNKNOWN);
        }
        self.known[symbol.index()] = u8::try_from(shard).unwrap_or(UNKNOWN);
        shard
    }

    /// Splits a batch by the shard of each symbol, keeping the order; every shard gets the position.
    pub(crate) fn split(&mut self, batch: TradeBatch) -> Vec<TradeBatch> {
        if self.shards == 1 {
            return vec![batch];
        }
        let len = batch.trades.len() / self.shards + 1;
        let empty = || TradeBatch::new(Vec::with_capacity(len), batch.position);
        let mut parts: Vec<TradeBatch> = (0..self.shards).map(|_| empty()).collect();
        for trade in batch.trades {
            parts[self.shard(trade.symbol)].trades.push(trade);
        }
        for gap in batch.gaps {
            parts[self.shard(gap.symbol)].gaps.push(gap);
        }
        for event in batch.events {
            parts[self.shard(event.symbol())].events.push(event);
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::Partition;
    use crate::model::Symbol;

    #[test]
    fn names_decide_and_use_every_shard() {
        let symbols: Vec<Symbol> = (0..100)
            .map(|number| format!("DEAL{number}").parse().unwrap())
            .collect();
        let deal = |symbols: &mut dyn Iterator<Item = &Symbol>| {
            let mut deal = Partition::new(3);
            let mut shards: Vec<(Symbol, usize)> = symbols
                .map(|symbol| (*symbol, deal.shard(*symbol)))
                .collect();
            shards.sort_unstable();
            shards
        };
        let dealt = deal(&mut symbols.iter());
        assert_eq!(
            deal(&mut symbols.iter().rev().chain(&symbols).take(100)),
            dealt
        );
        for shard in 0..3 {
            assert!(
                dealt.iter().filter(|(_, found)| *found == shard).count() > 10,
                "{dealt:?}"
            );
        }
    }
}
