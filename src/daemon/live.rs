//! The live sources of a run: opened at the checkpoint of an earlier run, and reloaded with other symbols.

use super::checkpoint;
use super::health::SourceView;
use super::profile::{MarketProfile, Start};
use crate::faults::BoxError;
use crate::pipeline::clock::SystemClock;
use crate::port::{StateStore, TradeFeed};
use crate::{Symbol, Timestamp, TradeKey};
use barmill_sources::history::HistorySource;
use barmill_sources::live::{LiveFeed, LiveParts, LiveSettings, LiveSymbol, LiveSymbols, Reloader};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;

type OpenFeed<'a> =
    Box<dyn FnOnce(LiveSymbols) -> BoxFuture<'a, Result<LiveFeed, BoxError>> + Send + 'a>;

/// One live source, not yet opened.
pub(crate) struct LiveSource<'a> {
    /// The venue's name.
    pub(crate) name: String,
    /// What to listen to.
    pub(crate) symbols: Vec<Symbol>,
    /// The name of its checkpoint; `None` saves none.
    pub(crate) checkpoint: Option<String>,
    /// Makes the feed, every symbol from its start on; connects to nothing.
    pub(crate) open: OpenFeed<'a>,
}

/// The opened sources, in their order.
#[derive(Debug)]
pub(crate) struct OpenedLive {
    pub(crate) feeds: Vec<Box<dyn TradeFeed>>,
    pub(crate) views: Vec<SourceView>,
    /// The names of their checkpoints.
    pub(crate) checkpoints: Vec<String>,
    pub(crate) reloader: SymbolReloader,
}

/// Opens every source at its start: the checkpoint of an earlier run, or where the profile says.
///
/// # Errors
/// The source's own, and that of a state store which cannot be read.
pub(crate) async fn open(
    profile: &MarketProfile,
    sources: Vec<LiveSource<'_>>,
    state: Option<&Arc<dyn StateStore>>,
    now: Timestamp,
) -> Result<OpenedLive, BoxError> {
    let mut opened = OpenedLive {
        feeds: Vec::new(),
        views: Vec::new(),
        checkpoints: Vec::new(),
        reloader: SymbolReloader {
            profile: profile.clone(),
            feeds: BTreeMap::new(),
        },
    };
    for source in sources {
        let saved = checkpoint::load(state, source.checkpoint.as_ref()).await?;
        let start = profile.start(now, saved)?;
        let symbols = starting(&source.symbols, start);
        let mut feed = (source.open)(LiveSymbols::Named(symbols.clone())).await?;
        if start.is_partway {
            feed = feed.starting_partway(&symbols);
        }
        tracing::info!(
            source = source.name,
            symbols = symbols.len(),
            from = %start.time,
            resumed = saved.is_some(),
            "live feed starts"
        );
        let reloader = feed.reloader();
        opened.views.push(SourceView {
            name: source.name.clone(),
            stats: Box::new(feed.live_stats()),
        });
        opened.reloader.feeds.insert(source.name, reloader);
        opened.feeds.push(Box::new(feed));
        opened.checkpoints.extend(source.checkpoint);
    }
    Ok(opened)
}

/// Makes a live feed that asks `archive` for what it misses.
///
/// # Errors
/// The feed's own: settings that cannot be used.
pub(crate) fn live_feed(
    settings: LiveSettings,
    archive: HistorySource,
    symbols: &LiveSymbols,
) -> Result<LiveFeed, BoxError> {
    let parts = LiveParts {
        clock: Arc::new(SystemClock),
        archive: Arc::new(archive),
        tap: None,
    };
    Ok(LiveFeed::new(settings, symbols, parts)?)
}

/// Symbols that begin at a start.
fn starting(symbols: &[Symbol], start: Start) -> Vec<LiveSymbol> {
    let after = TradeKey::instant(start.time);
    symbols
        .iter()
        .map(|symbol| LiveSymbol {
            symbol: *symbol,
            after: (!start.is_with_live).then_some(after),
        })
        .collect()
}

/// Gives running sources other symbols.
#[derive(Debug)]
pub(crate) struct SymbolReloader {
    profile: MarketProfile,
    feeds: BTreeMap<String, Reloader>,
}

impl SymbolReloader {
    /// The names of the sources.
    #[cfg(feature = "cli")]
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.feeds.keys().map(String::as_str)
    }

    /// Listens to these symbols of a source from now on; new ones catch up as at a start.
    ///
    /// # Errors
    /// The calendar's, when the start of the day is not known.
    pub(crate) async fn reload(
        &self,
        source: &str,
        symbols: &[Symbol],
        now: Timestamp,
    ) -> Result<(), BoxError> {
        let start = self.profile.start(now, None)?;
        if let Some(feed) = self.feeds.get(source) {
            feed.reload(starting(symbols, start), start.is_partway)
                .await;
        }
        Ok(())
    }
}
