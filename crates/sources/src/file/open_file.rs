//! One file while it is decoded.
//!
//! Owns the choice of the decoder, the place of each record, and the loop over the records.

use super::binance_csv::{BinanceCsv, has_header};
use super::bytes::{Block, Bytes, LineError, RECORD_LEN_MAX};
use super::container::Opened;
use super::decoder::RecordDecoder;
use super::error::{Fault, FileError, Place};
use super::json::{BinanceWs, KrakenJson, MassiveJson};
use super::json_rows::{JsonRows, RowError, Rows};
use super::lean::LeanTick;
use super::lines::LineDecoder;
use super::massive_csv::MassiveCsv;
use super::recording::RecordingReader;
use super::settings::FileFeedSettings;
use super::sift::Sift;
use super::{Format, names, sniff};
use barmill_core::model::{Symbol, Trade};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Records looked at in one call, so that a call ends also when nothing is kept.
const RECORDS_MAX: u64 = 262_144;

#[derive(Debug)]
enum Decoder {
    Lines(LineDecoder),
    MassiveJson(JsonRows, MassiveJson),
    KrakenJson(JsonRows, Box<KrakenJson>),
}

/// A file of lines or rows, or a recording.
#[derive(Debug)]
pub(super) enum OpenFile {
    Text(Box<Text>),
    Recording {
        reader: Box<RecordingReader<Bytes>>,
        block: Vec<Trade>,
        taken: usize,
        file: Arc<str>,
    },
    Blank,
}

/// A file of lines or rows.
#[derive(Debug)]
pub(super) struct Text {
    file: Arc<str>,
    names: Vec<PathBuf>,
    format: Format,
    bytes: Bytes,
    decoder: Option<Decoder>,
    /// Lines or rows taken so far.
    number: u64,
}

impl OpenFile {
    /// Looks at the first block and makes the decoder.
    pub(super) fn new(opened: Opened, settings: &FileFeedSettings) -> Result<OpenFile, FileError> {
        let Opened {
            file,
            names,
            source,
        } = opened;
        let mut bytes = Bytes::new(source);
        let failed = |source| FileError::Read {
            file: Arc::clone(&file),
            offset: 0,
            source,
        };
        let window = bytes.peek(|window| window.len() >= 3).map_err(failed)?;
        // Some Windows tools put a byte order mark in front of text.
        if window.starts_with(b"\xef\xbb\xbf") {
            bytes.take(3);
        }
        let mut format = settings.format;
        if format == Format::Auto {
            let window = bytes.peek(sniff::is_enough).map_err(failed)?;
            if window.trim_ascii().is_empty() {
                return Ok(OpenFile::Blank);
            }
            format = sniff::tell(window).ok_or_else(|| unknown(&file, window))?;
        }
        if format == Format::Recording {
            let reader = Box::new(RecordingReader::new(Arc::clone(&file), bytes)?);
            return Ok(OpenFile::Recording {
                reader,
                block: Vec::new(),
                taken: 0,
                file,
            });
        }
        let mut text = Box::new(Text {
            file,
            names,
            format,
            bytes,
            decoder: None,
            number: 0,
        });
        text.decoder = text.make_decoder(settings)?;
        Ok(if text.decoder.is_none() {
            OpenFile::Blank
        } else {
            OpenFile::Text(text)
        })
    }

    /// The layout; `None` for a blank file, which has none.
    pub(super) fn format(&self) -> Option<Format> {
        match self {
            OpenFile::Blank => None,
            OpenFile::Text(text) => Some(text.format),
            OpenFile::Recording { .. } => Some(Format::Recording),
        }
    }

    /// The name for errors; `None` for a blank file, which has none to give.
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        match self {
            OpenFile::Blank => None,
            OpenFile::Text(text) => Some(&text.file),
            OpenFile::Recording { file, .. } => Some(file),
        }
    }

    /// The decoder of a file of lines, for those who take its lines by [`OpenFile::next_lines`].
    pub(super) fn line_decoder(&self) -> Option<&LineDecoder> {
        match self {
            OpenFile::Text(text) => match &text.decoder {
                Some(Decoder::Lines(decoder)) => Some(decoder),
                Some(Decoder::MassiveJson(..) | Decoder::KrakenJson(..)) | None => None,
            },
            OpenFile::Recording { .. } | OpenFile::Blank => None,
        }
    }

    /// Takes about `len` bytes of whole lines; `false` at the end of the file.
    pub(super) fn next_lines(&mut self, block: &mut Block, len: usize) -> Result<bool, FileError> {
        let OpenFile::Text(text) = self else {
            return Ok(false);
        };
        text.bytes
            .next_lines(block, len)
            .map_err(|source| text.read_error(source))
    }

    /// Lines or rows taken before the first record.
    pub(super) fn lines_before(&self) -> u64 {
        match self {
            OpenFile::Text(text) => text.number,
            OpenFile::Recording { .. } | OpenFile::Blank => 0,
        }
    }

    /// Adds trades up to `len_max`; `false` at the end of the file.
    pub(super) fn fill(
        &mut self,
        sift: &mut Sift,
        out: &mut Vec<Trade>,
        len_max: usize,
    ) -> Result<bool, FileError> {
        match self {
            OpenFile::Blank => Ok(false),
            OpenFile::Text(text) => text.fill(sift, out, len_max),
            OpenFile::Recording {
                reader,
                block,
                taken,
                file,
            } => {
                while out.len() < len_max {
                    let Some(trade) = block.get(*taken) else {
                        *taken = 0;
                        block.clear();
                        if reader.next_block(block)? {
                            continue;
                        }
                        let torn_bytes = reader.torn_len();
                        if torn_bytes > 0 {
                            tracing::warn!(%file, torn_bytes, "the recording ends in a torn block, left out");
                        }
                        sift.stats.torn_bytes += torn_bytes;
                        return Ok(false);
                    };
                    *taken += 1;
                    if sift.accepts(trade) {
                        out.push(*trade);
                    }
                }
                Ok(true)
            }
        }
    }
}

fn unknown(file: &Arc<str>, window: &[u8]) -> FileError {
    // The first line alone, as how much is behind it depends on how the bytes arrive.
    let line = window
        .trim_ascii_start()
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let start = String::from_utf8_lossy(&line[..line.len().min(40)]).into_owned();
    FileError::UnknownFormat {
        file: Arc::clone(file),
        start,
    }
}

impl Text {
    /// `None` when the file is blank.
    fn make_decoder(&mut self, settings: &FileFeedSettings) -> Result<Option<Decoder>, FileError> {
        let only = settings.only_symbol();
        let decoder = match self.format {
            Format::MassiveCsv => {
                let Some(header) = self.first_line()? else {
                    return Ok(None);
                };
                let made = MassiveCsv::new(&header, only)
                    .map_err(|column| self.missing(column, &header))?;
                self.take_line()?;
                Decoder::Lines(LineDecoder::MassiveCsv(Box::new(made)))
            }
            Format::BinanceTrades | Format::BinanceAggTrades => {
                let Some(first) = self.first_line()? else {
                    return Ok(None);
                };
                let symbol = self.symbol(only.or_else(|| names::binance_symbol(&self.names)))?;
                let aggregated = self.format == Format::BinanceAggTrades;
                let made = BinanceCsv::new(&first, aggregated, symbol)
                    .map_err(|column| self.missing(column, &first))?;
                if has_header(&first) {
                    self.take_line()?;
                }
                Decoder::Lines(LineDecoder::BinanceCsv(Box::new(made)))
            }
            Format::LeanTick => {
                if self.first_line()?.is_none() {
                    return Ok(None);
                }
                let symbol = self.symbol(only.or_else(|| names::lean_symbol(&self.names)))?;
                let made = names::date(&self.names).and_then(|date| LeanTick::new(symbol, date));
                let made = made.ok_or_else(|| FileError::NoDate { file: self.file() })?;
                Decoder::Lines(LineDecoder::LeanTick(Box::new(made)))
            }
            Format::BinanceWs => Decoder::Lines(LineDecoder::BinanceWs(Box::new(BinanceWs::new()))),
            Format::MassiveJson => Decoder::MassiveJson(
                JsonRows::new(Rows::MassiveResults),
                MassiveJson::new(self.symbol(only)?),
            ),
            Format::KrakenJson => {
                Decoder::KrakenJson(JsonRows::new(Rows::KrakenPairs), Box::default())
            }
            // Both are settled before a text is made.
            Format::Auto | Format::Recording => return Ok(None),
        };
        Ok(Some(decoder))
    }

    fn symbol(&self, symbol: Option<Symbol>) -> Result<Symbol, FileError> {
        symbol.ok_or_else(|| FileError::NoSymbol {
            file: self.file(),
            format: self.format,
        })
    }

    fn missing(&self, column: &'static str, header: &[u8]) -> FileError {
        if column == "ticker" {
            return FileError::NoSymbol {
                file: self.file(),
                format: self.format,
            };
        }
        let header = String::from_utf8_lossy(&header[..header.len().min(80)]).into_owned();
        FileError::MissingColumn {
            file: self.file(),
            format: self.format,
            column,
            header,
        }
    }

    fn file(&self) -> Arc<str> {
        Arc::clone(&self.file)
    }

    /// Looks at the first line that is not blank, taking the blank ones before it.
    fn first_line(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        loop {
            let peeked = self
                .bytes
                .peek(|window| memchr::memchr(b'\n', window).is_some());
            let window = match peeked {
                Ok(window) => window,
                Err(source) => return Err(self.read_error(source)),
            };
            let end = memchr::memchr(b'\n', window).unwrap_or(window.len());
            if end > RECORD_LEN_MAX {
                return Err(self.too_long(Place::Line(self.number + 1)));
            }
            let line = &window[..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                return Ok(Some(line.to_vec()));
            }
            if window.is_empty() {
                return Ok(None);
            }
            self.take_line()?;
        }
    }

    fn take_line(&mut self) -> Result<(), FileError> {
        self.number += 1;
        match self.bytes.next_line() {
            Ok(_) => Ok(()),
            Err(LineError::Read(source)) => Err(self.read_error(source)),
            Err(LineError::TooLong) => Err(self.too_long(Place::Line(self.number))),
        }
    }

    fn read_error(&self, source: io::Error) -> FileError {
        FileError::Read {
            file: self.file(),
            offset: self.bytes.offset(),
            source,
        }
    }

    fn too_long(&self, place: Place) -> FileError {
        FileError::RecordTooLong {
            file: self.file(),
            place,
            len_max: RECORD_LEN_MAX,
            format: self.format,
        }
    }

    fn fill(
        &mut self,
        sift: &mut Sift,
        out: &mut Vec<Trade>,
        len_max: usize,
    ) -> Result<bool, FileError> {
        // The decoder leaves its place for the loop, so that the loop may also borrow the rest.
        let Some(mut decoder) = self.decoder.take() else {
            return Ok(false);
        };
        let filled = match &mut decoder {
            Decoder::Lines(lines) => match lines {
                LineDecoder::MassiveCsv(decoder) => {
                    self.fill_lines(decoder.as_mut(), sift, out, len_max)
                }
                LineDecoder::BinanceCsv(decoder) => {
                    self.fill_lines(decoder.as_mut(), sift, out, len_max)
                }
                LineDecoder::BinanceWs(decoder) => {
                    self.fill_lines(decoder.as_mut(), sift, out, len_max)
                }
                LineDecoder::LeanTick(decoder) => {
                    self.fill_lines(decoder.as_mut(), sift, out, len_max)
                }
            },
            Decoder::MassiveJson(rows, decoder) => {
                self.fill_rows(rows, decoder, |_, _| Ok(()), (sift, out, len_max))
            }
            Decoder::KrakenJson(rows, decoder) => self.fill_rows(
                rows,
                decoder.as_mut(),
                KrakenJson::set_pair,
                (sift, out, len_max),
            ),
        };
        self.decoder = Some(decoder);
        filled
    }

    fn fill_lines<D: RecordDecoder>(
        &mut self,
        decoder: &mut D,
        sift: &mut Sift,
        out: &mut Vec<Trade>,
        len_max: usize,
    ) -> Result<bool, FileError> {
        for _ in 0..RECORDS_MAX {
            if out.len() >= len_max {
                break;
            }
            self.number += 1;
            let line = match self.bytes.next_line() {
                Ok(Some(b"")) => continue,
                Ok(Some(line)) => line,
                Ok(None) => return Ok(false),
                Err(LineError::Read(source)) => return Err(self.read_error(source)),
                Err(LineError::TooLong) => return Err(self.too_long(Place::Line(self.number))),
            };
            match decoder.decode(line, sift.ordinal) {
                Ok(Some(trade)) if sift.accepts(&trade) => out.push(trade),
                Ok(_) => {}
                Err(fault) => sift.refuse(&self.file, Place::Line(self.number), fault)?,
            }
            sift.ordinal += 1;
        }
        Ok(true)
    }

    fn fill_rows<D: RecordDecoder>(
        &mut self,
        rows: &mut JsonRows,
        decoder: &mut D,
        set_key: impl Fn(&mut D, &[u8]) -> Result<(), Fault>,
        (sift, out, len_max): (&mut Sift, &mut Vec<Trade>, usize),
    ) -> Result<bool, FileError> {
        for _ in 0..RECORDS_MAX {
            if out.len() >= len_max {
                break;
            }
            let len = match rows.next(&mut self.bytes) {
                Ok(Some(len)) => len,
                Ok(None) => return Ok(false),
                Err(error) => return Err(self.row_error(error)),
            };
            self.number += 1;
            let row = &self.bytes.window()[..len];
            match set_key(decoder, rows.key()).and_then(|()| decoder.decode(row, sift.ordinal)) {
                Ok(Some(trade)) if sift.accepts(&trade) => out.push(trade),
                Ok(_) => {}
                Err(fault) => {
                    let place = Place::Row {
                        number: self.number,
                        offset: self.bytes.offset(),
                    };
                    sift.refuse(&self.file, place, fault)?;
                }
            }
            sift.ordinal += 1;
            self.bytes.take(len);
        }
        Ok(true)
    }

    fn row_error(&self, error: RowError) -> FileError {
        let offset = self.bytes.offset();
        match error {
            RowError::Read(source) => self.read_error(source),
            RowError::TooLong => self.too_long(Place::Row {
                number: self.number + 1,
                offset,
            }),
            RowError::Shape(reason) => FileError::Json {
                file: self.file(),
                format: self.format,
                offset,
                reason,
            },
        }
    }
}
