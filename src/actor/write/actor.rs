//! The writer's shell: waits, decides, responds.
//!
//! Delivery says which batch goes when; the shell sends it, at the pace the store accepts and with a timeout, and
//! tells Delivery what came of it. While Delivery has no room the inbox is not read: that is the backpressure.

use super::settings::{WriterCounts, WriterSettings};
use crate::actor::fault::{Fault, chain};
use crate::actor::message::ShardMessage;
use crate::actor::pace::Pace;
use crate::engine::batch::Batch;
use crate::engine::delivery::{Delivery, Verdict, bar_of};
use crate::model::{BarState, BarUpdate, WriteItem};
use crate::port::{BarSink, ItemError, ItemResult, Remedy, SinkError};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What one attempt came to.
#[derive(Debug)]
struct Landing {
    batch: Batch,
    result: Result<Vec<ItemResult>, SinkError>,
}

#[derive(Debug)]
enum Event {
    Abort,
    Landed(Landing),
    Deadline,
    Inbox(Option<ShardMessage>),
}

#[derive(Debug)]
struct Failure {
    source: SinkError,
    attempts: u32,
}

/// The actor around the store.
#[derive(Debug)]
pub struct Writer {
    sink: Arc<dyn BarSink>,
    delivery: Delivery,
    pace: Arc<Pace>,
    timeout: Duration,
    attempts_max: u32,
    inbox: mpsc::Receiver<ShardMessage>,
    inbox_open: bool,
    shards_open: usize,
    abort: CancellationToken,
    flights: FuturesUnordered<BoxFuture<'static, Landing>>,
    origin: Instant,
    failure: Option<Failure>,
    counts: watch::Sender<WriterCounts>,
    acked: broadcast::Sender<BarUpdate>,
}

impl Writer {
    /// Builds the writer of `shards` shards and the view of its counts; spawns nothing.
    ///
    /// Acked updates go to `acked` for whoever listens; a slow listener misses some and never delays the writer.
    pub fn pair(
        sink: Arc<dyn BarSink>,
        settings: WriterSettings,
        (inbox, shards): (mpsc::Receiver<ShardMessage>, usize),
        abort: CancellationToken,
        acked: broadcast::Sender<BarUpdate>,
    ) -> (Writer, watch::Receiver<WriterCounts>) {
        let (counts, view) = watch::channel(WriterCounts::default());
        let writer = Writer {
            pace: Arc::new(Pace::new(settings.pace)),
            timeout: settings.timeout,
            attempts_max: settings.delivery.retry.attempts_max,
            delivery: Delivery::new(settings.delivery),
            inbox_open: true,
            shards_open: shards,
            flights: FuturesUnordered::new(),
            origin: Instant::now(),
            failure: None,
            sink,
            inbox,
            abort,
            counts,
            acked,
        };
        (writer, view)
    }

    /// Writes until the shards have ended and everything is acked, then closes the store.
    ///
    /// # Errors
    /// [`Fault::Unwritten`] when a batch failed for good, [`Fault::Close`] when the store cannot be closed.
    pub async fn run(mut self) -> Result<(), Fault> {
        while !self.delivery.is_done() {
            match self.next_event().await {
                Event::Abort => return self.on_abort().await,
                Event::Landed(landing) => self.on_landed(landing),
                Event::Deadline => {}
                Event::Inbox(message) => self.on_inbox(message),
            }
            self.launch();
            self.publish();
        }
        self.on_done().await
    }

    async fn next_event(&mut self) -> Event {
        let deadline = self.delivery.deadline().map(|due| self.origin + due);
        let has_room = self.inbox_open && self.delivery.has_room();
        tokio::select! {
            biased;
            () = self.abort.cancelled() => Event::Abort,
            Some(landing) = self.flights.next() => Event::Landed(landing),
            () = sleep_until(deadline), if deadline.is_some() => Event::Deadline,
            message = self.inbox.recv(), if has_room => Event::Inbox(message),
        }
    }

    fn on_inbox(&mut self, message: Option<ShardMessage>) {
        match message {
            Some(ShardMessage::Updates(updates)) => {
                for update in updates {
                    self.push(WriteItem::Bar(update));
                }
            }
            Some(ShardMessage::Earlier(manifests)) => self.delivery.resume(manifests),
            Some(ShardMessage::Covered { specs, covered }) => self.delivery.covered(&specs, &covered),
            Some(ShardMessage::End) => self.shards_open -= 1,
            None => {
                self.inbox_open = false;
                self.delivery.close(self.shards_open == 0);
            }
        }
    }

    fn push(&mut self, item: WriteItem) {
        let weight = self.sink.weight(&item);
        self.delivery.push(item, weight, self.origin.elapsed());
    }

    /// Sends what is due, as far as slots allow.
    fn launch(&mut self) {
        for manifest in self.delivery.manifests() {
            self.push(manifest);
        }
        while let Some(batch) = self.delivery.next_batch(self.origin.elapsed()) {
            if batch.attempts > 1 {
                self.counts.send_modify(|counts| counts.retries += 1);
            }
            self.flights.push(self.attempt(batch));
        }
    }

    /// One attempt: a permit, then the write within the timeout.
    fn attempt(&self, batch: Batch) -> BoxFuture<'static, Landing> {
        let (sink, pace, timeout) = (Arc::clone(&self.sink), Arc::clone(&self.pace), self.timeout);
        Box::pin(async move {
            pace.permit(sink.cost(&batch.items)).await;
            let result = match tokio::time::timeout(timeout, sink.write(&batch.items)).await {
                Ok(result) => result,
                Err(elapsed) => Err(SinkError {
                    operation: format!("write to {}", sink.name()),
                    remedy: Remedy::Reconnect,
                    source: Box::new(elapsed),
                }),
            };
            if matches!(&result, Err(error) if error.remedy == Remedy::Reconnect) {
                sink.reconnect().await;
            }
            Landing { batch, result }
        })
    }

    fn on_landed(&mut self, landing: Landing) {
        self.delivery.landed();
        let Landing { batch, result } = landing;
        match result {
            Ok(results) => self.on_answered(batch, results),
            Err(error) => self.on_failed(batch, error),
        }
    }

    /// Acks the items that were written and tries the others again, alone; the gravest cause decides how.
    fn on_answered(&mut self, batch: Batch, results: Vec<ItemResult>) {
        let mut failed = Vec::new();
        let mut gravest: Option<ItemError> = None;
        for (item, result) in batch.items.into_iter().zip(results) {
            match result {
                Ok(()) => self.on_acked(&item),
                Err(error) => {
                    failed.push(item);
                    let known = gravest.as_ref().map(|known| known.remedy.gravity());
                    if known < Some(error.remedy.gravity()) {
                        gravest = Some(error);
                    }
                }
            }
        }
        if let Some(error) = gravest {
            let error = SinkError {
                operation: format!("write {} items to {}", failed.len(), self.sink.name()),
                remedy: error.remedy,
                source: Box::new(error),
            };
            self.on_failed(Batch { items: failed, attempts: batch.attempts }, error);
        }
    }

    fn on_acked(&mut self, item: &WriteItem) {
        self.delivery.acked(item);
        let Some(update) = bar_of(item) else { return };
        self.counts.send_modify(|counts| match update.state {
            BarState::Forming => {}
            BarState::Final => counts.bars += 1,
            BarState::Revised => counts.revised += 1,
        });
        if self.acked.receiver_count() > 0 {
            // The update is in the store already, so a listener that has just left loses nothing.
            let _listeners = self.acked.send(*update);
        }
    }

    fn on_failed(&mut self, batch: Batch, error: SinkError) {
        let (attempt, of, items) = (batch.attempts, self.attempts_max, batch.items.len());
        match self.delivery.failed(batch, error.remedy, self.origin.elapsed()) {
            Verdict::Again(delay) => tracing::warn!(
                attempt,
                of,
                items,
                cause = %chain(&error),
                retry_in_s = delay.as_secs_f64(),
                "{} failed (attempt {attempt}/{of}), retrying in {:.1} s",
                self.sink.name(),
                delay.as_secs_f64(),
            ),
            Verdict::GivenUp => {
                self.failure.get_or_insert(Failure { source: error, attempts: attempt });
            }
        }
    }

    async fn on_done(mut self) -> Result<(), Fault> {
        let Some(failure) = self.failure.take() else {
            let closed = self.sink.close().await;
            self.publish();
            tracing::info!(sink = self.sink.name(), "store closed");
            return closed.map_err(Fault::Close);
        };
        let bars = self.give_up();
        close_quietly(self.sink.as_ref(), self.timeout).await;
        Err(Fault::Unwritten { bars, attempts: failure.attempts, source: failure.source })
    }

    async fn on_abort(mut self) -> Result<(), Fault> {
        let unwritten = self.give_up();
        tracing::warn!(unwritten, "aborted");
        close_quietly(self.sink.as_ref(), self.timeout).await;
        Ok(())
    }

    /// Counts the bars handed over and not known to be written, the inbox included.
    fn give_up(&mut self) -> u64 {
        self.inbox.close();
        while let Ok(message) = self.inbox.try_recv() {
            self.on_inbox(Some(message));
        }
        let unwritten = self.delivery.give_up();
        self.publish();
        self.counts.send_modify(|counts| counts.unwritten = unwritten);
        unwritten
    }

    fn publish(&self) {
        self.counts.send_modify(|counts| {
            counts.queued = self.delivery.queued();
            counts.in_flight = self.delivery.in_flight();
            counts.coalesced = self.delivery.coalesced();
            counts.sink = self.sink.stats();
        });
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline).await;
    }
}

/// Closing after a failure may fail for the same reason; the first cause is the one to report.
async fn close_quietly(sink: &dyn BarSink, timeout: Duration) {
    match tokio::time::timeout(timeout, sink.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(cause = %chain(&error), "store did not close in order"),
        Err(_) => tracing::debug!("store did not close in time"),
    }
}
