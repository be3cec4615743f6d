//! A caller's own stream of trades as a feed.

use crate::model::Trade;
use crate::port::{FeedError, Position, TradeBatch, TradeFeed};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream, StreamExt};
use std::error::Error;
use std::fmt;

/// Turns a stream into a feed. Trades that are ready at the same time become one batch. Positions count trades.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
pub struct StreamFeed {
    name: String,
    batches: BoxStream<'static, Vec<Result<Trade, Box<dyn Error + Send + Sync>>>>,
    /// A failure that came after good trades of the same batch.
    failure: Option<Box<dyn Error + Send + Sync>>,
    delivered: u64,
}

impl StreamFeed {
    /// Wraps a stream that cannot fail; batches have at most `batch_len_max` trades, 1 and up.
    pub fn new(
        name: impl Into<String>,
        trades: impl Stream<Item = Trade> + Send + 'static,
        batch_len_max: usize,
    ) -> StreamFeed {
        StreamFeed::fallible(name, trades.map(Ok), batch_len_max)
    }

    /// Wraps a stream that may fail; its first error ends the feed after the trades before it.
    pub fn fallible(
        name: impl Into<String>,
        trades: impl Stream<Item = Result<Trade, Box<dyn Error + Send + Sync>>> + Send + 'static,
        batch_len_max: usize,
    ) -> StreamFeed {
        let batches = trades.ready_chunks(batch_len_max.max(1)).boxed();
        StreamFeed {
            name: name.into(),
            batches,
            failure: None,
            delivered: 0,
        }
    }

    fn error(&self, source: Box<dyn Error + Send + Sync>) -> FeedError {
        FeedError {
            feed: self.name.clone(),
            source,
        }
    }

    async fn next(&mut self) -> Result<Option<TradeBatch>, FeedError> {
        if let Some(source) = self.failure.take() {
            return Err(self.error(source));
        }
        let Some(results) = self.batches.next().await else {
            return Ok(None);
        };
        let mut trades = Vec::with_capacity(results.len());
        for result in results {
            match result {
                Ok(trade) => trades.push(trade),
                Err(source) if trades.is_empty() => return Err(self.error(source)),
                Err(source) => {
                    self.failure = Some(source);
                    break;
                }
            }
        }
        self.delivered += u64::try_from(trades.len()).unwrap_or(u64::MAX);
        Ok(Some(TradeBatch::new(trades, Position(self.delivered))))
    }
}

impl TradeFeed for StreamFeed {
    fn name(&self) -> &str {
        &self.name
    }

    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
        Box::pin(self.next())
    }
}

impl fmt::Debug for StreamFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamFeed")
            .field("name", &self.name)
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}
