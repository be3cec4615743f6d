//! The daemon's life.

use super::super::dispatch::{CommandError, complain};
use super::super::replay::run_summary;
use super::super::{source, wire};
use super::care::{Care, Service};
use super::market::Market;
use super::metrics::Budget;
use super::pulse::Pulse;
use super::standing::{SourceView, Standing};
use super::{live, place, symbols, tempo};
use crate::Symbol;
use crate::cli::{Exit, RunArguments};
use crate::config::{Config, Environment, SinkTarget, SourceName};
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{
    End, Finished, Handle, PaceSettings, Pipeline, PipelineSettings, WriterPorts,
};
use crate::port::{Clock, StateStore, TradeFeed};
use crate::status::server::{Door, StatusError, StatusServer};
use barmill_sources::live::Reloader;
use std::collections::BTreeMap;
use std::io::{ErrorKind, stderr, stdout};
use std::sync::{Arc, Mutex};

/// The feeds of a run, and what is kept of each.
#[derive(Default)]
struct Feeds {
    all: Vec<Box<dyn TradeFeed>>,
    views: Vec<SourceView>,
    reloaders: BTreeMap<SourceName, Reloader>,
    /// The names of their saved places.
    places: Vec<String>,
}

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
    let state = wire::state(config, &target, &market.zone);
    let opened = open(&market, &symbols, (state.as_ref(), &target), environment).await?;
    let settings = settings(
        &market,
        &target,
        if state.is_some() {
            opened.places
        } else {
            Vec::new()
        },
    )?;
    let store = wire::store(
        config,
        &target,
        &market.zone,
        config.bars.specs.as_slice(),
        true,
    )
    .await?;
    store.sink.open().await?;
    let ports = WriterPorts {
        sink: store.sink,
        state,
        clock: Arc::new(SystemClock),
    };
    let running =
        wire::keep_late(Pipeline::new(opened.all, ports, settings), config, &target).start();
    let care = Care {
        standing: Arc::new(standing(&market, running.handle(), opened.views)),
        market: &market,
        reloaders: opened.reloaders,
        service: Service::find(environment),
        pages,
    };
    let finished = tokio::select! {
        finished = running.join() => finished,
        () = care.mind() => unreachable!("the care never ends"),
    };
    report(&finished, arguments.json, config, &target)?;
    Ok(match finished.end {
        End::Drained => Exit::Drained,
        End::Aborted => Exit::Aborted,
        End::Failed(fault) => complain("run", &fault, Exit::Fault),
    })
}

/// Opens every feed at its start; connects to nothing.
async fn open(
    market: &Market,
    symbols: &BTreeMap<SourceName, Vec<Symbol>>,
    (state, target): (Option<&Arc<dyn StateStore>>, &SinkTarget),
    environment: &Environment,
) -> Result<Feeds, CommandError> {
    let mut opened = Feeds::default();
    for (name, symbols) in symbols {
        let place = place::name(&market.config, (*name, symbols), &target.address());
        let saved = place::load(state, &place).await?;
        let start = market.start(SystemClock.now(), saved)?;
        let feed = live::open(market, (*name, symbols), start, environment)?;
        tracing::info!(
            source = %name,
            symbols = symbols.len(),
            from = %start.time,
            resumed = saved.is_some(),
            "live feed starts"
        );
        opened.views.push(SourceView {
            name: name.as_str(),
            stats: Box::new(feed.live_stats()),
        });
        opened.reloaders.insert(*name, feed.reloader());
        opened.all.push(Box::new(feed));
        opened.places.push(place);
    }
    Ok(opened)
}

fn settings(
    market: &Market,
    target: &SinkTarget,
    places: Vec<String>,
) -> Result<PipelineSettings, CommandError> {
    let mut settings = wire::pipeline(&market.config, &market.zone, wire::Tempo::Live)?;
    tempo::set(&mut settings, &market.config, places);
    if !matches!(
        target,
        SinkTarget::Redis { .. } | SinkTarget::Upstash { .. }
    ) {
        // The pace is what a server's plan allows; this machine's own disk and pipes have none.
        settings.writer.pace = PaceSettings {
            commands_per_second: None,
            requests_per_second: None,
        };
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
    let door = Door {
        token: config.status.token(environment)?,
        hosts: config.status.hosts.as_slice().to_vec(),
    };
    match StatusServer::bind(address, door).await {
        Ok(server) => {
            tracing::info!(address = %server.address(), "status pages are served");
            Ok(Some(server))
        }
        Err(StatusError::Listen { address, source }) if source.kind() == ErrorKind::AddrInUse => {
            tracing::warn!(%address, "status pages are not served, the port is taken; set status.listen");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn standing(market: &Market, handle: Handle, sources: Vec<SourceView>) -> Standing {
    let writer = &market.config.writer;
    let bound = |commands: u64| (commands > 0).then_some(commands);
    Standing {
        handle,
        sources,
        hours: market.trading_hours(),
        stale_s: market.config.status.stale_s,
        started: SystemClock.now(),
        clock: Arc::new(SystemClock),
        budget: Budget {
            commands_per_day: bound(writer.commands_per_day),
            commands_per_month: bound(writer.commands_per_month),
        },
        pulse: Mutex::new(Pulse::new()),
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
