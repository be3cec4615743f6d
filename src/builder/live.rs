//! The live sources of a builder, which make a run a daemon.

use crate::daemon::{
    self, CatchUp, HealthStatus, LiveSource, MarketProfile, checkpoint_name, market_hours,
    shard_times,
};
use crate::engine::calendar::SessionKind;
use crate::faults::BoxError;
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{Handle, PipelineSettings};
use crate::port::{Clock, StateStore, TradeFeed};
use crate::running::Live;
use crate::source::{Market, SourcePlan};
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::Duration;

/// Time between two checkpoints of a live source.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);
/// The oldest checkpoint that a live source resumes from.
const RESUME_MAX: Duration = Duration::from_hours(72);
/// How long a source may bring nothing while its market is open.
const STALE_AFTER: Duration = Duration::from_mins(2);

/// Watches the live sources of a run once it has started.
pub(super) type WatchRun = Box<dyn FnOnce(Handle) -> Live + Send>;

/// The live sources of a description, until they are opened together.
pub(super) struct LiveSources {
    sources: Vec<LiveSource<'static>>,
    catch_up: CatchUp,
    zone: TimeZone,
    /// What checkpoints are of besides their source: bars and store.
    run: String,
}

impl LiveSources {
    pub(super) fn new(plan: &SourcePlan, sink: &str) -> LiveSources {
        LiveSources {
            sources: Vec::new(),
            catch_up: CatchUp::default(),
            zone: plan.zone.clone(),
            run: format!("{:?} {:?} {sink}", plan.specs, plan.zone.iana_name()),
        }
    }

    pub(super) fn add(&mut self, source: LiveSource<'static>, catch_up: Option<CatchUp>) {
        self.catch_up = catch_up.unwrap_or(self.catch_up);
        self.sources.push(source);
    }

    /// Opens the sources, where there are some, and sets what a daemon does otherwise than a short run.
    pub(super) async fn open(
        mut self,
        market: Option<Market>,
        state: Option<&Arc<dyn StateStore>>,
        settings: &mut PipelineSettings,
        feeds: &mut Vec<Box<dyn TradeFeed>>,
    ) -> Result<Option<WatchRun>, BoxError> {
        if self.sources.is_empty() {
            return Ok(None);
        }
        if state.is_some() {
            for source in &mut self.sources {
                let name = checkpoint_name(&self.run, &source.name, &source.symbols);
                source.checkpoint = Some(name);
            }
        }
        let profile = profile(market, self.zone, self.catch_up)?;
        let opened = daemon::open(&profile, self.sources, state, SystemClock.now()).await?;
        let checkpoint_every = (!opened.checkpoints.is_empty()).then_some(CHECKPOINT_EVERY);
        settings.times = shard_times(None, checkpoint_every);
        settings.aggregate.corrections = market.is_some_and(|market| market.corrects);
        settings.writer.delivery.keeps_recent = state.is_some();
        settings.writer.reconcile.on_reconnect = state.is_some();
        settings.writer.checkpoints = opened.checkpoints;
        // Live feeds come first: the writer knows their checkpoints by the feeds' numbers.
        feeds.splice(0..0, opened.feeds);
        let (views, reloader) = (opened.views, opened.reloader);
        Ok(Some(Box::new(move |handle| {
            let (hours, clock) = (profile.trading_hours(), Arc::new(SystemClock));
            Live {
                health: HealthStatus::new(handle, views, hours, STALE_AFTER, clock),
                reloader,
            }
        })))
    }
}

fn profile(
    market: Option<Market>,
    zone: TimeZone,
    catch_up: CatchUp,
) -> Result<MarketProfile, BoxError> {
    let is_us_equity = market.is_some_and(|market| market.is_us_equity);
    let kind = is_us_equity.then_some(SessionKind::All);
    Ok(MarketProfile {
        hours: market_hours(is_us_equity, kind, zone)?,
        is_us_equity,
        catch_up,
        resume_max: RESUME_MAX,
    })
}
