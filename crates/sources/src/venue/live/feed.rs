//! The live feed as the pipeline sees it.

use super::connection::{ConnectGate, Shared};
use super::driver::LiveDriver;
use super::error::LiveError;
use super::gap_context::GapStats;
use super::settings::{LiveSettings, LiveSettingsError, LiveSymbol, LiveSymbols};
use super::socket::Dialer;
use barmill_core::model::TradeKey;
use barmill_core::port::{
    Clock, ControlEvent, FeedError, FeedStats, FrameTap, Gap, GapSource, TradeBatch, TradeFeed,
};
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Batches between the hub and the feed: one being taken, one ready.
const BATCHES_READY_MAX: usize = 2;
const DAY_NS: i64 = 86_400_000_000_000;

/// What a live feed counted, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveStats {
    /// Connections opened.
    pub connections: u64,
    /// Connections lost, or not had, for any reason.
    pub disconnects: u64,
    /// Of these, for want of trades or of any frame.
    pub stalls: u64,
    /// Times the connections were closed because the consumer was too slow.
    pub overloads: u64,
    /// Records that should be trades and are none.
    pub malformed: u64,
    /// Trades of symbols that were not asked for.
    pub filtered: u64,
    /// Messages a venue says it sent and that did not come.
    pub lost_messages: u64,
    /// Questions to the archive.
    pub requests: u64,
    /// Holes and what came of them.
    pub gaps: GapStats,
    /// Trades that wait for the consumer.
    pub backlog_len: usize,
    /// Whether no symbol misses anything, as far as is known.
    pub is_whole: bool,
    /// The least time from a trade to its receipt in the last one to two minutes, nanoseconds: below zero when our clock is
    /// behind the venue's.
    pub delay_ns: Option<i64>,
}

impl LiveStats {
    pub(crate) fn count_down(&mut self, fault: &LiveError) {
        self.disconnects += 1;
        self.stalls += u64::from(matches!(
            fault,
            LiveError::Stalled { .. } | LiveError::Silent { .. }
        ));
    }
}

/// Gives a running feed other symbols; from the whole list of before it follows this one's.
#[derive(Debug, Clone)]
pub struct Reloader(mpsc::WeakSender<Reload>);

/// Other symbols, and whether nothing before the starts of new ones is fetched.
#[derive(Debug)]
pub(crate) struct Reload {
    pub(crate) symbols: Vec<LiveSymbol>,
    pub(crate) is_partway: bool,
}

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

/// The hole before the start of a symbol that nobody asks history for.
pub(crate) fn partway(one: &LiveSymbol) -> Option<Gap> {
    let start = one.after?;
    let from = start.time.saturating_sub(DAY_NS);
    let after = TradeKey {
        time: from,
        ..start
    };
    Some(Gap {
        symbol: one.symbol,
        after,
        before: None,
        from,
        to: start.time,
        len_max: 1,
    })
}

/// One batch and the holes told with it.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) batch: TradeBatch,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) asides: Vec<ControlEvent>,
}

/// What a live feed needs besides its settings.
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
/// have holes, the order between breaks of the connection is the venue's own. A batch holds trades of many symbols. Its
/// position is the event time in nanoseconds before which every symbol is delivered, a few seconds behind the newest
/// trade.
///
/// The feed connects when it is first asked. It reads only while it is asked, unless its driver runs on a task of its
/// own: see [`LiveFeed::take_driver`].
pub struct LiveFeed {
    name: String,
    driver: Option<BoxFuture<'static, ()>>,
    idle: Option<LiveDriver>,
    inlet: mpsc::Receiver<Result<Delivery, FeedError>>,
    reload: mpsc::Sender<Reload>,
    gaps: Vec<Gap>,
    asides: Vec<ControlEvent>,
    stats: Arc<Mutex<LiveStats>>,
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
        let (door, door_view) = watch::channel(ConnectGate::Open);
        let (outlet, inlet) = mpsc::channel(BATCHES_READY_MAX);
        let shared = Shared {
            settings: Arc::new(settings),
            dialer,
            clock: parts.clock,
            tap: parts.tap,
            epoch: Instant::now(),
            door: door_view,
        };
        let (reload, reloads) = mpsc::channel(1);
        let driver = LiveDriver::new(shared, door, symbols, parts.archive, (outlet, reloads));
        let stats = driver.stats();
        Ok(LiveFeed {
            name,
            driver: None,
            idle: Some(driver),
            inlet,
            reload,
            gaps: Vec::new(),
            asides: Vec::new(),
            stats,
            is_ended: false,
        })
    }

    /// Hands out the driver, so that the supervisor runs it on a task of its own and the connections are read on while
    /// the consumer is slow. `None` after the first call and after the first batch was asked for.
    pub fn take_driver(&mut self) -> Option<LiveDriver> {
        self.idle.take()
    }

    /// Says that nothing before the starts of these symbols is fetched, so that bars across them are not whole: they are
    /// marked `gap`, those of a day's length and shorter.
    #[must_use]
    pub fn starting_partway(mut self, symbols: &[LiveSymbol]) -> LiveFeed {
        self.gaps.extend(symbols.iter().filter_map(partway));
        if let Some(driver) = &mut self.idle {
            driver.start_partway(symbols);
        }
        self
    }

    /// A view of the counts that outlives the feed.
    pub fn live_stats(&self) -> impl Fn() -> LiveStats + Send + Sync + 'static {
        let stats = Arc::clone(&self.stats);
        move || *stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the feed other symbols while it runs.
    pub fn reloader(&self) -> Reloader {
        Reloader(self.reload.downgrade())
    }

    async fn receive(&mut self) -> Option<Result<Delivery, FeedError>> {
        if let Some(idle) = self.idle.take() {
            self.driver = Some(Box::pin(idle.run()));
        }
        if let Some(driver) = &mut self.driver {
            tokio::select! {
                biased;
                delivery = self.inlet.recv() => return delivery,
                () = driver => {}
            }
            self.driver = None;
        }
        self.inlet.recv().await
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
            let delivery = self.receive().await;
            self.is_ended = !matches!(delivery, Some(Ok(_)));
            // A live feed has no end of its own: that its driver is gone is no end of the input.
            let gone = || FeedError {
                feed: self.name.clone(),
                source: Box::new(LiveError::Gone),
            };
            let delivery = delivery.ok_or_else(gone)??;
            self.gaps.extend(delivery.gaps);
            self.asides.extend(delivery.asides);
            Ok(Some(delivery.batch))
        })
    }

    fn stats(&self) -> FeedStats {
        let stats = *self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        FeedStats {
            malformed: stats.malformed,
            filtered: stats.filtered,
            requests: stats.requests,
        }
    }

    fn take_gaps(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.gaps)
    }

    fn take_control_events(&mut self) -> Vec<ControlEvent> {
        std::mem::take(&mut self.asides)
    }

    fn take_task(&mut self) -> Option<BoxFuture<'static, ()>> {
        let driver = self.take_driver()?;
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

impl std::fmt::Debug for LiveParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LiveParts {
            clock: _,
            archive,
            tap,
        } = self;
        f.debug_struct("LiveParts")
            .field("archive", archive)
            .field("tap", tap)
            .finish_non_exhaustive()
    }
}
