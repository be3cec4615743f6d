//! A chunk of the input while it is decoded, and the trait of the decoders of lines that fill it.
//!
//! Owns the loop over the lines of a chunk. Locations and ordinals count from the chunk's own start, so that several
//! can be decoded at the same time; the feed that joins them adds what came before.

use super::error::{FileError, Location, RecordError};
use super::filter::RowFilter;
use super::text::RECORD_LEN_MAX;
use barmill_core::model::Trade;
use std::fmt;
use std::sync::Arc;

/// Turns the lines of one file into trades. A worker has a copy of its own.
///
/// The loops are methods with a body, so that each decoder has its own, without a call through a table for every line.
pub(crate) trait LineDecoder: fmt::Debug + Send {
    /// Decodes one line that is not blank; `None` when it is well-formed and no trade. `ordinal` is the record's number
    /// within the feed, the order of venues that give none.
    fn decode(&mut self, line: &[u8], ordinal: u64) -> Result<Option<Trade>, RecordError>;

    /// A copy for another worker.
    fn boxed(&self) -> Box<dyn LineDecoder>;

    /// Decodes every line of a chunk, or those before the first error, the fastest way.
    fn decode_lines(&mut self, lines: &[u8], chunk: &mut Chunk) -> Result<(), FileError> {
        chunk.take_lines(self, lines)
    }

    /// The same one line after another: the model of the fastest way.
    fn decode_each(&mut self, lines: &[u8], chunk: &mut Chunk) -> Result<(), FileError> {
        chunk.take_lines(self, lines)
    }
}

/// Decoded records, to be delivered after the chunks with smaller numbers.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(super) number: u64,
    /// The file, for errors.
    pub(super) file: Arc<str>,
    /// The name of the layout.
    pub(super) format: &'static str,
    pub(super) trades: Vec<Trade>,
    pub(super) filter: RowFilter,
    /// Lines taken, blank ones included.
    pub(super) lines: u64,
    /// For the first chunk of a file, the lines before it.
    pub(super) first: Option<u64>,
    /// Whether some trade has the ordinal of its record for a sequence, as its venue gives none.
    pub(super) is_numbered: bool,
    /// What ended the input behind the trades.
    pub(super) error: Option<FileError>,
}

impl Chunk {
    /// Decodes lines one by one.
    pub(crate) fn take_lines<D: LineDecoder + ?Sized>(
        &mut self,
        decoder: &mut D,
        mut lines: &[u8],
    ) -> Result<(), FileError> {
        while !lines.is_empty() {
            let end = memchr::memchr(b'\n', lines).unwrap_or(lines.len());
            let (line, rest) = lines.split_at(end);
            lines = rest.get(1..).unwrap_or_default();
            self.lines += 1;
            let location = Location::Line(self.lines);
            if line.len() > RECORD_LEN_MAX {
                return Err(FileError::RecordTooLong {
                    file: Arc::clone(&self.file),
                    location,
                    len_max: RECORD_LEN_MAX,
                    format: self.format,
                });
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                self.record(decoder.decode(line, self.filter.ordinal), location)?;
            }
        }
        Ok(())
    }

    /// Takes what one record gave, or refuses it.
    #[inline]
    pub(super) fn record(
        &mut self,
        decoded: Result<Option<Trade>, RecordError>,
        location: Location,
    ) -> Result<(), FileError> {
        let timely = match decoded {
            Ok(Some(trade)) => self.filter.check_time(&trade).map(|()| Some(trade)),
            other => other,
        };
        match timely {
            Ok(Some(trade)) => self.accept(trade),
            Ok(None) => {}
            Err(error) => self.filter.refuse(&self.file, location, error)?,
        }
        self.filter.ordinal += 1;
        Ok(())
    }

    /// Takes the trade of one line that is not blank; `false` for one that is to be refused, which is not taken.
    #[expect(
        clippy::inline_always,
        reason = "only what is inside `simd::dispatch` is compiled for the newer processor"
    )]
    #[inline(always)]
    #[must_use]
    pub(crate) fn push(&mut self, trade: Trade) -> bool {
        if self.filter.check_time(&trade).is_err() {
            return false;
        }
        self.lines += 1;
        self.filter.ordinal += 1;
        self.accept(trade);
        true
    }

    #[expect(clippy::inline_always, reason = "as for `push`")]
    #[inline(always)]
    fn accept(&mut self, trade: Trade) {
        if self.filter.accepts(&trade) {
            self.is_numbered |= !trade.sequenced;
            self.trades.push(trade);
        }
    }
}
