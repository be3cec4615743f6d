//! Types between the pager and the venues: requests, replies, and the next page.

use super::error::PageError;
use super::json::Rows;
use super::link::join;
use super::page_stream::PageStream;
use super::progress::SymbolRange;
use super::settings::HistorySettings;
use crate::venue::VenueSettings;
use reqwest::Url;
use std::fmt::{Debug, Display};
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

/// How the next page follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The interval is whole.
    Done,
    /// By the venue's own cursor.
    Cursor {
        /// The cursor, to notice it again.
        cursor: String,
        /// Whether the page was as long as pages get.
        is_full: bool,
    },
    /// At the last trade of this page again: the next page must hold it, and the interval is whole once a
    /// page brings nothing new.
    Restart {
        /// Whether more is known to follow, so that a page with nothing new is a fault.
        is_full: bool,
    },
    /// A little further by number: the next page must hold the last trade, and the venue says when it is done.
    Step,
    /// The page only located something; its rows are not trades of the interval.
    Look,
}

/// What the order of a venue's pages proves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageOrder {
    /// Whether pages run past the end of the interval, because the venue has no bound for it.
    pub(crate) is_open_ended: bool,
    /// Whether [`Trade::sequence`](barmill_core::model::Trade::sequence) grows with every trade of a symbol.
    pub(crate) is_numbered: bool,
    /// Nanoseconds before the interval in which rows are expected and left out.
    pub(crate) lead_ns: i64,
}

impl PageOrder {
    /// Pages of an interval, by time alone.
    pub(crate) const TIMED: PageOrder = PageOrder {
        is_open_ended: false,
        is_numbered: false,
        lead_ns: 0,
    };
    /// Pages from a trade on, whose numbers grow.
    pub(crate) const NUMBERED: PageOrder = PageOrder {
        is_open_ended: true,
        is_numbered: true,
        lead_ns: 0,
    };
}

/// Where a venue lists all its symbols, and how their names are read out of the answer.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The path below the base.
    pub(crate) path: &'static str,
    /// The names; `None` for an answer of another shape.
    pub(crate) names: fn(&[u8]) -> Option<Vec<String>>,
}

/// The history of a venue: its requests and its pages.
#[derive(Debug)]
pub(crate) struct VenueHistory {
    /// What the order of the pages proves.
    pub(crate) order: PageOrder,
    /// The heaviest request.
    pub(crate) weight_max: fn(&VenueSettings) -> NonZeroU32,
    /// Headers of every request, with their values.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The settings that name secrets, with the header of each; `{NAME}` in it stands for the venue's setting of that name.
    pub(crate) secrets: &'static [(&'static str, &'static str)],
    /// The list of all symbols, where the venue gives it in one answer.
    pub(crate) listing: Option<Listing>,
    /// Starts at the first page of a range.
    pub(crate) start: fn(&VenueSettings) -> Box<dyn HistoryProtocol>,
}

impl VenueHistory {
    /// A history of requests of weight 1, without headers and without a list of symbols.
    pub(crate) const fn new(
        order: PageOrder,
        start: fn(&VenueSettings) -> Box<dyn HistoryProtocol>,
    ) -> VenueHistory {
        VenueHistory {
            order,
            weight_max: |_| NonZeroU32::MIN,
            headers: &[],
            secrets: &[],
            listing: None,
            start,
        }
    }
}

/// What is asked of a venue, the same for all pages of a walk.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Scheme, host, port and path prefix.
    pub(crate) base: Url,
    pub(crate) range: SymbolRange,
    /// Trades of a full page.
    pub(crate) page_len: usize,
}

impl Asked {
    /// A request below the base; `{ticker}` in the path stands for the symbol.
    pub(crate) fn request(&self, path: &str) -> Result<Request, PageError> {
        Ok(Request::of(join(&self.base, path, self.range.symbol)?))
    }
}

/// A venue's wire format, and its place in one walk. Pure: the driver sends, repeats, paces and proves.
pub(crate) trait HistoryProtocol: Send + Debug {
    /// The request for the next page.
    fn request(&self, asked: &Asked) -> Result<Request, PageError>;

    /// Reads a page into `rows` in event time order and goes on to the next one; a page that it refuses changes nothing.
    fn decode(&mut self, asked: &Asked, body: &[u8], rows: &mut Rows) -> Result<Next, PageError>;

    /// The request that tells whether the venue knows a symbol of which it has no trade in a range: its answer, read as a
    /// first page, has any trade up to the end of the range. `None` where the venue answers an unknown symbol with an
    /// error.
    fn lookup(&self, _asked: &Asked) -> Result<Option<Request>, PageError> {
        Ok(None)
    }

    /// Starts to read a page while it arrives; what comes of it is in [`Rows::stream`] when the page is decoded.
    fn stream(&self, _asked: &Asked) -> Option<PageStream> {
        None
    }
}

/// A venue's way over the pages of one range.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) asked: Asked,
    pub(crate) protocol: Box<dyn HistoryProtocol>,
    skip_malformed: bool,
}

impl Walk {
    /// Stands before the first page.
    pub(crate) fn new(settings: &HistorySettings, base: &Url, range: SymbolRange) -> Walk {
        Walk {
            asked: Asked {
                base: base.clone(),
                range,
                page_len: settings.venue.page_len,
            },
            protocol: (settings.venue.venue().pages.start)(&settings.venue),
            skip_malformed: settings.skip_malformed,
        }
    }

    /// Reads a page, and goes on to the next one.
    pub(crate) fn decode(&mut self, reply: &mut Reply) -> Result<(Rows, Next), PageError> {
        let mut rows = Rows {
            skip_malformed: self.skip_malformed,
            stream: reply.stream.take(),
            ..Rows::default()
        };
        let next = self.protocol.decode(&self.asked, &reply.body, &mut rows)?;
        Ok((rows, next))
    }
}
