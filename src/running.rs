//! A running pipeline, as a program sees it.

use crate::BarUpdate;
#[cfg(feature = "venues")]
use crate::Symbol;
#[cfg(feature = "venues")]
use crate::daemon::{Health, HealthStatus, SymbolReloader};
#[cfg(feature = "venues")]
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{self, Finished, Handle, State};
#[cfg(feature = "venues")]
use crate::port::Clock;
use futures::stream::{BoxStream, Stream, StreamExt};
#[cfg(feature = "venues")]
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What a run with live sources has besides its actors.
#[cfg(feature = "venues")]
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) health: HealthStatus,
    pub(crate) reloader: SymbolReloader,
}

/// A running pipeline. Dropping it ends the actors without a drain; await [`Running::join`].
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
#[derive(Debug)]
pub struct Running {
    running: pipeline::Running,
    #[cfg(feature = "venues")]
    live: Option<Live>,
}

impl Running {
    pub(crate) fn new(
        running: pipeline::Running,
        #[cfg(feature = "venues")] live: Option<Live>,
    ) -> Running {
        Running {
            running,
            #[cfg(feature = "venues")]
            live,
        }
    }

    /// A handle for other tasks: stop, abort, counts.
    pub fn handle(&self) -> Handle {
        self.running.handle()
    }

    /// The acked updates in the order of their acks: for the first caller since the start, for later callers from now
    /// on. The stream ends with the run.
    pub fn bars(&self) -> BarUpdates {
        BarUpdates(self.running.bars().boxed())
    }

    /// The counts of all actors so far.
    pub fn state(&self) -> State {
        self.handle().state()
    }

    #[cfg(feature = "venues")]
    /// Whether the bars in the store are current; `None` for a run without live sources.
    pub fn readiness(&self) -> Option<Health> {
        self.live.as_ref().map(|live| live.health.readiness())
    }

    #[cfg(feature = "venues")]
    /// Whether the run makes progress; `None` for a run without live sources.
    pub fn liveness(&self) -> Option<Health> {
        self.live.as_ref().map(|live| live.health.liveness())
    }

    #[cfg(feature = "venues")]
    /// Replaces the symbols of a live source; new ones catch up as at a start.
    ///
    /// # Errors
    /// A text that is not a symbol; then nothing changes.
    pub async fn reload(
        &self,
        venue: &str,
        symbols: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let parsed: Result<Vec<Symbol>, _> = symbols
            .into_iter()
            .map(|symbol| symbol.as_ref().parse())
            .collect();
        let symbols = parsed?;
        if let Some(live) = &self.live {
            let now = SystemClock.now();
            live.reloader.reload(venue, &symbols, now).await?;
        }
        Ok(())
    }

    /// Waits until every actor has ended; after a stop at most for the drain timeout.
    pub async fn join(self) -> Finished {
        self.running.join().await
    }
}

/// The acked updates of a run. A consumer slower than the store misses the oldest; `Err` contains their number. It
/// never delays the store.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
pub struct BarUpdates(BoxStream<'static, Result<BarUpdate, u64>>);

impl fmt::Debug for BarUpdates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BarUpdates")
    }
}

impl Stream for BarUpdates {
    type Item = Result<BarUpdate, u64>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}
