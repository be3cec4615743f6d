//! The feed actor: pulls batches out of one feed and deals them to the shards of their symbols.
//!
//! It waits for room at every shard before it asks the feed for more, so the slowness of the store reaches
//! the source. Knows nothing of formats and venues.

use super::fault::Fault;
use super::message::{FeedIndex, FeedMessage};
use crate::model::Trade;
use crate::port::{FeedError, FeedStats, TradeBatch, TradeFeed};
use tokio::sync::{mpsc, watch};
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
}

/// The actor around one feed.
#[derive(Debug)]
pub struct FeedActor<F> {
    feed: F,
    index: FeedIndex,
    shards: Vec<mpsc::Sender<FeedMessage>>,
    stop: CancellationToken,
    counts: watch::Sender<FeedCounts>,
}

enum Event {
    Stop,
    Batch(Result<Option<TradeBatch>, FeedError>),
}

impl<F: TradeFeed> FeedActor<F> {
    /// Builds the actor and the view of its counts; spawns nothing.
    pub fn pair(
        feed: F,
        index: FeedIndex,
        shards: Vec<mpsc::Sender<FeedMessage>>,
        stop: CancellationToken,
    ) -> (FeedActor<F>, watch::Receiver<FeedCounts>) {
        let (counts, view) = watch::channel(FeedCounts::default());
        (FeedActor { feed, index, shards, stop, counts }, view)
    }

    /// Delivers the feed until its end or until `stop`.
    ///
    /// # Errors
    /// [`Fault::Feed`] when the feed fails, [`Fault::Downstream`] when a shard is gone.
    pub async fn run(mut self) -> Result<(), Fault> {
        loop {
            match self.next_event().await {
                Event::Stop => return Ok(()),
                Event::Batch(Ok(Some(batch))) => {
                    if !self.on_batch(batch).await? {
                        return Ok(());
                    }
                }
                Event::Batch(Ok(None)) => return self.on_end().await,
                Event::Batch(Err(error)) => {
                    self.publish(0, false);
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

    /// Answers whether to go on; `stop` wins over a shard without room.
    async fn on_batch(&mut self, batch: TradeBatch) -> Result<bool, Fault> {
        let delivered = u64::try_from(batch.trades.len()).unwrap_or(u64::MAX);
        let position = batch.position;
        let parts = deal(batch.trades, self.shards.len());
        for (shard, trades) in self.shards.iter().zip(parts) {
            let permit = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(false),
                permit = shard.reserve() => permit.map_err(|_| self.downstream())?,
            };
            permit.send(FeedMessage::Trades { feed: self.index, trades, position });
        }
        self.publish(delivered, false);
        Ok(true)
    }

    async fn on_end(&mut self) -> Result<(), Fault> {
        for shard in &self.shards {
            shard.send(FeedMessage::End { feed: self.index }).await.map_err(|_| self.downstream())?;
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

    fn downstream(&self) -> Fault {
        Fault::Downstream { actor: format!("feed {}", self.feed.name()) }
    }
}

/// Splits trades by the shard of their symbol, keeping their order.
fn deal(trades: Vec<Trade>, shards: usize) -> Vec<Vec<Trade>> {
    if shards == 1 {
        return vec![trades];
    }
    let mut parts = vec![Vec::with_capacity(trades.len() / shards + 1); shards];
    for trade in trades {
        parts[trade.symbol.index() % shards].push(trade);
    }
    parts
}
