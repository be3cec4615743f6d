//! A run under way: how to stop it and look into it, what it looks like on the way, and what it came to.

use super::aggregate::ShardCounts;
use super::error::RunError;
use super::feed::FeedCounts;
use super::message::{FeedMessage, ShardMessage};
use super::supervise::Supervisor;
use super::write::WriterCounts;
use crate::engine::aggregate::AggregateCounts;
use crate::model::BarUpdate;
use futures::stream::{Stream, StreamExt};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_util::sync::CancellationToken;

/// What every actor has counted so far.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct State {
    /// One entry per feed.
    pub feeds: Vec<FeedCounts>,
    /// The sum of all shards.
    pub aggregate: AggregateCounts,
    /// One entry per shard.
    pub shards: Vec<ShardCounts>,
    /// Batches waiting before each shard.
    pub shard_queues: Vec<usize>,
    /// Messages waiting before the writer.
    pub writer_queue: usize,
    /// The writer.
    pub writer: WriterCounts,
}

/// The counts of a run. Their names and order in JSON are fixed, since scripts rely on them.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "cli", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Summary {
    /// Trades delivered by the feeds.
    pub trades: u64,
    /// Final bars in the store.
    pub bars: u64,
    /// Trades too late for their bar.
    pub late: u64,
    /// Trades seen before.
    pub duplicates: u64,
    /// Trades that may set no price and no volume, or lie outside the session.
    pub ineligible: u64,
    /// Closed bars left out because none of their trades may set a price.
    #[cfg_attr(feature = "cli", serde(skip_serializing_if = "is_zero"))]
    pub volume_only: u64,
    /// Records that could not be decoded and were skipped on request.
    pub malformed: u64,
    /// Revised updates in the store.
    pub revised: u64,
    /// Requests sent to the store, retries included.
    pub requests: u64,
    /// Commands sent to the store, retries included.
    pub commands: u64,
    /// Connections opened to the store.
    pub connections: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Items in the spool.
    pub spooled: u64,
    /// Bars of an earlier run that could not be compared with the store; run again to compare them.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub unproved: u64,
    /// Items that the store refused permanently.
    pub dead_letters: u64,
    /// Recent bars compared with the store.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub compared: u64,
    /// Of these, missing or older bars that were written back.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub written_back: u64,
    /// Dead letters that were sent again.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub redelivered: u64,
    /// Dead letters dropped because the store has the bar in this or a newer version.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub outdated: u64,
    /// Bars that are neither in the store nor in the spool.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub unwritten: u64,
    /// Whether a feed was stopped before the end of its input.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub stopped: bool,
    /// From the start to the end of the last actor.
    #[cfg_attr(
        feature = "cli",
        serde(rename = "elapsed_ms", serialize_with = "as_millis")
    )]
    pub elapsed: Duration,
}

#[cfg(feature = "cli")]
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(feature = "cli")]
fn as_millis<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u128(elapsed.as_millis())
}

impl Summary {
    pub(super) fn of(state: &State, elapsed: Duration) -> Summary {
        let aggregate = &state.aggregate;
        let writer = &state.writer;
        Summary {
            trades: state.feeds.iter().map(|feed| feed.trades).sum(),
            malformed: state.feeds.iter().map(|feed| feed.stats.malformed).sum(),
            bars: writer.bars,
            late: aggregate.late,
            duplicates: aggregate.duplicates,
            ineligible: aggregate.ineligible + aggregate.outside_session,
            volume_only: aggregate.volume_only,
            revised: writer.revised,
            requests: writer.sink.requests,
            commands: writer.sink.commands,
            connections: writer.sink.connections,
            retries: writer.retries,
            spooled: writer.spooled,
            unproved: writer.unproved,
            dead_letters: writer.dead_letters,
            compared: writer.compared,
            written_back: writer.written_back,
            redelivered: writer.redelivered,
            outdated: writer.outdated,
            unwritten: writer.unwritten,
            stopped: state.feeds.iter().any(|feed| feed.stopped),
            elapsed,
        }
    }
}

/// How a run ended.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
#[derive(Debug)]
pub enum End {
    /// Every bar handed to the writer is in the store.
    Drained,
    /// The drain deadline passed, or the run was aborted.
    Aborted,
    /// An actor failed.
    Failed(RunError),
}

/// How a run ended, and its counts.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
#[derive(Debug)]
pub struct Finished {
    /// The figures.
    pub summary: Summary,
    /// How it ended.
    pub end: End,
}

/// Messages that wait in a channel; zero once its senders are gone.
fn waiting<T>(queue: &mpsc::WeakSender<T>) -> usize {
    queue
        .upgrade()
        .map_or(0, |queue| queue.max_capacity() - queue.capacity())
}

/// Stops a running pipeline and reads its counts, from any task.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) feeds: Vec<watch::Receiver<FeedCounts>>,
    pub(super) shards: Vec<watch::Receiver<ShardCounts>>,
    pub(super) writer: watch::Receiver<WriterCounts>,
    /// Weak, so that who looks on does not keep an actor waiting.
    pub(super) shard_queues: Vec<mpsc::WeakSender<FeedMessage>>,
    pub(super) writer_queue: mpsc::WeakSender<ShardMessage>,
    pub(super) stop: CancellationToken,
    pub(super) abort: CancellationToken,
    /// Weak, so that listeners end with the writer, which holds the only sender.
    pub(super) acked: broadcast::WeakSender<BarUpdate>,
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

    /// The updates acked from now on, in the order of their acks.
    ///
    /// A listener slower than the store misses the oldest; `Err` holds how many. It never delays the store.
    /// The stream ends with the run.
    pub fn bars(&self) -> impl Stream<Item = Result<BarUpdate, u64>> + Send + use<> {
        updates(self.subscribe())
    }

    fn subscribe(&self) -> Option<broadcast::Receiver<BarUpdate>> {
        self.acked.upgrade().map(|acked| acked.subscribe())
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
    handle: Handle,
    /// Has heard everything since the start.
    listener: Mutex<Option<broadcast::Receiver<BarUpdate>>>,
    drain_timeout: Duration,
    started: Instant,
}

impl Running {
    pub(super) fn new(
        supervisor: Supervisor,
        handle: Handle,
        listener: broadcast::Receiver<BarUpdate>,
        drain_timeout: Duration,
    ) -> Running {
        Running {
            supervisor,
            handle,
            listener: Mutex::new(Some(listener)),
            drain_timeout,
            started: Instant::now(),
        }
    }

    /// A handle for other tasks.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The acked updates: for who asks first those since the start, later those from now on.
    pub fn bars(&self) -> impl Stream<Item = Result<BarUpdate, u64>> + Send + use<> {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        updates(listener.take().or_else(|| self.handle.subscribe()))
    }

    /// Waits until every actor has ended; after `stop` not longer than the drain timeout.
    pub async fn join(self) -> Finished {
        let Running {
            supervisor,
            handle,
            drain_timeout,
            started,
            ..
        } = self;
        let abort = &handle.abort;
        let deadline = async {
            handle.stop.cancelled().await;
            tokio::time::sleep(drain_timeout).await;
            abort.cancel();
            std::future::pending::<()>().await;
        };
        let joined = tokio::select! {
            biased;
            joined = supervisor.join() => joined,
            () = deadline => Ok(()),
        };
        let summary = Summary::of(&handle.state(), started.elapsed());
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
