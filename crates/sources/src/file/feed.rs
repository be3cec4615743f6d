//! The `TradeFeed` over files.
//!
//! Owns the step from blocking reads to the runtime: a few chunks of the files are read and decoded at the same time on
//! blocking threads, and delivered here in the order of the files. A thread goes on with the next chunk as long as there
//! may be one more, and ends otherwise. At most [`CHUNKS_AHEAD_MAX`] chunks exist beside the batch in use.

use super::chunk::Chunk;
use super::chunk_joiner::ChunkJoiner;
use super::chunk_queue::{ChunkQueue, next_chunk};
use super::error::{BadRow, FileError};
use super::filter::FileStats;
use super::reader::TradeReader;
use super::settings::FileFeedSettings;
use barmill_core::model::Trade;
use barmill_core::port::{FeedError, FeedStats, Position, TradeBatch, TradeFeed};
use futures::FutureExt;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinHandle};

const NAME: &str = "files";
/// Chunks read, decoded or waiting for those before them, at most; a few more than there are workers, so that none of
/// them waits for its chunk to be taken.
const CHUNKS_AHEAD_MAX: usize = 6;
/// Threads at most: so many decode faster than one shard aggregates.
const WORKERS_MAX: usize = 4;

/// A feed of recorded files, read in order.
///
/// Its [`Position`] counts the trades delivered since the start of the first file. Files are opened at the
/// first call of [`TradeFeed::next_batch`], which needs a tokio runtime. A blocking read, as of a pipe that
/// nobody writes to, goes on when the feed is dropped; end the process by `shutdown_background`.
#[derive(Debug)]
pub struct FileFeed {
    queue: Arc<Mutex<ChunkQueue>>,
    /// One for each chunk that may be taken off the queue.
    permits: Arc<Semaphore>,
    batch_len_max: usize,
    workers_max: usize,
    /// Each answers whether the queue is empty.
    workers: FuturesUnordered<JoinHandle<bool>>,
    decoded: (mpsc::Sender<Chunk>, mpsc::Receiver<Chunk>),
    /// Decoded chunks whose turn has not come.
    chunks: BTreeMap<u64, Chunk>,
    next_chunk: u64,
    /// Set when there are no more chunks to take.
    exhausted: bool,
    joiner: ChunkJoiner,
    ready: VecDeque<Vec<Trade>>,
    failed: Option<FileError>,
    ended: bool,
    position: u64,
}

impl FileFeed {
    /// Makes the feed; opens nothing.
    pub fn new(settings: FileFeedSettings) -> FileFeed {
        FileFeed::from_reader(settings.start, TradeReader::new(settings))
    }

    /// Makes the feed over a reader that has given nothing yet, such as one of a stream; `start` is that of its
    /// settings.
    pub fn from_reader(start: Position, reader: TradeReader) -> FileFeed {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (queue, joiner) = reader.into_parts();
        let batch_len_max = queue.settings().batch_len_max.max(1);
        FileFeed {
            queue: Arc::new(Mutex::new(queue)),
            permits: Arc::new(Semaphore::new((cores + 2).min(CHUNKS_AHEAD_MAX))),
            batch_len_max,
            workers_max: cores.min(WORKERS_MAX),
            workers: FuturesUnordered::new(),
            decoded: mpsc::channel(CHUNKS_AHEAD_MAX),
            chunks: BTreeMap::new(),
            next_chunk: 0,
            exhausted: false,
            joiner,
            ready: VecDeque::new(),
            failed: None,
            ended: false,
            position: start.0,
        }
    }

    /// The first 20 records that were skipped before the end of the last batch.
    pub fn bad_rows(&self) -> &[BadRow] {
        self.joiner.bad_rows()
    }

    /// What was counted before the end of the last batch.
    pub fn file_stats(&self) -> FileStats {
        self.joiner.stats()
    }

    async fn next(&mut self) -> Result<Option<TradeBatch>, FeedError> {
        loop {
            if let Some(trades) = self.ready.pop_front() {
                self.position += trades.len() as u64;
                return Ok(Some(TradeBatch::new(trades, Position(self.position))));
            }
            if let Some(error) = self.failed.take() {
                self.ended = true;
                return Err(feed_error(error.into()));
            }
            if self.ended {
                return Ok(None);
            }
            while let Some(Some(worker)) = self.workers.next().now_or_never() {
                self.on_worker(worker)?;
            }
            self.start_work();
            if let Some(chunk) = self.chunks.remove(&self.next_chunk) {
                self.on_chunk(chunk);
                continue;
            }
            if let Ok(chunk) = self.decoded.1.try_recv() {
                self.chunks.insert(chunk.number, chunk);
                continue;
            }
            if self.workers.is_empty() {
                self.ended = true;
                let end = self.joiner.check_end();
                end.map_err(|error| feed_error(error.into()))?;
                continue;
            }
            // Nothing is lost when this future is dropped here: chunks stay in the channel, workers in their set.
            tokio::select! {
                Some(chunk) = self.decoded.1.recv() => drop(self.chunks.insert(chunk.number, chunk)),
                Some(worker) = self.workers.next() => self.on_worker(worker)?,
            }
        }
    }

    fn on_worker(&mut self, worker: Result<bool, JoinError>) -> Result<(), FeedError> {
        match worker {
            Ok(is_empty) => self.exhausted |= is_empty,
            Err(error) => {
                self.ended = true;
                return Err(feed_error(error.into()));
            }
        }
        Ok(())
    }

    fn start_work(&mut self) {
        while !self.exhausted && self.workers.len() < self.workers_max {
            let Ok(permit) = self.permits.try_acquire() else {
                return;
            };
            permit.forget();
            let (queue, permits) = (Arc::clone(&self.queue), Arc::clone(&self.permits));
            let decoded = self.decoded.0.clone();
            self.workers.push(tokio::task::spawn_blocking(move || {
                work(&queue, &permits, &decoded)
            }));
        }
    }

    /// Adds a chunk whose turn has come.
    fn on_chunk(&mut self, chunk: Chunk) {
        self.permits.add_permits(1);
        self.next_chunk = chunk.number + 1;
        let (trades, error) = self.joiner.join(chunk);
        self.exhausted |= error.is_some();
        self.failed = error;
        if trades.len() <= self.batch_len_max {
            self.ready.extend((!trades.is_empty()).then_some(trades));
        } else {
            self.ready
                .extend(trades.chunks(self.batch_len_max).map(<[Trade]>::to_vec));
        }
    }
}

/// Decodes chunks, the first by a permit that was taken for it; answers whether the queue is empty.
fn work(queue: &Mutex<ChunkQueue>, permits: &Semaphore, decoded: &mpsc::Sender<Chunk>) -> bool {
    loop {
        let Some(chunk) = next_chunk(queue) else {
            return true;
        };
        // Never waits: there is room for as many chunks as permits.
        if decoded.blocking_send(chunk).is_err() {
            return true;
        }
        match permits.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) => return false,
        }
    }
}

fn feed_error(source: Box<dyn std::error::Error + Send + Sync>) -> FeedError {
    FeedError {
        feed: NAME.to_owned(),
        source,
    }
}

impl TradeFeed for FileFeed {
    fn name(&self) -> &str {
        NAME
    }

    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
        self.next().boxed()
    }

    fn stats(&self) -> FeedStats {
        let stats = self.file_stats();
        FeedStats {
            malformed: stats.malformed,
            filtered: stats.filtered,
            requests: 0,
        }
    }
}
