//! The rows of a JSON response: what a layout says of them, and the loop that decodes them.

use super::chunk::Chunk;
use super::error::{FileError, Location, RecordError, ValueError};
use super::json_rows::{JsonRows, RowError, Rows};
use super::text::TextInput;
use super::values::{SymbolCache, TIME_MIN};
use crate::json::{self, DecodeError, FieldError, JsonError};
use barmill_core::model::{Symbol, Trade};
use serde::Deserialize;

/// Records looked at in one call, so that a call ends also when nothing is kept.
const RECORDS_MAX: u64 = 262_144;

/// The trade of a row, or `None` for a well-formed row that is no trade.
pub(crate) type DecodedRow = Result<Option<Trade>, RecordError>;

/// What a layout says of the rows of its responses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowLayout {
    /// Which arrays hold them. The keys of [`Rows::InnerArrays`] are their symbols; other rows have that of the file.
    pub(crate) rows: Rows,
    /// Decodes one row. The last argument is its number within the feed, the order of venues that give none.
    pub(crate) decode: fn(&[u8], Symbol, u64) -> DecodedRow,
}

/// The rows of one response and their decoder.
#[derive(Debug)]
pub(crate) struct Response {
    layout: RowLayout,
    rows: JsonRows,
    symbols: SymbolCache,
    /// The symbol of a file whose rows name none.
    symbol: Option<Symbol>,
}

impl Response {
    /// Makes the decoder of a text.
    pub(super) fn new(layout: RowLayout, text: &TextInput) -> Result<Response, FileError> {
        Ok(Response {
            layout,
            rows: JsonRows::new(layout.rows),
            symbols: SymbolCache::default(),
            symbol: match layout.rows {
                Rows::InnerArrays => None,
                Rows::ResultsArray => Some(text.symbol(None)?),
            },
        })
    }

    /// Decodes rows until the chunk holds `len_max` trades; `false` at the end of the file.
    pub(crate) fn fill(
        &mut self,
        text: &mut TextInput,
        chunk: &mut Chunk,
        len_max: usize,
    ) -> Result<bool, FileError> {
        for _ in 0..RECORDS_MAX {
            if chunk.trades.len() >= len_max {
                break;
            }
            let len = match self.rows.next(&mut text.bytes) {
                Ok(Some(len)) => len,
                Ok(None) => return Ok(false),
                Err(error) => return Err(row_error(text, error)),
            };
            text.number += 1;
            let row = &text.bytes.window()[..len];
            let symbol = match self.symbol {
                Some(symbol) => Ok(symbol),
                None => self.symbols.get("pair", self.rows.key()),
            };
            let decoded =
                symbol.and_then(|symbol| (self.layout.decode)(row, symbol, chunk.filter.ordinal));
            let location = Location::Row {
                number: text.number,
                offset: text.bytes.offset(),
            };
            chunk.record(decoded, location)?;
            text.bytes.take(len);
        }
        Ok(true)
    }
}

fn row_error(text: &TextInput, error: RowError) -> FileError {
    let offset = text.bytes.offset();
    match error {
        RowError::Read(source) => text.read_error(source),
        RowError::TooLong => text.too_long(Location::Row {
            number: text.number + 1,
            offset,
        }),
        RowError::Shape(reason) => FileError::Json {
            file: text.file(),
            format: text.format,
            offset,
            reason,
        },
    }
}

/// Reads a record as a row of a venue, and its trade, if it is one.
pub(crate) fn read<'a, R: Deserialize<'a>>(
    record: &'a [u8],
    trade: impl FnOnce(R) -> Option<Result<Trade, DecodeError>>,
) -> Result<Option<Trade>, RecordError> {
    let row = json::from_slice(record).map_err(|error| refuse(record, error.into()))?;
    let Some(trade) = trade(row) else {
        return Ok(None);
    };
    let trade = trade.map_err(|error| refuse(record, error))?;
    if trade.time.as_nanos() < TIME_MIN {
        let time = trade.time.to_string();
        return Err(RecordError::new("time", time.as_bytes(), ValueError::Time));
    }
    Ok(Some(trade))
}

fn refuse(record: &[u8], error: DecodeError) -> RecordError {
    let (field, text, source) = match error {
        DecodeError::Json(error) => return RecordError::new("row", record, error),
        DecodeError::Missing { .. } => {
            let error = JsonError::Shape(error.to_string());
            return RecordError::new("row", record, error);
        }
        DecodeError::Field {
            field,
            text,
            source,
        } => (field, text, source),
    };
    let reason = match source {
        FieldError::Decimal(source) => ValueError::Decimal(source),
        FieldError::Symbol(source) => ValueError::Symbol(source),
        FieldError::ZeroPrice => ValueError::PriceZero,
        FieldError::Whole => ValueError::NotInteger,
        FieldError::Time => ValueError::Time,
        FieldError::Word(known) => match *known {
            [first, second] => ValueError::Neither { first, second },
            _ => ValueError::Shape {
                expected: known.first().copied().unwrap_or_default(),
            },
        },
    };
    RecordError::new(field, text.as_bytes(), reason)
}
