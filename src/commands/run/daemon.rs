//! The daemon's life.

use super::super::dispatch::{CommandError, complain};
use super::super::replay::run_summary;
use super::super::{signals, source, wire};
use super::market::Market;
use super::symbols;
use super::{live, place, tempo};
use barmill::adapter::clock::SystemClock;
use barmill::cli::{Exit, RunArguments};
use barmill::config::{Config, Environment, SinkTarget};
use barmill::pipeline::{End, Finished, PaceSettings, Pipeline, WriterPorts};
use barmill::port::{Clock, TradeFeed};
use std::io::{stderr, stdout};
use std::sync::Arc;

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
    let config = &market.config;
    let state = wire::state(config, &target);
    let (mut feeds, mut places): (Vec<Box<dyn TradeFeed>>, Vec<String>) = (Vec::new(), Vec::new());
    for (name, symbols) in &symbols {
        let place = place::name(config, (*name, symbols), &target.address());
        let start = market.start(SystemClock.now(), place::load(state.as_ref(), &place).await?)?;
        feeds.push(Box::new(live::open(&market, (*name, symbols), start, environment)?));
        places.push(place);
        tracing::info!(source = %name, symbols = symbols.len(), from = %start.time, "live feed starts");
    }
    let mut settings = wire::pipeline(config, &market.zone, wire::Tempo::Live)?;
    tempo::set(&mut settings, config, if state.is_some() { places } else { Vec::new() });
    if !matches!(target, SinkTarget::Redis { .. } | SinkTarget::Upstash { .. }) {
        // The pace is what a server's plan allows; this machine's own disk and pipes have none.
        settings.writer.pace = PaceSettings { commands_per_second: None, requests_per_second: None };
    }
    if symbols.len() == 1 {
        settings.writer.delivery.origin = symbols.keys().next().map(|name| source::origin(config, *name));
    }
    let store = wire::store(config, &target, &market.zone, config.bars.specs.as_slice(), true).await?;
    store.sink.open().await?;
    let ports = WriterPorts { sink: store.sink, state, clock: Arc::new(SystemClock) };
    let running = Pipeline::new(feeds, ports, settings).start();
    let handle = running.handle();
    let finished = tokio::select! {
        finished = running.join() => finished,
        () = signals::watch(handle) => unreachable!("the watch never ends"),
    };
    report(&finished, arguments.json, config, &target)?;
    Ok(match finished.end {
        End::Drained => Exit::Drained,
        End::Aborted => Exit::Aborted,
        End::Failed(fault) => complain("run", &fault, Exit::Fault),
    })
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
