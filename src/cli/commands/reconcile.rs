//! `barmill reconcile`, and redelivery from the state folder: runs without feeds.

use super::settings::{self, Assembly};
use super::signals;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::flags::{LeaseFlag, Shared};
use crate::config::{Config, Environment};
use crate::daemon::LatencyMode;
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{
    End, Finished, NoStateError, Pipeline, PipelineSettings, Summary, WriterPorts,
};
use crate::port::StateStore;
use clap::Args;
use indicatif::HumanCount;
use std::io::{Write, stderr, stdout};
use std::sync::Arc;

/// What puts a store right that lost what it had acked.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct ReconcileArguments {
    /// The store to compare and repair [sink.url]
    #[arg(long, value_name = "URL")]
    sink: Option<String>,
    #[command(flatten)]
    lease: LeaseFlag,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// The store refuses some of what was sent.
#[derive(Debug, thiserror::Error)]
#[error("the store refused {0} items; they are in the dead letters of the state folder")]
struct RefusedError(u64);

/// Compares the recent bars with the store, writes back what it lost, and says what it found and did.
pub(super) async fn run(
    arguments: &ReconcileArguments,
    config: &Config,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let target = config.target(environment)?;
    let zone = settings::zone_of_state(config)?;
    let run = Assembly {
        config,
        target,
        zone,
    };
    let finished = send(&run, run.state(), Pipeline::reconcile).await?;
    if arguments.json {
        writeln!(stdout(), "{}", json(&finished.summary))?;
    } else {
        let text = compared(&finished.summary, run.target.address());
        writeln!(stderr(), "{text}")?;
    }
    exit(finished)
}

/// Runs a pipeline without feeds on the store of the config, with the given state.
pub(super) async fn send(
    run: &Assembly<'_>,
    state: Option<Arc<dyn StateStore>>,
    build: impl FnOnce(WriterPorts, PipelineSettings) -> Result<Pipeline, NoStateError>,
) -> Result<Finished, CommandError> {
    let mut settings = settings::pipeline(run.config, &run.zone, LatencyMode::Low)?;
    settings.shards = 1;
    let ports = WriterPorts {
        sink: run.store(true, None).await?.sink,
        state,
        clock: Arc::new(SystemClock),
    };
    let sink = Arc::clone(&ports.sink);
    let pipeline = build(ports, settings)?;
    sink.open().await?;
    Ok(signals::join(pipeline.start(), std::future::pending()).await)
}

pub(super) fn exit(finished: Finished) -> Result<Exit, CommandError> {
    match finished.end {
        End::Drained if finished.summary.dead_letters > 0 => {
            Err(RefusedError(finished.summary.dead_letters).into())
        }
        End::Drained => Ok(Exit::Drained),
        End::Aborted => Ok(Exit::Aborted),
        End::Failed(fault) => Err(fault.into()),
    }
}

/// The counts of a run that sends what the state folder holds. The names are fixed, since scripts rely on them.
pub(super) fn json(summary: &Summary) -> String {
    let counts = [
        ("compared", summary.compared),
        ("lacking", summary.written_back),
        ("redelivered", summary.redelivered),
        ("outdated", summary.outdated),
        ("bars", summary.bars),
        ("revised", summary.revised),
        ("spooled", summary.spooled),
        ("dead_letters", summary.dead_letters),
        ("requests", summary.requests),
        ("commands", summary.commands),
        (
            "elapsed_ms",
            u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX),
        ),
    ];
    let members = counts.map(|(name, count)| format!("\"{name}\":{count}"));
    format!("{{{}}}", members.join(","))
}

/// Says of a comparison with the store at `address` what came of it.
fn compared(summary: &Summary, address: &str) -> String {
    let (compared, lacking) = (
        HumanCount(summary.compared),
        HumanCount(summary.written_back),
    );
    let found = if summary.compared == 0 {
        "No recent bars are kept here: live runs keep those of the last run.recent_s seconds"
            .to_owned()
    } else {
        format!("Compared {compared} recent bars with {address}: {lacking} missing or older")
    };
    format!("{found}\n{}", sent(summary))
}

/// Says what was sent.
pub(super) fn sent(summary: &Summary) -> String {
    let named = [
        ("dead letters sent once more", summary.redelivered),
        ("dead letters dropped, the store has them", summary.outdated),
        ("still in the spool", summary.spooled),
        ("refused", summary.dead_letters),
    ];
    let told = named.into_iter().filter(|(_, count)| *count > 0);
    let told = told.map(|(name, count)| format!(", {} {name}", HumanCount(count)));
    let written = HumanCount(summary.bars + summary.revised);
    format!("Wrote {written} bars{}", told.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::compared;
    use crate::pipeline::Summary;

    fn told(summary: &Summary) -> String {
        compared(summary, "redis://localhost:6379/0") + "\n"
    }

    #[test]
    fn what_was_compared_and_written_is_told_and_the_rest_only_where_there_is_any() {
        let some = Summary {
            compared: 1_490,
            written_back: 3,
            bars: 3,
            ..Summary::default()
        };
        let more = Summary {
            redelivered: 2,
            outdated: 1,
            spooled: 4,
            dead_letters: 5,
            ..some
        };
        insta::assert_snapshot!(told(&some) + &told(&more) + &told(&Summary::default()), @r"
    Compared 1,490 recent bars with redis://localhost:6379/0: 3 missing or older
    Wrote 3 bars
    Compared 1,490 recent bars with redis://localhost:6379/0: 3 missing or older
    Wrote 3 bars, 2 dead letters sent once more, 1 dead letters dropped, the store has them, 4 still in the spool, 5 refused
    No recent bars are kept here: live runs keep those of the last run.recent_s seconds
    Wrote 0 bars
    ");
    }
}
