//! Recorded files as a source.

use super::{Description, Source};
use crate::Symbol;
use crate::faults::{BoxError, kept};
use crate::pipeline::paced::PacedFeed;
use crate::port::TradeFeed;
use barmill_sources::file::{FileFeed, FileFeedSettings, Format, OnBadRow};
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Recorded trades: CSV, NDJSON and recordings, plain or compressed, read in the given order. A file that cannot be
/// read is an error at the start or of the run.
///
/// ```
/// use barmill::Files;
/// let source = Files::open("monday.csv.gz").and("tuesday.csv.gz").symbols(["SPY"]).speed(60);
/// ```
#[derive(Debug)]
pub struct Files {
    settings: FileFeedSettings,
    speed: Option<u32>,
    faults: Vec<BoxError>,
}

impl Files {
    /// Reads this file first; its format is detected from its content.
    pub fn open(path: impl Into<PathBuf>) -> Files {
        Files {
            settings: FileFeedSettings::new(vec![path.into()]),
            speed: None,
            faults: Vec::new(),
        }
    }

    /// Reads this file next.
    #[must_use]
    pub fn and(mut self, path: impl Into<PathBuf>) -> Files {
        self.settings.paths.push(path.into());
        self
    }

    /// Sets the format by its name, such as `recording`, if it cannot be detected. `docs/formats.md` lists the
    /// formats.
    #[must_use]
    pub fn format(mut self, name: &str) -> Files {
        self.settings.format = kept(&mut self.faults, name.parse::<Format>());
        self
    }

    /// Reads the trades of these symbols only.
    #[must_use]
    pub fn symbols(mut self, symbols: impl IntoIterator<Item = impl AsRef<str>>) -> Files {
        let parsed = symbols
            .into_iter()
            .map(|one| one.as_ref().parse::<Symbol>());
        let parsed = parsed.filter_map(|symbol| kept(&mut self.faults, symbol));
        self.settings.symbols = Some(parsed.collect());
        self
    }

    /// Skips and counts rows that cannot be read. Default: the first such row ends the run with an error that names it.
    #[must_use]
    pub fn skip_bad_rows(mut self) -> Files {
        self.settings.on_bad_row = OnBadRow::Skip;
        self
    }

    /// Replays at this multiple of the recorded speed, at least 1. Default: as fast as possible.
    #[must_use]
    pub fn speed(mut self, times: u32) -> Files {
        self.speed = Some(times);
        self
    }
}

impl Source for Files {
    fn describe(self) -> Description {
        let Files {
            mut settings,
            speed,
            faults,
        } = self;
        let speed = speed.and_then(|times| NonZeroU32::new(times.saturating_mul(1_000)));
        let description = Description::feed(move |plan| {
            settings.batch_len_max = plan.batch_len_max;
            let feed: Box<dyn TradeFeed> = Box::new(FileFeed::new(settings));
            Ok(match speed {
                Some(speed) => Box::new(PacedFeed::new(feed, speed)),
                None => feed,
            })
        });
        Description {
            faults,
            origin: "files".to_owned(),
            ..description
        }
    }
}
