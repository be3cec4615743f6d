//! `barmill reconcile`, and redelivery from the state folder: runs without feeds.

use super::dispatch::{CommandError, complain};
use super::{settings, signals};
use crate::cli::{Exit, ReconcileArguments, SentSummary};
use crate::config::{Config, Environment, SinkTarget};
use crate::daemon::LatencyMode;
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{
    End, Finished, NoStateError, Pipeline, PipelineSettings, Summary, WriterPorts,
};
use crate::port::StateStore;
use jiff::tz::TimeZone;
use std::io::{stderr, stdout};
use std::sync::Arc;

/// The store refuses some of what was sent.
#[derive(Debug, thiserror::Error)]
#[error("the store refuses {items} items; they are in the dead letters of the state folder")]
struct Refused {
    items: u64,
}

/// Compares the recent bars with the store, writes back what it lost, and says what it found and did.
pub(super) async fn run(
    arguments: &ReconcileArguments,
    config: &Config,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let target = SinkTarget::resolve(config, environment)?;
    let zone = settings::zone_of_state(config)?;
    let state = settings::state(config, &target, &zone);
    let finished = send(config, (&target, &zone), state, Pipeline::reconcile).await?;
    let summary = sent(&finished.summary);
    if arguments.json {
        summary.write_json(&mut stdout())?;
    } else {
        summary.write_compared(&target.address(), &mut stderr())?;
    }
    Ok(exit("reconcile", finished))
}

/// Runs a pipeline without feeds on the store of the config, with the given state.
pub(super) async fn send(
    config: &Config,
    (target, zone): (&SinkTarget, &TimeZone),
    state: Option<Arc<dyn StateStore>>,
    build: impl FnOnce(WriterPorts, PipelineSettings) -> Result<Pipeline, NoStateError>,
) -> Result<Finished, CommandError> {
    let mut settings = settings::pipeline(config, zone, LatencyMode::Low)?;
    settings.shards = 1;
    let store = settings::store(
        config,
        target,
        (zone, config.bars.specs.as_slice()),
        true,
        None,
    )
    .await?;
    let ports = WriterPorts {
        sink: store.sink,
        state,
        clock: Arc::new(SystemClock),
    };
    let sink = Arc::clone(&ports.sink);
    let pipeline = build(ports, settings)?;
    sink.open().await?;
    let running = pipeline.start();
    let handle = running.handle();
    Ok(tokio::select! {
        finished = running.join() => finished,
        () = signals::watch(handle) => unreachable!("the watch never ends"),
    })
}

pub(super) fn sent(summary: &Summary) -> SentSummary {
    SentSummary {
        compared: summary.compared,
        lacking: summary.written_back,
        redelivered: summary.redelivered,
        outdated: summary.outdated,
        bars: summary.bars,
        revised: summary.revised,
        spooled: summary.spooled,
        dead_letters: summary.dead_letters,
        requests: summary.requests,
        commands: summary.commands,
        elapsed_ms: u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX),
    }
}

pub(super) fn exit(action: &str, finished: Finished) -> Exit {
    match finished.end {
        End::Drained if finished.summary.dead_letters > 0 => complain(
            action,
            &Refused {
                items: finished.summary.dead_letters,
            },
            Exit::Fault,
        ),
        End::Drained => Exit::Drained,
        End::Aborted => Exit::Aborted,
        End::Failed(fault) => complain(action, &fault, Exit::Fault),
    }
}
