//! The builder: a program describes sources, bars and a store, which are checked together at the start.

#[cfg(feature = "venues")]
mod live;

use crate::engine::aggregate::{AggregatorSettings, Fill, SessionWindows};
use crate::engine::batch::BatchLimits;
use crate::engine::budget::BudgetLimits;
use crate::engine::calendar::{Calendar, SessionKind};
use crate::engine::circuit::ProbePolicy;
use crate::engine::delivery::DeliverySettings;
use crate::engine::retry::RetryPolicy;
use crate::engine::rules::Rules;
use crate::faults::{BoxError, BuildError, kept};
use crate::model::{BarSpec, BarUpdate, Trade};
use crate::pipeline::channel::ChannelSink;
use crate::pipeline::clock::SystemClock;
use crate::pipeline::stream::StreamFeed;
use crate::pipeline::{
    PaceSettings, Pipeline, PipelineSettings, ReconcileSettings, RunError, ShardTimes, Summary,
    WriterPorts, WriterSettings,
};
use crate::port::{StateStore, TradeFeed};
use crate::running::Running;
use crate::sink::{Sink, SinkDescription, SinkPlan};
use crate::source::{Description, Market, Opening, Source, SourcePlan};
use futures::stream::{Stream, StreamExt};
use jiff::tz::TimeZone;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The zone of the US exchanges.
const NEW_YORK: &str = "America/New_York";

/// No source was given.
#[derive(Debug, thiserror::Error)]
#[error("pipeline has no source; give one with source()")]
struct NoSourceError;

/// No store was given.
#[derive(Debug, thiserror::Error)]
#[error("pipeline has no sink; give one with sink()")]
struct NoSinkError;

/// A zone that the IANA database does not know.
#[derive(Debug, thiserror::Error)]
#[error("zone {name:?} is not in the IANA time zone database")]
struct ZoneError {
    name: String,
    #[source]
    source: jiff::Error,
}

/// Why a pipeline failed.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The description is wrong, or a part does not open.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The run failed; bars acked before are in the store.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Describes a pipeline step by step. Each setting has a default; the start reports all errors at once.
///
/// A live source makes the run a daemon: it catches up, resumes from its checkpoint if [`PipelineBuilder::state`] names
/// a folder, closes the bars of quiet symbols, and sends bars at once. By default, zone and tape rules are the
/// source's.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use barmill::{Pipeline, Trade};
/// let trades = futures::stream::iter(Vec::<Trade>::new());
/// let bars = Pipeline::builder().source(trades).bars("1m,5m").collect().await?;
/// assert!(bars.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PipelineBuilder {
    sources: Vec<Description>,
    sink: Option<SinkDescription>,
    state: Option<Arc<dyn StateStore>>,
    zone: Option<TimeZone>,
    rules: Option<Rules>,
    session: Option<SessionKind>,
    /// The names of the rules and the session, as they were given.
    names: [Option<String>; 2],
    settings: PipelineSettings,
    faults: Vec<BoxError>,
}

impl Pipeline {
    /// Starts to describe a pipeline.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use barmill::{Files, Pipeline, Redis};
    /// use futures::StreamExt;
    /// let running = Pipeline::builder()
    ///     .source(Files::open("day.csv.gz"))
    ///     .bars("1m,5m")
    ///     .sink(Redis::at("redis://127.0.0.1:6379"))
    ///     .start()
    ///     .await?;
    /// let mut bars = running.bars();
    /// while let Some(update) = bars.next().await {
    ///     println!("{update:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> PipelineBuilder {
        PipelineBuilder::default()
    }
}

impl Default for PipelineBuilder {
    /// One-minute bars in UTC, no lateness, fifteen minutes for revisions, one shard.
    fn default() -> PipelineBuilder {
        PipelineBuilder {
            sources: Vec::new(),
            sink: None,
            state: None,
            zone: None,
            rules: None,
            session: None,
            names: [None, None],
            settings: default_settings(),
            faults: Vec::new(),
        }
    }
}

impl PipelineBuilder {
    /// Adds a source: [`Files`](crate::Files), a venue by [`VenueSource`](crate::VenueSource), or any stream of trades. A
    /// pipeline needs at least one source or feed.
    #[must_use]
    pub fn source(mut self, source: impl Source) -> PipelineBuilder {
        let mut described = source.describe();
        self.faults.append(&mut described.faults);
        self.sources.push(described);
        self
    }

    /// Adds a feed of your own type; see the example of [`TradeFeed`](crate::TradeFeed).
    #[must_use]
    pub fn feed(mut self, feed: impl TradeFeed) -> PipelineBuilder {
        self.sources
            .push(Description::feed(move |_| Ok(Box::new(feed))));
        self
    }

    /// Adds a stream of trades in the order of their event times; `name` identifies it in logs and errors.
    #[must_use]
    pub fn trades(
        mut self,
        name: impl Into<String>,
        trades: impl Stream<Item = Trade> + Send + 'static,
    ) -> PipelineBuilder {
        let name = name.into();
        self.sources.push(Description::feed(move |plan| {
            let feed = StreamFeed::new(name, trades, plan.batch_len_max);
            Ok(Box::new(feed))
        }));
        self
    }

    /// Sets the store: [`Redis`](crate::Redis), [`Upstash`](crate::Upstash), [`Embedded`](crate::Embedded), or your own
    /// type that implements [`BarSink`](crate::BarSink). Only [`collect`](PipelineBuilder::collect) needs none.
    #[must_use]
    pub fn sink(mut self, sink: impl Sink) -> PipelineBuilder {
        let mut described = sink.describe();
        self.faults.append(&mut described.faults);
        self.sink = Some(described);
        self
    }

    /// Sets the folder of the durable state. If the store is down, bars go to a spool there; without it, such a failure
    /// ends the run. Live sources resume from the checkpoints in it. By default there is no state.
    #[cfg(feature = "state")]
    #[must_use]
    pub fn state(self, folder: impl Into<std::path::PathBuf>) -> PipelineBuilder {
        use barmill_stores::state::{StateDb, StateSettings};
        let settings = StateSettings::new(folder);
        self.state_store(Arc::new(StateDb::new(settings, Arc::new(SystemClock))))
    }

    /// Sets the durable state itself.
    #[doc(hidden)]
    #[must_use]
    pub fn state_store(mut self, state: Arc<dyn StateStore>) -> PipelineBuilder {
        self.state = Some(state);
        self
    }

    /// Sets the bars: specs joined by commas, such as `1m,5m,1d`; see [`BarSpec`]. Default `1m`.
    #[must_use]
    pub fn bars(mut self, specs: &str) -> PipelineBuilder {
        let parsed = specs.split(',').map(|spec| spec.trim().parse::<BarSpec>());
        let parsed = parsed.filter_map(|spec| kept(&mut self.faults, spec));
        self.settings.aggregate.specs = parsed.collect();
        self
    }

    /// Sets the zone of day bars and of the dates in keys, by its IANA name such as `America/New_York`. Default: that
    /// of the sources, else UTC.
    #[must_use]
    pub fn zone(mut self, name: &str) -> PipelineBuilder {
        let zone = TimeZone::get(name).map_err(|source| ZoneError {
            name: name.to_owned(),
            source,
        });
        self.zone = kept(&mut self.faults, zone);
        self
    }

    /// Sets how long, in event time, a bar stays open after its end. Default zero; two seconds cover what live streams
    /// reorder.
    #[must_use]
    pub fn lateness(mut self, lateness: Duration) -> PipelineBuilder {
        self.settings.aggregate.lateness_ns = nanos(lateness);
        self
    }

    /// Sets how far behind the watermark a trade still revises its bar; later trades are counted as late. Default
    /// fifteen minutes; zero revises nothing.
    #[must_use]
    pub fn revise_within(mut self, within: Duration) -> PipelineBuilder {
        self.settings.aggregate.revise_within_ns = nanos(within);
        self
    }

    /// Sets what happens in windows without trades. Default [`Fill::None`]: no bar.
    #[must_use]
    pub fn fill(mut self, fill: Fill) -> PipelineBuilder {
        self.settings.aggregate.fill = fill;
        self
    }

    /// Sets by the name of a profile which trades may set which field of a bar; `all` lets every trade set everything.
    /// Default: the rules of the sources, else `all`.
    #[must_use]
    pub fn rules(mut self, name: &str) -> PipelineBuilder {
        self.rules = kept(&mut self.faults, Rules::by_name(name));
        self.names[0] = Some(name.to_owned());
        self
    }

    /// Counts only the trades of a session of the exchange: `pre`, `regular`, `post`, `all` (these three), or
    /// `HH:MM-HH:MM` in the zone, end excluded. Default: all hours.
    #[must_use]
    pub fn session(mut self, session: &str) -> PipelineBuilder {
        self.session = kept(&mut self.faults, session.parse::<SessionKind>());
        self.names[1] = Some(session.to_owned());
        self
    }

    /// Sets the number of parallel aggregators, at least 1; each symbol belongs to one. Default 1.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> PipelineBuilder {
        self.settings.shards = shards.max(1);
        self
    }

    /// Changes any bound that has no method of its own.
    #[doc(hidden)]
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut PipelineSettings)) -> PipelineBuilder {
        change(&mut self.settings);
        self
    }

    /// Opens every part and starts the run on the current tokio runtime.
    ///
    /// # Errors
    /// [`BuildError`] with all errors of the description, and of the parts that do not open.
    pub async fn start(self) -> Result<Running, BuildError> {
        let assembled = self.assemble().await?;
        let running = assembled.pipeline.start();
        #[cfg(feature = "venues")]
        let live = assembled.live.map(|watch| watch(running.handle()));
        Ok(Running::new(
            running,
            #[cfg(feature = "venues")]
            live,
        ))
    }

    /// Runs until every source has ended and every bar is written.
    ///
    /// # Errors
    /// [`PipelineError`]: the description is wrong, or the run fails.
    pub async fn run(self) -> Result<Summary, PipelineError> {
        let assembled = self.assemble().await?;
        Ok(assembled.pipeline.run().await?)
    }

    /// Runs the pipeline and returns every update in order of publication, for tests and small jobs. All updates stay
    /// in memory. Ignores the sink.
    ///
    /// # Errors
    /// [`PipelineError`]: the description is wrong, or the run fails.
    pub async fn collect(self) -> Result<Vec<BarUpdate>, PipelineError> {
        let (sink, bars) = ChannelSink::pair(self.settings.writer.delivery.batch.len_max);
        let Assembled { pipeline, .. } = self.sink(sink).assemble().await?;
        let (summary, bars) = futures::future::join(pipeline.run(), bars.collect()).await;
        summary?;
        Ok(bars)
    }

    /// Sends the spool, and writes back recent bars that the store has lost; reads no source.
    ///
    /// # Errors
    /// [`PipelineError`]: sink or state are missing or do not open, or the run fails.
    pub async fn reconcile(self) -> Result<Summary, PipelineError> {
        let nothing = StreamFeed::new("nothing", futures::stream::empty(), 1);
        let Assembled { pipeline, .. } = self.feed(nothing).assemble().await?;
        let pipeline = pipeline.reconciling().map_err(BuildError::one)?;
        Ok(pipeline.run().await?)
    }

    /// Checks everything that can be checked without opening it, then opens the parts.
    async fn assemble(mut self) -> Result<Assembled, BuildError> {
        if self.sources.is_empty() {
            self.faults.push(NoSourceError.into());
        }
        let sink = self.sink.take();
        if sink.is_none() {
            self.faults.push(NoSinkError.into());
        }
        let market = self.market();
        self.apply(market);
        BuildError::check(std::mem::take(&mut self.faults))?;
        let sink = sink.ok_or_else(|| BuildError::one(NoSinkError))?;
        self.open(sink, market).await.map_err(BuildError::one)
    }

    /// The market whose zone and rules the run takes: that of its first source of US equities, else of its first source.
    fn market(&self) -> Option<Market> {
        let mut markets = self.sources.iter().filter_map(|source| source.market);
        let first = markets.next();
        markets
            .chain(first)
            .find(|market| market.is_us_equity)
            .or(first)
    }

    /// Sets what the source decides where nothing was said.
    fn apply(&mut self, market: Option<Market>) {
        if self.zone.is_none() && market.is_some_and(|market| market.is_us_equity) {
            self.zone = kept(&mut self.faults, TimeZone::get(NEW_YORK));
        }
        if let (None, Some(market)) = (&self.rules, market) {
            self.rules = kept(&mut self.faults, Rules::by_name(market.rules));
        }
        let settings = &mut self.settings;
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        settings.writer.delivery.zone = zone.clone();
        if let Some(rules) = self.rules.take() {
            settings.aggregate.rules = rules;
        }
        settings.aggregate.session = self.session.map(|kind| session_windows(kind, &zone));
        settings.aggregate.zone = zone;
    }

    async fn open(
        self,
        sink: SinkDescription,
        market: Option<Market>,
    ) -> Result<Assembled, BoxError> {
        let mut settings = self.settings;
        let aggregate = &settings.aggregate;
        let plan = SourcePlan {
            specs: aggregate.specs.clone(),
            zone: aggregate.zone.clone(),
            #[cfg(feature = "venues")]
            lateness: Duration::from_nanos(u64::try_from(aggregate.lateness_ns).unwrap_or(0)),
            batch_len_max: settings.batch_len_max,
        };
        let is_live = self.sources.iter().any(|source| source.is_live);
        let made_of = made_of(&self.sources, market, self.names);
        settings.writer.delivery.batch.eager |= is_live;
        let mut feeds = Vec::new();
        #[cfg(feature = "venues")]
        let mut live = live::LiveSources::new(&plan, &sink.address);
        for source in self.sources {
            match source.opening {
                Opening::Feed(open) => feeds.push(open(plan.clone()).await?),
                #[cfg(feature = "venues")]
                Opening::Live(open) => live.add(open(&plan)?, source.catch_up),
            }
        }
        if sink.is_unpaced {
            settings.writer.pace = PaceSettings::default();
        }
        #[cfg(feature = "venues")]
        let live = live
            .open(market, self.state.as_ref(), &mut settings, &mut feeds)
            .await?;
        #[cfg(not(feature = "venues"))]
        let _ = market;
        let (specs, zone) = (plan.specs, plan.zone);
        let ports = WriterPorts {
            sink: (sink.open)(SinkPlan {
                specs,
                zone,
                made_of,
            })
            .await?,
            state: self.state,
            clock: Arc::new(SystemClock),
        };
        Ok(Assembled {
            pipeline: Pipeline::new(feeds, ports, settings),
            #[cfg(feature = "venues")]
            live,
        })
    }
}

/// Where the bars come from, by which rules, and of which hours, in the words of the command line.
fn made_of(
    sources: &[Description],
    market: Option<Market>,
    [rules, session]: [Option<String>; 2],
) -> [String; 3] {
    let mut origins: Vec<&str> = sources.iter().map(|one| one.origin.as_str()).collect();
    origins.sort_unstable();
    origins.dedup();
    let rules = rules.unwrap_or_else(|| market.map_or("all", |market| market.rules).to_owned());
    let session = session.unwrap_or_else(|| "all-hours".to_owned());
    [origins.join("+"), rules, session]
}

/// A pipeline with all its parts open.
struct Assembled {
    pipeline: Pipeline,
    /// What is known of its live sources, where it has some.
    #[cfg(feature = "venues")]
    live: Option<live::WatchRun>,
}

/// The sessions of a zone: hours of the wall on every day, those of the US exchanges on the days that they are open.
pub(crate) fn session_windows(kind: SessionKind, zone: &TimeZone) -> SessionWindows {
    let calendar = if kind.is_custom() {
        Calendar::always_open()
    } else {
        Calendar::us_equities_assumed()
    };
    SessionWindows::new(kind, zone.clone(), calendar)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn default_settings() -> PipelineSettings {
    PipelineSettings {
        aggregate: AggregatorSettings {
            revise_within_ns: nanos(Duration::from_mins(15)),
            ..AggregatorSettings::new(vec![BarSpec::MINUTE])
        },
        times: ShardTimes::default(),
        writer: WriterSettings {
            delivery: DeliverySettings {
                batch: BatchLimits {
                    len_max: 1_000,
                    bytes_max: 1 << 20,
                    linger: Duration::from_secs(5),
                    eager: false,
                },
                in_flight_max: 4,
                queue_len_max: 16_384,
                retry: RetryPolicy {
                    attempts_max: 3,
                    backoff: Duration::from_millis(500),
                    backoff_max: Duration::from_secs(30),
                },
                keeps_recent: false,
                probes: ProbePolicy::default(),
                zone: TimeZone::UTC,
                origin: None,
                seed: 0,
            },
            timeout: Duration::from_secs(30),
            budget: BudgetLimits::default(),
            resume: None,
            checkpoints: Vec::new(),
            reconcile: ReconcileSettings {
                within: Duration::from_hours(2),
                ..ReconcileSettings::default()
            },
            drain_timeout: Duration::from_secs(25),
            pace: PaceSettings {
                commands_per_second: NonZeroU32::new(10_000),
                requests_per_second: NonZeroU32::new(1_000),
            },
        },
        shards: 1,
        batch_len_max: 4_096,
        feed_queue_len_max: 4,
        writer_queue_len_max: 8,
        drain_timeout: Duration::from_secs(25),
    }
}
