//! Errors of recorded files: rows, containers, layouts.
//!
//! Owns the texts a user reads. A [`BadRow`] may be skipped on request; every other error ends the input.

use crate::json::JsonError;
use barmill_core::model::{DecimalError, SymbolError, Timestamp};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Bytes of a refused value that an error repeats.
const VALUE_LEN_MAX: usize = 80;

/// Where a record stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// A line, from 1, the header included.
    Line(u64),
    /// A JSON row, from 1, and the offset of its first byte in the decoded text.
    Row {
        /// The row's number.
        number: u64,
        /// Bytes before it.
        offset: u64,
    },
    /// A trade of a recording, from 1.
    Trade(u64),
}

impl Location {
    /// The same location when so many lines come before those it counts.
    pub(super) fn behind(self, lines: u64) -> Location {
        match self {
            Location::Line(line) => Location::Line(line + lines),
            Location::Row { .. } | Location::Trade(_) => self,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Line(line) => write!(f, "line {line}"),
            Location::Trade(number) => write!(f, "trade {number}"),
            Location::Row { number, offset } => write!(f, "row {number} at byte {offset}"),
        }
    }
}

/// Why the value of a field is refused.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// No exact decimal of the field's scale.
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    /// No symbol.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// No whole number of at most 19 digits.
    #[error("is not a whole number of 1 to 19 digits")]
    NotInteger,
    /// Larger than the field holds.
    #[error("is above {max}")]
    Above {
        /// The largest value.
        max: u64,
    },
    /// A price of zero.
    #[error("price is zero")]
    PriceZero,
    /// An instant that no trade file can hold.
    #[error("time is outside 1990-01-01 to 2262-04-09, or in an unknown unit")]
    Time,
    /// A time that has not come yet.
    #[error("lies in the future: after {max}")]
    Future {
        /// The latest time that a trade can have.
        max: Timestamp,
    },
    /// Neither of two words.
    #[error("is neither {first} nor {second}")]
    Neither {
        /// The first allowed word.
        first: &'static str,
        /// The second allowed word.
        second: &'static str,
    },
    /// A row with too few or too many fields.
    #[error("has {count} fields instead of {expected}")]
    FieldCount {
        /// Fields found.
        count: usize,
        /// Fields of the layout.
        expected: usize,
    },
    /// A quote that does not close on its line.
    #[error("has a quote that does not close")]
    Quote,
    /// Text of another shape.
    #[error("is not {expected}")]
    Shape {
        /// What is expected.
        expected: &'static str,
    },
    /// JSON of another shape.
    #[error("is not the expected JSON: {0}")]
    Json(#[from] JsonError),
}

/// Why a record is refused, before its location is known; boxed, so that the result of the hot path stays small.
#[derive(Debug, thiserror::Error)]
#[error("{} {:?} {}", .0.field, .0.value, .0.reason)]
pub(crate) struct RecordError(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    field: &'static str,
    value: String,
    reason: ValueError,
}

impl RecordError {
    /// The refusal of a text that has another shape.
    pub(crate) fn shape(field: &'static str, value: &[u8], expected: &'static str) -> RecordError {
        RecordError::new(field, value, ValueError::Shape { expected })
    }

    pub(crate) fn new(
        field: &'static str,
        value: &[u8],
        reason: impl Into<ValueError>,
    ) -> RecordError {
        let shown = &value[..value.len().min(VALUE_LEN_MAX)];
        let mut value = String::from_utf8_lossy(shown).into_owned();
        if shown.len() == VALUE_LEN_MAX {
            value.push_str("...");
        }
        RecordError(Box::new(Refusal {
            field,
            value,
            reason: reason.into(),
        }))
    }
}

/// A record that is no trade.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{file}, {location}: {field} {value:?}: {reason}")]
pub struct BadRow {
    /// The file, with the entry of a zip after a colon.
    pub file: Arc<str>,
    /// Where it stands.
    pub location: Location,
    /// The field.
    pub field: &'static str,
    /// Its text, cut at 80 bytes.
    pub value: String,
    /// What is wrong with it; chunk of the text, hence not a source again.
    pub reason: Arc<ValueError>,
}

impl BadRow {
    pub(crate) fn new(file: &Arc<str>, location: Location, error: RecordError) -> BadRow {
        let Refusal {
            field,
            value,
            reason,
        } = *error.0;
        BadRow {
            file: Arc::clone(file),
            location,
            field,
            value,
            reason: Arc::new(reason),
        }
    }
}

/// Why the trades of a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be opened.
    #[error("open {file}; check the path and its permissions")]
    Open {
        /// The file.
        file: Arc<str>,
        /// The cause.
        source: io::Error,
    },
    /// A recording that would be written over.
    #[error("write {file}, which already exists; give another name, or remove it")]
    Exists {
        /// The file.
        file: Arc<str>,
    },
    /// Reading broke off: the device, or a damaged or cut compressed file.
    #[error(
        "read {file} after {offset} decoded bytes; the file may be damaged or cut, fetch it again"
    )]
    Read {
        /// The file.
        file: Arc<str>,
        /// Decoded bytes before the fault.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// The directory of a zip cannot be read.
    #[error("read the zip directory of {file}; the file may be damaged or cut, fetch it again")]
    Zip {
        /// The file.
        file: Arc<str>,
        /// The cause.
        source: zip::result::ZipError,
    },
    /// A zip entry that is encrypted or uses another method than stored and deflate.
    #[error("unpack {file}: {reason}; unpack it with another tool first")]
    ZipEntry {
        /// The file and its entry.
        file: Arc<str>,
        /// What is not supported.
        reason: &'static str,
    },
    /// A zip needs to be read from its end.
    #[error(
        "read a zip from {file}: a zip needs a seekable file; pass its path, or pipe `unzip -p` instead"
    )]
    ZipFromPipe {
        /// The input.
        file: Arc<str>,
    },
    /// A file of another kind than those that are read.
    #[error("read {file}: it is {what}; {advice}")]
    Foreign {
        /// The file.
        file: Arc<str>,
        /// What it is.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// No known layout.
    #[error(
        "detect the format of {file}, which starts with {start:?}; pass --format with one of {known}"
    )]
    UnknownFormat {
        /// The file.
        file: Arc<str>,
        /// Its first bytes.
        start: String,
        /// The names of the known layouts.
        known: String,
    },
    /// A header without a column that the layout needs.
    #[error(
        "read {file} as {format}: its header has no column {column}: {header:?}; pass the right --format"
    )]
    MissingColumn {
        /// The file.
        file: Arc<str>,
        /// The name of the layout.
        format: &'static str,
        /// The column.
        column: &'static str,
        /// The header, cut at 80 bytes.
        header: String,
    },
    /// Neither the rows nor the name of the file tell the symbol.
    #[error("determine the symbol of {file} ({format}) from its name; pass exactly one --symbol")]
    NoSymbol {
        /// The file.
        file: Arc<str>,
        /// The name of the layout.
        format: &'static str,
    },
    /// LEAN rows hold the time of day only, and the name of the file has no date.
    #[error("determine the date of {file} from its name; name it like 20131007_spy_Trade_Tick.csv")]
    NoDate {
        /// The file.
        file: Arc<str>,
    },
    /// A record that is no trade.
    #[error("read {0}; correct the row, or skip such rows with --on-bad-row skip")]
    BadRow(BadRow),
    /// A record that is longer than any trade.
    #[error("read {file}, {location}: longer than {len_max} bytes; it is not a {format} file")]
    RecordTooLong {
        /// The file.
        file: Arc<str>,
        /// Where it stands.
        location: Location,
        /// The longest record, in bytes.
        len_max: usize,
        /// The name of the layout.
        format: &'static str,
    },
    /// A JSON text that is not a response with trades.
    #[error("read {file} as {format}, byte {offset}: {reason}")]
    Json {
        /// The file.
        file: Arc<str>,
        /// The name of the layout.
        format: &'static str,
        /// Decoded bytes before the fault.
        offset: u64,
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// A recording that was changed after it was written.
    #[error("read recording {file}, byte {offset}: {reason}; restore the file from a copy")]
    Corrupt {
        /// The file.
        file: Arc<str>,
        /// Bytes before the damaged block.
        offset: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// A recording of another version of this program.
    #[error(
        "read recording {file}: its layout has version {version}, supported is {known}; read it with a newer barmill"
    )]
    Version {
        /// The file.
        file: Arc<str>,
        /// The version in its header.
        version: u16,
        /// The version this program writes.
        known: u16,
    },
    /// Another process writes the recording.
    #[error("write recording {file}: another process has it open; choose another file")]
    Locked {
        /// The file.
        file: Arc<str>,
    },
    /// Writing a recording failed; its last whole block is kept.
    #[error("write recording {file}; its last complete block is kept")]
    Write {
        /// The file.
        file: Arc<str>,
        /// The cause.
        source: io::Error,
    },
    /// The input ends before the position to go on from.
    #[error(
        "resume after trade {start}: the files have only {trades} trades; they are not those of the earlier run"
    )]
    StartBeyondEnd {
        /// Trades to skip.
        start: u64,
        /// Trades there are.
        trades: u64,
    },
}

impl FileError {
    /// Makes the error of reading that broke off after so many decoded bytes.
    pub(super) fn read(file: &Arc<str>, offset: u64) -> impl FnOnce(io::Error) -> FileError {
        move |source| FileError::Read {
            file: Arc::clone(file),
            offset,
            source,
        }
    }

    /// The same error when so many lines of the file come before those that its location counts.
    pub(super) fn behind(mut self, lines: u64) -> FileError {
        if let FileError::BadRow(BadRow { location, .. })
        | FileError::RecordTooLong { location, .. } = &mut self
        {
            *location = location.behind(lines);
        }
        self
    }
}
