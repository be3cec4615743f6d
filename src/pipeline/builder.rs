//! How a program describes a pipeline.

use super::{Pipeline, PipelineSettings};
use crate::engine::aggregate::SessionWindows;
use crate::engine::aggregate::{AggregatorSettings, Fill};
use crate::engine::batch::BatchLimits;
use crate::engine::budget::BudgetLimits;
use crate::engine::circuit::ProbePolicy;
use crate::engine::delivery::DeliverySettings;
use crate::engine::retry::RetryPolicy;
use crate::engine::rules::Rules;
use crate::model::{BarSpec, BarUpdate, SpecError, Trade};
use crate::pipeline::channel::ChannelSink;
use crate::pipeline::clock::SystemClock;
use crate::pipeline::stream::StreamFeed;
use crate::pipeline::{
    Fault, MendingSettings, PaceSettings, ShardTimes, WriterPorts, WriterSettings,
};
use crate::port::{BarSink, StateStore, TradeFeed};
use barmill_sources::file::{FileFeed, FileFeedSettings};
use futures::stream::{Stream, StreamExt};
use jiff::tz::TimeZone;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why a description is no pipeline.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No feed was given.
    #[error("pipeline has no feed; give one with feed(), trades() or file()")]
    NoFeed,
    /// No store was given.
    #[error("pipeline has no sink; give one with sink()")]
    NoSink,
    /// No state store was given to a run that reads one.
    #[error("run has no state store; give one with state()")]
    NoState,
    /// A bar spec that is none.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A zone that the IANA database does not know.
    #[error("zone {name:?} is not in the IANA time zone database")]
    Zone {
        /// The refused name.
        name: String,
        /// The database's answer.
        #[source]
        source: jiff::Error,
    },
    /// The run itself failed, for the calls that build and run.
    #[error(transparent)]
    Run(#[from] Fault),
}

/// Describes a pipeline step by step; what is not said keeps its default.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use barmill::{Pipeline, Trade};
/// let trades = futures::stream::iter(Vec::<Trade>::new());
/// let bars = Pipeline::builder().trades("mine", trades).bars("1m,5m")?.collect().await?;
/// assert!(bars.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PipelineBuilder {
    feeds: Vec<Box<dyn TradeFeed>>,
    pub(super) sink: Option<Arc<dyn BarSink>>,
    pub(super) state: Option<Arc<dyn StateStore>>,
    pub(super) settings: PipelineSettings,
}

impl Default for PipelineBuilder {
    /// One-minute bars in UTC, no lateness, a quarter of an hour for revisions, one shard.
    fn default() -> PipelineBuilder {
        PipelineBuilder {
            feeds: Vec::new(),
            sink: None,
            state: None,
            settings: default_settings(),
        }
    }
}

impl PipelineBuilder {
    /// Adds a feed of the caller's or the library's own.
    #[must_use]
    pub fn feed(mut self, feed: impl TradeFeed) -> PipelineBuilder {
        self.feeds.push(Box::new(feed));
        self
    }

    /// Adds a stream of trades; `name` names it in logs and errors.
    #[must_use]
    pub fn trades(
        self,
        name: impl Into<String>,
        trades: impl Stream<Item = Trade> + Send + 'static,
    ) -> PipelineBuilder {
        let batch_len_max = self.settings.batch_len_max;
        self.feed(StreamFeed::new(name, trades, batch_len_max))
    }

    /// Adds recorded files, read in the given order; the format is told from their content.
    #[must_use]
    pub fn files(self, paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> PipelineBuilder {
        let paths = paths.into_iter().map(Into::into).collect();
        let batch_len_max = self.settings.batch_len_max;
        self.feed(FileFeed::new(FileFeedSettings {
            batch_len_max,
            ..FileFeedSettings::new(paths)
        }))
    }

    /// Sets the store.
    #[must_use]
    pub fn sink(self, sink: impl BarSink) -> PipelineBuilder {
        self.shared_sink(Arc::new(sink))
    }

    /// Sets a store that the caller keeps a reference to.
    #[must_use]
    pub fn shared_sink(mut self, sink: Arc<dyn BarSink>) -> PipelineBuilder {
        self.sink = Some(sink);
        self
    }

    /// Sets the durable state: what the store does not take goes to its spool instead of ending the run.
    #[must_use]
    pub fn state(mut self, state: Arc<dyn StateStore>) -> PipelineBuilder {
        self.state = Some(state);
        self
    }

    /// Sets the bars: specs joined by commas, such as `1m,5m,1d`.
    ///
    /// # Errors
    /// [`BuildError::Spec`] names the spec that is none.
    pub fn bars(mut self, specs: &str) -> Result<PipelineBuilder, BuildError> {
        let specs: Result<Vec<BarSpec>, SpecError> =
            specs.split(',').map(|spec| spec.trim().parse()).collect();
        self.settings.aggregate.specs = specs?;
        Ok(self)
    }

    /// Sets the zone of day bars and of the manifest's dates.
    ///
    /// # Errors
    /// [`BuildError::Zone`] for a name that the IANA database does not know.
    pub fn zone(mut self, name: &str) -> Result<PipelineBuilder, BuildError> {
        let zone = TimeZone::get(name).map_err(|source| BuildError::Zone {
            name: name.to_owned(),
            source,
        })?;
        self.settings.writer.delivery.zone = zone.clone();
        self.settings.aggregate.zone = zone;
        Ok(self)
    }

    /// Sets how far event time may run behind before a bar is final.
    #[must_use]
    pub fn lateness(mut self, lateness: Duration) -> PipelineBuilder {
        self.settings.aggregate.lateness_ns = nanos(lateness);
        self
    }

    /// Sets how long after its end a bar is revised by late trades.
    #[must_use]
    pub fn revise_within(mut self, within: Duration) -> PipelineBuilder {
        self.settings.aggregate.revise_within_ns = nanos(within);
        self
    }

    /// Sets what happens in windows without trades.
    #[must_use]
    pub fn fill(mut self, fill: Fill) -> PipelineBuilder {
        self.settings.aggregate.fill = fill;
        self
    }

    /// Sets which trades may set which field of a bar.
    #[must_use]
    pub fn rules(mut self, rules: Rules) -> PipelineBuilder {
        self.settings.aggregate.rules = rules;
        self
    }

    /// Keeps only the trades inside the sessions.
    #[must_use]
    pub fn session(mut self, session: SessionWindows) -> PipelineBuilder {
        self.settings.aggregate.session = Some(session);
        self
    }

    /// Spreads the symbols over this many aggregators, 1 and up.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> PipelineBuilder {
        self.settings.shards = shards.max(1);
        self
    }

    /// Changes any bound that has no method of its own.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut PipelineSettings)) -> PipelineBuilder {
        change(&mut self.settings);
        self
    }

    /// Finishes the description.
    ///
    /// # Errors
    /// [`BuildError::NoFeed`] and [`BuildError::NoSink`].
    pub fn build(self) -> Result<Pipeline, BuildError> {
        if self.feeds.is_empty() {
            return Err(BuildError::NoFeed);
        }
        let sink = self.sink.ok_or(BuildError::NoSink)?;
        let ports = WriterPorts {
            sink,
            state: self.state,
            clock: Arc::new(SystemClock),
        };
        Ok(Pipeline::new(self.feeds, ports, self.settings))
    }

    /// Runs the pipeline and returns every update in order, for tests and small jobs; needs no sink.
    ///
    /// # Errors
    /// [`BuildError::NoFeed`], and [`BuildError::Run`] when the run fails.
    pub async fn collect(self) -> Result<Vec<BarUpdate>, BuildError> {
        let (sink, bars) = ChannelSink::pair(self.settings.writer.delivery.batch.len_max);
        let pipeline = self.sink(sink).build()?;
        let (summary, bars) = futures::future::join(pipeline.run(), bars.collect()).await;
        summary?;
        Ok(bars)
    }
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
            places: Vec::new(),
            mending: MendingSettings {
                reconcile_within: Duration::from_hours(2),
                ..MendingSettings::default()
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
        listener_len_max: 4_096,
        drain_timeout: Duration::from_secs(25),
    }
}
