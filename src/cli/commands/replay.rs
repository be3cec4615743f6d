//! `barmill replay`: recorded trades become bars in the sink.

use super::dispatch::{CommandError, complain, complain_of_run};
use super::{settings, signals};
use crate::Origin;
use crate::cli::{Exit, Progress, ProgressCounts, ReplayArguments, RunSummary};
use crate::config::{Config, Environment, SinkTarget, Speed};
use crate::daemon::LatencyMode;
use crate::pipeline::clock::SystemClock;
use crate::pipeline::paced::PacedFeed;
use crate::pipeline::{
    End, Finished, Handle, PaceSettings, Pipeline, ResumeSettings, Summary, WriterPorts,
};
use crate::port::TradeFeed;
use barmill_sources::file::{FileFeed, FileFeedSettings, OnBadRow, TradeReader};
use jiff::tz::TimeZone;
use std::io::stdout;
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at the counts for the progress line.
const GLANCE: Duration = Duration::from_millis(100);

/// The order in which a replay gives its updates, part of the name of its checkpoint: a place saved in another order
/// means nothing. To be raised with every change of batches, shards or updates.
const ORDER: u32 = 3;

/// The store has taken everything but some items.
#[derive(Debug, thiserror::Error)]
#[error(
    "the store refuses {items} items for good; they are in the dead letters of the state folder"
)]
struct Refused {
    items: u64,
}

/// Trades are in no bar.
#[derive(Debug, thiserror::Error)]
#[error("{trades} trades came too late for their bars and are in none (--strict)")]
struct Late {
    trades: u64,
}

/// A signal ended the run before its input was read.
#[derive(Debug, thiserror::Error)]
#[error(
    "cut short after {trades} trades; what they closed is written, and no manifest calls the day complete; run the same \
     command again for the whole"
)]
struct CutShort {
    trades: u64,
}

/// Replays the files and prints what came of it.
pub(super) async fn run(
    arguments: &ReplayArguments,
    config: &Config,
    environment: &Environment,
    progress: &Progress,
) -> Result<Exit, CommandError> {
    let target = SinkTarget::resolve(config, environment)?;
    let settings = file_settings(arguments, config)?;
    let (feed, is_us_equity) = open(settings).await?;
    let zone = settings::zone(config, is_us_equity)?;
    let (feed, tempo): (Box<dyn TradeFeed>, LatencyMode) = match config.replay.speed {
        Speed::Max => (Box::new(feed), LatencyMode::Throughput),
        Speed::Times(speed) => (
            Box::new(PacedFeed::new(Box::new(feed), speed)),
            LatencyMode::Low,
        ),
    };
    let mut pipeline = settings::pipeline(config, &zone, tempo)?;
    let origin = Origin {
        source: "files".to_owned(),
        rules: settings::rules_text(&config.bars),
    };
    let owner = settings::owner(config, &origin);
    pipeline.writer.delivery.origin = Some(origin);
    pipeline.writer.resume = resume(arguments, config, &target, &zone);
    if !matches!(
        target,
        SinkTarget::Redis { .. } | SinkTarget::Upstash { .. }
    ) {
        // The pace is what a server's plan allows; this machine's own disk and pipes have none.
        pipeline.writer.pace = PaceSettings {
            commands_per_second: None,
            requests_per_second: None,
        };
    }
    let store = settings::store(
        config,
        &target,
        (&zone, config.bars.specs.as_slice()),
        true,
        Some(owner),
    )
    .await?;
    store.sink.open().await?;
    let state = settings::state(config, &target, &zone);
    let ports = WriterPorts {
        sink: store.sink,
        state,
        clock: Arc::new(SystemClock),
    };
    let running =
        settings::keep_late(Pipeline::new(vec![feed], ports, pipeline), config, &target).start();
    let handle = running.handle();
    progress.start(None);
    let finished = tokio::select! {
        finished = running.join() => finished,
        () = signals::watch(handle.clone()) => unreachable!("the watch never ends"),
        () = show(progress, handle) => unreachable!("the show never ends"),
    };
    progress.finish();
    report(&finished, arguments.json, config, &target)?;
    Ok(ending("replay", finished, arguments.strict))
}

/// The exit code of a run that ends by itself; says what went wrong.
pub(super) fn ending(action: &str, finished: Finished, is_strict: bool) -> Exit {
    match finished.end {
        End::Drained if finished.summary.dead_letters > 0 => complain(
            action,
            &Refused {
                items: finished.summary.dead_letters,
            },
            Exit::Fault,
        ),
        End::Drained if finished.summary.stopped => complain(
            action,
            &CutShort {
                trades: finished.summary.trades,
            },
            Exit::Aborted,
        ),
        End::Drained if is_strict && finished.summary.late > 0 => complain(
            action,
            &Late {
                trades: finished.summary.late,
            },
            Exit::Fault,
        ),
        End::Drained => Exit::Drained,
        End::Aborted => Exit::Aborted,
        End::Failed(fault) => complain_of_run(action, &fault),
    }
}

/// Names this replay by everything that decides its updates, so that the same command goes on after a crash.
///
/// A paced replay depends on the clock and starts from the beginning.
fn resume(
    arguments: &ReplayArguments,
    config: &Config,
    target: &SinkTarget,
    zone: &TimeZone,
) -> Option<ResumeSettings> {
    let every = Duration::from_millis(config.run.checkpoint_every_ms);
    if every.is_zero() || config.replay.speed != Speed::Max {
        return None;
    }
    let mut files = String::new();
    for path in &arguments.files {
        let metadata = std::fs::metadata(path).ok()?;
        let modified = metadata
            .modified()
            .ok()?
            .duration_since(std::time::UNIX_EPOCH)
            .ok()?;
        let path = path.canonicalize().ok()?;
        files = format!(
            "{files}{}:{}:{} ",
            path.display(),
            metadata.len(),
            modified.as_nanos()
        );
    }
    let Config {
        bars,
        replay,
        aggregate,
        view,
        ..
    } = config;
    let rules = format!(
        "{bars:?} {replay:?} {aggregate:?} {view:?} {:?}{}",
        arguments.symbols,
        renames(arguments)
    );
    let zone = zone.iana_name().unwrap_or_default();
    Some(ResumeSettings {
        name: format!("replay {ORDER} {files}{} {zone} {rules}", target.address()),
        every,
    })
}

/// The renames in the name of a checkpoint, which is as it ever was without them.
fn renames(arguments: &ReplayArguments) -> String {
    if arguments.renames.is_empty() {
        String::new()
    } else {
        format!(" {:?}", arguments.renames)
    }
}

fn file_settings(
    arguments: &ReplayArguments,
    config: &Config,
) -> Result<FileFeedSettings, CommandError> {
    let on_bad_row: OnBadRow = config.replay.on_bad_row.as_str().parse()?;
    let symbols = (!arguments.symbols.is_empty()).then(|| arguments.symbols.clone());
    Ok(FileFeedSettings {
        format: config.replay.format.format(),
        symbols,
        renames: arguments.renames.clone(),
        on_bad_row,
        batch_len_max: config.replay.batch_len_max,
        ..FileFeedSettings::new(arguments.files.clone())
    })
}

/// Opens the first file to tell whether it is of US equities, which decides the zone; reads may block.
async fn open(settings: FileFeedSettings) -> Result<(FileFeed, bool), CommandError> {
    let start = settings.start;
    let opened = tokio::task::spawn_blocking(move || {
        let mut reader = TradeReader::new(settings);
        let is_us_equity = reader.is_us_equity();
        is_us_equity.map(|is_us_equity| (reader, is_us_equity))
    });
    let (reader, is_us_equity) = opened.await??;
    Ok((FileFeed::from_reader(start, reader), is_us_equity))
}

async fn show(progress: &Progress, handle: Handle) {
    loop {
        tokio::time::sleep(GLANCE).await;
        let state = handle.state();
        let trades = state.feeds.iter().map(|feed| feed.trades).sum();
        progress.update(ProgressCounts {
            trades,
            bars: state.writer.bars,
            bytes: 0,
        });
    }
}

fn report(
    finished: &Finished,
    json: bool,
    config: &Config,
    target: &SinkTarget,
) -> Result<(), CommandError> {
    let summary = run_summary(&finished.summary);
    if json {
        summary.write_json(&mut stdout())?;
    } else {
        // Data is on stdout only where it was asked for; the closing lines are for people.
        summary.write_text(target, config.view.ttl_s, &mut std::io::stderr())?;
    }
    Ok(())
}

pub(super) fn run_summary(summary: &Summary) -> RunSummary {
    RunSummary {
        trades: summary.trades,
        bars: summary.bars,
        late: summary.late,
        duplicates: summary.duplicates,
        ineligible: summary.ineligible,
        volume_only: summary.volume_only,
        malformed: summary.malformed,
        revised: summary.revised,
        requests: summary.requests,
        commands: summary.commands,
        connections: summary.connections,
        retries: summary.retries,
        spooled: summary.spooled,
        dead_letters: summary.dead_letters,
        elapsed_ms: u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX),
    }
}
