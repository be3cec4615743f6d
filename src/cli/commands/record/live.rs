//! `barmill record --live`: saves live trades, one recording per UTC day.
//!
//! What came is durable within a second. A crash tears the last block at most, which the next start cuts off before it
//! goes on with the day's recording. What a lost connection missed is fetched; what came while nobody listened is not.

use super::super::{run, settings, signals, source};
use super::{RecordArguments, tell};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::output::print_json;
use crate::config::{Config, Environment, SourceName};
use crate::pipeline::Summary;
use crate::pipeline::clock::SystemClock;
use crate::port::{Clock, ControlEvent, FeedError, TradeBatch, TradeFeed};
use crate::{Timestamp, Trade};
use barmill_sources::file::{FileError, RecordingWriter};
use barmill_sources::live::LiveFeed;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two flushes: the most that a crash forgets.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The recording of the day.
struct Book {
    folder: PathBuf,
    source: SourceName,
    day: Date,
    writer: RecordingWriter,
    trades: u64,
    is_dirty: bool,
}

enum Turn {
    Stop,
    Flush,
    Batch(Result<Option<TradeBatch>, FeedError>),
}

/// Records until a signal, or until the venue refuses.
pub(super) async fn run(
    arguments: &RecordArguments,
    config: &Config,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let asked = &arguments.asked;
    let config = &source::adapted(config, asked.source);
    let zone = settings::zone(config, asked.source.is_us_equity())?;
    let mut feed = run::listen(config, (asked.source, &asked.symbols()), environment)?;
    let started = Instant::now();
    let (folder, name) = (arguments.out.clone(), asked.source);
    let book = tokio::task::spawn_blocking(move || Book::open(&folder, name, today())).await??;
    tracing::info!(source = %name, folder = %arguments.out.display(), "recording starts");
    let (book, failed) = fill(&mut feed, book).await?;
    let trades = book.trades;
    tokio::task::spawn_blocking(move || book.writer.finish()).await??;
    if arguments.json {
        print_json(&Summary {
            trades,
            malformed: feed.stats().malformed,
            elapsed: started.elapsed(),
            ..Summary::default()
        })?;
    } else {
        let files = arguments.out.join(format!("{name}-*.rec"));
        tell(&files.display().to_string(), config, &zone, trades)?;
    }
    failed.map_or(Ok(Exit::Drained), |error| Err(error.into()))
}

async fn fill(
    feed: &mut LiveFeed,
    mut book: Book,
) -> Result<(Book, Option<FeedError>), CommandError> {
    let mut stopped = std::pin::pin!(signals::first());
    let mut flush = interval(FLUSH_EVERY);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let turn = tokio::select! {
            biased;
            () = &mut stopped => Turn::Stop,
            _ = flush.tick() => Turn::Flush,
            batch = feed.next_batch() => Turn::Batch(batch),
        };
        book = match turn {
            Turn::Stop | Turn::Batch(Ok(None)) => return Ok((book, None)),
            Turn::Batch(Err(error)) => return Ok((book, Some(error))),
            Turn::Flush => blocking(book, |book| book.flush(today())).await?,
            Turn::Batch(Ok(Some(batch))) => {
                log_what_is_missing(&batch);
                blocking(book, move |book| book.keep(&batch.trades, today())).await?
            }
        };
    }
}

/// Packing and writing block, so they leave the runtime's workers alone.
async fn blocking(
    mut book: Book,
    work: impl FnOnce(&mut Book) -> Result<(), FileError> + Send + 'static,
) -> Result<Book, CommandError> {
    let worked = tokio::task::spawn_blocking(move || work(&mut book).map(|()| book));
    Ok(worked.await??)
}

/// A recording holds trades alone; gaps and changes go to the log.
fn log_what_is_missing(batch: &TradeBatch) {
    for gap in &batch.gaps {
        let (from, to) = (
            gap.after.time,
            gap.before.map_or(gap.to, |before| before.time),
        );
        tracing::warn!(symbol = %gap.symbol, %from, %to, "trades are missing in the recording");
    }
    for event in &batch.events {
        if let ControlEvent::Change {
            symbol, original, ..
        } = event
        {
            tracing::warn!(%symbol, ?original, "the venue changed a trade; the recording keeps the original");
        }
    }
}

fn today() -> Date {
    date(SystemClock.now())
}

fn date(time: Timestamp) -> Date {
    time.to_jiff().to_zoned(TimeZone::UTC).date()
}

impl Book {
    fn open(folder: &Path, source: SourceName, day: Date) -> Result<Book, FileError> {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|cause| FileError::Open {
            file: folder.display().to_string().into(),
            source: cause,
        })?;
        let writer = RecordingWriter::append(&path(folder, source, day))?;
        Ok(Book {
            folder: folder.to_owned(),
            source,
            day,
            writer,
            trades: 0,
            is_dirty: false,
        })
    }

    /// Appends trades to the recording of the day they were received on.
    fn keep(&mut self, trades: &[Trade], day: Date) -> Result<(), FileError> {
        self.turn(day)?;
        self.writer.write(trades)?;
        self.trades += u64::try_from(trades.len()).unwrap_or(0);
        self.is_dirty |= !trades.is_empty();
        Ok(())
    }

    fn flush(&mut self, day: Date) -> Result<(), FileError> {
        self.turn(day)?;
        if std::mem::take(&mut self.is_dirty) {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Ends the recording of a day that is over and begins the next.
    fn turn(&mut self, day: Date) -> Result<(), FileError> {
        if self.day != day {
            let next = RecordingWriter::append(&path(&self.folder, self.source, day))?;
            std::mem::replace(&mut self.writer, next).finish()?;
            (self.day, self.is_dirty) = (day, false);
        }
        Ok(())
    }
}

fn path(folder: &Path, source: SourceName, day: Date) -> PathBuf {
    folder.join(format!("{source}-{day}.rec"))
}

#[cfg(test)]
mod tests;
