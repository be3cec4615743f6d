//! An open text file: its bytes, the position of the reader, and the name of the file.

use super::bytes::{Bytes, LineError, RECORD_LEN_MAX};
use super::error::{FileError, Location};
use barmill_core::model::Symbol;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The text of one file, and what its layout may need to know of it.
#[derive(Debug)]
pub(super) struct TextInput {
    /// The name for errors.
    pub(super) file: Arc<str>,
    /// The names of the file: of the entry in a zip first.
    pub(super) names: Vec<PathBuf>,
    /// The name of the layout.
    pub(super) format: &'static str,
    /// The symbol of files whose rows name none, where the settings have exactly one.
    pub(super) only_symbol: Option<Symbol>,
    /// The symbols that are kept; `None` keeps all.
    pub(super) asked: Option<Vec<Symbol>>,
    /// Whether the trades are of a market that never closes, where other files of the layout are of US equities.
    pub(super) is_always_open: bool,
    pub(super) bytes: Bytes,
    /// Lines or rows taken so far.
    pub(super) number: u64,
}

impl TextInput {
    /// The symbol of a file whose rows name none: that of its name, else the only one asked for, else the error that
    /// says how to name it.
    pub(super) fn symbol(&self, named: Option<Symbol>) -> Result<Symbol, FileError> {
        if let (Some(named), Some(asked)) = (named, &self.asked)
            && !asked.contains(&named)
        {
            tracing::warn!(
                file = %self.file,
                "the file is of {named} by its name, which --symbol leaves out; --rename {named}=SYMBOL gives its trades \
                 another name"
            );
        }
        named
            .or(self.only_symbol)
            .ok_or_else(|| FileError::NoSymbol {
                file: self.file(),
                format: self.format,
            })
    }

    /// The error of a header that lacks a column.
    pub(super) fn missing(&self, column: &'static str, header: &[u8]) -> FileError {
        let header = String::from_utf8_lossy(&header[..header.len().min(80)]).into_owned();
        FileError::MissingColumn {
            file: self.file(),
            format: self.format,
            column,
            header,
        }
    }

    pub(super) fn file(&self) -> Arc<str> {
        Arc::clone(&self.file)
    }

    /// Looks at the first line that is not blank, taking the blank ones before it.
    pub(super) fn first_line(&mut self) -> Result<Option<Vec<u8>>, FileError> {
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
                return Err(self.too_long(Location::Line(self.number + 1)));
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

    pub(super) fn take_line(&mut self) -> Result<(), FileError> {
        self.number += 1;
        match self.bytes.next_line() {
            Ok(_) => Ok(()),
            Err(LineError::Read(source)) => Err(self.read_error(source)),
            Err(LineError::TooLong) => Err(self.too_long(Location::Line(self.number))),
        }
    }

    pub(super) fn read_error(&self, source: io::Error) -> FileError {
        FileError::Read {
            file: self.file(),
            offset: self.bytes.offset(),
            source,
        }
    }

    pub(super) fn too_long(&self, location: Location) -> FileError {
        FileError::RecordTooLong {
            file: self.file(),
            location,
            len_max: RECORD_LEN_MAX,
            format: self.format,
        }
    }
}
