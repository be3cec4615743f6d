//! Fakes of the ports: a store that answers by a script, and feeds that a test can see through.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barmill::{BarUpdate, Symbol, Timestamp, Trade, TradeId};
use barmill_core::port::{
    BarSink, Cost, FeedError, ItemError, ItemResult, Position, Remedy, SinkError, SinkStats,
    TradeBatch, TradeFeed, WriteItem,
};
use futures::future::BoxFuture;
use tokio::time::Instant;

/// 2025-10-15T13:30:00Z in nanoseconds since the Unix epoch.
pub(crate) const OPEN_NS: i64 = 1_760_535_000_000_000_000;
pub(crate) const SECOND_NS: i64 = 1_000_000_000;

/// A trade of a symbol so many seconds after the open.
pub(crate) fn trade(symbol: &str, second: i64) -> Trade {
    let time = Timestamp::from_nanos(OPEN_NS + second * SECOND_NS).expect("a time");
    let id = TradeId::from_number(second.unsigned_abs());
    let symbol: Symbol = symbol.parse().expect("a symbol");
    let size = "100".parse().expect("a size");
    let plain = Trade::new(symbol, time, "10.5".parse().expect("a price"), size);
    Trade {
        id,
        sequence: second.unsigned_abs(),
        ..plain
    }
}

/// One trade in each of so many minutes.
pub(crate) fn minutes(symbol: &str, count: i64) -> Vec<Trade> {
    (0..count)
        .map(|minute| trade(symbol, minute * 60))
        .collect()
}

/// What the store does with one attempt.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Written,
    /// Every item is written but these.
    Without(Vec<usize>, Remedy),
    /// The whole attempt fails.
    Fails(Remedy),
    /// No answer ever comes.
    Hangs,
    /// One result too few.
    Short,
    Panics,
}

/// One attempt as the store saw it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) at: Instant,
    pub(crate) until: Option<Instant>,
    pub(crate) items: Vec<WriteItem>,
}

impl Attempt {
    pub(crate) fn bars(&self) -> Vec<BarUpdate> {
        let bar = |item: &WriteItem| match item {
            WriteItem::Bar(update) => Some(*update),
            WriteItem::Manifest(_) => None,
        };
        self.items.iter().filter_map(bar).collect()
    }
}

/// A store that answers by a script, and then writes everything.
#[derive(Debug, Default)]
pub(crate) struct FakeSink {
    script: Mutex<VecDeque<Answer>>,
    attempts: Mutex<Vec<Attempt>>,
    latency: Duration,
    fails_to_close: bool,
    in_flight: AtomicUsize,
    in_flight_max: AtomicUsize,
    reconnects: AtomicU64,
    beat_every: Option<Duration>,
    /// What the beats fail with, one after the other, and then no more.
    beat_failures: Mutex<VecDeque<Remedy>>,
    beats: Mutex<Vec<Instant>>,
}

impl FakeSink {
    pub(crate) fn new(script: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            script: Mutex::new(script.into_iter().collect()),
            ..Self::default()
        }
    }

    /// Every answer takes this long.
    pub(crate) fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Wants a sign of life that often; the first ones fail.
    pub(crate) fn beat_every(
        mut self,
        interval: Duration,
        failures: impl IntoIterator<Item = Remedy>,
    ) -> Self {
        self.beat_every = Some(interval);
        self.beat_failures = Mutex::new(failures.into_iter().collect());
        self
    }

    /// When it was asked for a sign of life.
    pub(crate) fn beats(&self) -> Vec<Instant> {
        self.beats.lock().expect("no panic under the lock").clone()
    }

    pub(crate) fn fails_to_close(mut self) -> Self {
        self.fails_to_close = true;
        self
    }

    pub(crate) fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.attempts
            .lock()
            .expect("no panic under the lock")
            .clone()
    }

    pub(crate) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    pub(crate) fn in_flight_max(&self) -> usize {
        self.in_flight_max.load(Ordering::Relaxed)
    }

    async fn answer(&self, items: &[WriteItem]) -> Result<Vec<ItemResult>, SinkError> {
        let attempt = Attempt {
            at: Instant::now(),
            until: None,
            items: items.to_vec(),
        };
        let place = {
            let mut attempts = self.attempts.lock().expect("no panic under the lock");
            attempts.push(attempt);
            attempts.len() - 1
        };
        let answer = self
            .script
            .lock()
            .expect("no panic under the lock")
            .pop_front();
        tokio::time::sleep(self.latency).await;
        self.attempts.lock().expect("no panic under the lock")[place].until = Some(Instant::now());
        let written = || vec![Ok(()); items.len()];
        match answer.unwrap_or(Answer::Written) {
            Answer::Written => Ok(written()),
            Answer::Without(places, remedy) => {
                let mut results = written();
                for place in places {
                    results[place] = Err(ItemError {
                        remedy,
                        reason: format!("no room for item {place}"),
                    });
                }
                Ok(results)
            }
            Answer::Fails(remedy) => Err(SinkError {
                operation: "fake write".to_owned(),
                remedy,
                source: "on purpose".into(),
            }),
            Answer::Hangs => std::future::pending().await,
            Answer::Short => Ok(vec![Ok(()); items.len() - 1]),
            Answer::Panics => panic!("the store's own defect"),
        }
    }
}

/// Counts a write as in flight for its own life, also when it is dropped.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl BarSink for FakeSink {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn write<'a>(
        &'a self,
        items: &'a [WriteItem],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>> {
        Box::pin(async move {
            let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
            let _in_flight = InFlight(&self.in_flight);
            self.in_flight_max.fetch_max(now, Ordering::Relaxed);
            self.answer(items).await
        })
    }

    fn cost(&self, items: &[WriteItem]) -> Cost {
        Cost {
            requests: 1,
            commands: u32::try_from(items.len()).expect("few"),
        }
    }

    fn weight(&self, _: &WriteItem) -> usize {
        100
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    fn keepalive_interval(&self) -> Option<Duration> {
        self.beat_every
    }

    fn keepalive(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.beats
            .lock()
            .expect("no panic under the lock")
            .push(Instant::now());
        let failure = self
            .beat_failures
            .lock()
            .expect("no panic under the lock")
            .pop_front();
        let error = |remedy| SinkError {
            operation: "keepalive".to_owned(),
            remedy,
            source: "fenced".into(),
        };
        Box::pin(async move { failure.map_or(Ok(()), |remedy| Err(error(remedy))) })
    }

    fn reconnect(&self) -> BoxFuture<'_, ()> {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {})
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        let error = || SinkError {
            operation: "close".to_owned(),
            remedy: Remedy::Fatal,
            source: "disk full".into(),
        };
        let closed = if self.fails_to_close {
            Err(error())
        } else {
            Ok(())
        };
        Box::pin(async { closed })
    }

    fn stats(&self) -> SinkStats {
        SinkStats::default()
    }
}

/// How a feed ends after its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// The input is at its end.
    End,
    /// It fails.
    Failure,
    /// It panics.
    Panic,
    /// It waits for ever, as a live feed does.
    Silence,
}

/// A feed of given batches; how many it has handed out can be seen from outside.
#[derive(Debug)]
pub(crate) struct BatchFeed {
    batches: VecDeque<Vec<Trade>>,
    last: Last,
    delivered: Arc<AtomicU64>,
}

impl BatchFeed {
    pub(crate) fn new(trades: &[Trade], batch_len: usize, last: Last) -> Self {
        let batches = trades.chunks(batch_len).map(<[Trade]>::to_vec).collect();
        Self {
            batches,
            last,
            delivered: Arc::default(),
        }
    }

    /// The count of trades handed out so far.
    pub(crate) fn delivered(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.delivered)
    }
}

impl TradeFeed for BatchFeed {
    fn name(&self) -> &'static str {
        "batches"
    }

    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
        Box::pin(async move {
            if let Some(trades) = self.batches.pop_front() {
                let count = u64::try_from(trades.len()).expect("few");
                let position = self.delivered.fetch_add(count, Ordering::Relaxed) + count;
                return Ok(Some(TradeBatch::new(trades, Position(position))));
            }
            match self.last {
                Last::End => Ok(None),
                Last::Failure => Err(FeedError {
                    feed: "batches".to_owned(),
                    source: "the venue hung up".into(),
                }),
                Last::Panic => panic!("the feed's own defect"),
                Last::Silence => std::future::pending().await,
            }
        })
    }
}
