//! The aggregate actor: one shard's aggregator, from trades to bars.
//!
//! At the end of every feed the open bars become final. When the feeds are stopped instead, they are dropped, apart
//! from those of symbols whose feed vouches for the whole of them: an open bar is never written as a closed one.

use super::fault::Fault;
use super::message::{FeedMessage, ShardMessage};
use crate::engine::aggregate::{AggregateCounts, Aggregator};
use crate::model::{BarUpdate, Covered, Symbol};
use std::collections::BTreeSet;
use tokio::sync::{mpsc, watch};

/// Bars in one message to the writer at most, so that a message's memory is bounded.
const UPDATES_LEN_MAX: usize = 4_096;

/// The actor around one shard's aggregator.
#[derive(Debug)]
pub struct AggregateActor {
    shard: usize,
    aggregator: Aggregator,
    feeds: usize,
    ended: BTreeSet<usize>,
    inbox: mpsc::Receiver<FeedMessage>,
    writer: mpsc::Sender<ShardMessage>,
    counts: watch::Sender<AggregateCounts>,
}

impl AggregateActor {
    /// Builds the actor of a shard that `feeds` feeds deliver to; spawns nothing.
    pub fn pair(
        shard: usize,
        aggregator: Aggregator,
        feeds: usize,
        inbox: mpsc::Receiver<FeedMessage>,
        writer: mpsc::Sender<ShardMessage>,
    ) -> (AggregateActor, watch::Receiver<AggregateCounts>) {
        let (counts, view) = watch::channel(AggregateCounts::default());
        let ended = BTreeSet::new();
        (AggregateActor { shard, aggregator, feeds, ended, inbox, writer, counts }, view)
    }

    /// Aggregates until every feed has dropped its sender.
    ///
    /// # Errors
    /// [`Fault::Downstream`] when the writer is gone.
    pub async fn run(mut self) -> Result<(), Fault> {
        let mut updates = Vec::new();
        while let Some(message) = self.inbox.recv().await {
            match message {
                FeedMessage::Trades { trades, .. } => {
                    self.aggregator.push(&trades, &mut updates);
                    self.counts.send_replace(self.aggregator.counts());
                    self.send(&mut updates).await?;
                }
                FeedMessage::Gaps(gaps) => {
                    for gap in gaps {
                        let to = gap.before.map_or(gap.to, |before| before.time.saturating_add(1));
                        self.aggregator.mark_gap(gap.symbol, gap.after.time, to, &mut updates);
                    }
                    self.send(&mut updates).await?;
                }
                FeedMessage::Covered(covered) => self.on_covered(covered, &mut updates).await?,
                FeedMessage::End { feed } => {
                    self.ended.insert(feed.0);
                }
            }
        }
        if self.ended.len() == self.feeds {
            self.aggregator.finish(&mut updates);
            self.counts.send_replace(self.aggregator.counts());
            self.send(&mut updates).await?;
            self.writer.send(ShardMessage::End).await.map_err(|_| self.downstream())?;
        }
        Ok(())
    }

    /// Closes what the feed's word makes whole, and passes it on behind the bars.
    async fn on_covered(&mut self, covered: Vec<Covered>, updates: &mut Vec<BarUpdate>) -> Result<(), Fault> {
        let symbols: BTreeSet<Symbol> = covered.iter().map(|one| one.symbol).collect();
        for symbol in symbols {
            match covered.iter().find(|one| one.symbol == symbol && !one.complete) {
                Some(open) => self.aggregator.close_before(symbol, open.from, updates),
                None => self.aggregator.finish_symbol(symbol, updates),
            }
        }
        self.counts.send_replace(self.aggregator.counts());
        self.send(updates).await?;
        let specs = self.aggregator.specs().to_vec();
        let message = ShardMessage::Covered { specs, covered };
        self.writer.send(message).await.map_err(|_| self.downstream())
    }

    async fn send(&self, updates: &mut Vec<BarUpdate>) -> Result<(), Fault> {
        while !updates.is_empty() {
            let rest = updates.split_off(updates.len().min(UPDATES_LEN_MAX));
            let part = std::mem::replace(updates, rest);
            self.writer
                .send(ShardMessage::Updates { shard: self.shard, updates: part })
                .await
                .map_err(|_| self.downstream())?;
        }
        Ok(())
    }

    fn downstream(&self) -> Fault {
        Fault::Downstream { actor: format!("aggregate {}", self.shard) }
    }
}
