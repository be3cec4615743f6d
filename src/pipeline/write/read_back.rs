//! Reading back what the store holds, at its pace and within the timeout.

use crate::model::BarUpdate;
use crate::pipeline::pace::Pace;
use crate::port::{BarSink, Cost, Remedy, SinkError};
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Reads back what the store holds, at its pace and within the timeout.
#[derive(Debug)]
pub(super) struct BackReader {
    sink: Arc<dyn BarSink>,
    pace: Arc<Pace>,
    timeout: Duration,
}

impl BackReader {
    pub(super) fn new(sink: Arc<dyn BarSink>, pace: Arc<Pace>, timeout: Duration) -> BackReader {
        BackReader {
            sink,
            pace,
            timeout,
        }
    }

    pub(super) fn sink(&self) -> &dyn BarSink {
        self.sink.as_ref()
    }

    /// The indexes of the updates that the store lacks; `None` where nothing can be read back.
    pub(super) async fn missing_or_stale(
        &self,
        updates: &[BarUpdate],
        cost: Cost,
    ) -> Result<Option<Vec<usize>>, SinkError> {
        self.pace.permit(cost).await;
        let operation = || format!("read bars back from {}", self.sink.name());
        within(self.timeout, operation, self.sink.missing_or_stale(updates)).await
    }
}

/// Waits for an answer of the store; no answer in time calls for a fresh connection.
pub(super) async fn within<T>(
    timeout: Duration,
    operation: impl FnOnce() -> String,
    answer: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, SinkError> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(result) => result,
        Err(elapsed) => Err(SinkError {
            operation: operation(),
            remedy: Remedy::Reconnect,
            source: Box::<dyn Error + Send + Sync>::from(elapsed),
        }),
    }
}
