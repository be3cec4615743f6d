//! Recorded files as a feed, and barmill's own recordings.
//!
//! Owns the layouts of [`Format`], their containers (plain, gzip, zstd, zip, standard input) and the
//! recording. Memory does not grow with a file: for each of the few workers
//! one reused block and one batch, and bounded records.
//! Deliberately knows nothing of eligibility, duplicates or order; trades leave as the file has them.

mod binance_csv;
mod bytes;
mod container;
mod decoder;
mod error;
mod feed;
mod fields;
mod format;
mod index;
mod json;
mod json_rows;
mod lanes;
mod late;
mod lean;
mod lines;
mod massive_csv;
mod massive_fields;
mod massive_rows;
mod names;
mod open_file;
mod reader;
mod recording;
mod settings;
mod shelf;
mod sift;
mod sniff;
#[cfg(test)]
mod tests;

pub use error::{BadRow, FileError, Place, ValueError};
pub use feed::FileFeed;
pub use format::{Format, FormatError};
pub use late::LateFile;
pub use reader::TradeReader;
pub use recording::RecordingWriter;
pub use settings::{FileFeedSettings, OnBadRow, OnBadRowError};
pub use sift::FileStats;
