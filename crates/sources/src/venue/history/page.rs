//! Types between the pager and the venues: requests, replies, and the next page.

use super::error::PageError;
use super::json::Rows;
use super::link::join;
use super::page_stream::PageStream;
use super::progress::SymbolRange;
use super::settings::HistorySettingsError;
use crate::venue::VenueSettings;
use barmill_core::model::Symbol;
use reqwest::Url;
use reqwest::header::HeaderMap;
use std::fmt::Display;
use std::num::NonZeroU32;

/// One request for a page.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The whole address; holds no key.
    pub(crate) url: Url,
    /// What it costs of the source's rate.
    pub(crate) weight: NonZeroU32,
}

impl Request {
    /// A request of weight 1 below the base; `{ticker}` in the path stands for the symbol.
    pub(crate) fn new(base: &Url, path: &str, symbol: Symbol) -> Result<Request, PageError> {
        Ok(Request::of(join(base, path, symbol)?))
    }

    /// A request of weight 1 for this address.
    pub(crate) fn of(url: Url) -> Request {
        Request {
            url,
            weight: NonZeroU32::MIN,
        }
    }

    /// The same with one more parameter.
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Request {
        self.url
            .query_pairs_mut()
            .append_pair(name, &value.to_string());
        self
    }
}

/// One whole reply of 200.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The body, decompressed.
    pub(crate) body: Vec<u8>,
    /// What was read of it while it arrived, where the venue does that.
    pub(crate) stream: Option<PageStream>,
}

/// Where the next page begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<P> {
    /// The interval is whole.
    Done,
    /// Where the venue's own cursor points.
    Cursor {
        /// The cursor, to notice it again.
        cursor: String,
        /// The place it stands for.
        place: P,
        /// Whether the page was as long as pages get.
        is_full: bool,
    },
    /// At the last trade of this page again: the next page must hold it, and the interval is whole once a
    /// page brings nothing new.
    Restart {
        /// The place of that trade.
        place: P,
        /// Whether more is known to follow, so that a page with nothing new is a fault.
        is_full: bool,
    },
    /// A little further by number: the next page must hold the last trade, and the venue says when it is done.
    Step(P),
    /// The page only located something; its rows are not trades of the interval.
    Look(P),
}

/// What holds for all pages of a venue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VenueTraits {
    /// The venue's name.
    pub(crate) name: &'static str,
    /// Whether pages run past the end of the interval, because the venue has no bound for it.
    pub(crate) is_open_ended: bool,
    /// Whether [`Trade::sequence`](barmill_core::model::Trade::sequence) grows with every trade of a symbol.
    pub(crate) is_numbered: bool,
    /// Nanoseconds before the interval in which rows are expected and left out.
    pub(crate) lead_ns: i64,
    /// The heaviest request.
    pub(crate) weight_max: NonZeroU32,
}

/// Where a venue lists all its symbols, and how their names are read out of the answer.
pub(crate) struct Listing {
    /// The whole address; holds no key.
    pub(crate) url: Url,
    /// The names; `None` for an answer of another shape.
    pub(crate) names: fn(&[u8]) -> Option<Vec<String>>,
}

impl Listing {
    /// The list at this path below the base.
    pub(crate) fn new(base: &Url, path: &str, names: fn(&[u8]) -> Option<Vec<String>>) -> Listing {
        let mut url = base.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        Listing { url, names }
    }
}

/// A venue's wire format and paging. Pure: the driver sends, repeats, paces and proves.
pub(crate) trait HistoryProtocol: Send + Sync + std::fmt::Debug + 'static {
    /// The protocol as the settings have it; their page length is checked.
    fn new(base: &Url, settings: &VenueSettings) -> Result<Self, HistorySettingsError>
    where
        Self: Sized;

    /// Where a page begins.
    type Place: Send + Sync + 'static;

    /// What holds for all pages.
    fn traits(&self) -> VenueTraits;

    /// Where the first page begins.
    fn start(&self) -> Self::Place;

    /// The request for the page that begins at `place`.
    fn request(&self, range: &SymbolRange, place: &Self::Place) -> Result<Request, PageError>;

    /// Reads a page into `rows` in event time order, and says where the next one begins.
    fn decode(
        &self,
        range: &SymbolRange,
        place: &Self::Place,
        reply: &Reply,
        rows: &mut Rows,
    ) -> Result<Next<Self::Place>, PageError>;

    /// The request that tells whether the venue knows a symbol of which it has no trade in a range: its answer, read as a
    /// page, has any trade up to the end of the range. `None` where the venue answers an unknown symbol with an error.
    fn lookup(&self, _range: &SymbolRange) -> Result<Option<Request>, PageError> {
        Ok(None)
    }

    /// The list of all symbols, where the venue gives it in one answer.
    fn listing(&self) -> Option<Listing> {
        None
    }

    /// Starts to read a page while it arrives; what comes of it is in [`Rows::stream`] when the page is decoded.
    fn stream(&self, _range: &SymbolRange) -> Option<PageStream> {
        None
    }

    /// The headers of every request, the secret ones marked as sensitive.
    fn headers(&self) -> HeaderMap {
        HeaderMap::new()
    }
}
