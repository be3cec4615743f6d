//! Recorded files as a feed, and barmill's own recordings.
//!
//! Owns the layouts of [`Format`], their containers (plain, gzip, zstd, zip, standard input) and the
//! recording. Memory does not grow with a file: for each of the few workers
//! one reused block and one batch, and bounded records.
//! Deliberately knows nothing of eligibility, duplicates or order; trades leave as the file has them.

pub(crate) mod chunk;
mod chunk_joiner;
mod chunk_queue;
mod container;
pub(crate) mod csv;
pub(crate) mod error;
mod feed;
mod filter;
pub(crate) mod format;
pub(crate) mod json_rows;
mod late;
mod open_file;
mod reader;
mod recording;
pub(crate) mod row_decoder;
mod settings;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod values;

pub use crate::json::JsonError;
pub use error::{BadRow, FileError, Location, ValueError};
pub use feed::FileFeed;
pub use filter::FileStats;
pub use format::{Column, Format, FormatError};
pub use late::LateFile;
pub use reader::TradeReader;
pub use recording::RecordingWriter;
pub use settings::{FileFeedSettings, OnBadRow, OnBadRowError};
