//! Where bars go.

use crate::engine::retry::Remedy;
use crate::model::{BarSpec, BarUpdate, Symbol, WriteItem};
use futures::future::BoxFuture;
use jiff::civil::Date;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Why one item of a batch was not written, while others may have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ItemError {
    /// What the failure calls for.
    pub remedy: Remedy,
    /// The store's words, without secrets.
    pub reason: String,
}

/// The fate of one item.
pub type ItemResult = Result<(), ItemError>;

/// Why a whole batch failed; whether parts of it were applied is unknown.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct SinkError {
    /// What was attempted, with the store's address and no secret.
    pub operation: String,
    /// What the failure calls for.
    pub remedy: Remedy,
    /// The cause.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// Another pipeline owns bars that were to be written; as the source of a [`SinkError`] it ends the run, and nothing of
/// the run is kept for later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {spec} bars of {symbol} {date} belong to a pipeline of {found}, this one is of {wanted} (record {key}); give \
     this one a namespace of its own (view.namespace), or write over those bars with --take-over (writer.take_over)"
)]
pub struct OwnedError {
    /// The bars' spec.
    pub spec: BarSpec,
    /// The instrument.
    pub symbol: Symbol,
    /// The civil date in the zone of the view.
    pub date: Date,
    /// The key of the owner's record.
    pub key: String,
    /// What is said of the owner, as far as it differs.
    pub found: String,
    /// What is said of this pipeline, as far as it differs.
    pub wanted: String,
}

impl SinkError {
    /// Whether the bars belong to another pipeline.
    pub fn is_owned(&self) -> bool {
        self.source.is::<OwnedError>()
    }
}

/// What a batch costs at the store: the writer paces by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Requests, each one round trip.
    pub requests: u32,
    /// Commands, as the store bills and limits them.
    pub commands: u32,
}

/// What a sink counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SinkStats {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Commands sent, retries included.
    pub commands: u64,
    /// Connections opened.
    pub connections: u64,
    /// Bytes of request bodies sent.
    pub bytes: u64,
}

/// A store of bars. The writer actor owns the only one, so an implementation need not guard against others.
pub trait BarSink: std::fmt::Debug + Send + Sync + 'static {
    /// Names the store in logs and errors; holds no secret.
    fn name(&self) -> &str;

    /// Writes the items in order and answers one result per item, in the same order.
    ///
    /// Writing the same item twice must leave the store as writing it once. A bar may occur twice in one
    /// batch; the later one counts. The future is not dropped before its end, except by the writer's timeout.
    ///
    /// # Errors
    /// [`SinkError`] when the fate of the whole batch is unknown or the same for all.
    fn write<'a>(
        &'a self,
        items: &'a [WriteItem],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>>;

    /// Whether a batch may end with manifests behind its bars, which are then written only when every bar is.
    fn joins_manifests(&self) -> bool {
        false
    }

    /// What writing the items would cost; by default one request of one command.
    fn cost(&self, _items: &[WriteItem]) -> Cost {
        Cost {
            requests: 1,
            commands: 1,
        }
    }

    /// Bytes that one item adds to a request, estimated from above; by default those of a bar in memory. Asked once for
    /// each item, some time before it is written, and in the order in which that begins.
    fn weight(&self, _item: &WriteItem) -> usize {
        size_of::<BarUpdate>()
    }

    /// Connects and asks for a sign of life; writes nothing.
    ///
    /// # Errors
    /// [`SinkError`] with the cause.
    fn ping(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether a write may take as long as it likes, as one that waits for a consumer in the same program does.
    /// Such writes are not timed out.
    fn is_patient(&self) -> bool {
        false
    }

    /// Makes ready to write, such as by taking a lease; a sink that was not opened does so with its first write.
    ///
    /// # Errors
    /// [`SinkError`] with [`Remedy::Fatal`] when another writer is at work.
    fn open(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    /// How long the sink may go without a write before [`BarSink::keepalive`] is due; `None` for any time.
    fn keepalive_interval(&self) -> Option<Duration> {
        None
    }

    /// What one keepalive costs; the writer paces and counts it like a write.
    fn keepalive_cost(&self) -> Cost {
        Cost {
            requests: 1,
            commands: 1,
        }
    }

    /// Keeps alive what the sink holds in the store, and finds out whether the store still answers; cheap when a write has just done so.
    ///
    /// # Errors
    /// [`SinkError`] with [`Remedy::Fatal`] when another writer has taken over.
    fn keepalive(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    /// Compares closed bars with what the store holds: places in `updates` of those that it lacks, or holds in an older
    /// version or, where its values tell no version, with another content. `None` where nothing can be read back.
    ///
    /// # Errors
    /// [`SinkError`] when the store cannot be read.
    fn missing_or_stale<'a>(
        &'a self,
        updates: &'a [BarUpdate],
    ) -> BoxFuture<'a, Result<Option<Vec<usize>>, SinkError>> {
        // Nothing is asked for, nothing is missing.
        let answer = updates.is_empty().then(Vec::new);
        Box::pin(async { Ok(answer) })
    }

    /// Forgets its connections, so that the next write opens a fresh one.
    fn reconnect(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Makes everything written durable and closes the connections; the last call.
    ///
    /// # Errors
    /// [`SinkError`] when something written may be lost.
    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    /// What was counted so far.
    fn stats(&self) -> SinkStats {
        SinkStats::default()
    }
}

impl<S: BarSink + ?Sized> BarSink for Arc<S> {
    fn name(&self) -> &str {
        self.as_ref().name()
    }

    fn write<'a>(
        &'a self,
        items: &'a [WriteItem],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>> {
        self.as_ref().write(items)
    }

    fn joins_manifests(&self) -> bool {
        self.as_ref().joins_manifests()
    }

    fn cost(&self, items: &[WriteItem]) -> Cost {
        self.as_ref().cost(items)
    }

    fn weight(&self, item: &WriteItem) -> usize {
        self.as_ref().weight(item)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.as_ref().ping()
    }

    fn is_patient(&self) -> bool {
        self.as_ref().is_patient()
    }

    fn open(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.as_ref().open()
    }

    fn keepalive_interval(&self) -> Option<Duration> {
        self.as_ref().keepalive_interval()
    }

    fn keepalive_cost(&self) -> Cost {
        self.as_ref().keepalive_cost()
    }

    fn keepalive(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.as_ref().keepalive()
    }

    fn missing_or_stale<'a>(
        &'a self,
        updates: &'a [BarUpdate],
    ) -> BoxFuture<'a, Result<Option<Vec<usize>>, SinkError>> {
        self.as_ref().missing_or_stale(updates)
    }

    fn reconnect(&self) -> BoxFuture<'_, ()> {
        self.as_ref().reconnect()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.as_ref().close()
    }

    fn stats(&self) -> SinkStats {
        self.as_ref().stats()
    }
}
