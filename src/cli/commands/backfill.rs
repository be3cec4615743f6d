//! `barmill backfill`: a venue's history becomes bars in the sink.

mod dry_run;
mod plan;

use super::fetch_report::{FetchSummary, FetchedDay};
use super::replay::ending;
use super::settings::{self, Assembly};
use super::source::AskedArguments;
use super::{signals, source};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::flags::{BarFlags, Shared};
use crate::cli::output::print_json;
use crate::cli::progress::{FetchLines, Progress};
use crate::cli::summary::closing;
use crate::config::{Config, Environment, SinkTarget};
use crate::daemon::LatencyMode;
use crate::engine::aggregate::Fill;
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{Finished, Pipeline, Summary};
use crate::port::Clock;
use barmill_sources::history::{Coverage, HistoryFeed, Progress as Fetching};
use barmill_stores::{Owner, SinkUrl};
use clap::Args;
use dry_run::DryRun;
use plan::{Label, Plan, Step};
use std::io::{Write, stderr, stdout};
use std::time::Duration;

/// Which history becomes which bars.
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct BackfillArguments {
    /// What to fetch.
    #[command(flatten)]
    asked: AskedArguments,
    #[command(flatten)]
    bars: BarFlags,
    /// Fetch again days that are already complete in the sink.
    #[arg(long)]
    force: bool,
    /// Exit with code 1 if trades came too late for their bars.
    #[arg(long)]
    strict: bool,
    /// Print what would be fetched and written; fetch and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Time between two looks at the counts for the progress lines.
const GLANCE: Duration = Duration::from_millis(200);

/// Fetches what the sink does not have and prints what came of it.
pub(super) async fn run(
    arguments: &BackfillArguments,
    config: &Config,
    environment: &Environment,
    progress: &Progress,
) -> Result<Exit, CommandError> {
    let asked = &arguments.asked;
    let config = &source::adapted(config, asked.source);
    let target = config.target(environment)?;
    let zone = settings::zone(config, asked.source.is_us_equity())?;
    let days = source::ask_for_bars(asked, config, &zone)?;
    source::tell_shut(&days, &mut stderr())?;
    let specs = config.bars.specs.as_slice();
    if days.days.is_empty() {
        report(&FetchSummary::default(), arguments.json, None)?;
        return Ok(Exit::Drained);
    }
    // Before anything is opened, so that a missing key is told at once.
    let history = if arguments.dry_run {
        None
    } else {
        Some(source::open(config, asked.source, environment)?)
    };
    let origin = source::origin(config, asked.source);
    let is_new = matches!(target.url(), SinkUrl::Embedded(dir) if !dir.exists());
    let run = Assembly {
        config,
        target,
        zone,
    };
    let store = if arguments.dry_run && is_new {
        None
    } else {
        // No bar is cut by the hours asked for, so those of other hours join them.
        let owner = Owner {
            session: None,
            ..settings::owner(config, &origin)
        };
        Some(run.store(!arguments.dry_run, Some(owner)).await?)
    };
    let reader = store.as_ref().and_then(|store| store.reader.as_ref());
    let plan = match reader {
        Some(reader) => {
            let is_filled = config.bars.fill == Fill::PreviousClose;
            let label = Label {
                origin: &origin,
                zone: run.zone.iana_name().unwrap_or("UTC"),
                is_filled,
            };
            Plan::made(
                &asked.symbols(),
                &days.days,
                specs,
                (reader, label),
                arguments.force,
            )
            .await?
        }
        None => Plan::anew(&asked.symbols(), &days.days),
    };
    let (Some(history), Some(store)) = (history, store) else {
        let view = settings::view_of(config, &run.zone, specs)?;
        let would = DryRun::of(&plan, config, asked.source, &view);
        if arguments.json {
            print_json(&would)?;
        } else {
            would.write_text(&mut stdout())?;
        }
        return Ok(Exit::Drained);
    };
    let ranges = plan.ranges();
    if ranges.is_empty() {
        store.sink.close().await?;
        let nothing = fetched(&plan, &[], Summary::default(), 0);
        report(&nothing, arguments.json, None)?;
        return Ok(Exit::Drained);
    }
    let now = source::settled(&config.source, asked.source, SystemClock.now());
    let feed = HistoryFeed::as_of(&history, ranges, now);
    let fetching = feed.progress();
    let mut settings = settings::pipeline(config, &run.zone, LatencyMode::Throughput)?;
    settings.writer.delivery.origin = Some(origin);
    let pipeline = run.pipeline(store.sink, run.state(), vec![Box::new(feed)], settings);
    let pipeline = pipeline.resume(plan.earlier.clone());
    let (finished, requests) = follow(pipeline, &fetching, progress).await;
    let fetched = fetched(&plan, &fetching.coverage(), finished.summary, requests);
    report(
        &fetched,
        arguments.json,
        Some((&run.target, config.view.ttl_s)),
    )?;
    ending("backfill", finished, arguments.strict)
}

/// Runs the pipeline to its end, with progress on the terminal and an ear for signals.
async fn follow(pipeline: Pipeline, fetching: &Fetching, progress: &Progress) -> (Finished, u64) {
    let running = pipeline.start();
    let handle = running.handle();
    progress.start();
    let finished = signals::join(running, show(progress, fetching)).await;
    progress.finish();
    let feeds = handle.state().feeds;
    (finished, feeds.iter().map(|feed| feed.stats.requests).sum())
}

async fn show(progress: &Progress, fetching: &Fetching) {
    let mut lines = FetchLines::default();
    loop {
        tokio::time::sleep(GLANCE).await;
        progress.show(&lines.text(&fetching.coverage(), progress.elapsed()));
    }
}

/// Joins the plan and what became of it; rows that the venue gave twice are duplicates that the pipeline never saw.
fn fetched(plan: &Plan, coverage: &[Coverage], mut run: Summary, requests: u64) -> FetchSummary {
    let duplicates: u64 = coverage.iter().map(|one| one.duplicates).sum();
    (run.trades, run.duplicates) = (run.trades + duplicates, run.duplicates + duplicates);
    let mut coverage = coverage.iter();
    let day = |step: &Step| {
        let fetched = step.range.and_then(|_| coverage.next());
        FetchedDay::of(step.symbol, &step.day, fetched)
    };
    let days = plan.steps.iter().map(day).collect();
    FetchSummary {
        run,
        source_requests: requests,
        days,
    }
}

fn report(
    fetched: &FetchSummary,
    is_json: bool,
    written: Option<(&SinkTarget, u64)>,
) -> Result<(), CommandError> {
    if is_json {
        print_json(fetched)?;
        return Ok(());
    }
    if !fetched.days.is_empty() {
        writeln!(stderr(), "{}", fetched.text())?;
    }
    if let Some((target, ttl_s)) = written {
        writeln!(stderr(), "{}", closing(&fetched.run, target, ttl_s))?;
    }
    Ok(())
}
