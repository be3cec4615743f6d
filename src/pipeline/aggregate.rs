//! The aggregate actor: one shard's aggregator, from trades to bars.
//!
//! At the end of every feed the open bars become final. When the feeds are stopped instead, they are dropped, apart
//! from those of symbols whose feed vouches for the whole of them: an open bar is never written as a closed one.

use super::error::RunError;
use super::late::LateReport;
use super::message::{FeedMessage, ShardMessage, UPDATES_LEN_MAX};
use super::timer::{Timer, sleep_until};
use crate::engine::aggregate::{AggregateCounts, Aggregator};
use crate::model::{BarUpdate, Covered, Symbol, Timestamp, Trade};
use crate::port::{ControlEvent, Gap, Position};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How often a shard does what no trade brings about; `None` is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardTimes {
    /// Time between two forming updates of an open bar.
    pub forming_every: Option<Duration>,
    /// Time between two reports of where a restart begins.
    pub checkpoint_every: Option<Duration>,
    /// Time between two counts of the open bars.
    pub gauge_every: Option<Duration>,
}

/// What a shard has done so far, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardCounts {
    /// The aggregation.
    pub aggregate: AggregateCounts,
    /// Bars that were open when they were last counted.
    pub open_bars: usize,
    /// The latest event time taken in.
    pub newest: Timestamp,
    /// Start of the oldest bar that may still change, when it was last looked at.
    pub oldest_open: Option<Timestamp>,
    /// Time for which the writer had no room.
    pub blocked: Duration,
}

/// Where a shard's trades come from, and where what becomes of them goes.
#[derive(Debug)]
pub(crate) struct ShardPorts {
    pub(crate) inbox: mpsc::Receiver<FeedMessage>,
    pub(crate) writer: mpsc::Sender<ShardMessage>,
    /// To the keeper of late trades; without one they are counted only.
    pub(crate) late: Option<mpsc::Sender<Vec<Trade>>>,
}

/// The actor around one shard's aggregator.
#[derive(Debug)]
pub(crate) struct AggregateActor {
    shard: usize,
    aggregator: Aggregator,
    /// Event time before which each feed has delivered everything.
    positions: Vec<Option<Timestamp>>,
    ended: BTreeSet<usize>,
    late_report: LateReport,
    ports: ShardPorts,
    counts: watch::Sender<ShardCounts>,
    forming: Timer,
    checkpoint: Timer,
    gauge: Timer,
}

enum Event {
    Deadline,
    Inbox(Option<FeedMessage>),
}

impl AggregateActor {
    /// Builds the actor of a shard that `feeds` feeds deliver to; spawns nothing. The positions of all feeds must be event
    /// times where checkpoints are reported.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn pair(
        shard: usize,
        aggregator: Aggregator,
        feeds: usize,
        times: ShardTimes,
        ports: ShardPorts,
    ) -> (AggregateActor, watch::Receiver<ShardCounts>) {
        let (counts, view) = watch::channel(ShardCounts::default());
        let actor = AggregateActor {
            shard,
            aggregator,
            positions: vec![None; feeds],
            ended: BTreeSet::new(),
            late_report: LateReport::default(),
            ports,
            counts,
            forming: Timer::new(times.forming_every),
            checkpoint: Timer::new(times.checkpoint_every),
            gauge: Timer::new(times.gauge_every),
        };
        (actor, view)
    }

    /// Aggregates until every feed has dropped its sender.
    ///
    /// # Errors
    /// [`RunError::Downstream`] when the writer is gone.
    pub(crate) async fn run(mut self) -> Result<(), RunError> {
        let mut updates = Vec::new();
        loop {
            match self.next_event().await {
                Event::Deadline => self.on_deadline(&mut updates).await?,
                Event::Inbox(Some(message)) => self.on_message(message, &mut updates).await?,
                Event::Inbox(None) => break,
            }
        }
        if let Some(late) = self.late_report.tell(self.aggregator.counts().late) {
            self.tell(late).await?;
        }
        if self.ended.len() == self.positions.len() {
            self.aggregator.finish(&mut updates);
            self.publish();
            self.send(&mut updates).await?;
            self.tell(ShardMessage::End).await?;
        }
        Ok(())
    }

    async fn next_event(&mut self) -> Event {
        let deadlines = [&self.forming, &self.checkpoint, &self.gauge].map(Timer::due);
        let deadline = deadlines.into_iter().flatten().min();
        tokio::select! {
            biased;
            () = sleep_until(deadline), if deadline.is_some() => Event::Deadline,
            message = self.ports.inbox.recv() => Event::Inbox(message),
        }
    }

    async fn on_message(
        &mut self,
        message: FeedMessage,
        updates: &mut Vec<BarUpdate>,
    ) -> Result<(), RunError> {
        match message {
            FeedMessage::Batch { feed, batch } => {
                self.on_gaps(&batch.gaps, updates);
                self.aggregator.push(&batch.trades, updates);
                self.note(feed, batch.position);
                self.hand_over_late().await;
                self.on_events(batch.events, updates);
            }
            FeedMessage::Covered(covered) => return self.on_covered(covered, updates).await,
            FeedMessage::End { feed } => {
                self.ended.insert(feed);
            }
        }
        self.publish();
        self.send(updates).await
    }

    fn note(&mut self, feed: usize, position: Position) {
        if self.checkpoint.due().is_some() {
            let time = i64::try_from(position.0)
                .ok()
                .and_then(Timestamp::from_nanos);
            self.positions[feed] = time.max(self.positions[feed]);
        }
    }

    async fn hand_over_late(&mut self) {
        let trades = self.aggregator.take_late();
        self.late_report.add(&trades, &self.aggregator);
        let late = &mut self.ports.late;
        if let Some(keeper) = late.as_ref().filter(|_| !trades.is_empty())
            && keeper.send(trades).await.is_err()
        {
            // The keeper has ended, so this run keeps none any more.
            *late = None;
        }
    }

    fn on_gaps(&mut self, gaps: &[Gap], updates: &mut Vec<BarUpdate>) {
        for gap in gaps {
            let to = gap
                .before
                .map_or(gap.to, |before| before.time.saturating_add(1));
            self.aggregator
                .mark_gap(gap.symbol, gap.after.time, to, updates);
        }
    }

    fn on_events(&mut self, events: Vec<ControlEvent>, updates: &mut Vec<BarUpdate>) {
        for event in events {
            match event {
                ControlEvent::Change {
                    symbol,
                    original,
                    replacement,
                } => {
                    self.aggregator
                        .correct(symbol, original, replacement, updates);
                }
                ControlEvent::Quiet { symbol, before } => {
                    self.aggregator.close_before(symbol, before, updates);
                }
            }
        }
    }

    /// What the clock brings about; no trade and no bar closes by it.
    async fn on_deadline(&mut self, updates: &mut Vec<BarUpdate>) -> Result<(), RunError> {
        if self.gauge.take() {
            let (open_bars, oldest_open) =
                (self.aggregator.open_len(), self.aggregator.oldest_open());
            self.counts.send_modify(|counts| {
                (counts.open_bars, counts.oldest_open) = (open_bars, oldest_open);
            });
        }
        if self.forming.take() {
            self.aggregator.forming(updates);
            self.send(updates).await?;
        }
        if self.checkpoint.take() {
            let restart = |position: &Option<Timestamp>| self.aggregator.restart_at((*position)?);
            let feeds = self.positions.iter().map(restart).collect();
            let shard = self.shard;
            self.tell(ShardMessage::Checkpoint { shard, feeds }).await?;
        }
        Ok(())
    }

    /// Closes the bars of the covered intervals, and passes these on behind the bars.
    async fn on_covered(
        &mut self,
        covered: Vec<Covered>,
        updates: &mut Vec<BarUpdate>,
    ) -> Result<(), RunError> {
        let symbols: BTreeSet<Symbol> = covered.iter().map(|one| one.symbol).collect();
        for symbol in symbols {
            match covered
                .iter()
                .find(|one| one.symbol == symbol && !one.complete)
            {
                Some(open) => self.aggregator.close_before(symbol, open.from, updates),
                None => self.aggregator.finish_symbol(symbol, updates),
            }
        }
        self.publish();
        self.send(updates).await?;
        let specs = self.aggregator.specs().to_vec();
        self.tell(ShardMessage::Covered { specs, covered }).await
    }

    fn publish(&self) {
        self.counts.send_modify(|counts| {
            (counts.aggregate, counts.newest) =
                (self.aggregator.counts(), self.aggregator.newest());
        });
    }

    async fn send(&self, updates: &mut Vec<BarUpdate>) -> Result<(), RunError> {
        if updates.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        while !updates.is_empty() {
            let len = updates.len().min(UPDATES_LEN_MAX);
            let mut rest = updates.split_off(len);
            // Room for as many bars as this batch of trades gave, so that the next one does not grow step by step.
            rest.reserve(len);
            let (shard, updates) = (self.shard, std::mem::replace(updates, rest));
            self.tell(ShardMessage::Updates { shard, updates }).await?;
        }
        let blocked = start.elapsed();
        self.counts.send_modify(|counts| counts.blocked += blocked);
        Ok(())
    }

    async fn tell(&self, message: ShardMessage) -> Result<(), RunError> {
        let sent = self.ports.writer.send(message).await;
        sent.map_err(|_| RunError::Downstream {
            actor: format!("aggregate {}", self.shard),
        })
    }
}
