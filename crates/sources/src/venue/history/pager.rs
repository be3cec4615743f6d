//! The pager: reads the pages of one range and checks that they are complete.
//!
//! There is no cap on the number of pages. A walk that cannot go on says so: a cursor that comes again,
//! a page with nothing new although more follows, a page that does not join the one before.

use super::client::{FailedPage, RequestCounts};
use super::error::{HistoryError, PageError};
use super::json::Rows;
use super::page::{Next, Walk};
use super::page_join::{JoinedPage, PageJoiner};
use super::progress::SymbolRange;
use super::source::HistorySource;
use barmill_core::engine::retry::Backoff;
use foldhash::fast::FixedState;
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tracing::Instrument;

/// Pages in a row without a trade, each with a new cursor, after which a walk ends.
const IDLE_PAGES_MAX: u32 = 64;
/// Nanoseconds from which on a range without a trade is a reason to doubt the symbol: half an hour.
const LONG_NS: i64 = 1_800_000_000_000;
/// Characters of a cursor in an error.
const CURSOR_LEN_MAX: usize = 60;

/// A walk over the pages of one range.
#[derive(Debug)]
pub(crate) struct Pager {
    source: HistorySource,
    counts: Arc<RequestCounts>,
    walk: Walk,
    /// Whether a range without a trade is whole only where the venue knows the symbol.
    proves_symbol: bool,
    must_join: bool,
    joiner: PageJoiner,
    cursors: HashSet<u64, FixedState>,
    pages: u64,
    idle_pages: u32,
    /// Whether the range has a trade.
    has_trades: bool,
    backoff: Backoff,
}

impl Pager {
    /// Stands before the first page of a range; the number tells the seeds of a feed's walks apart.
    pub(crate) fn new(
        source: &HistorySource,
        range: SymbolRange,
        counts: &Arc<RequestCounts>,
        number: usize,
        proves_symbol: bool,
    ) -> Pager {
        let number = u64::try_from(number).unwrap_or(0);
        Pager {
            counts: Arc::clone(counts),
            walk: source.walk(range),
            proves_symbol,
            must_join: false,
            joiner: PageJoiner::new(source.settings.venue.venue().pages.order, range),
            cursors: HashSet::with_hasher(FixedState::with_seed(0)),
            pages: 0,
            idle_pages: 0,
            has_trades: false,
            backoff: source
                .client
                .backoff(source.settings.seed.wrapping_add(number)),
            source: source.clone(),
        }
    }

    /// Fetches the next page; after an error or the last page there is none.
    pub(crate) async fn next_page(&mut self) -> Result<JoinedPage, HistoryError> {
        let position = self.joiner.position();
        let page = self.pages + 1;
        let symbol = self.walk.asked.range.symbol;
        let span = tracing::info_span!("page", %symbol, page);
        let venue = self.source.name();
        let joined = self.page().instrument(span).await;
        joined.map_err(|(attempts, fault)| HistoryError {
            venue,
            symbol,
            page,
            position,
            attempts,
            fault,
        })
    }

    async fn page(&mut self) -> Result<JoinedPage, FailedPage> {
        let request = self.walk.protocol.request(&self.walk.asked);
        let request = request.map_err(|fault| (0, fault))?;
        let client = &self.source.client;
        let (rows, next) = client
            .page(&request, &self.counts, &mut self.backoff, &mut self.walk)
            .await?;
        self.counts
            .malformed
            .fetch_add(rows.malformed, Ordering::Relaxed);
        self.pages += 1;
        let page = self.advance(rows, &next).map_err(|fault| (1, fault))?;
        self.has_trades |= !page.trades.is_empty();
        if page.is_last && !self.has_trades {
            self.prove_symbol().await?;
        }
        Ok(page)
    }

    /// Asks whether the venue knows the symbol of a long range without a trade; a mistyped one has none, either.
    async fn prove_symbol(&mut self) -> Result<(), FailedPage> {
        let range = self.walk.asked.range;
        if !self.proves_symbol || range.to.since(range.from) < LONG_NS {
            return Ok(());
        }
        let request = self.walk.protocol.lookup(&self.walk.asked);
        let Some(request) = request.map_err(|fault| (0, fault))? else {
            return Ok(());
        };
        let client = &self.source.client;
        let mut walk = self.source.walk(range);
        let (rows, _) = client
            .page(&request, &self.counts, &mut self.backoff, &mut walk)
            .await?;
        if rows.read == 0 {
            return Err((1, PageError::UnknownSymbol));
        }
        Ok(())
    }

    fn advance(&mut self, rows: Rows, next: &Next) -> Result<JoinedPage, PageError> {
        if *next == Next::Look {
            return Ok(JoinedPage::default());
        }
        if let Next::Cursor { cursor, .. } = next {
            self.note_cursor(cursor)?;
        }
        let mut page = self.joiner.join(rows.trades, self.must_join)?;
        page.is_last = page.is_last || self.is_last(rows.read, !page.trades.is_empty(), next)?;
        Ok(page)
    }

    fn is_last(&mut self, rows: usize, is_new: bool, next: &Next) -> Result<bool, PageError> {
        let (is_full, must_join) = match *next {
            Next::Done => return Ok(true),
            Next::Restart { is_full: false } if !is_new => return Ok(true),
            Next::Cursor { is_full, .. } => (is_full, false),
            Next::Restart { is_full } => (is_full, true),
            Next::Step | Next::Look => (false, true),
        };
        if is_full && !is_new {
            return Err(PageError::Stuck {
                rows,
                time: self.joiner.position(),
            });
        }
        self.must_join = must_join;
        self.idle_pages = if is_new { 0 } else { self.idle_pages + 1 };
        if self.idle_pages >= IDLE_PAGES_MAX {
            return Err(PageError::Idle {
                pages: self.idle_pages,
            });
        }
        Ok(false)
    }

    fn note_cursor(&mut self, cursor: &str) -> Result<(), PageError> {
        let hash = FixedState::with_seed(0).hash_one(cursor);
        if self.cursors.insert(hash) {
            return Ok(());
        }
        Err(PageError::CursorRepeated {
            cursor: cursor.chars().take(CURSOR_LEN_MAX).collect(),
        })
    }
}
