//! Replay at a speed: delivers a recorded feed no faster than event time times a factor.

use crate::model::{Covered, Timestamp};
use crate::port::{FeedError, FeedStats, Position, TradeBatch, TradeFeed};
use futures::future::BoxFuture;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// Event time is cut into slices of this real length, so that a burst inside one arrives as one batch.
const SLICE: Duration = Duration::from_millis(10);

/// A feed whose trades are held back until their event time has come, at a multiple of the clock's speed.
#[derive(Debug)]
pub struct PacedFeed {
    feed: Box<dyn TradeFeed>,
    /// Thousandths of the clock's speed.
    speed: NonZeroU32,
    origin: Option<(Instant, Timestamp)>,
    /// What of a batch is not yet due, and its position.
    rest: TradeBatch,
}

impl PacedFeed {
    /// Paces a feed; the speed is in thousandths, so 60,000 plays a minute of trades in a second.
    pub fn new(feed: Box<dyn TradeFeed>, speed: NonZeroU32) -> PacedFeed {
        PacedFeed {
            feed,
            speed,
            origin: None,
            rest: TradeBatch::default(),
        }
    }

    async fn next(&mut self) -> Result<Option<TradeBatch>, FeedError> {
        if self.rest.trades.is_empty() {
            let Some(batch) = self.feed.next_batch().await? else {
                return Ok(None);
            };
            self.rest = batch;
        }
        let Some(first) = self.rest.trades.first() else {
            return Ok(Some(std::mem::take(&mut self.rest)));
        };
        let (start, epoch) = *self.origin.get_or_insert((Instant::now(), first.time));
        tokio::time::sleep_until(start + self.real(first.time.since(epoch))).await;
        let until = start.elapsed() + SLICE;
        let due = self
            .rest
            .trades
            .iter()
            .take_while(|trade| self.real(trade.time.since(epoch)) <= until)
            .count()
            .max(1);
        let later = self.rest.trades.split_off(due);
        let trades = std::mem::replace(&mut self.rest.trades, later);
        // Until its last part is out, a batch counts as not delivered: a restart reads it again.
        let waiting = u64::try_from(self.rest.trades.len()).unwrap_or(u64::MAX);
        let is_last = waiting == 0;
        Ok(Some(TradeBatch {
            gaps: std::mem::take(&mut self.rest.gaps),
            trades,
            events: if is_last {
                std::mem::take(&mut self.rest.events)
            } else {
                Vec::new()
            },
            position: Position(self.rest.position.0.saturating_sub(waiting)),
        }))
    }

    fn real(&self, event_ns: i64) -> Duration {
        let wall_ns = i128::from(event_ns.max(0)) * 1_000 / i128::from(self.speed.get());
        Duration::from_nanos(u64::try_from(wall_ns).unwrap_or(u64::MAX))
    }
}

impl TradeFeed for PacedFeed {
    fn name(&self) -> &str {
        self.feed.name()
    }

    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
        Box::pin(self.next())
    }

    fn stats(&self) -> FeedStats {
        self.feed.stats()
    }

    fn coverage(&self) -> Vec<Covered> {
        let covered = self.feed.coverage();
        // What still waits for its time is not delivered.
        covered
            .into_iter()
            .map(|one| one.without(&self.rest.trades))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::PacedFeed;
    use crate::engine::testing::trade;
    use crate::model::Trade;
    use crate::port::{FeedError, Position, TradeBatch, TradeFeed};
    use futures::future::BoxFuture;
    use std::num::NonZeroU32;
    use std::time::Duration;
    use tokio::time::Instant;

    /// One batch with everything.
    #[derive(Debug)]
    struct Whole(Vec<Trade>);

    impl TradeFeed for Whole {
        fn name(&self) -> &'static str {
            "whole"
        }

        fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
            let trades = std::mem::take(&mut self.0);
            let position = Position(trades.len() as u64);
            Box::pin(
                async move { Ok((!trades.is_empty()).then(|| TradeBatch::new(trades, position))) },
            )
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_of_trades_at_sixty_fold_takes_a_second() {
        let trades: Vec<_> = (0..=60)
            .map(|second| trade("AAPL", second * 1_000_000_000))
            .collect();
        let feed = Whole(trades.clone());
        let mut paced = PacedFeed::new(Box::new(feed), NonZeroU32::new(60_000).unwrap());
        let (start, mut seen) = (Instant::now(), Vec::new());
        while let Some(batch) = paced.next_batch().await.unwrap() {
            seen.extend(batch.trades);
            assert_eq!(batch.position.0, seen.len() as u64);
        }
        assert_eq!(seen, trades);
        let elapsed = start.elapsed();
        assert!(
            Duration::from_millis(980) <= elapsed && elapsed <= Duration::from_millis(1_010),
            "{elapsed:?}"
        );
    }
}
