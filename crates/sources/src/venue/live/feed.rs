//! The `TradeFeed` of live trades.

use super::connection::{ConnectGate, ConnectionContext};
use super::driver::{DriverHandle, LiveDriver, Reload};
use super::error::LiveError;
use super::settings::{LiveSettings, LiveSettingsError, LiveSymbol, LiveSymbols};
use super::socket::Dialer;
use super::stats::LiveStats;
use barmill_core::port::{Clock, FeedError, FeedStats, FrameTap, GapSource, TradeBatch, TradeFeed};
use futures::future::BoxFuture;
use std::sync::{Arc, PoisonError};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Gives a running feed other symbols; from the whole list of before it follows this one's.
#[derive(Debug, Clone)]
pub struct Reloader(mpsc::WeakSender<Reload>);

impl Reloader {
    /// Follows these symbols and no others. Those that stay miss nothing: their connections may be made anew, and what
    /// that misses is fetched. New ones begin at their start; partway the bars across it are marked `gap`, as by
    /// [`LiveFeed::starting_partway`]. Nothing happens when the feed has ended, or carries all.
    pub async fn reload(&self, symbols: Vec<LiveSymbol>, is_partway: bool) {
        if let Some(sender) = self.0.upgrade() {
            // A feed that is gone wants no symbols.
            let _unheard = sender
                .send(Reload {
                    symbols,
                    is_partway,
                })
                .await;
        }
    }
}

/// What a live feed needs besides its settings.
#[derive(Debug)]
pub struct LiveParts {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The archive of the same venue.
    pub archive: Arc<dyn GapSource>,
    /// Who takes down the raw frames.
    pub tap: Option<Arc<dyn FrameTap>>,
}

/// The live trades of one venue.
///
/// Trades of one symbol come in order and once, with what a connection missed in its place; where the venue's identities
/// have gaps, the order between breaks of the connection is the venue's own. A batch holds trades of many symbols. Its
/// position is the event time in nanoseconds before which every symbol is delivered, a few seconds behind the newest
/// trade.
///
/// The feed connects when it is first asked. It reads only while it is asked, unless its driver runs on a task of its
/// own: see [`TradeFeed::take_task`].
pub struct LiveFeed {
    name: String,
    /// The driver, before the first batch is asked for.
    idle: Option<LiveDriver>,
    /// The driver at work, where it has no task of its own.
    driver: Option<BoxFuture<'static, ()>>,
    handle: DriverHandle,
    is_ended: bool,
}

impl LiveFeed {
    /// Checks the settings; connects to nothing.
    ///
    /// # Errors
    /// [`LiveSettingsError`] names the first setting that cannot work.
    pub fn new(
        settings: LiveSettings,
        symbols: &LiveSymbols,
        parts: LiveParts,
    ) -> Result<LiveFeed, LiveSettingsError> {
        settings.check(symbols)?;
        let dialer = Dialer::new(&settings)?;
        let name = settings.name().to_owned();
        let (gate, gate_view) = watch::channel(ConnectGate::Open);
        let context = ConnectionContext {
            settings: Arc::new(settings),
            dialer,
            clock: parts.clock,
            tap: parts.tap,
            epoch: Instant::now(),
            gate: gate_view,
        };
        let (driver, handle) = LiveDriver::new(context, gate, symbols, parts.archive);
        Ok(LiveFeed {
            name,
            idle: Some(driver),
            driver: None,
            handle,
            is_ended: false,
        })
    }

    /// Says that nothing before the starts of these symbols is fetched, so that bars across them are not whole: they are
    /// marked `gap`, those of a day's length and shorter.
    #[must_use]
    pub fn starting_partway(mut self, symbols: &[LiveSymbol]) -> LiveFeed {
        if let Some(driver) = &mut self.idle {
            driver.start_partway(symbols);
        }
        self
    }

    /// A view of the counts that outlives the feed.
    pub fn live_stats(&self) -> impl Fn() -> LiveStats + Send + Sync + 'static {
        let stats = Arc::clone(&self.handle.stats);
        move || *stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the feed other symbols while it runs.
    pub fn reloader(&self) -> Reloader {
        Reloader(self.handle.reload.downgrade())
    }

    async fn receive(&mut self) -> Option<Result<TradeBatch, FeedError>> {
        if let Some(idle) = self.idle.take() {
            self.driver = Some(Box::pin(idle.run()));
        }
        if let Some(driver) = &mut self.driver {
            tokio::select! {
                biased;
                batch = self.handle.batches.recv() => return batch,
                () = driver => {}
            }
            self.driver = None;
        }
        self.handle.batches.recv().await
    }
}

impl TradeFeed for LiveFeed {
    fn name(&self) -> &str {
        &self.name
    }

    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
        Box::pin(async move {
            if self.is_ended {
                return Ok(None);
            }
            let received = self.receive().await;
            self.is_ended = !matches!(received, Some(Ok(_)));
            // A live feed has no end of its own: that its driver is gone is no end of the input.
            let gone = || FeedError {
                feed: self.name.clone(),
                source: Box::new(LiveError::Gone),
            };
            received.ok_or_else(gone)?.map(Some)
        })
    }

    fn stats(&self) -> FeedStats {
        let stats = self.live_stats()();
        FeedStats {
            malformed: stats.malformed,
            filtered: stats.filtered,
            requests: stats.requests,
        }
    }

    fn take_task(&mut self) -> Option<BoxFuture<'static, ()>> {
        let driver = self.idle.take()?;
        Some(Box::pin(driver.run()))
    }
}

impl std::fmt::Debug for LiveFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveFeed")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
