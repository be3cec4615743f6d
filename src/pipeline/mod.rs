//! The pipeline: feeds, shards and the writer, joined by bounded channels.
//!
//! Makes every channel and spawns every actor through the supervisor; knows no vendor. Dropping the last sender
//! of a channel is how an actor tells the next one that it has ended.

mod aggregate;
pub mod channel;
pub mod clock;
mod error;
mod feed;
#[cfg(feature = "cli")]
mod forecast;
mod late;
mod message;
mod outcome;
mod pace;
#[cfg(feature = "files")]
pub mod paced;
mod reconcile;
mod shard_times;
#[cfg(test)]
mod simulation;
pub mod stream;
mod supervise;
mod write;

pub use error::RunError;
pub use feed::FeedCounts;
#[cfg(feature = "cli")]
pub use forecast::{Arrival, Forecast, ForecastDay, forecast};
pub use outcome::{End, Finished, State, Summary};
pub use pace::PaceSettings;
#[cfg(any(feature = "cli", feature = "internals"))]
pub use reconcile::NoStateError;
pub use shard_times::{ShardCounts, ShardTimes};
#[cfg(any(feature = "cli", feature = "internals"))]
pub use write::ResumeSettings;
pub use write::{ReconcileSettings, WriterCounts, WriterPorts, WriterSettings};

pub(crate) use aggregate::AggregateActor;
pub(crate) use feed::FeedActor;
#[cfg(test)]
pub(crate) use feed::Partition;
pub(crate) use late::LateActor;
pub(crate) use message::FeedMessage;
#[doc(hidden)]
pub use message::ShardMessage;
pub(crate) use supervise::Supervisor;
#[doc(hidden)]
pub use write::Writer;

use crate::engine::aggregate::{AggregateCounts, Aggregator, AggregatorSettings};
use crate::model::{BarUpdate, Manifest, Trade};
use crate::port::{LateStore, TradeFeed};
use futures::stream::{Stream, StreamExt};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_util::sync::CancellationToken;

/// Every bound and rule of one pipeline.
#[derive(Debug, Clone)]
pub struct PipelineSettings {
    /// How trades become bars.
    pub aggregate: AggregatorSettings,
    /// What the shards do by the clock.
    pub times: ShardTimes,
    /// How bars are written.
    pub writer: WriterSettings,
    /// Shards, 1 and up; a symbol lives on one.
    pub shards: usize,
    /// Trades in one batch of a feed at most.
    pub batch_len_max: usize,
    /// Batches waiting before one shard at most.
    pub feed_queue_len_max: usize,
    /// Messages of up to 4,096 bars waiting before the writer at most.
    pub writer_queue_len_max: usize,
    /// Acked updates kept for a slow listener of [`Handle::bars`] at most.
    pub listener_len_max: usize,
    /// Time from `stop` until `abort`.
    pub drain_timeout: Duration,
}

impl PipelineSettings {
    /// The sum of the queue bounds in bytes, for `feeds` feeds: what waits can never take more. A feed of files has
    /// five batches ahead and one in its hands.
    pub fn queue_bytes_max(&self, feeds: usize) -> usize {
        let batch = self.batch_len_max * size_of::<Trade>();
        let message = 4_096 * size_of::<BarUpdate>();
        let delivery = &self.writer.delivery;
        // In flight; while the store is out, a commit of as many and what is read of the spool, each twice.
        let batches = 2 * delivery.in_flight_max + 5;
        let items = delivery.queue_len_max + 4_096 + batches * delivery.batch.len_max;
        feeds * 6 * batch
            + self.shards * self.feed_queue_len_max * batch
            + self.writer_queue_len_max * message
            + (items + self.listener_len_max) * size_of::<BarUpdate>()
            + delivery.in_flight_max * delivery.batch.bytes_max
    }
}

/// A pipeline ready to run.
#[derive(Debug)]
pub struct Pipeline {
    feeds: Vec<Box<dyn TradeFeed>>,
    ports: WriterPorts,
    settings: PipelineSettings,
    earlier: Vec<Manifest>,
    late: Option<Arc<dyn LateStore>>,
}

impl Pipeline {
    /// Joins feeds and a store by the given bounds.
    pub fn new(
        feeds: Vec<Box<dyn TradeFeed>>,
        ports: WriterPorts,
        settings: PipelineSettings,
    ) -> Pipeline {
        Pipeline {
            feeds,
            ports,
            settings,
            earlier: Vec::new(),
            late: None,
        }
    }

    /// Goes on with what earlier runs wrote: bars that start before the end of such a manifest are written again
    /// but not counted again, and the manifest of this run speaks of both.
    #[must_use]
    pub fn resume(self, earlier: Vec<Manifest>) -> Pipeline {
        Pipeline { earlier, ..self }
    }

    /// Keeps the trades that are too late for their bars; otherwise they are counted only.
    #[must_use]
    pub fn keep_late(self, late: Arc<dyn LateStore>) -> Pipeline {
        Pipeline {
            late: Some(late),
            ..self
        }
    }

    /// Runs until every feed has ended and every bar is written.
    ///
    /// # Errors
    /// The first [`RunError`] of an actor; bars acked before it are in the store.
    pub async fn run(self) -> Result<Summary, RunError> {
        let finished = self.start().join().await;
        match finished.end {
            End::Drained | End::Aborted => Ok(finished.summary),
            End::Failed(fault) => Err(fault),
        }
    }

    /// Starts every actor on the current tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self) -> Running {
        let Pipeline {
            feeds,
            ports,
            settings,
            earlier,
            late,
        } = self;
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let mut supervisor = Supervisor::new(stop.clone());
        let (acked, listener) = broadcast::channel(settings.listener_len_max.max(1));
        let shards = settings.shards.max(1);
        let (to_writer, writer_inbox) = mpsc::channel(settings.writer_queue_len_max.max(1));
        // The channel is new, so there is room for one message.
        let is_sent = to_writer.try_send(ShardMessage::Earlier(earlier)).is_ok();
        debug_assert!(is_sent, "a new channel has room");
        let (writer, writer_counts) = Writer::pair(
            ports,
            settings.writer,
            (writer_inbox, shards),
            abort.clone(),
            acked.clone(),
        );
        supervisor.spawn("write", writer.run());
        let to_late = late.map(|store| {
            let (actor, to_late) = LateActor::pair(store);
            supervisor.spawn("late", actor.run());
            to_late
        });
        let (mut to_shards, mut shard_counts) = (Vec::new(), Vec::new());
        for shard in 0..shards {
            let (to_shard, inbox) = mpsc::channel(settings.feed_queue_len_max.max(1));
            let name = format!("aggregate {shard}");
            let aggregator = Aggregator::new(settings.aggregate.clone());
            let (actor, counts) =
                AggregateActor::pair(shard, aggregator, feeds.len(), inbox, to_writer.clone());
            supervisor.spawn(
                &name,
                actor
                    .with_times(settings.times)
                    .with_late(to_late.clone())
                    .run(),
            );
            to_shards.push(to_shard);
            shard_counts.push(counts);
        }
        let mut feed_counts = Vec::new();
        for (index, mut feed) in feeds.into_iter().enumerate() {
            let name = format!("feed {}", feed.name());
            if let Some(task) = feed.take_task() {
                let life = async move {
                    task.await;
                    Ok(())
                };
                supervisor.spawn(&format!("driver of {name}"), life);
            }
            let (actor, counts) = FeedActor::pair(feed, index, to_shards.clone(), stop.clone());
            supervisor.spawn(&name, actor.run());
            feed_counts.push(counts);
        }
        let shard_queues = to_shards.iter().map(mpsc::Sender::downgrade).collect();
        let watched = Watched {
            feeds: feed_counts,
            shards: shard_counts,
            writer: writer_counts,
            shard_queues,
            writer_queue: to_writer.downgrade(),
        };
        let drain_timeout = settings.drain_timeout;
        Running {
            supervisor,
            watched,
            stop,
            abort,
            acked: acked.downgrade(),
            listener: Mutex::new(Some(listener)),
            drain_timeout,
            started: Instant::now(),
        }
    }
}

#[derive(Debug, Clone)]
struct Watched {
    feeds: Vec<watch::Receiver<FeedCounts>>,
    shards: Vec<watch::Receiver<ShardCounts>>,
    writer: watch::Receiver<WriterCounts>,
    /// Weak, so that who looks on does not keep an actor waiting.
    shard_queues: Vec<mpsc::WeakSender<FeedMessage>>,
    writer_queue: mpsc::WeakSender<ShardMessage>,
}

impl Watched {
    fn state(&self) -> State {
        let shards: Vec<ShardCounts> = self.shards.iter().map(|shard| *shard.borrow()).collect();
        let mut aggregate = AggregateCounts::default();
        for shard in &shards {
            aggregate += shard.aggregate;
        }
        State {
            feeds: self.feeds.iter().map(|feed| *feed.borrow()).collect(),
            aggregate,
            shards,
            shard_queues: self.shard_queues.iter().map(waiting).collect(),
            writer_queue: waiting(&self.writer_queue),
            writer: *self.writer.borrow(),
        }
    }
}

/// Messages that wait in a channel; zero once its senders are gone.
fn waiting<T>(queue: &mpsc::WeakSender<T>) -> usize {
    queue
        .upgrade()
        .map_or(0, |queue| queue.max_capacity() - queue.capacity())
}

/// Stops a running pipeline and reads its counts, from any task.
#[derive(Debug, Clone)]
pub struct Handle {
    watched: Watched,
    stop: CancellationToken,
    abort: CancellationToken,
    /// Weak, so that a handle that outlives the run does not keep its listeners waiting.
    acked: broadcast::WeakSender<BarUpdate>,
}

impl Handle {
    /// Ends the sources and writes pending bars; open bars are not published.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends at once; the summary contains the number of unwritten bars.
    pub fn abort(&self) {
        self.stop.cancel();
        self.abort.cancel();
    }

    /// The counts of all actors so far.
    pub fn state(&self) -> State {
        self.watched.state()
    }

    /// The updates acked from now on, in the order of their acks.
    ///
    /// A listener slower than the store misses the oldest; `Err` tells how many. It never delays the store.
    /// The stream ends with the run.
    pub fn bars(&self) -> impl Stream<Item = Result<BarUpdate, u64>> + Send + use<> {
        updates(self.acked.upgrade().map(|acked| acked.subscribe()))
    }
}

fn updates(
    listener: Option<broadcast::Receiver<BarUpdate>>,
) -> impl Stream<Item = Result<BarUpdate, u64>> + Send + use<> {
    futures::stream::iter(listener.map(BroadcastStream::new))
        .flatten()
        .map(|update| update.map_err(|BroadcastStreamRecvError::Lagged(missed)| missed))
}

/// A running pipeline. Dropping it ends the actors without a drain; await [`Running::join`].
#[derive(Debug)]
pub struct Running {
    supervisor: Supervisor,
    watched: Watched,
    stop: CancellationToken,
    abort: CancellationToken,
    /// Weak, so that listeners end with the writer, which holds the only sender.
    acked: broadcast::WeakSender<BarUpdate>,
    /// Has heard everything since the start.
    listener: Mutex<Option<broadcast::Receiver<BarUpdate>>>,
    drain_timeout: Duration,
    started: Instant,
}

impl Running {
    /// A handle for other tasks.
    pub fn handle(&self) -> Handle {
        let Running {
            watched,
            stop,
            abort,
            acked,
            ..
        } = self;
        Handle {
            watched: watched.clone(),
            stop: stop.clone(),
            abort: abort.clone(),
            acked: acked.clone(),
        }
    }

    /// The acked updates: for who asks first those since the start, later those from now on.
    pub fn bars(&self) -> impl Stream<Item = Result<BarUpdate, u64>> + Send + use<> {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let acked = || self.acked.upgrade().map(|acked| acked.subscribe());
        updates(listener.take().or_else(acked))
    }

    /// Waits until every actor has ended; after `stop` not longer than the drain timeout.
    pub async fn join(self) -> Finished {
        let Running {
            supervisor,
            watched,
            stop,
            abort,
            drain_timeout,
            started,
            ..
        } = self;
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(drain_timeout).await;
            abort.cancel();
            std::future::pending::<()>().await;
        };
        let joined = tokio::select! {
            biased;
            joined = supervisor.join() => joined,
            () = deadline => Ok(()),
        };
        let summary = Summary::of(&watched.state(), started.elapsed());
        let end = match joined {
            // An aborted writer leaves actors that still have bars for it; that is no fault of theirs.
            Err(fault) if abort.is_cancelled() && fault.is_consequence() => End::Aborted,
            Err(fault) => End::Failed(fault),
            Ok(()) if abort.is_cancelled() || summary.spooled + summary.unproved > 0 => {
                End::Aborted
            }
            Ok(()) => End::Drained,
        };
        Finished { summary, end }
    }
}
