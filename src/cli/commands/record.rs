//! `barmill record`: saves a venue's history in a recording.
//!
//! What is on disk survives a crash: a recording without its mark of an orderly end is readable up to its last whole
//! block. The mark is written only when everything asked for is in it.

mod live;

use super::fetch_report::{FetchSummary, FetchedDay};
use super::source::AskedArguments;
use super::{settings, signals, source};
use crate::Trade;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::flags::Shared;
use crate::cli::output::print_json;
use crate::cli::progress::{FetchLines, Progress};
use crate::config::{Config, Environment, Session};
use crate::engine::requested::RequestedDay;
use crate::pipeline::Summary;
use crate::pipeline::clock::SystemClock;
use crate::port::{Clock, FeedError, TradeFeed};
use crate::source::venue::ranges;
use barmill_sources::file::{FileError, RecordingWriter};
use barmill_sources::history::{Coverage, HistoryFeed};
use clap::Args;
use std::io::{Write, stderr};
use std::path::PathBuf;
use tokio::time::Instant;

/// What is kept as a recording.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct RecordArguments {
    /// What to fetch.
    #[command(flatten)]
    asked: AskedArguments,
    /// Time of day to fetch: all-hours, pre, regular, post, all or HH:MM-HH:MM [bars.session]
    #[arg(long)]
    session: Option<String>,
    /// Record live trades until SIGTERM, instead of history.
    #[arg(long, group = "asked", conflicts_with = "session")]
    live: bool,
    /// The recording to write; it must not exist. With --live, a folder with a recording per UTC day.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// How a recording ended.
enum Ending {
    Whole,
    Stopped,
    Failed(FeedError),
}

/// Fetches the days and prints what came of it.
pub(super) async fn run(
    arguments: &RecordArguments,
    config: &Config,
    environment: &Environment,
    progress: &Progress,
) -> Result<Exit, CommandError> {
    if arguments.live {
        return live::run(arguments, config, environment).await;
    }
    let asked = &arguments.asked;
    let config = &source::adapted(config, asked.source);
    let zone = settings::zone(config, asked.source.is_us_equity())?;
    let days = source::ask(asked, config, &zone)?;
    source::tell_shut(&days, &mut stderr())?;
    if days.days.is_empty() {
        if arguments.json {
            print_json(&FetchSummary::default())?;
        }
        return Ok(Exit::Drained);
    }
    let history = source::open(config, asked.source, environment)?;
    let ranges = ranges(&asked.symbols(), &days.days);
    let now = source::settled(&config.source, asked.source, SystemClock.now());
    let mut feed = HistoryFeed::as_of(&history, ranges, now);
    let started = Instant::now();
    let writer = RecordingWriter::create(&arguments.out)?;
    progress.start();
    let (mut writer, ending) = fetch(&mut feed, writer, progress).await?;
    progress.finish();
    let coverage = feed.coverage();
    let is_whole = matches!(ending, Ending::Whole) && coverage.iter().all(|one| one.is_complete);
    tokio::task::spawn_blocking(move || {
        if is_whole {
            writer.finish()
        } else {
            writer.flush()
        }
    })
    .await??;
    let duplicates = coverage.iter().map(|one| one.duplicates).sum();
    let run = Summary {
        trades: coverage.iter().map(|one| one.trades + one.duplicates).sum(),
        duplicates,
        malformed: feed.stats().malformed,
        elapsed: started.elapsed(),
        ..Summary::default()
    };
    let fetched = FetchSummary {
        run,
        source_requests: feed.stats().requests,
        days: rows(&coverage, &days.days),
    };
    if arguments.json {
        print_json(&fetched)?;
    } else {
        writeln!(stderr(), "{}", fetched.text())?;
        tell(
            &arguments.out.display().to_string(),
            config,
            &zone,
            fetched.run.trades - duplicates,
        )?;
    }
    match ending {
        Ending::Whole | Ending::Stopped => Ok(Exit::Drained),
        Ending::Failed(error) => Err(error.into()),
    }
}

async fn fetch(
    feed: &mut HistoryFeed,
    mut writer: RecordingWriter,
    progress: &Progress,
) -> Result<(RecordingWriter, Ending), CommandError> {
    let mut stopped = std::pin::pin!(signals::first());
    let mut lines = FetchLines::default();
    loop {
        let batch = tokio::select! {
            biased;
            () = &mut stopped => return Ok((writer, Ending::Stopped)),
            batch = feed.next_batch() => batch,
        };
        match batch {
            Ok(Some(batch)) => writer = write(writer, batch.trades).await?,
            Ok(None) => return Ok((writer, Ending::Whole)),
            Err(error) => return Ok((writer, Ending::Failed(error))),
        }
        progress.show(&lines.text(&feed.coverage(), progress.elapsed()));
    }
}

/// Packing and writing block, so they leave the runtime's workers alone.
async fn write(
    mut writer: RecordingWriter,
    trades: Vec<Trade>,
) -> Result<RecordingWriter, CommandError> {
    let writing = tokio::task::spawn_blocking(move || {
        let written: Result<(), FileError> = writer.write(&trades);
        written.map(|()| writer)
    });
    Ok(writing.await??)
}

fn rows(coverage: &[Coverage], days: &[RequestedDay]) -> Vec<FetchedDay> {
    let row = |one: &Coverage| {
        let day = days.iter().find(|day| day.from == one.range.from)?;
        Some(FetchedDay::of(one.range.symbol, day, Some(one)))
    };
    coverage.iter().filter_map(row).collect()
}

/// Says how to make the bars that a backfill would have made: a recording does not name its source.
fn tell(
    files: &str,
    config: &Config,
    zone: &jiff::tz::TimeZone,
    trades: u64,
) -> std::io::Result<()> {
    let session = config.bars.session;
    let session = if session == Session::ALL_HOURS {
        String::new()
    } else {
        format!(" --session {session}")
    };
    writeln!(
        stderr(),
        "Recorded {trades} trades; for their bars: barmill replay {files} --rules {} --set bars.zone={}{session}",
        config.bars.rules,
        zone.iana_name().unwrap_or("UTC"),
    )
}
