//! One input read in several ways, which must all say the same.

use barmill::{Timestamp, Trade};
use barmill_core::port::Position;
use barmill_sources::file::{
    FileError, FileFeedSettings, FileStats, Format, OnBadRow, TradeReader,
};
use std::error::Error;
use std::io::{Cursor, Read};

/// The name of the input in errors.
pub const NAME: &str = "input-7";
/// Trades after which a reader is left: what a small compressed input may unpack to is not read whole.
pub const TRADES_MAX: usize = 100_000;

/// What a reader gave.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// The trades, in order.
    pub trades: Vec<Trade>,
    /// The counts.
    pub stats: FileStats,
    /// The rows that were skipped and listed.
    pub bad_rows: Vec<String>,
    /// The error with its causes.
    pub error: Option<String>,
}

/// How an input is read.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The name of the layout, or `auto`.
    pub format: &'static str,
    /// What a bad row does.
    pub on_bad_row: OnBadRow,
    /// Bytes of one read.
    pub chunk_len: usize,
    /// Trades of the largest batch.
    pub batch_len_max: usize,
    /// Trades to leave out.
    pub start: u64,
}

/// Gives a few bytes at a time, as a pipe may.
struct Trickle(Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(self.1);
        self.0.read(&mut buffer[..len])
    }
}

/// Reads the bytes in one way.
pub fn read(bytes: &[u8], way: Way) -> Outcome {
    let format = Format::choice(way.format).expect("a layout");
    let settings = FileFeedSettings {
        format,
        symbols: Some(vec!["BTCUSDT".parse().expect("a symbol")])
            .filter(|_| format.is_some_and(Format::needs_symbol)),
        on_bad_row: way.on_bad_row,
        batch_len_max: way.batch_len_max,
        start: Position(way.start),
        time_max: Timestamp::MAX,
        ..FileFeedSettings::new(Vec::new())
    };
    let source = Box::new(Trickle(Cursor::new(bytes.to_vec()), way.chunk_len));
    drain(
        TradeReader::from_reader(NAME, source, settings),
        way.batch_len_max,
    )
}

/// Takes everything a reader gives, and checks batches and errors on the way.
pub fn drain(mut reader: TradeReader, batch_len_max: usize) -> Outcome {
    let mut trades = Vec::new();
    let mut error = None;
    while trades.len() < TRADES_MAX {
        match reader.next() {
            None => break,
            Some(Ok(batch)) => {
                assert!(
                    !batch.is_empty() && batch.len() <= batch_len_max.max(1),
                    "a batch of {}",
                    batch.len()
                );
                trades.extend(batch);
            }
            Some(Err(fault)) => {
                error = Some(check_error(&fault));
                assert!(reader.next().is_none(), "the reader goes on after an error");
                break;
            }
        }
    }
    let bad_rows: Vec<String> = reader.bad_rows().iter().map(ToString::to_string).collect();
    bad_rows.iter().for_each(|row| check_text(row));
    Outcome {
        trades,
        stats: reader.stats(),
        bad_rows,
        error,
    }
}

/// The error and its causes as one text, after a look at both.
fn check_error(fault: &FileError) -> String {
    let mut text = fault.to_string();
    assert!(
        text.contains(NAME),
        "the error does not name the file: {text}"
    );
    if let FileError::BadRow(row) = fault {
        assert!(!row.field.is_empty(), "the error names no field: {text}");
        assert!(
            text.contains(&row.location.to_string()) && text.contains(row.field),
            "{text}"
        );
    }
    let mut cause = fault.source();
    while let Some(one) = cause {
        text = format!("{text}: {one}");
        cause = one.source();
    }
    check_text(&text);
    text
}

fn check_text(text: &str) {
    assert!(
        !text.chars().any(char::is_control),
        "a control character in {text:?}"
    );
    assert!(text.len() < 2_000, "an error of {} bytes", text.len());
}

/// Whether the reader unpacks the bytes first.
pub fn is_packed(bytes: &[u8]) -> bool {
    let start = bytes.get(..4).unwrap_or(bytes);
    let is_zstd = start == b"\x28\xb5\x2f\xfd" || start.get(1..) == Some(b"\x2a\x4d\x18");
    start.starts_with(b"\x1f\x8b") || is_zstd || start.starts_with(b"PK")
}

/// Reads the bytes in several ways and gives what all of them say, with bad rows skipped.
///
/// `knobs` chooses among the ways. A recording has no bad rows, and a compressed input has another length than its
/// trades need; for the rest no trade comes out of less than `bytes_min` bytes.
pub fn agree(bytes: &[u8], format: &'static str, knobs: u8, bytes_min: usize) -> Outcome {
    let whole = Way {
        format,
        on_bad_row: OnBadRow::Stop,
        chunk_len: 1 << 20,
        batch_len_max: 4096,
        start: 0,
    };
    let chunk_len = [1, 2, 3, 7, 64, 500, 4096, 65_536][usize::from(knobs & 7)];
    let batch_len_max = [1, 2, 5, 1024][usize::from(knobs >> 3 & 3)];
    let stop = read(bytes, whole);
    let is_packed = is_packed(bytes);
    let is_bounded = is_packed || stop.trades.len() * bytes_min <= bytes.len();
    assert!(
        is_bounded,
        "{} trades in {} bytes",
        stop.trades.len(),
        bytes.len()
    );
    let parts = read(
        bytes,
        Way {
            chunk_len,
            batch_len_max,
            ..whole
        },
    );
    if is_packed && stop.error.is_some() {
        // How much a decompressor gives before it meets the damage depends on what it is given at once.
        let (less, more) = if parts.trades.len() < stop.trades.len() {
            (&parts, &stop)
        } else {
            (&stop, &parts)
        };
        assert!(
            parts.error.is_some() && more.trades.starts_with(&less.trades),
            "chunks of {chunk_len}"
        );
    } else {
        assert_eq!(
            parts, stop,
            "chunks of {chunk_len} and batches of {batch_len_max}"
        );
    }
    let skip = read(
        bytes,
        Way {
            on_bad_row: OnBadRow::Skip,
            ..whole
        },
    );
    assert!(
        skip.trades.starts_with(&stop.trades),
        "skipping changes the trades before the first bad row"
    );
    assert_eq!(
        skip.bad_rows.len() as u64,
        skip.stats.malformed.min(20),
        "bad rows are listed"
    );
    match (&stop.error, skip.bad_rows.first()) {
        (Some(error), Some(row)) => {
            assert!(error.contains(row.as_str()), "{error} is not about {row}")
        }
        (None, Some(row)) => panic!("only skipping finds {row}"),
        (_, None) => assert_eq!(skip, stop, "skipping nothing changes the outcome"),
    }
    if skip.error.is_none() && !skip.trades.is_empty() {
        let start = usize::from(knobs >> 5) * skip.trades.len() / 7;
        let rest = read(
            bytes,
            Way {
                on_bad_row: OnBadRow::Skip,
                start: start as u64,
                ..whole
            },
        );
        assert_eq!(
            rest.trades,
            skip.trades[start..],
            "a start after {start} trades"
        );
        assert_eq!(
            rest.stats, skip.stats,
            "the counts of a start in the middle"
        );
    }
    skip
}
