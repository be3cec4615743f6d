//! Reads trades from files in batches, without a runtime.
//!
//! The plain way: one record after another, on the caller's thread. The feed decodes chunks of the files at the same
//! time, and the tests hold it to what this way gives.

use super::Format;
use super::chunk_joiner::ChunkJoiner;
use super::chunk_queue::ChunkQueue;
use super::container::{Inputs, Source};
use super::error::{BadRow, FileError};
use super::filter::{FileStats, RowFilter};
use super::open_file::OpenFile;
use super::settings::{FileFeedSettings, OnBadRow};
use barmill_core::model::{Timestamp, Trade};
use barmill_core::port::Position;
use std::path::Path;
use std::vec::IntoIter;

/// Reads files in order, as batches of trades.
///
/// Files are opened when their turn comes. Memory is one block of 512 KiB and two batches, whatever the files
/// hold. After an error the reader has ended; what it gave before stays valid.
///
/// ```no_run
/// use barmill_sources::file::{FileFeedSettings, TradeReader};
/// let settings = FileFeedSettings::new(vec!["examples/data/sample-trades.csv".into()]);
/// for batch in TradeReader::new(settings) {
///     assert!(!batch?.is_empty());
/// }
/// # Ok::<(), barmill_sources::file::FileError>(())
/// ```
#[derive(Debug)]
pub struct TradeReader {
    queue: ChunkQueue,
    joiner: ChunkJoiner,
    ready: IntoIter<Trade>,
    failed: Option<FileError>,
    is_ended: bool,
}

impl TradeReader {
    /// Reads the files of the settings.
    pub fn new(settings: FileFeedSettings) -> TradeReader {
        let inputs = Inputs::new(&settings, first_time);
        let filter = RowFilter::new(&settings);
        TradeReader::of(settings, inputs, filter)
    }

    /// Reads a stream, plain, gzip or zstd, in place of the files of the settings; `name` stands for it in
    /// errors.
    pub fn from_reader(name: &str, source: Source, settings: FileFeedSettings) -> TradeReader {
        let filter = RowFilter::new(&settings);
        TradeReader::of(settings, Inputs::of_reader(name, source), filter)
    }

    fn of(settings: FileFeedSettings, inputs: Inputs, filter: RowFilter) -> TradeReader {
        TradeReader {
            joiner: ChunkJoiner::new(&settings),
            queue: ChunkQueue::new(settings, inputs, filter),
            ready: Vec::new().into_iter(),
            failed: None,
            is_ended: false,
        }
    }

    /// Adds trades to `out` until it holds `batch_len_max`; `false` once there are no more.
    ///
    /// # Errors
    /// [`FileError`]; trades decoded before it come first, with the call before.
    pub fn fill(&mut self, out: &mut Vec<Trade>) -> Result<bool, FileError> {
        let len_max = self.queue.settings().batch_len_max.max(1);
        loop {
            let room = len_max.saturating_sub(out.len());
            out.extend(self.ready.by_ref().take(room));
            if len_max <= out.len() {
                return Ok(true);
            }
            if self.failed.is_some() && !out.is_empty() {
                return Ok(true);
            }
            if let Some(error) = self.failed.take() {
                self.is_ended = true;
                return Err(error);
            }
            if self.is_ended {
                return Ok(false);
            }
            if let Some(chunk) = self.queue.next_plain() {
                let (trades, error) = self.joiner.join(chunk);
                (self.ready, self.failed) = (trades.into_iter(), error);
            } else {
                self.is_ended = true;
                self.failed = self.joiner.check_end().err();
            }
        }
    }

    /// Whether the trades of the first input that holds anything are of US equities, whose day is New York's.
    ///
    /// # Errors
    /// As for [`TradeReader::format`].
    pub fn is_us_equity(&mut self) -> Result<bool, FileError> {
        Ok(self.queue.file()?.is_some_and(OpenFile::is_us_equity))
    }

    /// Opens the first input that holds anything and tells its format; `None` when there is none.
    ///
    /// # Errors
    /// [`FileError`] when an input cannot be opened or its format cannot be told.
    pub fn format(&mut self) -> Result<Option<Format>, FileError> {
        Ok(self.queue.file()?.map(|file| file.format))
    }

    /// The files from here on, to be read in chunks, and what joins the chunks.
    pub(super) fn into_parts(self) -> (ChunkQueue, ChunkJoiner) {
        (self.queue, self.joiner)
    }

    /// The counts so far.
    pub fn stats(&self) -> FileStats {
        self.joiner.stats()
    }

    /// The first 20 records that were skipped.
    pub fn bad_rows(&self) -> &[BadRow] {
        self.joiner.bad_rows()
    }
}

/// Batches of 1 to `batch_len_max` trades.
impl Iterator for TradeReader {
    type Item = Result<Vec<Trade>, FileError>;

    fn next(&mut self) -> Option<Result<Vec<Trade>, FileError>> {
        let batch_len_max = self.queue.settings().batch_len_max;
        let mut batch = Vec::with_capacity(batch_len_max.clamp(1, 1 << 16));
        match self.fill(&mut batch) {
            Err(error) => Some(Err(error)),
            Ok(_) if !batch.is_empty() => Some(Ok(batch)),
            Ok(_) => None,
        }
    }
}

/// The time of the first trade of one file; `None` where there is none, or none that can be read.
fn first_time(settings: &FileFeedSettings, path: &Path) -> Option<Timestamp> {
    let settings = FileFeedSettings {
        paths: vec![path.to_owned()],
        on_bad_row: OnBadRow::Stop,
        batch_len_max: 1,
        start: Position(0),
        ..settings.clone()
    };
    // Whatever its symbol; the one that is asked for may come after gigabytes of others.
    let filter = RowFilter::new(&FileFeedSettings {
        symbols: None,
        ..settings.clone()
    });
    let inputs = Inputs::new(&settings, first_time);
    let first = TradeReader::of(settings, inputs, filter).next()?.ok()?;
    first.first().map(|trade| trade.time)
}
