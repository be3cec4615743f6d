//! Splits a JSON response into rows, one at a time, in bounded memory.
//!
//! Owns the walk through the text around the rows: it knows strings, nesting and the keys on the way, and
//! finds the arrays at a given path. Each row goes to a decoder as its own bytes. Deliberately does not
//! check what it skips beyond its nesting; several documents may follow each other.
//!
//! The walk is written by hand because no library gives rows one at a time out of a text of any length: `serde_json`
//! hands them to a visitor, which cannot stop between two batches, and ends at the first row that is no JSON, where this
//! skips it. Values are passed by the reader of [`crate::json`].

use super::text::{Bytes, RECORD_LEN_MAX};
use crate::json::Reader;
use std::io;

/// Levels of nesting outside the rows.
const DEPTH_MAX: usize = 16;

/// Which arrays hold trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Every array directly inside the object `result`; its key is the symbol.
    InnerArrays,
    /// The array `results` at the top, or inside objects named `data`.
    ResultsArray,
}

impl Rows {
    fn are_in(self, path: &[Option<Vec<u8>>]) -> bool {
        match (self, path) {
            (Rows::InnerArrays, [Some(result), Some(_)]) => result == b"result",
            (Rows::ResultsArray, [outer @ .., Some(last)]) => {
                last == b"results" && outer.iter().all(|key| key.as_deref() == Some(b"data"))
            }
            (Rows::InnerArrays | Rows::ResultsArray, _) => false,
        }
    }
}

/// Why no row could be given.
#[derive(Debug)]
pub(crate) enum RowError {
    /// Reading failed.
    Read(io::Error),
    /// A row, key or value is longer than the bound.
    TooLong,
    /// The text is no JSON, or not of this shape.
    Shape(&'static str),
}

/// Where the walk stands between two rows.
#[derive(Debug)]
pub(crate) struct JsonRows {
    rows: Rows,
    /// One entry per open object or array; the key of the current member, none in arrays.
    path: Vec<Option<Vec<u8>>>,
    /// Whether each open level is an object.
    objects: Vec<bool>,
    in_rows: bool,
    found: bool,
}

impl JsonRows {
    pub(crate) fn new(rows: Rows) -> JsonRows {
        JsonRows {
            rows,
            path: Vec::new(),
            objects: Vec::new(),
            in_rows: false,
            found: false,
        }
    }

    /// The key of the array that holds the row.
    pub(crate) fn key(&self) -> &[u8] {
        self.path
            .iter()
            .rev()
            .find_map(|key| key.as_deref())
            .unwrap_or_default()
    }

    /// Moves to the next row and tells its length: the row is the start of the window, for the caller to
    /// take. `None` at the end.
    pub(crate) fn next(&mut self, bytes: &mut Bytes) -> Result<Option<usize>, RowError> {
        loop {
            let Some(first) = next_token(bytes)? else {
                return if self.objects.is_empty() {
                    Ok(None)
                } else {
                    Err(RowError::Shape(CUT))
                };
            };
            if self.in_rows && !matches!(first, b']' | b'}' | b',' | b':') {
                return value_len(bytes).map(Some);
            }
            match first {
                b'{' | b'[' => self.open(first == b'{', bytes)?,
                b'}' | b']' => self.close(first == b'}', bytes)?,
                _ if self.objects.is_empty() => {
                    return Err(RowError::Shape("the text is no JSON response"));
                }
                b',' | b':' => bytes.take(1),
                b'"' => self.string(bytes)?,
                _ => {
                    let len = value_len(bytes)?;
                    bytes.take(len);
                }
            }
        }
    }

    fn open(&mut self, object: bool, bytes: &mut Bytes) -> Result<(), RowError> {
        if self.objects.len() == DEPTH_MAX {
            return Err(RowError::Shape("nested deeper than a response with trades"));
        }
        self.in_rows = !object && self.rows.are_in(&self.path);
        self.found |= self.in_rows;
        self.objects.push(object);
        self.path.push(None);
        bytes.take(1);
        Ok(())
    }

    fn close(&mut self, object: bool, bytes: &mut Bytes) -> Result<(), RowError> {
        if self.objects.pop() != Some(object) {
            return Err(RowError::Shape(
                "a bracket closes what is not open; the file is damaged, fetch it again",
            ));
        }
        self.path.pop();
        self.in_rows = false;
        bytes.take(1);
        if self.objects.is_empty() && !std::mem::take(&mut self.found) {
            return Err(RowError::Shape(
                "the response holds no trades; look for an error message in it",
            ));
        }
        Ok(())
    }

    /// Takes a string: in an object, when a colon follows, it is the key of the member.
    fn string(&mut self, bytes: &mut Bytes) -> Result<(), RowError> {
        let len = value_len(bytes)?;
        let text = bytes.window()[1..len - 1].to_vec();
        bytes.take(len);
        let is_key = next_token(bytes)? == Some(b':');
        if let (true, Some(true), Some(key)) = (is_key, self.objects.last(), self.path.last_mut()) {
            *key = Some(text);
        }
        Ok(())
    }
}

const CUT: &str = "the text ends in the middle; the file is cut, fetch it again";

/// Skips blanks and looks at the next byte.
fn next_token(bytes: &mut Bytes) -> Result<Option<u8>, RowError> {
    loop {
        let window = bytes.window();
        let blanks = window
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let token = window.get(blanks).copied();
        bytes.take(blanks);
        if token.is_some() || !bytes.refill().map_err(RowError::Read)? {
            return Ok(token);
        }
    }
}

/// Bytes of the value at the start of the window, reading on until it is whole.
fn value_len(bytes: &mut Bytes) -> Result<usize, RowError> {
    loop {
        match scan_value(bytes.window()) {
            Some(len) if len <= RECORD_LEN_MAX => return Ok(len),
            Some(_) => return Err(RowError::TooLong),
            None if bytes.window().len() > RECORD_LEN_MAX => return Err(RowError::TooLong),
            None => {}
        }
        if !bytes.refill().map_err(RowError::Read)? {
            // A bare number or word may end with the text.
            let scalar = !matches!(bytes.window().first(), Some(b'{' | b'[' | b'"'));
            return if scalar {
                Ok(bytes.window().len())
            } else {
                Err(RowError::Shape(CUT))
            };
        }
    }
}

/// Bytes of the value at the start of the text; `None` when it goes on behind it, as a number at the end may.
fn scan_value(text: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(text, 0);
    reader.skip().ok()?;
    let len = reader.at();
    let is_marked = matches!(text.first(), Some(b'{' | b'[' | b'"'));
    (is_marked || len < text.len()).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::{JsonRows, RowError, Rows};
    use crate::file::text::Bytes;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn rows(rows: Rows, text: &str) -> Result<Vec<(String, String)>, RowError> {
        let mut bytes = Bytes::new(Box::new(Cursor::new(text.as_bytes().to_vec())));
        let mut walk = JsonRows::new(rows);
        let mut found = Vec::new();
        while let Some(len) = walk.next(&mut bytes)? {
            let row = String::from_utf8_lossy(&bytes.window()[..len]).into_owned();
            bytes.take(len);
            found.push((String::from_utf8_lossy(walk.key()).into_owned(), row));
        }
        Ok(found)
    }

    #[test]
    fn rows_of_inner_arrays_come_with_their_key() {
        let text = r#"{"error":[],"result":{"A":[["1,]"],[2]],"last":"9","B":[[3]]}}"#;
        let want = [("A", r#"["1,]"]"#), ("A", "[2]"), ("B", "[3]")];
        let want = want.map(|(key, row)| (key.to_owned(), row.to_owned()));
        assert_eq!(rows(Rows::InnerArrays, text).unwrap(), want);
    }

    #[test]
    fn rows_of_results_are_found_behind_a_proxy_and_in_several_documents() {
        let text = r#"{"status":"OK","data":{"results":[{"a":"}"}]}} {"results":[]} {"results":[ {"b":1} , 5 ]}"#;
        let found = rows(Rows::ResultsArray, text).unwrap();
        let found: Vec<&str> = found.iter().map(|(_, row)| row.as_str()).collect();
        assert_eq!(found, [r#"{"a":"}"}"#, r#"{"b":1}"#, "5"]);
    }

    #[test]
    fn answers_without_rows_are_errors() {
        for (shape, text) in [
            (
                Rows::InnerArrays,
                r#"{"error":["EGeneral:Invalid arguments"]}"#,
            ),
            (
                Rows::ResultsArray,
                r#"{"status":"ERROR","error":"Unknown API Key"}"#,
            ),
            (Rows::ResultsArray, r#"{"results":[{"a":1},"#),
            (Rows::ResultsArray, r#"{"results":[{"a"#),
            (Rows::ResultsArray, r#"{"results":]}"#),
            (Rows::ResultsArray, r#"{"results":[}"#),
            (Rows::ResultsArray, r#""results""#),
            (Rows::ResultsArray, "12"),
        ] {
            assert!(
                matches!(rows(shape, text), Err(RowError::Shape(_))),
                "{text}"
            );
        }
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert!(matches!(
            rows(Rows::ResultsArray, &deep),
            Err(RowError::Shape(_))
        ));
    }

    proptest! {
        #[test]
        fn rows_equal_those_of_a_full_parser(values in proptest::collection::vec("[ -~]{0,20}", 0..6)) {
            let rows_in: Vec<serde_json::Value> = values.iter().map(|text| serde_json::json!({ "v": [text] })).collect();
            let text = serde_json::json!({ "status": "OK", "results": rows_in }).to_string();
            let found = rows(Rows::ResultsArray, &text).unwrap();
            let found: Vec<serde_json::Value> =
                found.iter().map(|(_, row)| serde_json::from_str(row).unwrap()).collect();
            prop_assert_eq!(found, rows_in);
        }
    }
}
