//! Filters decoded trades by symbol, and handles records that are no trades.

use super::error::{BadRow, FileError, Location, RecordError, ValueError};
use super::settings::{FileFeedSettings, OnBadRow};
use barmill_core::model::{Timestamp, Trade};
use std::sync::Arc;

/// Bad rows kept for the report.
pub(super) const BAD_ROWS_MAX: usize = 20;

/// What a reader of files counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileStats {
    /// Trades given, those before the start included.
    pub trades: u64,
    /// Records that are no trades and were skipped on request.
    pub malformed: u64,
    /// Trades of other symbols than asked for.
    pub filtered: u64,
    /// Bytes that a crash left behind the last whole block of recordings.
    pub torn_bytes: u64,
}

/// The filter of one chunk, with what it counted; cloned for each from an unused one.
#[derive(Debug, Clone)]
pub(super) struct RowFilter {
    /// By symbol number.
    wanted: Option<Arc<[bool]>>,
    /// A trade of a later time has not happened yet.
    time_max: Timestamp,
    on_bad_row: OnBadRow,
    /// The first that were skipped.
    pub(super) bad_rows: Vec<BadRow>,
    /// Records seen.
    pub(super) ordinal: u64,
    pub(super) stats: FileStats,
}

impl RowFilter {
    pub(super) fn new(settings: &FileFeedSettings) -> RowFilter {
        let wanted = settings.symbols.as_ref().map(|symbols| {
            let last = symbols.iter().map(|symbol| symbol.index()).max();
            let mut wanted = vec![false; last.map_or(0, |last| last + 1)];
            for symbol in symbols {
                wanted[symbol.index()] = true;
            }
            wanted.into()
        });
        RowFilter {
            wanted,
            time_max: settings.time_max,
            on_bad_row: settings.on_bad_row,
            bad_rows: Vec::new(),
            ordinal: 0,
            stats: FileStats::default(),
        }
    }

    /// Refuses a trade that has not happened yet.
    #[inline]
    pub(super) fn check_time(&self, trade: &Trade) -> Result<(), RecordError> {
        if trade.time <= self.time_max {
            return Ok(());
        }
        Err(self.too_new(trade))
    }

    #[cold]
    fn too_new(&self, trade: &Trade) -> RecordError {
        let reason = ValueError::Future { max: self.time_max };
        RecordError::new("time", trade.time.to_string().as_bytes(), reason)
    }

    /// Whether the trade is of a symbol that is kept.
    #[inline]
    pub(super) fn accepts(&mut self, trade: &Trade) -> bool {
        if let Some(wanted) = &self.wanted
            && !wanted
                .get(trade.symbol.index())
                .is_some_and(|wanted| *wanted)
        {
            self.stats.filtered += 1;
            return false;
        }
        self.stats.trades += 1;
        true
    }

    /// Notes a bad row, or ends the input by it.
    pub(super) fn refuse(
        &mut self,
        file: &Arc<str>,
        location: Location,
        error: RecordError,
    ) -> Result<(), FileError> {
        let row = BadRow::new(file, location, error);
        match self.on_bad_row {
            OnBadRow::Stop => Err(FileError::BadRow(row)),
            OnBadRow::Skip => {
                self.stats.malformed += 1;
                if self.bad_rows.len() < BAD_ROWS_MAX {
                    self.bad_rows.push(row);
                }
                Ok(())
            }
        }
    }
}
