//! The pager: reads the pages of one range and checks that they are complete.
//!
//! There is no cap on the number of pages. A walk that cannot go on says so: a cursor that comes again,
//! a page with nothing new although more follows, a page that does not join the one before.

use super::client::{FailedPage, RateLimitedClient, RequestCounts};
use super::error::{HistoryError, PageError};
use super::json::Rows;
use super::page::{HistoryProtocol, Listing, Next, Reply, VenueTraits};
use super::page_join::{NewRows, PageJoiner};
use super::progress::SymbolRange;
use super::settings::{HistorySettingsError, in_range};
use crate::venue::{HistoryDefaults, VenueSettings};
use barmill_core::engine::retry::Backoff;
use barmill_core::model::Trade;
use foldhash::fast::FixedState;
use futures::future::BoxFuture;
use reqwest::Url;
use reqwest::header::HeaderMap;
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

/// The new trades of one page.
#[derive(Debug)]
pub(crate) struct JoinedPage {
    /// In event time order; may be empty.
    pub(crate) trades: Vec<Trade>,
    /// Rows left out because the venue gave them twice.
    pub(crate) duplicates: u64,
    /// Whether the range is whole.
    pub(crate) is_last: bool,
}

/// A walk over the pages of one range.
pub(crate) trait Pages: Send {
    /// Fetches the next page; after an error or the last page there is none.
    fn next_page(&mut self) -> BoxFuture<'_, Result<JoinedPage, HistoryError>>;
}

/// What all walks of a feed share, and the seed of this one.
#[derive(Debug, Clone)]
pub(crate) struct PagerContext {
    pub(crate) client: Arc<RateLimitedClient>,
    pub(crate) counts: Arc<RequestCounts>,
    pub(crate) skip_malformed: bool,
    pub(crate) seed: u64,
    /// Whether a range without a trade is whole only where the venue knows the symbol.
    pub(crate) proves_symbol: bool,
}

pub(crate) struct Pager<V: HistoryProtocol> {
    venue: Arc<V>,
    context: PagerContext,
    range: SymbolRange,
    place: V::Place,
    must_join: bool,
    joiner: PageJoiner,
    cursors: HashSet<u64, FixedState>,
    pages: u64,
    idle_pages: u32,
    /// Whether the range has a trade.
    has_trades: bool,
    backoff: Backoff,
}

impl<V: HistoryProtocol> Pager<V> {
    pub(crate) fn new(venue: Arc<V>, context: PagerContext, range: SymbolRange) -> Pager<V> {
        let place = venue.start();
        let joiner = PageJoiner::new(venue.traits(), range);
        let backoff = context.client.backoff(context.seed);
        let cursors = HashSet::with_hasher(FixedState::with_seed(0));
        Pager {
            venue,
            context,
            range,
            place,
            must_join: false,
            joiner,
            cursors,
            pages: 0,
            idle_pages: 0,
            has_trades: false,
            backoff,
        }
    }

    async fn page(&mut self) -> Result<JoinedPage, FailedPage> {
        let request = self
            .venue
            .request(&self.range, &self.place)
            .map_err(|fault| (0, fault))?;
        let Pager {
            venue,
            context,
            range,
            place,
            backoff,
            ..
        } = self;
        let decode = |reply: &mut Reply| {
            let (skip_malformed, stream) = (context.skip_malformed, reply.stream.take());
            let mut rows = Rows {
                skip_malformed,
                stream,
                ..Rows::default()
            };
            let next = venue.decode(range, place, reply, &mut rows)?;
            Ok((rows, next))
        };
        let (rows, next) = context
            .client
            .page(
                &request,
                &context.counts,
                backoff,
                || venue.stream(range),
                decode,
            )
            .await?;
        context
            .counts
            .malformed
            .fetch_add(rows.malformed, Ordering::Relaxed);
        self.pages += 1;
        let new_rows = self.advance(rows, next).map_err(|fault| (1, fault))?;
        self.has_trades |= !new_rows.trades.is_empty();
        if new_rows.is_last && !self.has_trades {
            self.prove_symbol().await?;
        }
        Ok(new_rows)
    }

    /// Asks whether the venue knows the symbol of a long range without a trade; a mistyped one has none, either.
    async fn prove_symbol(&mut self) -> Result<(), FailedPage> {
        let Pager {
            venue,
            context,
            range,
            backoff,
            ..
        } = self;
        if !context.proves_symbol || range.to.since(range.from) < LONG_NS {
            return Ok(());
        }
        let Some(request) = venue.lookup(range).map_err(|fault| (0, fault))? else {
            return Ok(());
        };
        let (place, skip_malformed) = (venue.start(), context.skip_malformed);
        let decode = |reply: &mut Reply| {
            let mut rows = Rows {
                skip_malformed,
                ..Rows::default()
            };
            venue.decode(range, &place, reply, &mut rows)?;
            Ok(rows.read)
        };
        let client = &context.client;
        let trades = client
            .page(&request, &context.counts, backoff, || None, decode)
            .await?;
        if trades == 0 {
            return Err((1, PageError::UnknownSymbol));
        }
        Ok(())
    }

    fn advance(&mut self, mut rows: Rows, next: Next<V::Place>) -> Result<JoinedPage, PageError> {
        if let Next::Look(place) = next {
            self.place = place;
            return Ok(JoinedPage {
                trades: Vec::new(),
                duplicates: 0,
                is_last: false,
            });
        }
        if let Next::Cursor { cursor, .. } = &next {
            self.note_cursor(cursor)?;
        }
        let new_rows = self
            .joiner
            .join(std::mem::take(&mut rows.trades), self.must_join)?;
        let is_last = new_rows.is_past_end || self.is_last(rows.read, &new_rows, next)?;
        Ok(JoinedPage {
            trades: new_rows.trades,
            duplicates: new_rows.duplicates,
            is_last,
        })
    }

    fn is_last(
        &mut self,
        rows: usize,
        new_rows: &NewRows,
        next: Next<V::Place>,
    ) -> Result<bool, PageError> {
        let is_new = !new_rows.trades.is_empty();
        let stuck = || PageError::Stuck {
            rows,
            time: self.joiner.position(),
        };
        match next {
            Next::Done => return Ok(true),
            Next::Cursor { is_full: true, .. } | Next::Restart { is_full: true, .. } if !is_new => {
                return Err(stuck());
            }
            Next::Restart { .. } if !is_new => return Ok(true),
            Next::Cursor { place, .. } => (self.place, self.must_join) = (place, false),
            Next::Restart { place, .. } | Next::Step(place) => {
                (self.place, self.must_join) = (place, true);
            }
            Next::Look(place) => self.place = place,
        }
        self.idle_pages = if is_new { 0 } else { self.idle_pages + 1 };
        if self.idle_pages >= IDLE_PAGES_MAX {
            return Err(PageError::Idle {
                pages: self.idle_pages,
            });
        }
        Ok(false)
    }

    fn note_cursor(&mut self, cursor: &str) -> Result<(), PageError> {
        if self
            .cursors
            .insert(FixedState::with_seed(0).hash_one(cursor))
        {
            return Ok(());
        }
        Err(PageError::CursorRepeated {
            cursor: cursor.chars().take(CURSOR_LEN_MAX).collect(),
        })
    }
}

impl<V: HistoryProtocol> Pages for Pager<V> {
    fn next_page(&mut self) -> BoxFuture<'_, Result<JoinedPage, HistoryError>> {
        Box::pin(async move {
            let position = self.joiner.position();
            let page = self.pages + 1;
            let span = tracing::info_span!("page", symbol = %self.range.symbol, page);
            self.page()
                .instrument(span)
                .await
                .map_err(|(attempts, fault)| HistoryError {
                    venue: self.venue.traits().name,
                    symbol: self.range.symbol,
                    page,
                    position,
                    attempts,
                    fault,
                })
        })
    }
}

/// A venue's history, ready to be asked; hides where its pages begin.
pub(crate) trait OpenHistory: Send + Sync + std::fmt::Debug {
    /// What holds for all pages.
    fn traits(&self) -> VenueTraits;

    /// The headers of every request.
    fn headers(&self) -> HeaderMap;

    /// The list of all symbols, where the venue gives it in one answer.
    fn listing(&self) -> Option<Listing>;

    /// Starts to read one range.
    fn pages(self: Arc<Self>, context: PagerContext, range: SymbolRange) -> Box<dyn Pages>;

    /// Decodes one body as several pages in a row, for the fuzz targets.
    #[cfg(feature = "fuzzing")]
    fn walk(&self, walk: super::page_walk::Walk<'_>) -> super::page_walk::Walked;
}

/// Opens the history of a venue.
pub(crate) fn open<P: HistoryProtocol>(
    base: &Url,
    settings: &VenueSettings,
) -> Result<Arc<dyn OpenHistory>, HistorySettingsError> {
    let HistoryDefaults {
        page_len_min: min,
        page_len_max: max,
        ..
    } = settings.venue().history;
    let key = format!("{}.page_len", settings.venue().name);
    in_range(key, settings.page_len, min, max)?;
    Ok(Arc::new(P::new(base, settings)?))
}

impl<P: HistoryProtocol> OpenHistory for P {
    fn traits(&self) -> VenueTraits {
        HistoryProtocol::traits(self)
    }

    fn headers(&self) -> HeaderMap {
        HistoryProtocol::headers(self)
    }

    fn listing(&self) -> Option<Listing> {
        HistoryProtocol::listing(self)
    }

    fn pages(self: Arc<Self>, context: PagerContext, range: SymbolRange) -> Box<dyn Pages> {
        Box::new(Pager::new(self, context, range))
    }

    #[cfg(feature = "fuzzing")]
    fn walk(&self, walk: super::page_walk::Walk<'_>) -> super::page_walk::Walked {
        super::page_walk::of(self, walk)
    }
}
