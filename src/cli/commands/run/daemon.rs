//! Starts the daemon and waits for its end.

use super::super::settings::{self, Assembly};
use super::super::source;
use super::market::Market;
use super::pages::RunPages;
use super::side_tasks::{Service, SideTasks};
use super::{live, symbols};
use crate::cli::exit::{CommandError, Exit, complain, usage};
use crate::cli::flags::{BarFlags, Shared, TakeOverFlag};
use crate::cli::summary;
use crate::config::{Config, Environment, SinkTarget, SourceName, source_choices};
use crate::daemon::{
    HealthStatus, LatencyMode, LiveSource, OpenedLive, checkpoint_name, shard_times,
};
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{End, PipelineSettings};
use crate::port::{Changes, Clock, StateStore};
use crate::status::server::{AccessPolicy, StatusError, StatusServer};
use crate::{Origin, Symbol};
use barmill_stores::Owner;
use clap::Args;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// What the daemon listens to, and where its bars go.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct RunArguments {
    #[arg(
        help = format!(
            "Venues of the live trades: {}, or several of them [live.sources]",
            source_choices()
        ),
        long = "source", value_name = "A,B", value_delimiter = ','
    )]
    sources: Vec<String>,
    /// Symbols as the source spells them; with several sources SOURCE:SYMBOL [live.symbols]
    #[arg(long = "symbol", value_name = "A,B", value_delimiter = ',')]
    symbols: Vec<String>,
    /// A file of symbols.
    #[arg(
        long,
        value_name = "FILE",
        help = "A file of symbols, one per line [live.symbols_file]"
    )]
    symbols_file: Option<String>,
    /// Where a first start begins.
    #[arg(
        long,
        value_name = "WHEN",
        help = "Where a first start begins: day (the session's opening, or midnight), none, or a duration such as 6h \
                [live.catch_up]"
    )]
    catch_up: Option<String>,
    #[command(flatten)]
    bars: BarFlags,
    #[command(flatten)]
    take_over: TakeOverFlag,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Runs until it is stopped, and prints what came of it.
pub(in super::super) async fn run(
    arguments: &RunArguments,
    config: &Config,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let target = config.target(environment)?;
    let market = Market::of(config).map_err(usage)?;
    let symbols = match symbols::read(config) {
        Ok(symbols) => symbols,
        Err(error) => return Ok(complain("read the symbols", error.as_ref(), Exit::Usage)),
    };
    let server = listen(config, environment).await.map_err(usage)?;
    let config = &market.config;
    symbols::check(config, &symbols, environment)
        .await
        .map_err(usage)?;
    let run = Assembly {
        config,
        target,
        zone: market.zone.clone(),
    };
    let state = run.state();
    if let Some(state) = &state {
        // Takes the folder now, so that a second daemon in it is refused at its start.
        let now = SystemClock.now();
        let nothing = Changes {
            now,
            ..Changes::default()
        };
        state.commit(nothing).await?;
    }
    let opened = open(
        &market,
        &symbols,
        (state.as_ref(), &run.target),
        environment,
    )
    .await?;
    let settings = settings(&market, opened.checkpoints)?;
    let owner = owner(config, &symbols);
    let sources = owner.sources.clone();
    let store = run.store(true, Some(owner)).await?;
    store.sink.open().await?;
    let running = run
        .pipeline(store.sink, state, opened.feeds, settings)
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
            budget: settings::budget(&config.writer),
        }),
        health,
        market: &market,
        reloader: opened.reloader,
        sources,
        service: Service::find(environment),
        server,
    };
    let finished = tokio::select! {
        finished = running.join() => finished,
        () = care.mind() => unreachable!("the care never ends"),
    };
    summary::print(
        &finished.summary,
        arguments.json,
        &run.target,
        config.view.ttl_s,
    )?;
    match finished.end {
        End::Drained => Ok(Exit::Drained),
        End::Aborted => Ok(Exit::Aborted),
        End::Failed(fault) => Err(fault.into()),
    }
}

/// Whose bars the run makes: each symbol's are of its own source.
fn owner(config: &Config, symbols: &BTreeMap<SourceName, Vec<Symbol>>) -> Owner {
    let origins: Vec<Origin> = symbols
        .keys()
        .map(|name| source::origin(config, name))
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
            checkpoint: state.map(|_| checkpoint_name(&run, name.name, symbols)),
            open: Box::new(move |symbols| {
                Box::pin(async move { live::open(market, name, &symbols, environment) })
            }),
        }
    };
    let sources = symbols.iter().map(source).collect();
    crate::daemon::open(&market.profile, sources, state, SystemClock.now()).await
}

fn settings(market: &Market, checkpoints: Vec<String>) -> Result<PipelineSettings, CommandError> {
    let live = &market.config.live;
    let every = |ms: u64| Duration::from_millis(ms);
    let forming_every = (live.forming_every_ms > 0).then(|| every(live.forming_every_ms));
    let checkpoint_every = (!checkpoints.is_empty()).then(|| every(live.checkpoint_every_ms));
    let mut settings = settings::pipeline(&market.config, &market.zone, LatencyMode::Low)?;
    settings.aggregate.forming = forming_every.is_some();
    let mut sources = live.sources.as_slice().iter();
    settings.aggregate.corrections = sources.any(|name| name.live.has_corrections);
    settings.times = shard_times(forming_every, checkpoint_every);
    settings.writer.checkpoints = checkpoints;
    if let [only] = market.config.live.sources.as_slice() {
        settings.writer.delivery.origin = Some(source::origin(&market.config, only));
    }
    Ok(settings)
}

/// Listens for the status pages; a port that is taken is no reason to make no bars.
async fn listen(
    config: &Config,
    environment: &Environment,
) -> Result<Option<StatusServer>, CommandError> {
    let Some(address) = config.status.listen else {
        return Ok(None);
    };
    let door = AccessPolicy {
        token: config.status.token(environment)?,
        hosts: config.status.hosts.0.clone(),
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
