//! Generated tapes, and what a feed makes of them.

use barmill::{Price, Size, Symbol, Timestamp, Trade};
use barmill_core::port::{FeedError, TradeFeed};
use barmill_sources::history::{HistoryFeed, HistorySettings, HistorySource, SymbolRange};
use std::error::Error;
use std::time::Duration;

/// 2025-10-21T13:30:00Z in nanoseconds.
pub(crate) const FROM: i64 = 1_761_053_400_000_000_000;

/// One trade as the test servers keep it; the number is unique and grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Print {
    pub(crate) nanos: i64,
    pub(crate) number: u64,
    pub(crate) price: String,
    pub(crate) size: String,
    pub(crate) is_buy: bool,
}

pub(crate) fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos).unwrap()
}

pub(crate) fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

/// `len` prints from `FROM` on, whole `unit_ns` apart, up to five of them at one instant.
pub(crate) fn tape(seed: u64, len: usize, unit_ns: i64) -> Vec<Print> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut nanos = FROM;
    let mut same = 0;
    (0..len)
        .map(|index| {
            let stays = same < 4 && rng.u8(0..10) < 6;
            same = if stays { same + 1 } else { 0 };
            nanos += if stays || index == 0 {
                0
            } else {
                unit_ns * rng.i64(1..50)
            };
            Print {
                nanos,
                number: 1_000 + index as u64,
                price: format!("{}.{:02}", rng.u32(90..110), rng.u32(1..100)),
                size: format!("{}.{:04}", rng.u32(0..500), rng.u32(1..10_000)),
                is_buy: rng.bool(),
            }
        })
        .collect()
}

/// The interval that holds exactly the prints from index `start` up to index `end`, widened so that the
/// first instant is whole.
pub(crate) fn between(prints: &[Print], start: usize, end: usize) -> (Timestamp, Timestamp) {
    (at(prints[start].nanos), at(prints[end].nanos))
}

/// What a trade must be, whatever the venue.
pub(crate) type Essence = (i64, u64, Price, Size);

pub(crate) fn essence(trade: &Trade) -> Essence {
    (
        trade.time.as_nanos(),
        trade.id.raw(),
        trade.price,
        trade.size,
    )
}

/// The prints of an interval as a feed must deliver them.
pub(crate) fn expected(prints: &[Print], from: Timestamp, to: Timestamp) -> Vec<Essence> {
    let inside = prints
        .iter()
        .filter(|print| from.as_nanos() <= print.nanos && print.nanos < to.as_nanos());
    inside
        .map(|print| {
            (
                print.nanos,
                print.number,
                print.price.parse().unwrap(),
                print.size.parse().unwrap(),
            )
        })
        .collect()
}

/// Settings for a local server: short waits, no pace, small batches.
pub(crate) fn local(mut settings: HistorySettings, base_url: &str) -> HistorySettings {
    base_url.clone_into(&mut settings.base_url);
    settings.rate_per_min = 10_000_000;
    settings.batch_len_max = 5;
    settings.backoff_base = Duration::from_millis(1);
    settings.backoff_max = Duration::from_millis(4);
    settings.retry_after_max = Duration::from_millis(5);
    settings.connect_timeout = Duration::from_secs(5);
    settings.read_timeout = Duration::from_secs(5);
    settings.total_timeout = Duration::from_secs(10);
    settings.attempts_max = 4;
    settings
}

/// A feed at its end.
pub(crate) struct Run {
    pub(crate) feed: HistoryFeed,
    pub(crate) trades: Vec<Trade>,
    pub(crate) error: Option<FeedError>,
}

impl Run {
    pub(crate) fn of(&self, symbol: Symbol) -> Vec<Essence> {
        self.trades
            .iter()
            .filter(|trade| trade.symbol == symbol)
            .map(essence)
            .collect()
    }

    /// The error with all its causes, one per line.
    pub(crate) fn causes(&self) -> String {
        let first = self.error.as_ref().map(|error| error as &dyn Error);
        let lines =
            std::iter::successors(first, |&error| error.source()).map(|error| format!("{error}\n"));
        lines.collect()
    }
}

/// Reads a feed to its end.
pub(crate) async fn drain(settings: &HistorySettings, ranges: Vec<SymbolRange>) -> Run {
    let source = HistorySource::new(settings).unwrap();
    let mut feed = HistoryFeed::new(&source, ranges);
    let mut trades = Vec::new();
    let mut position = None;
    loop {
        match feed.next_batch().await {
            Ok(Some(batch)) => {
                assert!(!batch.trades.is_empty() && batch.trades.len() <= settings.batch_len_max);
                assert!(position <= Some(batch.position), "positions never go back");
                position = Some(batch.position);
                trades.extend(batch.trades);
            }
            Ok(None) => {
                return Run {
                    feed,
                    trades,
                    error: None,
                };
            }
            Err(error) => {
                return Run {
                    feed,
                    trades,
                    error: Some(error),
                };
            }
        }
    }
}

/// One range of one symbol.
pub(crate) fn range(name: &str, (from, to): (Timestamp, Timestamp)) -> SymbolRange {
    SymbolRange {
        symbol: symbol(name),
        from,
        to,
    }
}
