//! Builds the settings of the parts from the config.

use crate::builder::session_windows;
use crate::cli::exit::{CommandError, usage};
use crate::config::{self, Config, SinkTarget};
use crate::daemon::LatencyMode;
use crate::engine::aggregate::{AggregatorSettings, Fill, VolumeOnly};
use crate::engine::batch::BatchLimits;
use crate::engine::budget::BudgetLimits;
use crate::engine::circuit::ProbePolicy;
use crate::engine::delivery::DeliverySettings;
use crate::engine::retry::RetryPolicy;
use crate::engine::rules::Rules;
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{
    PaceSettings, Pipeline, PipelineSettings, ReconcileSettings, ShardTimes, WriterPorts,
    WriterSettings,
};
use crate::port::{BarSink, Clock, StateStore, TradeFeed};
use crate::{BarSpec, Origin};
use barmill_sources::file::LateFile;
use barmill_stores::state::{Bounds, StateDb, StateSettings, Target};
use barmill_stores::{
    FenceSettings, Guard, Opened, Owner, RespSettings, RestSettings, SinkUrl, StoreSettings,
    ValueForm, View, ViewSettings, connect,
};
use jiff::tz::TimeZone;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The exchange zone of US equities.
const NEW_YORK: &str = "America/New_York";
const MEBIBYTE: u64 = 1 << 20;
/// Name of the file of late trades in the state folder.
const LATE_FILE: &str = "late.rec";

/// Where a run writes, and the zone of its keys: with the config, what every command needs besides its feeds.
pub(super) struct Assembly<'a> {
    pub(super) config: &'a Config,
    pub(super) target: SinkTarget,
    pub(super) zone: TimeZone,
}

impl Assembly<'_> {
    /// Opens the store for the bars of the config; `owner` is who writes to it.
    pub(super) async fn store(
        &self,
        create: bool,
        owner: Option<Owner>,
    ) -> Result<Opened, CommandError> {
        self.store_of(self.config.bars.specs.as_slice(), create, owner)
            .await
    }

    /// Opens the store for bars of these specs.
    pub(super) async fn store_of(
        &self,
        specs: &[BarSpec],
        create: bool,
        owner: Option<Owner>,
    ) -> Result<Opened, CommandError> {
        let view = view_of(self.config, &self.zone, specs)?;
        let settings = store_settings(self.config, &self.target, create, owner);
        let clock = Arc::new(SystemClock);
        Ok(connect(self.target.url(), view, &settings, clock).await?)
    }

    /// The durable state beside the store; a store that keeps nothing needs none.
    pub(super) fn state(&self) -> Option<Arc<dyn StateStore>> {
        self.keeps_bars().then(|| {
            lazy_state(StateSettings {
                target: Some(state_target(self.config, &self.target, &self.zone)),
                ..state_settings(self.config)
            })
        })
    }

    /// The pipeline, with the file of late trades beside the state.
    pub(super) fn pipeline(
        &self,
        sink: Arc<dyn BarSink>,
        state: Option<Arc<dyn StateStore>>,
        feeds: Vec<Box<dyn TradeFeed>>,
        settings: PipelineSettings,
    ) -> Pipeline {
        let ports = WriterPorts {
            sink,
            state,
            clock: Arc::new(SystemClock),
        };
        let pipeline = Pipeline::new(feeds, ports, settings);
        let run = &self.config.run;
        let bytes_max = run.late_max_mb * MEBIBYTE;
        if bytes_max == 0 || !self.keeps_bars() {
            return pipeline;
        }
        let file = LateFile::new(run.state_dir.join(LATE_FILE), bytes_max);
        pipeline.keep_late(Arc::new(file))
    }

    fn keeps_bars(&self) -> bool {
        !matches!(self.target.url(), SinkUrl::Stdout | SinkUrl::Null)
    }
}

/// Why the config gives no zone.
#[derive(Debug, thiserror::Error)]
enum ZoneError {
    /// Nothing tells the zone of what is in the state folder.
    #[error(
        "the zone of the stored bars is unknown; set it, as in --set bars.zone=America/New_York"
    )]
    Unknown,
    /// Hours of the exchanges, in a zone that is not theirs.
    #[error(
        "session {session} is a session of the US exchanges, with hours in {NEW_YORK}, and the bars are in {zone}; set \
         bars.zone={NEW_YORK}, or give hours of {zone} as HH:MM-HH:MM"
    )]
    Hours {
        /// The session.
        session: config::Session,
        /// The zone.
        zone: String,
    },
    /// The zone data of this program has no New York.
    #[error("zone {NEW_YORK} is not in the time zone data")]
    Data(#[source] jiff::Error),
}

/// The run's zone: the configured one, else that of the source. The exchanges' sessions have one zone only.
pub(super) fn zone(config: &Config, is_us_equity: bool) -> Result<TimeZone, CommandError> {
    let zone = zone_of_keys(config, is_us_equity)?;
    let session = config.bars.session;
    let is_named = session.kind().is_some_and(|kind| !kind.is_custom());
    let name = zone.iana_name().unwrap_or("UTC");
    if is_named && !matches!(name, NEW_YORK | "US/Eastern") {
        let zone = name.to_owned();
        return Err(usage(ZoneError::Hours { session, zone }));
    }
    Ok(zone)
}

fn zone_of_keys(config: &Config, is_us_equity: bool) -> Result<TimeZone, CommandError> {
    match &config.bars.zone {
        config::Zone::Named(zone) => Ok(zone.clone()),
        config::Zone::Source if is_us_equity => {
            Ok(TimeZone::get(NEW_YORK).map_err(ZoneError::Data)?)
        }
        config::Zone::Source => Ok(TimeZone::UTC),
    }
}

/// The zone of what an earlier run left in the state folder; a guess would write it under other keys.
pub(super) fn zone_of_state(config: &Config) -> Result<TimeZone, CommandError> {
    let sources = config.live.sources.as_slice();
    match &config.bars.zone {
        config::Zone::Source if sources.is_empty() => Err(usage(ZoneError::Unknown)),
        config::Zone::Named(_) | config::Zone::Source => {
            zone_of_keys(config, sources.iter().any(|name| name.is_us_equity()))
        }
    }
}

/// The pipeline's settings.
pub(super) fn pipeline(
    config: &Config,
    zone: &TimeZone,
    latency: LatencyMode,
) -> Result<PipelineSettings, CommandError> {
    Ok(PipelineSettings {
        aggregate: aggregate(config, zone)?,
        times: ShardTimes::default(),
        writer: writer(config, zone, latency),
        shards: config.aggregate.shards,
        batch_len_max: config.replay.batch_len_max,
        feed_queue_len_max: config.replay.queue_len_max,
        writer_queue_len_max: config.writer.queue_len_max,
        drain_timeout: Duration::from_millis(config.run.drain_timeout_ms),
    })
}

fn aggregate(config: &Config, zone: &TimeZone) -> Result<AggregatorSettings, CommandError> {
    let bars = &config.bars;
    Ok(AggregatorSettings {
        zone: zone.clone(),
        lateness_ns: nanos(bars.lateness_ms),
        revise_within_ns: nanos(bars.revise_within_ms),
        fill: bars.fill,
        volume_only: volume_only(bars),
        rules: Rules::by_name(bars.rules.profile().unwrap_or("all"))?,
        session: bars.session.kind().map(|kind| session_windows(kind, zone)),
        ..AggregatorSettings::new(bars.specs.as_slice().to_vec())
    })
}

fn volume_only(bars: &config::Bars) -> VolumeOnly {
    // Recorded files do not tell whose rules they follow.
    let is_all = matches!(bars.rules.profile(), None | Some("all"));
    match bars.volume_only {
        config::VolumeOnly::Carry => VolumeOnly::Carry,
        config::VolumeOnly::Rules if is_all => VolumeOnly::Carry,
        // The vendors publish no bar without prices.
        config::VolumeOnly::Skip | config::VolumeOnly::Rules => VolumeOnly::Skip,
    }
}

/// Whatever of the config decides what a bar is made of its trades, in the manifests' words.
pub(super) fn rules_text(bars: &config::Bars) -> String {
    // Trades of no source have no rules of their own.
    let mut text = bars.rules.profile().unwrap_or("all").to_owned();
    if bars.volume_only != config::VolumeOnly::Rules {
        text = format!("{text} {}", bars.volume_only);
    }
    match bars.fill {
        Fill::None => text,
        Fill::PreviousClose => format!("{text} filled"),
    }
}

fn writer(config: &Config, zone: &TimeZone, latency: LatencyMode) -> WriterSettings {
    let writer = &config.writer;
    let is_server = !config.sink.url.is_local();
    WriterSettings {
        delivery: DeliverySettings {
            batch: BatchLimits {
                len_max: writer.batch_len_max,
                bytes_max: writer.batch_bytes_max,
                linger: Duration::from_millis(writer.linger_ms),
                eager: (latency == LatencyMode::Low && writer.eager) || writer.linger_ms == 0,
            },
            in_flight_max: writer.in_flight_max,
            queue_len_max: writer.batch_len_max * (writer.in_flight_max + 1),
            retry: RetryPolicy {
                attempts_max: writer.attempts_max,
                backoff: Duration::from_millis(writer.backoff_ms),
                backoff_max: Duration::from_millis(writer.backoff_max_ms),
            },
            keeps_recent: latency == LatencyMode::Low && config.run.recent_s > 0,
            probes: ProbePolicy {
                outage: Duration::from_millis(writer.probe_ms),
                outage_max: Duration::from_millis(writer.probe_max_ms),
                quota: Duration::from_millis(writer.quota_probe_ms),
                quota_max: Duration::from_millis(writer.quota_probe_max_ms),
            },
            zone: zone.clone(),
            origin: None,
            seed: u64::from(std::process::id()),
        },
        timeout: Duration::from_millis(config.redis.timeout_ms),
        budget: if is_server {
            budget(writer)
        } else {
            BudgetLimits::default()
        },
        resume: None,
        checkpoints: Vec::new(),
        reconcile: ReconcileSettings {
            within: reconcile_within(config),
            on_reconnect: latency == LatencyMode::Low && writer.reconcile_on_reconnect,
            ..ReconcileSettings::default()
        },
        drain_timeout: Duration::from_millis(config.run.drain_timeout_ms),
        // The pace is what a server's plan allows; this machine's own disk and pipes have none.
        pace: if is_server {
            PaceSettings {
                commands_per_second: NonZeroU32::new(writer.commands_per_second),
                requests_per_second: NonZeroU32::new(writer.requests_per_second),
            }
        } else {
            PaceSettings::default()
        },
    }
}

/// The commands that a store's plan allows.
pub(super) fn budget(writer: &config::Writer) -> BudgetLimits {
    let limit = |commands: u64| (commands > 0).then_some(commands);
    BudgetLimits {
        per_day: limit(writer.commands_per_day),
        per_month: limit(writer.commands_per_month),
    }
}

/// How long ago bars may have been acked that the store must still hold: what expired is not missing.
fn reconcile_within(config: &Config) -> Duration {
    let (recent_s, ttl_s) = (config.run.recent_s, config.view.ttl_s);
    Duration::from_secs(if ttl_s > 0 {
        recent_s.min(ttl_s)
    } else {
        recent_s
    })
}

/// The state store of these settings, opened when it is first needed.
pub(super) fn lazy_state(settings: StateSettings) -> Arc<dyn StateStore> {
    Arc::new(StateDb::new(settings, Arc::new(SystemClock)))
}

/// The store and the keys in it that durable items belong to.
pub(super) fn state_target(config: &Config, target: &SinkTarget, zone: &TimeZone) -> Target {
    let address = match target.url() {
        // A folder is the same one from wherever it is named.
        SinkUrl::Embedded(dir) => format!("embedded:{}", canonical(dir).display()),
        // With port and database, whether they were written or not.
        url @ (SinkUrl::Redis(_) | SinkUrl::Rest(_) | SinkUrl::Stdout | SinkUrl::Null) => {
            url.without_login()
        }
    };
    let view = &config.view;
    let value = view.value.to_string();
    let mut text = address;
    let parts = [
        ("view", Some(view.kind.as_str())),
        ("key", Some(view.key_template())),
        ("field", view.field_template()),
        ("stream", view.also_stream()),
        ("publish", view.also_publish()),
        ("value", Some(value.as_str())),
        ("namespace", Some(view.namespace.as_str())),
        ("zone", Some(zone.iana_name().unwrap_or("UTC"))),
    ];
    for (name, part) in parts {
        if let Some(part) = part {
            text = format!("{text} {name}={part}");
        }
    }
    Target::new(text)
}

/// The one name of a folder, which need not be there yet.
fn canonical(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let found = absolute.ancestors().find_map(|parent| {
        let rest = absolute.strip_prefix(parent).ok()?;
        let canonical = parent.canonicalize().ok()?;
        // Joining nothing would append a separator.
        Some(if rest.as_os_str().is_empty() {
            canonical
        } else {
            canonical.join(rest)
        })
    });
    found.unwrap_or(absolute)
}

/// Where the state lies and what it may grow to.
pub(super) fn state_settings(config: &Config) -> StateSettings {
    let run = &config.run;
    let bounds = Bounds {
        spool_bytes_max: run.spool_max_mb * MEBIBYTE,
        recent_age_max: Duration::from_secs(run.recent_s),
        recent_bytes_max: run.recent_max_mb * MEBIBYTE,
    };
    StateSettings {
        bounds,
        ..StateSettings::new(run.state_dir.clone())
    }
}

/// Whose bars a run makes.
pub(super) fn owner(config: &Config, origin: &Origin) -> Owner {
    Owner {
        session: Some(config.bars.session.to_string()),
        take_over: config.writer.take_over == config::TakeOver::Yes,
        ..Owner::new(&origin.source, &origin.rules)
    }
}

/// The view that the config describes.
pub(super) fn view_of(
    config: &Config,
    zone: &TimeZone,
    specs: &[BarSpec],
) -> Result<View, CommandError> {
    let settings = view(&config.view, zone).map_err(usage)?;
    View::new(settings, specs).map_err(usage)
}

fn view(view: &config::View, zone: &TimeZone) -> Result<ViewSettings, CommandError> {
    let namespace = view.namespace.as_str();
    let defaults = ViewSettings::in_namespace(view.kind, namespace, zone.clone())?;
    Ok(ViewSettings {
        key: view.key_template().parse()?,
        field: view.field_template().map(str::parse).transpose()?,
        also_stream: view.also_stream().map(str::parse).transpose()?,
        also_publish: view.also_publish().map(str::parse).transpose()?,
        stream_len_max: (view.stream_len_max > 0).then_some(view.stream_len_max),
        value: match view.value {
            config::ValueFormat::Json => defaults.value,
            config::ValueFormat::Csv => ValueForm::Csv,
        },
        ttl_s: (view.ttl_s > 0).then_some(view.ttl_s),
        ..defaults
    })
}

fn store_settings(
    config: &Config,
    target: &SinkTarget,
    create: bool,
    owner: Option<Owner>,
) -> StoreSettings {
    let redis = &config.redis;
    let connect_timeout = Duration::from_millis(redis.connect_timeout_ms);
    let read_timeout = Duration::from_millis(redis.read_timeout_ms);
    let ping_interval = Duration::from_millis(redis.ping_interval_ms);
    StoreSettings {
        token: target.token.clone(),
        resp: RespSettings {
            connect_timeout,
            response_timeout: read_timeout,
            idle_max: (!ping_interval.is_zero()).then_some(ping_interval),
            ca_file: redis.ca_file.clone(),
            ..RespSettings::default()
        },
        rest: RestSettings {
            connect_timeout,
            timeout: Duration::from_millis(redis.timeout_ms),
            read_timeout,
            ping_interval,
            ping_timeout: Duration::from_millis(redis.ping_timeout_ms),
            idle_connections_max: redis.connections_idle_max,
            ca_file: redis.ca_file.clone(),
            ..RestSettings::default()
        },
        must_exist: !create,
        guard: guard(&config.writer),
        owner,
    }
}

pub(super) fn guard(writer: &config::Writer) -> Guard {
    match writer.guard {
        config::Guard::Off => Guard::Off,
        config::Guard::Fence => Guard::Fence(FenceSettings {
            holder: holder(),
            ttl: Duration::from_millis(writer.fence_ttl_ms),
            take_over: writer.take_over == config::TakeOver::Yes,
        }),
    }
}

/// A name that no other writer has: host, process and start.
fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty());
    format!(
        "{}:{}:{}",
        host.unwrap_or("host"),
        std::process::id(),
        SystemClock.now().as_millis()
    )
}

fn nanos(millis: u64) -> i64 {
    i64::try_from(millis.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Config, reconcile_within};
    use std::time::Duration;

    #[test]
    fn bars_older_than_the_ttl_or_than_what_is_kept_are_not_missed() {
        let within = |recent_s: u64, ttl_s: u64| {
            let mut config = Config::default();
            (config.run.recent_s, config.view.ttl_s) = (recent_s, ttl_s);
            reconcile_within(&config)
        };
        assert_eq!(within(10_800, 7_200), Duration::from_hours(2));
        assert_eq!(within(600, 7_200), Duration::from_mins(10));
        assert_eq!(within(10_800, 0), Duration::from_hours(3), "no TTL");
    }
}
