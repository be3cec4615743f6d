//! Which decoded trades are delivered, and what is counted of the others.

use super::error::{BadRow, Fault, FileError, Place};
use super::settings::{FileFeedSettings, OnBadRow};
use crate::model::Trade;
use std::sync::Arc;

/// Bad rows kept for the report.
const BAD_ROWS_MAX: usize = 20;

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

/// The filter between decoders and batches.
#[derive(Debug)]
pub(super) struct Sift {
    /// By symbol number.
    wanted: Option<Vec<bool>>,
    start: u64,
    on_bad_row: OnBadRow,
    bad_rows: Vec<BadRow>,
    /// Records seen in all files.
    pub(super) ordinal: u64,
    pub(super) stats: FileStats,
}

impl Sift {
    pub(super) fn new(settings: &FileFeedSettings) -> Sift {
        let wanted = settings.symbols.as_ref().map(|symbols| {
            let len = symbols.iter().map(|symbol| symbol.index() + 1).max().unwrap_or(0);
            let mut wanted = vec![false; len];
            for symbol in symbols {
                wanted[symbol.index()] = true;
            }
            wanted
        });
        Sift {
            wanted,
            start: settings.start.0,
            on_bad_row: settings.on_bad_row,
            bad_rows: Vec::new(),
            ordinal: 0,
            stats: FileStats::default(),
        }
    }

    /// Whether the trade is to be delivered.
    pub(super) fn accepts(&mut self, trade: &Trade) -> bool {
        if let Some(wanted) = &self.wanted
            && !wanted.get(trade.symbol.index()).is_some_and(|wanted| *wanted)
        {
            self.stats.filtered += 1;
            return false;
        }
        self.stats.trades += 1;
        self.start < self.stats.trades
    }

    /// Notes a bad row, or ends the input by it.
    pub(super) fn refuse(&mut self, file: &Arc<str>, place: Place, fault: Fault) -> Result<(), FileError> {
        let row = BadRow::new(file, place, fault);
        match self.on_bad_row {
            OnBadRow::Stop => Err(FileError::BadRow(row)),
            OnBadRow::Skip => {
                self.stats.malformed += 1;
                if self.bad_rows.len() < BAD_ROWS_MAX {
                    tracing::warn!("skipped {row}");
                    self.bad_rows.push(row);
                } else if self.stats.malformed == BAD_ROWS_MAX as u64 + 1 {
                    tracing::warn!("further bad rows are counted and not listed");
                }
                Ok(())
            }
        }
    }

    pub(super) fn bad_rows(&self) -> &[BadRow] {
        &self.bad_rows
    }

    /// Compares the start with the end of the input.
    pub(super) fn check_start(&self) -> Result<(), FileError> {
        if self.stats.trades < self.start {
            return Err(FileError::StartBeyondEnd { start: self.start, trades: self.stats.trades });
        }
        Ok(())
    }
}
