//! `barmill replay`: recorded trades become bars in the sink.

use super::settings::{self, Assembly};
use super::signals;
use crate::Origin;
use crate::cli::exit::{CommandError, Exit, complain};
use crate::cli::flags::{BarFlags, Shared, TakeOverFlag};
use crate::cli::progress::Progress;
use crate::cli::summary;
use crate::config::{Config, Environment, SinkTarget, Speed};
use crate::daemon::LatencyMode;
use crate::model::Symbol;
use crate::pipeline::paced::PacedFeed;
use crate::pipeline::{End, Finished, Handle, ResumeSettings};
use crate::port::TradeFeed;
use barmill_sources::file::{FileFeed, FileFeedSettings, Format, TradeReader};
use clap::Args;
use jiff::tz::TimeZone;
use std::path::PathBuf;
use std::time::Duration;

/// Which recorded trades become which bars.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct ReplayArguments {
    /// Files of trades, plain, .gz, .zst or .zip, in order of time; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[arg(long, help = format!("Format of the files: {} [replay.format]", Format::choices()))]
    format: Option<String>,
    /// Use only these symbols; for files that name no symbol, the symbol of their trades.
    #[arg(long = "symbol", value_name = "A,B", value_delimiter = ',')]
    symbols: Vec<Symbol>,
    /// Rename symbol A of the files to B.
    #[arg(long = "rename", value_name = "A=B", value_delimiter = ',', value_parser = renamed)]
    renames: Vec<(Symbol, Symbol)>,
    #[command(flatten)]
    bars: BarFlags,
    /// Speed of event time: max, or a multiple of real time such as 1x or 60x [replay.speed]
    #[arg(long)]
    speed: Option<String>,
    /// What a row that cannot be decoded does.
    #[arg(
        long,
        value_name = "WHAT",
        help = "What to do with a row that cannot be decoded: stop or skip [replay.on_bad_row]"
    )]
    on_bad_row: Option<String>,
    /// Exit with code 1 if trades came too late for their bars.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    take_over: TakeOverFlag,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Reads `A=B`.
fn renamed(text: &str) -> Result<(Symbol, Symbol), String> {
    let (from, to) = text.split_once('=').ok_or("it is not of the form A=B")?;
    let symbol = |name: &str| {
        let symbol: Result<Symbol, crate::SymbolError> = name.parse();
        symbol.map_err(|error| error.to_string())
    };
    Ok((symbol(from)?, symbol(to)?))
}

/// Time between two looks at the counts for the progress line.
const GLANCE: Duration = Duration::from_millis(100);

/// The order in which a replay gives its updates, part of the name of its checkpoint: a place saved in another order
/// means nothing. To be raised with every change of batches, shards or updates.
const ORDER: u32 = 3;

/// The store has taken everything but some items.
#[derive(Debug, thiserror::Error)]
#[error(
    "the store refused {0} items permanently; they are in the dead letters of the state folder"
)]
struct RefusedError(u64);

/// Trades are in no bar.
#[derive(Debug, thiserror::Error)]
#[error("{0} trades came too late for their bars and are in none (--strict)")]
struct LateError(u64);

/// A signal ended the run before its input was read.
#[derive(Debug, thiserror::Error)]
#[error(
    "stopped after {0} trades; their closed bars are written, and no manifest marks the day complete; run the same \
     command again for the whole"
)]
struct CutShortError(u64);

/// Replays the files and prints what came of it.
pub(super) async fn run(
    arguments: &ReplayArguments,
    config: &Config,
    environment: &Environment,
    progress: &Progress,
) -> Result<Exit, CommandError> {
    let target = config.target(environment)?;
    let (feed, is_us_equity) = open(file_settings(arguments, config)).await?;
    let zone = settings::zone(config, is_us_equity)?;
    let (feed, latency): (Box<dyn TradeFeed>, LatencyMode) = match config.replay.speed {
        Speed::Max => (Box::new(feed), LatencyMode::Throughput),
        Speed::Times(speed) => (
            Box::new(PacedFeed::new(Box::new(feed), speed)),
            LatencyMode::Low,
        ),
    };
    let mut pipeline = settings::pipeline(config, &zone, latency)?;
    let origin = Origin {
        source: "files".to_owned(),
        rules: settings::rules_text(&config.bars),
    };
    let owner = settings::owner(config, &origin);
    pipeline.writer.delivery.origin = Some(origin);
    pipeline.writer.resume = resume(arguments, config, &target, &zone);
    let run = Assembly {
        config,
        target,
        zone,
    };
    let store = run.store(true, Some(owner)).await?;
    store.sink.open().await?;
    let running = run
        .pipeline(store.sink, run.state(), vec![feed], pipeline)
        .start();
    progress.start();
    let show = show(progress, running.handle());
    let finished = signals::join(running, show).await;
    progress.finish();
    summary::print(
        &finished.summary,
        arguments.json,
        &run.target,
        config.view.ttl_s,
    )?;
    ending("replay", finished, arguments.strict)
}

/// The exit code of a run that ends by itself, or what went wrong.
pub(super) fn ending(
    action: &str,
    finished: Finished,
    is_strict: bool,
) -> Result<Exit, CommandError> {
    let summary = finished.summary;
    match finished.end {
        End::Drained if summary.dead_letters > 0 => Err(RefusedError(summary.dead_letters).into()),
        End::Drained if summary.stopped => {
            let error = CutShortError(summary.trades);
            Ok(complain(action, &error, Exit::Aborted))
        }
        End::Drained if is_strict && summary.late > 0 => Err(LateError(summary.late).into()),
        End::Drained => Ok(Exit::Drained),
        End::Aborted => Ok(Exit::Aborted),
        End::Failed(fault) => Err(fault.into()),
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

fn file_settings(arguments: &ReplayArguments, config: &Config) -> FileFeedSettings {
    let symbols = (!arguments.symbols.is_empty()).then(|| arguments.symbols.clone());
    FileFeedSettings {
        format: config.replay.format.format(),
        symbols,
        renames: arguments.renames.clone(),
        on_bad_row: config.replay.on_bad_row,
        batch_len_max: config.replay.batch_len_max,
        ..FileFeedSettings::new(arguments.files.clone())
    }
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
        progress.update(trades, state.writer.bars);
    }
}
