//! A pipeline from its description to its actors: makes every channel and spawns every actor through the supervisor.
//!
//! Knows no vendor. Dropping the last sender of a channel is how the next actor learns that this one has ended.

use super::aggregate::{AggregateActor, ShardPorts, ShardTimes};
use super::error::RunError;
use super::feed::FeedActor;
use super::late::LateActor;
use super::message::{LISTENER_LEN_MAX, ShardMessage};
use super::running::{End, Handle, Running, Summary};
use super::supervise::Supervisor;
use super::write::{ReconcileSettings, Writer, WriterPorts, WriterSettings};
use crate::engine::aggregate::{Aggregator, AggregatorSettings};
use crate::model::Manifest;
use crate::port::{LateStore, TradeFeed};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
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
    /// Time from `stop` until `abort`.
    pub drain_timeout: Duration,
}

/// A run that reads the state store was given none.
#[derive(Debug, thiserror::Error)]
#[error("run has no state store")]
pub struct NoStateError;

/// A pipeline ready to run.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
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

    /// A run that sends what the spool holds, then compares the recent bars of the state store with the sink by version
    /// and writes back what the sink lost; `ReconcileSettings::within` says how recent. It ends by itself.
    ///
    /// # Errors
    /// `NoStateError` when the ports have no state store.
    pub fn reconcile(
        ports: WriterPorts,
        settings: PipelineSettings,
    ) -> Result<Pipeline, NoStateError> {
        with_purpose(ports, settings, |reconcile| reconcile.on_start = true)
    }

    /// The same with the ports and settings of this pipeline; its feeds are left out.
    pub(crate) fn reconciling(self) -> Result<Pipeline, NoStateError> {
        Pipeline::reconcile(self.ports, self.settings)
    }

    /// A run that sends what the spool holds, and the dead letters once more when `dead_letters` is set; of these,
    /// bars that the sink holds in this or a newer version are dropped. It ends by itself.
    ///
    /// # Errors
    /// `NoStateError` when the ports have no state store.
    pub fn redeliver(
        ports: WriterPorts,
        settings: PipelineSettings,
        dead_letters: bool,
    ) -> Result<Pipeline, NoStateError> {
        with_purpose(ports, settings, |reconcile| {
            reconcile.redeliver = dead_letters;
        })
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
        let (acked, listener) = broadcast::channel(LISTENER_LEN_MAX);
        let shards = settings.shards.max(1);
        let (to_writer, writer_inbox) = mpsc::channel(settings.writer_queue_len_max.max(1));
        // The channel is new, so there is room for one message.
        let is_sent = to_writer.try_send(ShardMessage::Previous(earlier)).is_ok();
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
            let shard_ports = ShardPorts {
                inbox,
                writer: to_writer.clone(),
                late: to_late.clone(),
            };
            let times = settings.times;
            let (actor, counts) =
                AggregateActor::pair(shard, aggregator, feeds.len(), times, shard_ports);
            supervisor.spawn(&name, actor.run());
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
        let handle = Handle {
            feeds: feed_counts,
            shards: shard_counts,
            writer: writer_counts,
            shard_queues: to_shards.iter().map(mpsc::Sender::downgrade).collect(),
            writer_queue: to_writer.downgrade(),
            stop,
            abort,
            acked: acked.downgrade(),
        };
        Running::new(supervisor, handle, listener, settings.drain_timeout)
    }
}

fn with_purpose(
    ports: WriterPorts,
    mut settings: PipelineSettings,
    ask: impl FnOnce(&mut ReconcileSettings),
) -> Result<Pipeline, NoStateError> {
    if ports.state.is_none() {
        return Err(NoStateError);
    }
    ask(&mut settings.writer.reconcile);
    Ok(Pipeline::new(Vec::new(), ports, settings))
}
