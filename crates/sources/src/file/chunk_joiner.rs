//! Joins decoded chunks in the order of the files: what each counted from its own start becomes a count of the input.

use super::chunk::Chunk;
use super::error::{BadRow, FileError};
use super::filter::{BAD_ROWS_MAX, FileStats};
use super::settings::FileFeedSettings;
use barmill_core::model::{Symbol, Trade};

/// Puts chunks behind each other, in the order of their numbers.
#[derive(Debug)]
pub(super) struct ChunkJoiner {
    renames: Vec<(Symbol, Symbol)>,
    /// Trades to leave out.
    start: u64,
    /// Lines of the current file before the next chunk.
    lines_before: u64,
    /// Records seen in all files.
    ordinal: u64,
    stats: FileStats,
    bad_rows: Vec<BadRow>,
}

impl ChunkJoiner {
    pub(super) fn new(settings: &FileFeedSettings) -> ChunkJoiner {
        ChunkJoiner {
            renames: settings.renames.clone(),
            start: settings.start.0,
            lines_before: 0,
            ordinal: 0,
            stats: FileStats::default(),
            bad_rows: Vec::new(),
        }
    }

    /// Adds the next chunk; answers its trades that are to be delivered, and what ended the input behind them.
    pub(super) fn join(&mut self, chunk: Chunk) -> (Vec<Trade>, Option<FileError>) {
        let Chunk {
            mut trades,
            filter,
            lines,
            first,
            is_numbered,
            error,
            ..
        } = chunk;
        let lines_before = first.unwrap_or(self.lines_before);
        self.lines_before = lines_before + lines;
        if is_numbered && self.ordinal > 0 {
            for trade in trades.iter_mut().filter(|trade| !trade.sequenced) {
                trade.sequence += self.ordinal;
            }
        }
        self.ordinal += filter.ordinal;
        self.note_bad_rows(filter.bad_rows, filter.stats.malformed, lines_before);
        let left_out = self.start.saturating_sub(self.stats.trades);
        let left_out = usize::try_from(left_out).unwrap_or(usize::MAX);
        trades.drain(..left_out.min(trades.len()));
        self.stats.trades += filter.stats.trades;
        self.stats.filtered += filter.stats.filtered;
        self.stats.torn_bytes += filter.stats.torn_bytes;
        self.rename(&mut trades);
        (trades, error.map(|error| error.behind(lines_before)))
    }

    /// Gives trades that are to be delivered the names that they are to have.
    fn rename(&self, trades: &mut [Trade]) {
        if self.renames.is_empty() {
            return;
        }
        for trade in trades {
            let renamed = self.renames.iter().find(|(from, _)| *from == trade.symbol);
            if let Some((_, to)) = renamed {
                trade.symbol = *to;
            }
        }
    }

    /// Notes the records that a chunk skipped, of which it lists the first.
    fn note_bad_rows(&mut self, rows: Vec<BadRow>, count: u64, lines_before: u64) {
        let room = BAD_ROWS_MAX.saturating_sub(self.bad_rows.len());
        for mut row in rows.into_iter().take(room) {
            row.location = row.location.behind(lines_before);
            tracing::warn!("skipped {row}");
            self.bad_rows.push(row);
        }
        let before = self.stats.malformed;
        self.stats.malformed += count;
        if before <= BAD_ROWS_MAX as u64 && (BAD_ROWS_MAX as u64) < self.stats.malformed {
            tracing::warn!("more malformed rows follow; they are counted, not listed");
        }
    }

    /// What was counted so far.
    pub(super) fn stats(&self) -> FileStats {
        self.stats
    }

    /// The first records that were skipped.
    pub(super) fn bad_rows(&self) -> &[BadRow] {
        &self.bad_rows
    }

    /// Looks back at the end of the input: compares it with the start, and warns when nothing was asked for.
    pub(super) fn check_end(&self) -> Result<(), FileError> {
        let FileStats {
            trades, filtered, ..
        } = self.stats;
        if trades < self.start {
            return Err(FileError::StartBeyondEnd {
                start: self.start,
                trades,
            });
        }
        if trades == 0 && filtered > 0 {
            tracing::warn!(filtered, "no trade has a requested symbol");
        }
        Ok(())
    }
}
