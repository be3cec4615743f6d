//! The store of bars at its pace: every attempt takes a permit, and what came of it sets the pace of all. Every call has a
//! timeout, except a write of a sink that says it is patient.

use crate::engine::delivery::{Completion, OutgoingBatch};
use crate::model::{BarUpdate, WriteItem};
use crate::pipeline::error::chain;
use crate::pipeline::pace::{Pace, PaceSettings};
use crate::port::{BarSink, Cost, ItemError, Remedy, SinkError};
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A sink, its pace and the longest time of an attempt; clones share the pace.
#[derive(Debug, Clone)]
pub(super) struct PacedStore {
    sink: Arc<dyn BarSink>,
    pace: Arc<Pace>,
    timeout: Duration,
}

impl PacedStore {
    pub(super) fn new(sink: Arc<dyn BarSink>, pace: PaceSettings, timeout: Duration) -> PacedStore {
        PacedStore {
            sink,
            pace: Arc::new(Pace::new(pace)),
            timeout,
        }
    }

    pub(super) fn sink(&self) -> &dyn BarSink {
        self.sink.as_ref()
    }

    /// Percent of the pace that is used, 1 to 100.
    pub(super) fn pace_percent(&self) -> u64 {
        self.pace.share()
    }

    /// Writes a batch; with the error when the whole of it failed.
    pub(super) async fn write(
        &self,
        batch: &OutgoingBatch,
        cost: Cost,
    ) -> (Completion, Option<SinkError>) {
        self.pace.permit(cost).await;
        let start = Instant::now();
        let result = self.attempt(&batch.items).await;
        let took = start.elapsed();
        let (failures, error) = match result {
            Ok(failures) => (failures, None),
            Err(error) => {
                if error.remedy == Remedy::Reconnect {
                    self.reconnect().await;
                }
                let failure = Some((error.remedy, chain(&error)));
                (vec![failure; batch.items.len()], Some(error))
            }
        };
        let completion = Completion {
            flight: batch.flight,
            failures,
            took,
        };
        self.adjust_pace(completion.worst().map(|(remedy, _)| *remedy));
        (completion, error)
    }

    /// What failed, item by item.
    async fn attempt(
        &self,
        items: &[WriteItem],
    ) -> Result<Vec<Option<(Remedy, String)>>, SinkError> {
        let write = self.sink.write(items);
        let results = if self.sink.is_patient() {
            write.await?
        } else {
            self.in_time("write to", write).await?
        };
        if results.len() != items.len() {
            // Which items were written is unknown then, and writing one again does no harm.
            let cause = format!("{} results for {} items", results.len(), items.len());
            let remedy = Remedy::Retry { after: None };
            return Err(self.error("write to", remedy, cause.into()));
        }
        let failure = |error: ItemError| (error.remedy, error.reason);
        let results = results.into_iter();
        Ok(results.map(|result| result.err().map(failure)).collect())
    }

    /// Asks an idle store for a sign of life.
    pub(super) async fn keepalive(&self) -> Result<(), SinkError> {
        self.pace.permit(self.sink.keepalive_cost()).await;
        let result = self.in_time("write to", self.sink.keepalive()).await;
        let remedy = result.as_ref().err().map(|error| error.remedy);
        if remedy.is_some_and(|remedy| remedy != Remedy::Fatal) {
            // Whatever the cause, the next write starts from a fresh connection.
            self.reconnect().await;
        }
        self.adjust_pace(remedy);
        result
    }

    /// The indexes of the updates that the store lacks; `None` where nothing can be read back.
    pub(super) async fn missing_or_stale(
        &self,
        updates: &[BarUpdate],
        cost: Cost,
    ) -> Result<Option<Vec<usize>>, SinkError> {
        self.pace.permit(cost).await;
        let answer = self.sink.missing_or_stale(updates);
        let result = self.in_time("read bars back from", answer).await;
        // Reading back is no proof that writes succeed: only a failure changes their pace.
        if let Err(error) = &result {
            self.adjust_pace(Some(error.remedy));
        }
        result
    }

    /// Closes the store; a failure is final.
    pub(super) async fn close(&self) -> Result<(), SinkError> {
        let closed = self.in_time("close", self.sink.close()).await;
        closed.map_err(|error| SinkError {
            remedy: Remedy::Fatal,
            ..error
        })
    }

    /// A client that does not let go in time is used as it is; the next attempt shows.
    async fn reconnect(&self) {
        let _in_time = tokio::time::timeout(self.timeout, self.sink.reconnect()).await;
    }

    /// Lets the pace of all requests follow what one came to.
    fn adjust_pace(&self, remedy: Option<Remedy>) {
        if let Some(wait) = self.pace.on_answer(remedy) {
            tracing::warn!(
                wait_s = wait.as_secs_f64(),
                "{} asked to wait (Retry-After); pausing all requests",
                self.sink.name()
            );
        }
    }

    /// Waits for an answer of the store; no answer in time calls for a fresh connection.
    async fn in_time<T>(
        &self,
        operation: &str,
        answer: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkError> {
        let in_time = tokio::time::timeout(self.timeout, answer).await;
        in_time
            .unwrap_or_else(|elapsed| Err(self.error(operation, Remedy::Reconnect, elapsed.into())))
    }

    fn error(
        &self,
        operation: &str,
        remedy: Remedy,
        source: Box<dyn Error + Send + Sync>,
    ) -> SinkError {
        SinkError {
            operation: format!("{operation} {}", self.sink.name()),
            remedy,
            source,
        }
    }
}
