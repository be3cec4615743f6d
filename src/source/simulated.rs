//! A recording served as a venue on this machine.

use super::venue::{UnknownVenueError, market};
use super::{BoxError, Description, Opening, Source, SourcePlan};
use crate::daemon::idle_closing;
use crate::model::{Covered, Trade};
use crate::pipeline::clock::SystemClock;
use crate::port::{FeedError, FeedStats, TradeBatch, TradeFeed};
use crate::{Symbol, TradeKey};
use barmill_sources::file::{FileFeedSettings, TradeReader};
use barmill_sources::history::{HistorySettings, HistorySource};
use barmill_sources::live::{LiveFeed, LiveParts, LiveSettings, LiveSymbol, LiveSymbols};
use barmill_sources::simulate::{Fault, Recording, Simulator, SimulatorSettings};
use barmill_sources::venue::{Venue, VenueSettings};
use futures::future::BoxFuture;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A recording served as the history and socket of a venue on this machine, so that a live pipeline runs without an
/// account.
///
/// ```
/// use barmill::{Pipeline, PipelineBuilder, SimulatedSource};
/// fn described(venue: &str) -> PipelineBuilder {
///     let simulated = SimulatedSource::of(venue, "trades.csv").speed(60).fault("disconnect=4m");
///     Pipeline::builder().source(simulated)
/// }
/// ```
#[derive(Debug)]
pub struct SimulatedSource {
    venue: Option<&'static Venue>,
    file: PathBuf,
    settings: SimulatorSettings,
    faults: Vec<BoxError>,
}

impl SimulatedSource {
    /// Serves the recorded trades of a file in the protocol of the venue with this name, at the recorded speed.
    pub fn of(venue: &str, file: impl Into<PathBuf>) -> SimulatedSource {
        let found = Venue::by_name(venue);
        let unknown = || -> BoxError {
            Box::new(UnknownVenueError {
                name: venue.to_owned(),
            })
        };
        SimulatedSource {
            venue: found,
            file: file.into(),
            settings: SimulatorSettings {
                waits: true,
                ..SimulatorSettings::default()
            },
            faults: found.is_none().then(unknown).into_iter().collect(),
        }
    }

    /// Plays at this multiple of the recorded speed, at least 1.
    #[must_use]
    pub fn speed(mut self, times: u32) -> SimulatedSource {
        self.settings.speed = NonZeroU32::new(times.saturating_mul(1_000)).or(self.settings.speed);
        self
    }

    /// Injects a fault, such as `disconnect=4m`, which closes the connection every four minutes. `docs/simulate.md`
    /// lists the faults.
    #[must_use]
    pub fn fault(mut self, fault: &str) -> SimulatedSource {
        match fault.parse::<Fault>() {
            Ok(fault) => self.settings.faults.push(fault),
            Err(error) => self.faults.push(Box::new(error)),
        }
        self
    }
}

impl Source for SimulatedSource {
    fn describe(mut self) -> Description {
        Description {
            faults: std::mem::take(&mut self.faults),
            origin: self.venue.map_or("", |venue| venue.name).to_owned(),
            market: self.venue.map(market),
            is_live: true,
            opening: Opening::Feed(Box::new(move |plan| Box::pin(open(self, plan)))),
            ..Description::feed(|_| Err("not opened".into()))
        }
    }
}

async fn open(source: SimulatedSource, plan: SourcePlan) -> Result<Box<dyn TradeFeed>, BoxError> {
    let SimulatedSource {
        venue,
        file,
        settings,
        ..
    } = source;
    let venue = venue.ok_or("no venue")?;
    let read = tokio::task::spawn_blocking(move || -> Result<Vec<Trade>, BoxError> {
        let mut trades = Vec::new();
        for batch in TradeReader::new(FileFeedSettings::new(vec![file])) {
            trades.extend(batch?);
        }
        Ok(trades)
    });
    let recording = Recording::new(venue, read.await??)?;
    // Nothing may be missed from the start of the recording on.
    let start = TradeKey::instant(recording.span().0);
    let after = |&symbol: &Symbol| LiveSymbol {
        symbol,
        after: Some(start),
    };
    let symbols = LiveSymbols::Named(recording.symbols().iter().map(after).collect());
    let speed = settings.speed.map_or(1_000, NonZeroU32::get);
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let simulator = Simulator::bind(here, recording, settings).await?;
    let address = simulator.address();
    let mut own = VenueSettings::new(venue);
    for secret in venue.secrets {
        own.set_secret(secret.setting, "simulated".into())?;
    }
    let (mut history, mut live) = (HistorySettings::new(own.clone()), LiveSettings::new(own));
    history.base_url = format!("http://{address}");
    history.batch_len_max = plan.batch_len_max;
    live.url = format!("ws://{address}{}", venue.simulation.socket_path);
    live.batch_len_max = plan.batch_len_max;
    live.idle_closing = idle_closing(&plan.specs, &plan.zone, plan.lateness);
    // The venue's time runs faster than ours, and so must the patience with it.
    let scaled = |time: Duration| {
        (time * 1_000 / speed.max(1_000))
            .max(Duration::from_millis(20))
            .min(time)
    };
    live.gaps.settle = scaled(live.gaps.settle);
    live.times.backoff_base = scaled(live.times.backoff_base);
    let parts = LiveParts {
        clock: Arc::new(SystemClock),
        archive: Arc::new(HistorySource::new(&history)?),
        tap: None,
    };
    let feed = LiveFeed::new(live, &symbols, parts)?;
    Ok(Box::new(SimulatedFeed {
        feed,
        simulator: Some(simulator),
    }))
}

/// A live feed together with the venue that it listens to.
#[derive(Debug)]
struct SimulatedFeed {
    feed: LiveFeed,
    simulator: Option<Simulator>,
}

impl TradeFeed for SimulatedFeed {
    fn name(&self) -> &str {
        self.feed.name()
    }

    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
        self.feed.next_batch()
    }

    fn stats(&self) -> FeedStats {
        self.feed.stats()
    }

    fn coverage(&self) -> Vec<Covered> {
        self.feed.coverage()
    }

    fn take_task(&mut self) -> Option<BoxFuture<'static, ()>> {
        let driver = self.feed.take_task()?;
        let simulator = self.simulator.take()?;
        Some(Box::pin(async move {
            // The venue serves for as long as somebody listens.
            tokio::select! {
                () = driver => {}
                _stats = simulator.run() => {}
            }
        }))
    }
}
