//! The aggregate actor: one shard's aggregator, from trades to bars.
//!
//! At the end of every feed the open bars become final. When the feeds are stopped instead, they are dropped, apart
//! from those of symbols whose feed vouches for the whole of them: an open bar is never written as a closed one.

use super::error::RunError;
use super::message::{FeedMessage, ShardMessage, UPDATES_LEN_MAX};
use crate::engine::aggregate::{AggregateCounts, Aggregator};
use crate::model::{BarUpdate, Covered, Symbol, Timestamp, Trade};
use crate::port::{ControlEvent, Gap, Position};
use std::collections::{BTreeMap, BTreeSet};
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

/// The actor around one shard's aggregator.
#[derive(Debug)]
pub(crate) struct AggregateActor {
    shard: usize,
    aggregator: Aggregator,
    /// Event time before which each feed has delivered everything.
    positions: Vec<Option<Timestamp>>,
    ended: BTreeSet<usize>,
    left_out: LeftOut,
    inbox: mpsc::Receiver<FeedMessage>,
    writer: mpsc::Sender<ShardMessage>,
    /// To the keeper of late trades, if there is one.
    late: Option<mpsc::Sender<Vec<Trade>>>,
    counts: watch::Sender<ShardCounts>,
    forming: Option<Timer>,
    checkpoint: Option<Timer>,
    gauge: Option<Timer>,
}

enum Event {
    Deadline,
    Inbox(Option<FeedMessage>),
}

impl AggregateActor {
    /// Builds the actor of a shard that `feeds` feeds deliver to; spawns nothing.
    pub(crate) fn pair(
        shard: usize,
        aggregator: Aggregator,
        feeds: usize,
        inbox: mpsc::Receiver<FeedMessage>,
        writer: mpsc::Sender<ShardMessage>,
    ) -> (AggregateActor, watch::Receiver<ShardCounts>) {
        let (counts, view) = watch::channel(ShardCounts::default());
        let actor = AggregateActor {
            shard,
            aggregator,
            positions: vec![None; feeds],
            ended: BTreeSet::new(),
            left_out: LeftOut::default(),
            inbox,
            writer,
            late: None,
            counts,
            forming: None,
            checkpoint: None,
            gauge: None,
        };
        (actor, view)
    }

    /// Says what is done by the clock; without it nothing is. The positions of all feeds must be event times where
    /// checkpoints are reported.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub(crate) fn with_times(self, times: ShardTimes) -> AggregateActor {
        AggregateActor {
            forming: Timer::new(times.forming_every),
            checkpoint: Timer::new(times.checkpoint_every),
            gauge: Timer::new(times.gauge_every),
            ..self
        }
    }

    /// Says who keeps the trades that are too late for their bars; without it they are counted only.
    #[must_use]
    pub(crate) fn with_late(self, late: Option<mpsc::Sender<Vec<Trade>>>) -> AggregateActor {
        AggregateActor { late, ..self }
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
        self.tell_left_out().await?;
        if self.ended.len() == self.positions.len() {
            self.aggregator.finish(&mut updates);
            self.publish();
            self.send(&mut updates).await?;
            self.writer
                .send(ShardMessage::End)
                .await
                .map_err(|_| self.downstream())?;
        }
        Ok(())
    }

    async fn next_event(&mut self) -> Event {
        let deadlines = [self.forming, self.checkpoint, self.gauge].map(Timer::due);
        let deadline = deadlines.into_iter().flatten().min();
        tokio::select! {
            biased;
            () = sleep_until(deadline), if deadline.is_some() => Event::Deadline,
            message = self.inbox.recv() => Event::Inbox(message),
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
        if self.checkpoint.is_some() {
            let time = i64::try_from(position.0)
                .ok()
                .and_then(Timestamp::from_nanos);
            self.positions[feed] = time.max(self.positions[feed]);
        }
    }

    async fn hand_over_late(&mut self) {
        let trades = self.aggregator.take_late();
        self.left_out.add(&trades, &self.aggregator);
        if let Some(late) = self.late.as_ref().filter(|_| !trades.is_empty())
            && late.send(trades).await.is_err()
        {
            // The keeper has ended, so this run keeps none any more.
            self.late = None;
        }
    }

    /// Says which trades are in no bar, so that no manifest calls their days complete.
    async fn tell_left_out(&mut self) -> Result<(), RunError> {
        let Some((first, seen)) = self.left_out.first else {
            return Ok(());
        };
        let late = self.aggregator.counts().late;
        tracing::warn!(
            late,
            symbol = %first.symbol,
            time = %first.time,
            behind = %seen,
            "trades came too late for their bars and are in none; the first of them came behind trades up to the time \
             that is named, and their days are not called complete"
        );
        let days = std::mem::take(&mut self.left_out.days);
        let late = ShardMessage::Late(days.into_values().collect());
        self.writer.send(late).await.map_err(|_| self.downstream())
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
        if Timer::take(&mut self.gauge) {
            let (open_bars, oldest_open) =
                (self.aggregator.open_len(), self.aggregator.oldest_open());
            self.counts.send_modify(|counts| {
                (counts.open_bars, counts.oldest_open) = (open_bars, oldest_open);
            });
        }
        if Timer::take(&mut self.forming) {
            self.aggregator.forming(updates);
            self.send(updates).await?;
        }
        if Timer::take(&mut self.checkpoint) {
            let restart = |position: &Option<Timestamp>| self.aggregator.restart_at((*position)?);
            let feeds = self.positions.iter().map(restart).collect();
            let message = ShardMessage::Checkpoint {
                shard: self.shard,
                feeds,
            };
            self.writer
                .send(message)
                .await
                .map_err(|_| self.downstream())?;
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
        let message = ShardMessage::Covered { specs, covered };
        self.writer
            .send(message)
            .await
            .map_err(|_| self.downstream())
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
            let part = std::mem::replace(updates, rest);
            self.writer
                .send(ShardMessage::Updates {
                    shard: self.shard,
                    updates: part,
                })
                .await
                .map_err(|_| self.downstream())?;
        }
        let blocked = start.elapsed();
        self.counts.send_modify(|counts| counts.blocked += blocked);
        Ok(())
    }

    fn downstream(&self) -> RunError {
        RunError::Downstream {
            actor: format!("aggregate {}", self.shard),
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline).await;
    }
}

const HOUR_NS: i64 = 3_600_000_000_000;

/// Late trades of a shard, as far as they must be reported.
#[derive(Debug, Default)]
struct LeftOut {
    /// The first one, and the time that had been seen of its symbol.
    first: Option<(Trade, Timestamp)>,
    /// One of each symbol and hour, which is enough to know the days in any zone.
    days: BTreeMap<(Symbol, i64), (Symbol, Timestamp)>,
}

impl LeftOut {
    fn add(&mut self, trades: &[Trade], aggregator: &Aggregator) {
        for trade in trades {
            if self.first.is_none() {
                let seen = aggregator.seen(trade.symbol).unwrap_or(trade.time);
                self.first = Some((*trade, seen));
            }
            let hour = (trade.symbol, trade.time.as_nanos() / HOUR_NS);
            self.days.insert(hour, (trade.symbol, trade.time));
        }
    }
}

/// The next time of something that recurs.
#[derive(Debug, Clone, Copy)]
struct Timer {
    every: Duration,
    due: Instant,
}

impl Timer {
    fn new(every: Option<Duration>) -> Option<Timer> {
        every.map(|every| Timer {
            every,
            due: Instant::now() + every,
        })
    }

    fn due(timer: Option<Timer>) -> Option<Instant> {
        timer.map(|timer| timer.due)
    }

    /// Whether it is time; missed times are left out.
    fn take(timer: &mut Option<Timer>) -> bool {
        let now = Instant::now();
        match timer {
            Some(timer) if timer.due <= now => {
                timer.due = now + timer.every;
                true
            }
            Some(_) | None => false,
        }
    }
}
