//! Filters decoded trades by symbol, and counts the others.

use super::error::{BadRow, FileError, Location, RecordError, ValueError};
use super::settings::{FileFeedSettings, OnBadRow};
use barmill_core::model::{Symbol, Timestamp, Trade};
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

/// The filter between decoders and batches: of the whole input, or of a chunk of it that is decoded apart.
#[derive(Debug)]
pub(super) struct RowFilter {
    /// By symbol number.
    wanted: Option<Arc<[bool]>>,
    renames: Arc<[(Symbol, Symbol)]>,
    /// A trade of a later time has not happened yet.
    time_max: Timestamp,
    start: u64,
    on_bad_row: OnBadRow,
    bad_rows: Vec<BadRow>,
    /// Whether it belongs to a chunk, whose places and numbers begin anew.
    is_chunk: bool,
    /// Records seen in all files.
    pub(super) ordinal: u64,
    pub(super) stats: FileStats,
}

impl RowFilter {
    pub(super) fn new(settings: &FileFeedSettings) -> RowFilter {
        let wanted = settings.symbols.as_ref().map(|symbols| {
            let len = symbols
                .iter()
                .map(|symbol| symbol.index() + 1)
                .max()
                .unwrap_or(0);
            let mut wanted = vec![false; len];
            for symbol in symbols {
                wanted[symbol.index()] = true;
            }
            wanted.into()
        });
        RowFilter {
            wanted,
            renames: settings.renames.as_slice().into(),
            time_max: settings.time_max,
            start: settings.start.0,
            on_bad_row: settings.on_bad_row,
            bad_rows: Vec::new(),
            is_chunk: false,
            ordinal: 0,
            stats: FileStats::default(),
        }
    }

    /// The filter of a chunk that is decoded apart and added later.
    pub(super) fn chunk(&self) -> RowFilter {
        RowFilter {
            wanted: self.wanted.clone(),
            renames: Arc::clone(&self.renames),
            time_max: self.time_max,
            start: 0,
            on_bad_row: self.on_bad_row,
            bad_rows: Vec::new(),
            is_chunk: true,
            ordinal: 0,
            stats: FileStats::default(),
        }
    }

    /// Adds a chunk that comes next in the input, with its trades; `lines_before` are those of its file before it.
    ///
    /// Places and ordinals of the chunk count from its own start; `is_numbered` says that ordinals are the sequences
    /// of its trades where the venue gives none. Leaves in `trades` those to be delivered.
    pub(super) fn add(
        &mut self,
        chunk: RowFilter,
        trades: &mut Vec<Trade>,
        lines_before: u64,
        is_numbered: bool,
    ) {
        if is_numbered && self.ordinal > 0 {
            for trade in trades.iter_mut().filter(|trade| !trade.sequenced) {
                trade.sequence += self.ordinal;
            }
        }
        self.ordinal += chunk.ordinal;
        let unlisted = chunk.stats.malformed - chunk.bad_rows.len() as u64;
        for mut row in chunk.bad_rows {
            row.location = row.location.behind(lines_before);
            self.note(row);
        }
        self.stats.malformed += unlisted;
        let left_out = self
            .start
            .saturating_sub(self.stats.trades)
            .min(chunk.stats.trades);
        if left_out > 0 {
            trades.drain(
                ..usize::try_from(left_out)
                    .unwrap_or(usize::MAX)
                    .min(trades.len()),
            );
        }
        self.stats.trades += chunk.stats.trades;
        self.stats.filtered += chunk.stats.filtered;
        self.stats.torn_bytes += chunk.stats.torn_bytes;
    }

    /// Gives trades that are to be delivered the names that they are to have.
    pub(super) fn rename(&self, trades: &mut [Trade]) {
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

    /// Refuses a decoded trade that has not happened yet.
    #[inline]
    pub(super) fn timely(
        &self,
        decoded: Result<Option<Trade>, RecordError>,
    ) -> Result<Option<Trade>, RecordError> {
        if let Ok(Some(trade)) = &decoded {
            self.check_time(trade)?;
        }
        decoded
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

    /// Whether the trade is to be delivered.
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
        self.start < self.stats.trades
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
                self.note(row);
                Ok(())
            }
        }
    }

    fn note(&mut self, row: BadRow) {
        self.stats.malformed += 1;
        let is_listed = self.bad_rows.len() < BAD_ROWS_MAX;
        if !self.is_chunk {
            if is_listed {
                tracing::warn!("skipped {row}");
            } else if self.stats.malformed == BAD_ROWS_MAX as u64 + 1 {
                tracing::warn!("more malformed rows follow; they are counted, not listed");
            }
        }
        if is_listed {
            self.bad_rows.push(row);
        }
    }

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
            tracing::warn!(filtered, "no trade has a symbol that was asked for");
        }
        Ok(())
    }
}
