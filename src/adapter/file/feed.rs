//! The port's feed over files.
//!
//! Owns the step from blocking reads to the runtime: each batch is decoded on a blocking thread, one batch
//! ahead of the one in use, so that decoding and aggregation overlap and no more than two batches exist.

use super::error::{BadRow, FileError};
use super::reader::TradeReader;
use super::settings::FileFeedSettings;
use super::sift::FileStats;
use crate::model::Trade;
use crate::port::{FeedError, FeedStats, Position, TradeBatch, TradeFeed};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

const NAME: &str = "files";

type Decoded = (TradeReader, Option<Result<Vec<Trade>, FileError>>);

#[derive(Debug)]
enum State {
    Idle(Box<TradeReader>),
    Decoding(JoinHandle<Decoded>),
    Ended,
}

/// A feed of recorded files, read in order.
///
/// Its [`Position`] counts the trades delivered since the start of the first file. Files are opened at the
/// first call of [`TradeFeed::next_batch`], which needs a tokio runtime. A blocking read, as of a pipe that
/// nobody writes to, goes on when the feed is dropped; end the process by `shutdown_background`.
#[derive(Debug)]
pub struct FileFeed {
    state: State,
    position: u64,
    stats: FileStats,
    bad_rows: Vec<BadRow>,
}

impl FileFeed {
    /// Makes the feed; opens nothing.
    pub fn new(settings: FileFeedSettings) -> FileFeed {
        FileFeed::from_reader(settings.start, TradeReader::new(settings))
    }

    /// Makes the feed over a reader, such as one of a stream; `start` is that of its settings.
    pub fn from_reader(start: Position, reader: TradeReader) -> FileFeed {
        FileFeed {
            state: State::Idle(Box::new(reader)),
            position: start.0,
            stats: FileStats::default(),
            bad_rows: Vec::new(),
        }
    }

    /// The first 20 records that were skipped before the end of the last batch.
    pub fn bad_rows(&self) -> &[BadRow] {
        &self.bad_rows
    }

    /// What was counted before the end of the last batch.
    pub fn file_stats(&self) -> FileStats {
        self.stats
    }

    async fn next(&mut self) -> Result<Option<TradeBatch>, FeedError> {
        if let State::Idle(_) = self.state
            && let State::Idle(reader) = std::mem::replace(&mut self.state, State::Ended)
        {
            self.state = State::Decoding(decode(*reader));
        }
        let State::Decoding(handle) = &mut self.state else { return Ok(None) };
        // Nothing is lost when this future is dropped here: the handle stays in the state.
        let joined = handle.await;
        self.state = State::Ended;
        let (reader, batch) = joined.map_err(|error| feed_error(error.into()))?;
        self.stats = reader.stats();
        self.bad_rows.clear();
        self.bad_rows.extend_from_slice(reader.bad_rows());
        match batch {
            None => Ok(None),
            Some(Err(error)) => Err(feed_error(error.into())),
            Some(Ok(trades)) => {
                self.state = State::Decoding(decode(reader));
                self.position += trades.len() as u64;
                Ok(Some(TradeBatch { trades, position: Position(self.position) }))
            }
        }
    }
}

fn decode(mut reader: TradeReader) -> JoinHandle<Decoded> {
    tokio::task::spawn_blocking(move || {
        let batch = reader.next();
        (reader, batch)
    })
}

fn feed_error(source: Box<dyn std::error::Error + Send + Sync>) -> FeedError {
    FeedError { feed: NAME.to_owned(), source }
}

impl TradeFeed for FileFeed {
    fn name(&self) -> &str {
        NAME
    }

    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
        self.next().boxed()
    }

    fn stats(&self) -> FeedStats {
        FeedStats { malformed: self.stats.malformed, filtered: self.stats.filtered, requests: 0 }
    }
}
