//! Decoders of JSON rows, and the loop over the rows of a response.

use super::chunk::Chunk;
use super::error::{FileError, Location, RecordError, ValueError};
use super::json_rows::{JsonRows, RowError};
use super::text::TextInput;
use barmill_core::model::Trade;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt;

/// Records looked at in one call, so that a call ends also when nothing is kept.
const RECORDS_MAX: u64 = 262_144;

/// Turns the rows of one response into trades.
pub(super) trait RowDecoder: fmt::Debug + Send {
    /// Names the array that holds the rows that follow.
    fn set_key(&mut self, key: &[u8]) -> Result<(), RecordError>;

    /// Decodes one row; `ordinal` is its number within the feed, the order of venues that give none.
    fn decode(&mut self, row: &[u8], ordinal: u64) -> Result<Option<Trade>, RecordError>;
}

/// The rows of one response and their decoder.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) rows: JsonRows,
    pub(super) decoder: Box<dyn RowDecoder>,
}

impl Response {
    /// Decodes rows until the chunk holds `len_max` trades; `false` at the end of the file.
    pub(super) fn fill(
        &mut self,
        text: &mut TextInput,
        chunk: &mut Chunk,
        len_max: usize,
    ) -> Result<bool, FileError> {
        let Response { rows, decoder } = self;
        for _ in 0..RECORDS_MAX {
            if chunk.trades.len() >= len_max {
                break;
            }
            let len = match rows.next(&mut text.bytes) {
                Ok(Some(len)) => len,
                Ok(None) => return Ok(false),
                Err(error) => return Err(row_error(text, error)),
            };
            text.number += 1;
            let row = &text.bytes.window()[..len];
            let decoded = decoder
                .set_key(rows.key())
                .and_then(|()| decoder.decode(row, chunk.filter.ordinal));
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

/// Reads a record as JSON of a known shape.
pub(super) fn parse<'a, T: Deserialize<'a>>(record: &'a [u8]) -> Result<T, RecordError> {
    serde_json::from_slice(record)
        .map_err(|error| RecordError::new("row", record, ValueError::from(error)))
}

/// The digits of a number, whether it is written as a JSON number or as a string.
pub(super) fn unquoted(value: &RawValue) -> &[u8] {
    match value.get().as_bytes() {
        b"null" => b"",
        [b'"', inner @ .., b'"'] => inner,
        number => number,
    }
}
