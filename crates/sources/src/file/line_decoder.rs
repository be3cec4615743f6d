//! Decoders of lines, and the output of many lines.
//!
//! Owns the two loops over lines: of a file as it is read, and of a chunk that a worker decodes apart from the rest of
//! its file.

use super::bytes::{LineError, RECORD_LEN_MAX};
use super::error::{FileError, Location, RecordError};
use super::filter::RowFilter;
use super::text::TextInput;
use barmill_core::model::Trade;
use std::fmt;
use std::sync::Arc;

/// Records looked at in one call, so that a call ends also when nothing is kept.
pub(super) const RECORDS_MAX: u64 = 262_144;

/// Turns the lines of one file into trades. A worker has a copy of its own.
///
/// The loops are methods with a body, so that each decoder has its own, without a call through a table for every line.
pub(super) trait LineDecoder: fmt::Debug + Send {
    /// Decodes one line that is not blank; `None` when it is well-formed and no trade. `ordinal` is the record's number
    /// within the feed, the order of venues that give none.
    fn decode(&mut self, line: &[u8], ordinal: u64) -> Result<Option<Trade>, RecordError>;

    /// A copy for another worker.
    fn boxed(&self) -> Box<dyn LineDecoder>;

    /// Decodes every line of a chunk, or those before the first error.
    fn decode_lines(&mut self, lines: &[u8], decoded: &mut Decoded) -> Result<(), FileError> {
        decoded.take_lines(self, lines)
    }

    /// Decodes lines of a file until `out` holds `len_max` trades; `false` at the end of the file.
    fn fill(
        &mut self,
        text: &mut TextInput,
        filter: &mut RowFilter,
        out: &mut Vec<Trade>,
        len_max: usize,
    ) -> Result<bool, FileError> {
        for _ in 0..RECORDS_MAX {
            if out.len() >= len_max {
                break;
            }
            text.number += 1;
            let line = match text.bytes.next_line() {
                Ok(Some(b"")) => continue,
                Ok(Some(line)) => line,
                Ok(None) => return Ok(false),
                Err(LineError::Read(source)) => return Err(text.read_error(source)),
                Err(LineError::TooLong) => return Err(text.too_long(Location::Line(text.number))),
            };
            match filter.timely(self.decode(line, filter.ordinal)) {
                Ok(Some(trade)) if filter.accepts(&trade) => out.push(trade),
                Ok(_) => {}
                Err(error) => filter.refuse(&text.file, Location::Line(text.number), error)?,
            }
            filter.ordinal += 1;
        }
        Ok(true)
    }
}

/// What the lines of a chunk gave; locations and ordinals count from the first of them.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) file: Arc<str>,
    /// The name of the layout.
    pub(super) format: &'static str,
    pub(super) trades: Vec<Trade>,
    pub(super) filter: RowFilter,
    /// Lines taken, blank ones included.
    pub(super) lines: u64,
    /// Whether some trade has the ordinal of its record for a sequence, as its venue gives none.
    pub(super) is_numbered: bool,
}

impl Decoded {
    /// Decodes lines one by one, as [`super::TradeReader`] does.
    pub(super) fn take_lines<D: LineDecoder + ?Sized>(
        &mut self,
        decoder: &mut D,
        mut lines: &[u8],
    ) -> Result<(), FileError> {
        while !lines.is_empty() {
            let end = memchr::memchr(b'\n', lines).unwrap_or(lines.len());
            let (line, rest) = lines.split_at(end);
            lines = rest.get(1..).unwrap_or_default();
            self.lines += 1;
            if line.len() > RECORD_LEN_MAX {
                return Err(self.too_long());
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                self.take(decoder, line)?;
            }
        }
        Ok(())
    }

    /// Takes the trade of one line that is not blank; `false` for one that is to be refused, which is not taken.
    #[expect(
        clippy::inline_always,
        reason = "only what is inside `simd::dispatch` is compiled for the newer processor"
    )]
    #[inline(always)]
    #[must_use]
    pub(super) fn push(&mut self, trade: Trade) -> bool {
        if self.filter.check_time(&trade).is_err() {
            return false;
        }
        self.lines += 1;
        self.filter.ordinal += 1;
        if self.filter.accepts(&trade) {
            self.is_numbered |= !trade.sequenced;
            self.trades.push(trade);
        }
        true
    }

    fn take<D: LineDecoder + ?Sized>(
        &mut self,
        decoder: &mut D,
        line: &[u8],
    ) -> Result<(), FileError> {
        match self
            .filter
            .timely(decoder.decode(line, self.filter.ordinal))
        {
            Ok(Some(trade)) if self.filter.accepts(&trade) => {
                self.is_numbered |= !trade.sequenced;
                self.trades.push(trade);
            }
            Ok(_) => {}
            Err(error) => self
                .filter
                .refuse(&self.file, Location::Line(self.lines), error)?,
        }
        self.filter.ordinal += 1;
        Ok(())
    }

    fn too_long(&self) -> FileError {
        let (file, location) = (Arc::clone(&self.file), Location::Line(self.lines));
        FileError::RecordTooLong {
            file,
            location,
            len_max: RECORD_LEN_MAX,
            format: self.format,
        }
    }
}
