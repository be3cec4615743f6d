//! Reads trades from files in batches, without a runtime.
//!
//! The plain way: one record after another, on the caller's thread. The feed decodes chunks of the files at the same
//! time, see [`super::chunk_queue`], and the tests hold it to what this way gives.

use super::Format;
use super::chunk_queue::ChunkQueue;
use super::container::{Inputs, Source};
use super::error::{BadRow, FileError};
use super::filter::{FileStats, RowFilter};
use super::open_file::OpenFile;
use super::settings::{FileFeedSettings, OnBadRow};
use barmill_core::model::{Timestamp, Trade};
use barmill_core::port::Position;
use std::fmt;
use std::path::Path;

/// Reads files in order, as batches of trades.
///
/// Files are opened when their turn comes. Memory is one block of 512 KiB and one batch, whatever the files
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
pub struct TradeReader {
    settings: FileFeedSettings,
    inputs: Inputs,
    current: Option<OpenFile>,
    filter: RowFilter,
    failed: Option<FileError>,
    ended: bool,
}

impl fmt::Debug for TradeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TradeReader")
            .field("settings", &self.settings)
            .field("stats", &self.filter.stats)
            .finish_non_exhaustive()
    }
}

impl TradeReader {
    /// Reads the files of the settings.
    pub fn new(settings: FileFeedSettings) -> TradeReader {
        let inputs = Inputs::new(&settings);
        TradeReader::of_inputs(inputs, settings)
    }

    /// Reads a stream, plain, gzip or zstd, in place of the files of the settings; `name` stands for it in
    /// errors.
    pub fn from_reader(name: &str, source: Source, settings: FileFeedSettings) -> TradeReader {
        TradeReader::of_inputs(Inputs::of_reader(name, source), settings)
    }

    /// The time of the first trade of one file; `None` where there is none, or none that can be read.
    pub(super) fn first_time(settings: &FileFeedSettings, path: &Path) -> Option<Timestamp> {
        let mut reader = TradeReader::new(FileFeedSettings {
            paths: vec![path.to_owned()],
            on_bad_row: OnBadRow::Stop,
            batch_len_max: 1,
            start: Position(0),
            ..settings.clone()
        });
        // Whatever its symbol; the one that is asked for may come after gigabytes of others.
        reader.filter = RowFilter::new(&FileFeedSettings {
            symbols: None,
            ..reader.settings.clone()
        });
        let first = reader.next()?.ok()?;
        first.first().map(|trade| trade.time)
    }

    fn of_inputs(inputs: Inputs, settings: FileFeedSettings) -> TradeReader {
        let filter = RowFilter::new(&settings);
        TradeReader {
            settings,
            inputs,
            current: None,
            filter,
            failed: None,
            ended: false,
        }
    }

    /// Adds trades to `out` until it holds `batch_len_max`; `false` once there are no more.
    ///
    /// A call may add none and still not be the last: it ends after looking at 262,144 records.
    ///
    /// # Errors
    /// [`FileError`]; trades decoded before it come first, with the call before.
    pub fn fill(&mut self, out: &mut Vec<Trade>) -> Result<bool, FileError> {
        if let Some(error) = self.failed.take() {
            self.ended = true;
            return Err(error);
        }
        if self.ended {
            return Ok(false);
        }
        match self.decode(out) {
            Ok(more) => {
                self.ended = !more;
                Ok(more)
            }
            Err(error) if out.is_empty() => {
                self.ended = true;
                Err(error)
            }
            Err(error) => {
                self.failed = Some(error);
                Ok(true)
            }
        }
    }

    /// Whether the trades of the first input that holds anything are of US equities, whose day is New York's.
    ///
    /// # Errors
    /// As for [`TradeReader::format`].
    pub fn is_us_equity(&mut self) -> Result<bool, FileError> {
        self.format()?;
        Ok(self.current.as_ref().is_some_and(OpenFile::is_us_equity))
    }

    /// Opens the first input that holds anything and tells its format; `None` when there is none.
    ///
    /// # Errors
    /// [`FileError`] when an input cannot be opened or its format cannot be told.
    pub fn format(&mut self) -> Result<Option<Format>, FileError> {
        loop {
            if let Some(file) = &self.current {
                return Ok(Some(file.format()));
            }
            match self.inputs.next()? {
                Some(opened) => self.current = OpenFile::new(opened, &self.settings)?,
                None => return Ok(None),
            }
        }
    }

    fn decode(&mut self, out: &mut Vec<Trade>) -> Result<bool, FileError> {
        let len_max = self.settings.batch_len_max.max(1);
        loop {
            if let Some(file) = &mut self.current {
                let first = out.len();
                let filled = file.fill(&mut self.filter, out, len_max);
                self.filter.rename(&mut out[first..]);
                if filled? {
                    return Ok(true);
                }
                self.current = None;
            }
            match self.inputs.next()? {
                Some(opened) => self.current = OpenFile::new(opened, &self.settings)?,
                None => break,
            }
        }
        self.filter.check_end()?;
        Ok(false)
    }

    pub(super) fn batch_len_max(&self) -> usize {
        self.settings.batch_len_max.max(1)
    }

    /// The files from here on, to be read in chunks, and the filter to add the chunks to.
    pub(super) fn into_queue(self) -> (ChunkQueue, RowFilter) {
        let TradeReader {
            settings,
            inputs,
            current,
            filter,
            ..
        } = self;
        (
            ChunkQueue::new(settings, inputs, current, filter.chunk()),
            filter,
        )
    }

    /// The counts so far.
    pub fn stats(&self) -> FileStats {
        self.filter.stats
    }

    /// The first 20 records that were skipped.
    pub fn bad_rows(&self) -> &[BadRow] {
        self.filter.bad_rows()
    }
}

/// Batches of 1 to `batch_len_max` trades.
impl Iterator for TradeReader {
    type Item = Result<Vec<Trade>, FileError>;

    fn next(&mut self) -> Option<Result<Vec<Trade>, FileError>> {
        let mut batch = Vec::with_capacity(self.settings.batch_len_max.clamp(1, 1 << 16));
        loop {
            match self.fill(&mut batch) {
                Err(error) => return Some(Err(error)),
                Ok(_) if !batch.is_empty() => return Some(Ok(batch)),
                Ok(true) => {}
                Ok(false) => return None,
            }
        }
    }
}
