//! Settings of a file source.

use super::Format;
use barmill_core::model::{Symbol, Timestamp};
use barmill_core::port::Position;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What a record that is no trade does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRow {
    /// Ends the input with an error that names it.
    #[default]
    Stop,
    /// Counts it, keeps the first 20 for the report, and goes on.
    Skip,
}

impl fmt::Display for OnBadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            OnBadRow::Stop => "stop",
            OnBadRow::Skip => "skip",
        })
    }
}

/// A word that is neither `stop` nor `skip`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is neither stop nor skip")]
pub struct OnBadRowError {
    /// The word.
    pub word: String,
}

impl FromStr for OnBadRow {
    type Err = OnBadRowError;

    fn from_str(word: &str) -> Result<OnBadRow, OnBadRowError> {
        match word {
            "stop" => Ok(OnBadRow::Stop),
            "skip" => Ok(OnBadRow::Skip),
            other => Err(OnBadRowError {
                word: other.to_owned(),
            }),
        }
    }
}

/// How far the clocks of two machines may differ, before the time of a trade counts as wrong.
const CLOCK_TOLERANCE_NS: i64 = 300_000_000_000;

fn clock_reading() -> Timestamp {
    Timestamp::from_jiff(jiff::Timestamp::now()).unwrap_or(Timestamp::MAX)
}

/// The settings of one feed of files.
#[derive(Debug, Clone)]
pub struct FileFeedSettings {
    /// The files, read in this order as one feed; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// Their layout; `None` tells it for each file, and for each entry of a zip, from its first block.
    pub format: Option<Format>,
    /// Keeps only these symbols. When it is exactly one, it also names the trades of files of which neither the rows nor
    /// the name tell theirs, see [`Format::needs_symbol`].
    pub symbols: Option<Vec<Symbol>>,
    /// Names that trades get instead of those of the files, from and to; symbols are kept by the names of the files.
    pub renames: Vec<(Symbol, Symbol)>,
    /// What a bad row does.
    pub on_bad_row: OnBadRow,
    /// Trades of the largest batch, from 1; zero counts as 1.
    pub batch_len_max: usize,
    /// The latest time that a trade can have; a row with a later one is malformed. By default five minutes from now.
    pub time_max: Timestamp,
    /// Trades to leave out at the start, because an earlier run with the same files, symbols and
    /// `on_bad_row` has delivered them.
    pub start: Position,
}

impl FileFeedSettings {
    /// Trades of the largest batch unless set otherwise: batches of 1,024 to 4,096 make the hop between two
    /// tasks cost 3 to 4 ns a trade.
    pub const BATCH_LEN_MAX: usize = 4096;

    /// Settings that read everything in the files.
    pub fn new(paths: Vec<PathBuf>) -> FileFeedSettings {
        FileFeedSettings {
            paths,
            format: None,
            symbols: None,
            renames: Vec::new(),
            on_bad_row: OnBadRow::Stop,
            batch_len_max: Self::BATCH_LEN_MAX,
            time_max: clock_reading().saturating_add(CLOCK_TOLERANCE_NS),
            start: Position(0),
        }
    }

    /// Bytes of lines that are decoded together: 256 KiB, or less where the batches are small.
    ///
    /// Within the range where reading is fastest, and about as many rows as the usual batch has trades.
    pub(super) fn chunk_len(&self) -> usize {
        (64 * self.batch_len_max).clamp(1, 256 * 1024)
    }

    /// The symbol of files whose rows name none.
    pub(super) fn only_symbol(&self) -> Option<Symbol> {
        match self.symbols.as_deref() {
            Some([symbol]) => Some(*symbol),
            Some(_) | None => None,
        }
    }
}
