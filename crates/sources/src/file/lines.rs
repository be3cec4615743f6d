//! Many lines at once: what a worker decodes apart from the rest of the file.

use super::Format;
use super::binance_csv::BinanceCsv;
use super::bytes::RECORD_LEN_MAX;
use super::decoder::RecordDecoder;
use super::error::{FileError, Place};
use super::json::BinanceWs;
use super::lean::LeanTick;
use super::massive_csv::MassiveCsv;
use super::sift::Sift;
use barmill_core::model::Trade;
use std::sync::Arc;

/// The decoders of lines, each of which a worker has for its own.
#[derive(Debug, Clone)]
pub(super) enum LineDecoder {
    MassiveCsv(Box<MassiveCsv>),
    BinanceCsv(Box<BinanceCsv>),
    BinanceWs(Box<BinanceWs>),
    LeanTick(Box<LeanTick>),
}

impl LineDecoder {
    /// Decodes every line, or those before the first error.
    pub(super) fn decode(&mut self, lines: &[u8], yielded: &mut Yield) -> Result<(), FileError> {
        match self {
            LineDecoder::MassiveCsv(decoder) => decoder.decode_lines(lines, yielded),
            LineDecoder::BinanceCsv(decoder) => yielded.take_lines(decoder.as_mut(), lines),
            LineDecoder::BinanceWs(decoder) => yielded.take_lines(decoder.as_mut(), lines),
            LineDecoder::LeanTick(decoder) => yielded.take_lines(decoder.as_mut(), lines),
        }
    }
}

/// What lines gave; places and ordinals count from the first of them.
#[derive(Debug)]
pub(super) struct Yield {
    pub(super) file: Arc<str>,
    pub(super) format: Format,
    pub(super) trades: Vec<Trade>,
    pub(super) sift: Sift,
    /// Lines taken, blank ones included.
    pub(super) lines: u64,
    /// Whether some trade has the ordinal of its record for a sequence, as its venue gives none.
    pub(super) is_numbered: bool,
}

impl Yield {
    /// Decodes lines one by one, as [`super::TradeReader`] does.
    pub(super) fn take_lines(
        &mut self,
        decoder: &mut impl RecordDecoder,
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

    /// Takes the trade of one line that is not blank.
    #[expect(
        clippy::inline_always,
        reason = "only what is inside `on_best` is compiled for the newer processor"
    )]
    #[inline(always)]
    pub(super) fn give(&mut self, trade: Trade) {
        self.lines += 1;
        self.sift.ordinal += 1;
        if self.sift.accepts(&trade) {
            self.is_numbered |= !trade.sequenced;
            self.trades.push(trade);
        }
    }

    fn take(&mut self, decoder: &mut impl RecordDecoder, line: &[u8]) -> Result<(), FileError> {
        match decoder.decode(line, self.sift.ordinal) {
            Ok(Some(trade)) if self.sift.accepts(&trade) => {
                self.is_numbered |= !trade.sequenced;
                self.trades.push(trade);
            }
            Ok(_) => {}
            Err(fault) => self
                .sift
                .refuse(&self.file, Place::Line(self.lines), fault)?,
        }
        self.sift.ordinal += 1;
        Ok(())
    }

    fn too_long(&self) -> FileError {
        let (file, place) = (Arc::clone(&self.file), Place::Line(self.lines));
        FileError::RecordTooLong {
            file,
            place,
            len_max: RECORD_LEN_MAX,
            format: self.format,
        }
    }
}
