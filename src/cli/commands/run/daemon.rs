//! Starts the daemon and waits for its end.

use super::super::dispatch::{CommandError, complain, complain_of_run};
use super::super::replay::run_summary;
use super::super::{settings, source};
use super::market::Market;
use super::metrics::Budget;
use super::pages::RunPages;
use super::side_tasks::{Service, SideTasks};
use super::{live, symbols};
use crate::cli::{Exit, RunArguments};
use crate::config::{Config, Environment, SinkTarget, SourceName};
use crate::daemon::{
    HealthStatus, LatencyMode, LiveSource, OpenedLive, checkpoint_name, shard_times,
};
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{End, Finished, PaceSettings, Pipeline, PipelineSettings, WriterPorts};
use crate::port::{Changes, Clock, StateStore};
use crate::status::server::{AccessPolicy, StatusError, StatusServer};
use crate::{Origin, Symbol};
use barmill_stores::Owner;
use std::collections::BTreeMap;
use std::io::{ErrorKind, stderr, stdout};
use std::sync::Arc;
use std::time::Duration;

/// Runs until it is stopped, and prints what came of it.
pub(in super::super) async fn run(
    arguments: &RunArguments,
    config: &Config,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let target = SinkTarget::resolve(config, environment)?;
    let market = match Market::of(config) {
        Ok(market) => market,
        Err(error) => return Ok(complain("run", error.as_ref(), Exit::Usage)),
    };
    let symbols = match symbols::read(config) {
        Ok(symbols) => symbols,
        Err(error) => return Ok(complain("read the symbols", error.as_ref(), Exit::Usage)),
    };
    let pages = match listen(config, environment).await {
        Ok(pages) => pages,
        Err(error) => return Ok(complain("run", error.as_ref(), Exit::Usage)),
    };
    let config = &market.config;
    if let Err(error) = symbols::check(config, &symbols, environment).await {
        return Ok(complain("run", error.as_ref(), Exit::Usage));
    }
    let state = settings::state(config, &target, &market.zone);
    if let Some(state) = &state {
        // Takes the folder now, so that a second daemon in it is refused at its start.
        let now = SystemClock.now();
        let nothing = Changes {
            now,
            ..Changes::default()
        };
        state.commit(nothing).await?;
    }
    let opened = open(&market, &symbols, (state.as_ref(), &target), environment).await?;
    let settings = settings(&market, &target, opened.checkpoints)?;
    let owner = owner(config, &symbols);
    let sources = owner.sources.clone();
    let specs = config.bars.specs.as_slice();
    let store = settings::store(config, &target, (&market.zone, specs), true, Some(owner)).await?;
    store.sink.open().await?;
    let ports = WriterPorts {
        sink: store.sink,
        state,
        clock: Arc::new(SystemClock),
    };
    let running = settings::keep_late(
        Pipeline::new(opened.feeds, ports, settings),
        config,
        &target,
    )
    .start();
    let health = Arc::new(HealthStatus::new(
        running.handle(),
        opened.views,
        market.profile.trading_hours(),
        Duration::from_secs(config.status.stale_s),
        Arc::new(SystemClock),
    ));
    let care = SideTasks {
        pages: Arc::new(RunPages {
            health: Arc::clone(&health),
            budget: budget(config),
        }),
        health,
        market: &market,
        reloader: opened.reloader,
        sources,
        service: Service::find(environment),
        server: pages,
    };
    let finished = tokio::select! {
        finished = running.join() => finished,
        () = care.mind() => unreachable!("the care never ends"),
    };
    report(&finished, arguments.json, config, &target)?;
    Ok(match finished.end {
        End::Drained => Exit::Drained,
        End::Aborted => Exit::Aborted,
        End::Failed(fault) => complain_of_run("run", &fault),
    })
}

/// Whose bars the run makes: each symbol's are of its own source.
fn owner(config: &Config, symbols: &BTreeMap<SourceName, Vec<Symbol>>) -> Owner {
    let origins: Vec<Origin> = symbols
        .keys()
        .map(|name| source::origin(config, *name))
        .collect();
    let names: Vec<&str> = origins
        .iter()
        .map(|origin| origin.source.as_str())
        .collect();
    let origin = Origin {
        source: names.join("+"),
        rules: settings::rules_text(&config.bars),
    };
    let owner = settings::owner(config, &origin);
    for (origin, symbols) in origins.iter().zip(symbols.values()) {
        owner.sources.add(&origin.source, symbols);
    }
    Owner {
        symbols: symbols.values().flatten().copied().collect(),
        specs: config.bars.specs.as_slice().to_vec(),
        ..owner
    }
}

/// Opens every feed at its start; connects to nothing.
async fn open(
    market: &Market,
    symbols: &BTreeMap<SourceName, Vec<Symbol>>,
    (state, target): (Option<&Arc<dyn StateStore>>, &SinkTarget),
    environment: &Environment,
) -> Result<OpenedLive, CommandError> {
    let Config {
        bars, view, live, ..
    } = &market.config;
    let run = format!(
        "{bars:?} {} {view:?} {}",
        live.sources.as_slice().len(),
        target.address()
    );
    let source = |(name, symbols): (&SourceName, &Vec<Symbol>)| {
        let name = *name;
        LiveSource {
            name: name.to_string(),
            symbols: symbols.clone(),
            checkpoint: state.map(|_| checkpoint_name(&run, name.as_str(), symbols)),
            open: Box::new(move |symbols| {
                Box::pin(async move { live::open(market, name, &symbols, environment) })
            }),
        }
    };
    let sources = symbols.iter().map(source).collect();
    crate::daemon::open(&market.profile, sources, state, SystemClock.now()).await
}

fn settings(
    market: &Market,
    target: &SinkTarget,
    checkpoints: Vec<String>,
) -> Result<PipelineSettings, CommandError> {
    let live = &market.config.live;
    let every = |ms: u64| Duration::from_millis(ms);
    let forming_every = (live.forming_every_ms > 0).then(|| every(live.forming_every_ms));
    let checkpoint_every = (!checkpoints.is_empty()).then(|| every(live.checkpoint_every_ms));
    let mut settings = settings::pipeline(&market.config, &market.zone, LatencyMode::Low)?;
    settings.aggregate.forming = forming_every.is_some();
    let mut sources = live.sources.as_slice().iter();
    settings.aggregate.corrections = sources.any(|name| name.venue().live.has_corrections);
    settings.times = shard_times(forming_every, checkpoint_every);
    settings.writer.checkpoints = checkpoints;
    if !matches!(
        target,
        SinkTarget::Redis { .. } | SinkTarget::Upstash { .. }
    ) {
        // The pace is what a server's plan allows; this machine's own disk and pipes have none.
        settings.writer.pace = PaceSettings::default();
    }
    if let [only] = market.config.live.sources.as_slice() {
        settings.writer.delivery.origin = Some(source::origin(&market.config, *only));
    }
    Ok(settings)
}

/// Listens for the status pages; a port that is taken is no reason to make no bars.
async fn listen(
    config: &Config,
    environment: &Environment,
) -> Result<Option<StatusServer>, CommandError> {
    let Some(address) = config.status.listen.address() else {
        return Ok(None);
    };
    let door = AccessPolicy {
        token: config.status.token(environment)?,
        hosts: config.status.hosts.as_slice().to_vec(),
    };
    match StatusServer::bind(address, door).await {
        Ok(server) => {
            tracing::info!(address = %server.address(), "status pages are served");
            Ok(Some(server))
        }
        Err(StatusError::Listen { address, source }) if source.kind() == ErrorKind::AddrInUse => {
            tracing::warn!(%address, "status pages are off: the port is in use; set status.listen");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn budget(config: &Config) -> Budget {
    let bound = |commands: u64| (commands > 0).then_some(commands);
    Budget {
        commands_per_day: bound(config.writer.commands_per_day),
        commands_per_month: bound(config.writer.commands_per_month),
    }
}

fn report(
    finished: &Finished,
    is_json: bool,
    config: &Config,
    target: &SinkTarget,
) -> Result<(), CommandError> {
    let summary = run_summary(&finished.summary);
    if is_json {
        summary.write_json(&mut stdout())?;
    } else {
        summary.write_text(target, config.view.ttl_s, &mut stderr())?;
    }
    Ok(())
}
