//! `barmill backfill`: a venue's history becomes bars in the sink.

use super::dispatch::CommandError;
use super::dry_run::Would;
use super::plan::{Label, Plan, Step};
use super::replay::{ending, run_summary};
use super::{settings, signals, source};
use crate::cli::{BackfillArguments, Exit, FetchLines, FetchSummary, FetchedDay, Progress, Status};
use crate::config::{Config, Environment, Fill, SinkTarget};
use crate::daemon::LatencyMode;
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{Finished, Pipeline, Summary, WriterPorts};
use crate::port::Clock;
use barmill_sources::history::{Coverage, HistoryFeed, Progress as Fetching};
use barmill_stores::Owner;
use std::io::{stderr, stdout};
use std::sync::Arc;
use std::time::Duration;

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
    let target = SinkTarget::resolve(config, environment)?;
    let zone = settings::zone(config, asked.source.is_us_equity())?;
    let days = source::ask_for_bars(asked, config, &zone)?;
    source::tell_shut(&days, &mut stderr())?;
    let specs = config.bars.specs.as_slice();
    if days.days.is_empty() {
        report(
            &fetched(&Plan::default(), &[], Summary::default(), 0),
            arguments.json,
            None,
        )?;
        return Ok(Exit::Drained);
    }
    // Before anything is opened, so that a missing key is told at once.
    let history = if arguments.dry_run {
        None
    } else {
        Some(source::open(config, asked.source, environment)?)
    };
    let origin = source::origin(config, asked.source);
    let is_new = matches!(&target, SinkTarget::Embedded { dir } if !dir.exists());
    let store = if arguments.dry_run && is_new {
        None
    } else {
        // No bar is cut by the hours asked for, so those of other hours join them.
        let owner = Owner {
            session: None,
            ..settings::owner(config, &origin)
        };
        let create = !arguments.dry_run;
        Some(settings::store(config, &target, (&zone, specs), create, Some(owner)).await?)
    };
    let reader = store.as_ref().and_then(|store| store.reader.as_ref());
    let plan = match reader {
        Some(reader) => {
            let is_filled = config.bars.fill == Fill::PreviousClose;
            let label = Label {
                origin: &origin,
                zone: zone.iana_name().unwrap_or("UTC"),
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
        let view = settings::view_of(config, &zone, specs)?;
        let would = Would::of(&plan, config, asked.source, &view);
        if arguments.json {
            would.write_json(&mut stdout())?;
        } else {
            would.write_text(&mut stdout())?;
        }
        return Ok(Exit::Drained);
    };
    let ranges = plan.ranges();
    if ranges.is_empty() {
        store.sink.close().await?;
        report(
            &fetched(&plan, &[], Summary::default(), 0),
            arguments.json,
            None,
        )?;
        return Ok(Exit::Drained);
    }
    let now = source::settled(&config.source, asked.source, SystemClock.now());
    let feed = HistoryFeed::as_of(&history, ranges, now);
    let fetching = feed.progress();
    let mut settings = settings::pipeline(config, &zone, LatencyMode::Throughput)?;
    settings.writer.delivery.origin = Some(origin);
    let state = settings::state(config, &target, &zone);
    let ports = WriterPorts {
        sink: store.sink,
        state,
        clock: Arc::new(SystemClock),
    };
    let pipeline =
        Pipeline::new(vec![Box::new(feed)], ports, settings).resume(plan.earlier.clone());
    let pipeline = settings::keep_late(pipeline, config, &target);
    let (finished, requests) = follow(pipeline, &fetching, progress).await;
    let fetched = fetched(&plan, &fetching.coverage(), finished.summary, requests);
    report(&fetched, arguments.json, Some((&target, config.view.ttl_s)))?;
    Ok(ending("backfill", finished, arguments.strict))
}

/// Runs the pipeline to its end, with progress on the terminal and an ear for signals.
async fn follow(pipeline: Pipeline, fetching: &Fetching, progress: &Progress) -> (Finished, u64) {
    let running = pipeline.start();
    let handle = running.handle();
    progress.start(None);
    let finished = tokio::select! {
        finished = running.join() => finished,
        () = signals::watch(handle.clone()) => unreachable!("the watch never ends"),
        () = show(progress, fetching) => unreachable!("the show never ends"),
    };
    progress.finish();
    let requests = handle
        .state()
        .feeds
        .iter()
        .map(|feed| feed.stats.requests)
        .sum();
    (finished, requests)
}

async fn show(progress: &Progress, fetching: &Fetching) {
    let mut lines = FetchLines::default();
    loop {
        tokio::time::sleep(GLANCE).await;
        progress.show(&lines.lines(&fetching.coverage(), progress.elapsed()));
    }
}

/// Joins the plan and what became of it; rows that the venue gave twice are duplicates that the pipeline never saw.
fn fetched(plan: &Plan, coverage: &[Coverage], summary: Summary, requests: u64) -> FetchSummary {
    let mut run = run_summary(&summary);
    let duplicates: u64 = coverage.iter().map(|one| one.duplicates).sum();
    (run.trades, run.duplicates) = (run.trades + duplicates, run.duplicates + duplicates);
    let mut coverage = coverage.iter();
    let day = |step: &Step| {
        let (covered_to, status, pages, trades) = match step.range.and_then(|_| coverage.next()) {
            Some(one) => {
                let status = if one.is_complete {
                    Status::Whole
                } else {
                    Status::Incomplete
                };
                (one.covered_to, status, one.pages, one.trades)
            }
            None => (step.day.to, Status::Already, 0, 0),
        };
        let (symbol, date, from, to) = (step.symbol, step.day.date, step.day.from, step.day.to);
        FetchedDay {
            symbol,
            date,
            from,
            to,
            covered_to,
            status,
            pages,
            trades,
        }
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
        fetched.write_json(&mut stdout())?;
        return Ok(());
    }
    if !fetched.days.is_empty() {
        fetched.write_table(&mut stderr())?;
    }
    if let Some((target, ttl_s)) = written {
        fetched.run.write_text(target, ttl_s, &mut stderr())?;
    }
    Ok(())
}
