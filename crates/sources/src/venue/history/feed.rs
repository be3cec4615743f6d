//! The history feed: several symbols at once, each in order; a slow symbol does not delay the others.
//!
//! Spawns nothing: the fetches live in the feed and move on while it is asked for trades. Memory is at
//! most two pages per symbol in flight, whatever the length of the intervals. The ranges of one symbol follow
//! each other, so that its trades stay in order. A symbol that fails ends alone, its later ranges with it; its
//! error is given when the others are done, except where the whole source is denied.

use super::client::RequestCounts;
use super::error::HistoryError;
use super::page_join::JoinedPage;
use super::pager::Pager;
use super::progress::{Coverage, Progress, SymbolRange};
use super::source::HistorySource;
use barmill_core::model::{Covered, Symbol, Timestamp, Trade};
use barmill_core::port::{FeedError, FeedStats, Remedy, TradeBatch, TradeFeed};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

struct Turn {
    index: usize,
    pages: Pager,
    leaf: Result<JoinedPage, HistoryError>,
}

/// The rest of a page on its way out.
#[derive(Debug)]
struct Ready {
    index: usize,
    trades: std::vec::IntoIter<Trade>,
    is_last: bool,
}

/// The trades of several ranges of one source.
///
/// Each batch holds trades of one symbol. A batch's position is the event time, in nanoseconds, before
/// which every range is delivered; a restart from it reads [`SymbolRange::resumed`] of every range and
/// gives some trades again, but misses none.
#[derive(Debug)]
pub struct HistoryFeed {
    name: String,
    source: HistorySource,
    ranges: Vec<SymbolRange>,
    waiting: VecDeque<usize>,
    busy: HashSet<Symbol>,
    in_flight: FuturesUnordered<BoxFuture<'static, Turn>>,
    ready: VecDeque<Ready>,
    failed: Option<HistoryError>,
    progress: Progress,
    counts: Arc<RequestCounts>,
    left_at: Option<Instant>,
}

impl HistoryFeed {
    /// A feed of `ranges`, started in their order, which for each symbol is that of time; a range that is empty is
    /// covered at once.
    pub fn new(source: &HistorySource, ranges: Vec<SymbolRange>) -> HistoryFeed {
        HistoryFeed::as_of(source, ranges, Timestamp::MAX)
    }

    /// A feed of `ranges` as far as the venue knows them at `now`: a range that ends later is never complete.
    pub fn as_of(source: &HistorySource, ranges: Vec<SymbolRange>, now: Timestamp) -> HistoryFeed {
        HistoryFeed {
            name: source.name().to_owned(),
            source: source.clone(),
            waiting: (0..ranges.len()).collect(),
            busy: HashSet::new(),
            in_flight: FuturesUnordered::new(),
            ready: VecDeque::new(),
            failed: None,
            progress: Progress::new(&ranges, now),
            ranges,
            counts: Arc::new(RequestCounts::default()),
            left_at: None,
        }
    }

    /// What is delivered of every range so far, also after an error.
    pub fn coverage(&self) -> Vec<Coverage> {
        self.progress.coverage()
    }

    /// A handle that tells the coverage while the feed is elsewhere, and after it is gone.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    async fn advance(&mut self) -> Result<Option<TradeBatch>, FeedError> {
        loop {
            self.start_waiting();
            // Fetches move on while a page is handed out, but no further than one page per symbol ahead.
            while self.ready.len() < self.source.settings.symbols_in_flight
                && let Some(Some(next_page)) = self.in_flight.next().now_or_never()
            {
                self.on_turn(next_page);
            }
            if let Some(batch) = self.take_ready() {
                return Ok(Some(batch));
            }
            match self.in_flight.next().await {
                Some(next_page) => self.on_turn(next_page),
                None if self.waiting.is_empty() => return self.end(),
                None => {}
            }
        }
    }

    fn start_waiting(&mut self) {
        while self.in_flight.len() < self.source.settings.symbols_in_flight
            && let Some(index) = self.next_idle()
        {
            match self.ranges.get(index) {
                Some(range) if range.from < range.to => {
                    let pages = Pager::new(&self.source, *range, &self.counts, index, true);
                    self.busy.insert(range.symbol);
                    self.in_flight.push(next_page(index, pages));
                }
                Some(_) | None => self.progress.on_complete(index),
            }
        }
    }

    /// Takes the first waiting range of a symbol that is not being fetched.
    fn next_idle(&mut self) -> Option<usize> {
        let is_idle = |index: &usize| !self.busy.contains(&self.ranges[*index].symbol);
        let place = self.waiting.iter().position(is_idle)?;
        self.waiting.remove(place)
    }

    fn on_turn(&mut self, Turn { index, pages, leaf }: Turn) {
        let leaf = match leaf {
            Ok(leaf) => leaf,
            Err(error) => return self.on_failed(error),
        };
        if leaf.is_last {
            self.busy.remove(&self.ranges[index].symbol);
        }
        self.progress.on_page(index, leaf.duplicates);
        if !leaf.is_last {
            self.in_flight.push(next_page(index, pages));
        }
        if !leaf.trades.is_empty() {
            let trades = leaf.trades.into_iter();
            self.ready.push_back(Ready {
                index,
                trades,
                is_last: leaf.is_last,
            });
        } else if leaf.is_last {
            self.on_range_end(index);
        }
    }

    /// The range is whole once its last trades, which may still be on their way out, are delivered.
    fn on_range_end(&mut self, index: usize) {
        match self
            .ready
            .iter_mut()
            .rev()
            .find(|ready| ready.index == index)
        {
            Some(ready) => ready.is_last = true,
            None => self.progress.on_complete(index),
        }
    }

    fn on_failed(&mut self, error: HistoryError) {
        let cause: &(dyn Error + 'static) = &error;
        tracing::error!(cause, fault = %error.fault, "history of a symbol ended early");
        if error.remedy() == Remedy::Fatal {
            self.waiting.clear();
            self.in_flight = FuturesUnordered::new();
            self.failed = Some(error);
        } else {
            // Behind a hole, the trades of a later day would close bars that are not whole.
            let symbol = error.symbol;
            self.waiting
                .retain(|index| self.ranges[*index].symbol != symbol);
            self.busy.remove(&symbol);
            self.failed.get_or_insert(error);
        }
    }

    fn take_ready(&mut self) -> Option<TradeBatch> {
        let ready = self.ready.front_mut()?;
        let trades: Vec<Trade> = ready
            .trades
            .by_ref()
            .take(self.source.settings.batch_len_max)
            .collect();
        let (index, is_last, is_drained) = (ready.index, ready.is_last, ready.trades.len() == 0);
        if is_drained {
            self.ready.pop_front();
        }
        let last = trades.last()?.time;
        self.progress.on_delivered(index, trades.len(), last);
        if is_drained && is_last {
            self.progress.on_complete(index);
        }
        Some(TradeBatch::new(trades, self.progress.position()))
    }

    fn end(&mut self) -> Result<Option<TradeBatch>, FeedError> {
        match self.failed.take() {
            Some(error) => Err(FeedError {
                feed: self.name.clone(),
                source: Box::new(error),
            }),
            None => Ok(None),
        }
    }

    fn note_stall(&mut self) {
        if self
            .left_at
            .take()
            .is_some_and(|left_at| left_at.elapsed() > self.source.settings.read_timeout / 2)
        {
            self.counts.stalls.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn next_page(index: usize, mut pages: Pager) -> BoxFuture<'static, Turn> {
    Box::pin(async move {
        let leaf = pages.next_page().await;
        Turn { index, pages, leaf }
    })
}

impl TradeFeed for HistoryFeed {
    fn name(&self) -> &str {
        &self.name
    }

    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<TradeBatch>, FeedError>> {
        Box::pin(async move {
            self.note_stall();
            let batch = self.advance().await;
            self.left_at = Some(Instant::now());
            batch
        })
    }

    fn stats(&self) -> FeedStats {
        FeedStats {
            malformed: self.counts.malformed.load(Ordering::Relaxed),
            filtered: 0,
            requests: self.counts.requests.load(Ordering::Relaxed),
        }
    }

    fn coverage(&self) -> Vec<Covered> {
        let covered = |Coverage {
                           range,
                           covered_to,
                           is_complete,
                           ..
                       }: Coverage| Covered {
            symbol: range.symbol,
            from: range.from,
            to: covered_to,
            complete: is_complete,
        };
        self.progress.coverage().into_iter().map(covered).collect()
    }
}
