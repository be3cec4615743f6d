//! Format detection from the start of a file.

use crate::file::csv::Fields;
use memchr::memmem;

/// Bytes that tell a binary layout.
const MARK_LEN: usize = 8;

/// Whether the window is enough to tell: a JSON response may name its rows late, lines tell at once.
pub(crate) fn is_enough(window: &[u8]) -> bool {
    let text = window.trim_ascii_start();
    MARK_LEN <= text.len() && text[0] != b'{' && memchr::memchr(b'\n', text).is_some()
}

/// What a file is that begins like one of the usual binary layouts, and what to do with it.
pub(crate) fn foreign(window: &[u8]) -> Option<(&'static str, &'static str)> {
    let known: [(&[u8], &str, &str); 6] = [
        (
            b"PAR1",
            "a Parquet file",
            "write it as CSV, for example with `duckdb -c \"copy 'FILE' to 'out.csv'\"`",
        ),
        (
            b"ARROW1",
            "an Arrow or Feather file",
            "write it as CSV, for example with polars' `write_csv`",
        ),
        (
            b"FEA1",
            "a Feather file",
            "write it as CSV, for example with pandas' `to_csv`",
        ),
        (
            b"\x89HDF",
            "an HDF5 file",
            "write it as CSV, for example with pandas' `to_csv`",
        ),
        (
            b"DBN",
            "a Databento DBN file",
            "write it as CSV, for example with `dbn --csv`",
        ),
        (
            b"SQLite format 3",
            "an SQLite database",
            "write its table as CSV, for example with `sqlite3 -csv`",
        ),
    ];
    let found = known.iter().find(|(mark, ..)| window.starts_with(mark));
    found.map(|(_, what, advice)| (*what, *advice))
}

/// The start of a file that is not blank.
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    /// The bytes as they are.
    pub(crate) window: &'a [u8],
    /// The same without leading blanks.
    text: &'a [u8],
    /// The first line.
    line: &'a [u8],
    /// Its fields, where it is a line of fields.
    fields: Vec<&'a [u8]>,
}

impl<'a> Sample<'a> {
    pub(crate) fn new(window: &'a [u8]) -> Sample<'a> {
        let text = window.trim_ascii_start();
        let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
        let line = text[..end].trim_ascii_end();
        let mut fields = Fields::default();
        let fields = match fields.split(line) {
            Ok(()) => (0..fields.count())
                .map(|index| fields.get(line, index).trim_ascii())
                .collect(),
            Err(_) => Vec::new(),
        };
        Sample {
            window,
            text,
            line,
            fields,
        }
    }

    /// Digits that the first line begins with.
    fn digits(&self) -> usize {
        self.line
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    }

    /// Whether the first line is a number and a JSON object.
    pub(crate) fn is_frame(&self) -> bool {
        let digits = self.digits();
        digits > 0 && self.line[digits..].starts_with(b" {")
    }

    /// Whether it is a JSON object that names this member somewhere; `key` has its quotes.
    pub(crate) fn has_member(&self, key: &str) -> bool {
        self.text.starts_with(b"{") && memmem::find(self.text, key.as_bytes()).is_some()
    }

    /// Whether the first line names one of these columns.
    pub(crate) fn has_column(&self, names: &[&str]) -> bool {
        let is_header = self.digits() == 0 && !self.text.starts_with(b"{");
        is_header
            && names
                .iter()
                .any(|name| self.fields.contains(&name.as_bytes()))
    }

    /// The fields of a first line that is a row, which begins with a digit.
    pub(crate) fn row(&self) -> &[&'a [u8]] {
        if self.digits() > 0 && !self.is_frame() {
            &self.fields
        } else {
            &[]
        }
    }

    /// Whether the first line is a row with `true` or `false` in this field.
    pub(crate) fn has_word_in(&self, index: usize) -> bool {
        self.row().get(index).is_some_and(|field| {
            field.eq_ignore_ascii_case(b"true") || field.eq_ignore_ascii_case(b"false")
        })
    }
}
