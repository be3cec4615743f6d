//! The trait of bar stores, and their errors.

use crate::engine::retry::Remedy;
use crate::model::{BarSpec, BarUpdate, Symbol, WriteItem};
use futures::future::BoxFuture;
use jiff::civil::Date;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Why one item of a batch was not written; others may have been.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ItemError {
    /// What the writer must do.
    pub remedy: Remedy,
    /// The store's words, without secrets.
    pub reason: String,
}

/// The fate of one item.
///
/// See the example of [`BarSink`](crate::port::BarSink).
pub type ItemResult = Result<(), ItemError>;

/// Why an entire batch failed; parts of it may have been applied.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct SinkError {
    /// What was attempted, with the store's address and no secret.
    pub operation: String,
    /// What the writer must do.
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

/// The cost of a batch at the store, by which the writer paces.
///
/// See the example of [`BarSink`](crate::port::BarSink).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Requests, each one round trip.
    pub requests: u32,
    /// Commands, as the store bills and limits them.
    pub commands: u32,
}

/// The counts of a sink since its creation.
///
/// See the example of [`BarSink`](crate::port::BarSink).
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

/// A store of bars. A run has one writer, so `write` is never called by two writers.
///
/// Implement it for your own store, and pass it to `PipelineBuilder::sink`. Only [`BarSink::name`] and
/// [`BarSink::write`] are required.
///
/// ```
/// # mod barmill { pub use barmill_core::{model::*, port::*}; }
/// use barmill::{BarSink, ItemResult, SinkError, WriteItem};
/// use futures::future::BoxFuture;
/// use std::collections::BTreeMap;
/// use std::sync::Mutex;
///
/// /// Keeps the newest state of every bar.
/// #[derive(Debug, Default)]
/// struct Memory(Mutex<BTreeMap<String, String>>);
///
/// impl BarSink for Memory {
///     fn name(&self) -> &str {
///         "memory"
///     }
///
///     fn write<'a>(&'a self, items: &'a [WriteItem]) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>> {
///         Box::pin(async move {
///             let mut bars = self.0.lock().unwrap();
///             for item in items {
///                 if let WriteItem::Bar(update) = item {
///                     let bar = &update.bar;
///                     bars.insert(format!("{} {} {}", bar.symbol, bar.spec, bar.start), bar.volume.to_string());
///                 }
///             }
///             Ok(vec![Ok(()); items.len()])
///         })
///     }
/// }
/// # use futures::FutureExt;
/// # assert_eq!(Memory::default().write(&[]).now_or_never().unwrap().unwrap(), vec![]);
/// ```
pub trait BarSink: std::fmt::Debug + Send + Sync + 'static {
    /// The name of the store in logs and errors; it must not contain a secret.
    fn name(&self) -> &str;

    /// Writes the items in order and returns one result per item, in the same order.
    ///
    /// It must be idempotent: the writer may send an item again. A bar may occur twice in one batch; the later one
    /// counts.
    ///
    /// # Errors
    /// [`SinkError`] if the outcome of the entire batch is unknown or the same for all items. Its remedy decides
    /// whether the writer retries.
    ///
    /// # Cancel safety
    /// The writer drops the future only after its timeout, and then sends the items again.
    fn write<'a>(
        &'a self,
        items: &'a [WriteItem],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>>;

    /// Whether a batch may end with manifests, which the sink then writes only if it has written every bar.
    fn joins_manifests(&self) -> bool {
        false
    }

    /// The cost of writing the items; by default one request with one command.
    fn cost(&self, _items: &[WriteItem]) -> Cost {
        Cost {
            requests: 1,
            commands: 1,
        }
    }

    /// Upper bound of the bytes that one item adds to a request; by default the size of a bar in memory. Called once
    /// per item before it is written, in the order of writing.
    fn weight(&self, _item: &WriteItem) -> usize {
        size_of::<BarUpdate>()
    }

    /// Connects and checks that the store answers; writes nothing.
    ///
    /// # Errors
    /// [`SinkError`] with the cause.
    fn ping(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether a write may take any time, such as one that waits for a consumer in the same program. Such writes have
    /// no timeout.
    fn is_patient(&self) -> bool {
        false
    }

    /// Prepares for writing, for example takes a lease; a sink that was not opened does so with its first write.
    ///
    /// # Errors
    /// [`SinkError`] with [`Remedy::Fatal`] if another writer holds the lease.
    fn open(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    /// How long the sink may be idle before [`BarSink::keepalive`] is due; `None`: no keepalives.
    fn keepalive_interval(&self) -> Option<Duration> {
        None
    }

    /// The cost of one keepalive; the writer paces and counts it like a write.
    fn keepalive_cost(&self) -> Cost {
        Cost {
            requests: 1,
            commands: 1,
        }
    }

    /// Renews what the sink holds in the store, such as a lease, and checks that the store still answers.
    ///
    /// # Errors
    /// [`SinkError`] with [`Remedy::Fatal`] if another writer has taken over.
    fn keepalive(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    /// Compares closed bars with the store, and returns the indices in `updates` of those that are missing, or stored
    /// in an older version or, if stored values have no version, with different content. `None` if nothing can be read
    /// back.
    ///
    /// # Errors
    /// [`SinkError`] if the store cannot be read.
    fn missing_or_stale<'a>(
        &'a self,
        updates: &'a [BarUpdate],
    ) -> BoxFuture<'a, Result<Option<Vec<usize>>, SinkError>> {
        // Nothing is asked for, nothing is missing.
        let answer = updates.is_empty().then(Vec::new);
        Box::pin(async { Ok(answer) })
    }

    /// Drops its connections, so that the next write opens a new one.
    fn reconnect(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Makes all writes durable and closes the connections; the last call.
    ///
    /// # Errors
    /// [`SinkError`] if something written may be lost.
    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    /// The counts so far.
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
