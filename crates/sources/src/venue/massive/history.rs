//! Massive (formerly Polygon): `/v3/trades/{ticker}`, pages of up to 50,000 trades by SIP timestamp.
//!
//! Wire format: the vendor's public description of 2026-07. Two ways of paging: `next_url`, whose cursor keeps
//! its place also inside one nanosecond; and, for proxies that forward filters only, asking again from the
//! last SIP timestamp inclusive. Such proxies wrap the reply and name the key's header otherwise.

use super::wire::Row;
use crate::venue::VenueSettings;
use crate::venue::history::{
    Asked, HistoryProtocol, Next, PageError, PageOrder, PageStream, Request, Rows, StreamedPage,
    VenueHistory, follow, join, message, parse, text_of,
};
use barmill_core::model::Timestamp;
use reqwest::Url;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::ptr;

/// Pages by time, and the key.
pub(super) static PAGES: VenueHistory = VenueHistory {
    secrets: &[("key_env", "{key_header}")],
    ..VenueHistory::new(PageOrder::TIMED, |settings| {
        Box::new(Massive::new(settings))
    })
};

#[derive(Debug)]
pub(crate) struct Massive {
    path: String,
    wrap: Vec<String>,
    results: String,
    /// Whether pages follow by asking again from the last SIP timestamp, inclusive, for proxies that drop cursors.
    restarts: bool,
    place: Place,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// At this SIP timestamp, inclusive; the first page has none and begins at the interval.
    From(Option<Timestamp>),
    /// Where a `next_url` points.
    Link(Url),
}

/// One level of the reply, its values unread.
type Level<'a> = HashMap<String, &'a RawValue>;

impl Massive {
    pub(crate) fn new(settings: &VenueSettings) -> Massive {
        let mut wrap: Vec<String> = settings.get("wrap").split('.').map(str::to_owned).collect();
        let results = wrap.pop().unwrap_or_default();
        Massive {
            path: settings.get("path").to_owned(),
            wrap,
            results,
            restarts: settings.get("paging") == "restart",
            place: Place::From(None),
        }
    }

    /// The object that holds the rows.
    fn open<'a>(&self, body: &'a [u8]) -> Result<Level<'a>, PageError> {
        let busy = || PageError::Busy {
            message: message(body),
        };
        let mut level: Level<'a> = parse(body, "a reply of trades")?;
        for name in &self.wrap {
            let inner = level.remove(name.as_str()).ok_or_else(busy)?;
            level = parse(inner.get().as_bytes(), "a wrapped reply of trades")?;
        }
        // Without rows only a status of success says that there are none.
        let status = level.get("status").map(|status| text_of(status));
        let is_ok = match status {
            Some("OK" | "DELAYED") => true,
            Some(_) => false,
            None => level.contains_key(&self.results),
        };
        if is_ok { Ok(level) } else { Err(busy()) }
    }

    /// Takes the rows that were read while the page arrived, if all of it was as the vendor writes it.
    fn decode_streamed(&mut self, asked: &Asked, body: &[u8], rows: &mut Rows) -> Option<Next> {
        let StreamedPage {
            trades,
            frame,
            array,
        } = rows.stream.take()?.finish(body)?;
        let level = self.open(&frame).ok()?;
        // The emptied array must be the one that counts, and not one of the same name elsewhere.
        let is_array = ptr::eq(
            level.get(&self.results)?.get().as_bytes(),
            frame.get(array)?,
        );
        let link = link_of(&level).ok().filter(|_| is_array)?;
        let read = Rows {
            read: trades.len(),
            trades,
            skip_malformed: rows.skip_malformed,
            ..Rows::default()
        };
        let next = self.next(asked, link, &read).ok()?;
        *rows = read;
        Some(next)
    }

    fn next(
        &mut self,
        asked: &Asked,
        link: Option<String>,
        rows: &Rows,
    ) -> Result<Next, PageError> {
        let is_full = asked.page_len <= rows.read;
        let last = rows.trades.last().map(|trade| trade.time);
        if self.restarts {
            if let (Some(_), _) | (None, Place::Link(_)) = (last, &self.place) {
                self.place = Place::From(last);
            }
            let is_full = is_full || link.is_some();
            return Ok(Next::Restart { is_full });
        }
        if let Some(cursor) = link {
            let url = join(&asked.base, &self.path, asked.range.symbol)?;
            self.place = Place::Link(follow(&url, &cursor)?);
            return Ok(Next::Cursor { cursor, is_full });
        }
        if !is_full {
            return Ok(Next::Done);
        }
        // A full page without a cursor may be the work of a proxy: one more page proves the end.
        self.place = Place::From(last);
        Ok(Next::Restart { is_full })
    }
}

impl HistoryProtocol for Massive {
    fn request(&self, asked: &Asked) -> Result<Request, PageError> {
        let from = match &self.place {
            Place::From(from) => from.unwrap_or(asked.range.from),
            Place::Link(url) => return Ok(Request::of(url.clone())),
        };
        let request = asked.request(&self.path)?;
        Ok(request
            .with("timestamp.gte", from.as_nanos())
            .with("timestamp.lt", asked.range.to.as_nanos())
            .with("order", "asc")
            .with("sort", "timestamp")
            .with("limit", asked.page_len))
    }

    fn decode(&mut self, asked: &Asked, body: &[u8], rows: &mut Rows) -> Result<Next, PageError> {
        if let Some(next) = self.decode_streamed(asked, body, rows) {
            return Ok(next);
        }
        let level = self.open(body)?;
        let results: Option<Vec<&RawValue>> = match level.get(&self.results) {
            Some(results) => parse(results.get().as_bytes(), "an array of trades")?,
            None => None,
        };
        rows.read(&results.unwrap_or_default(), |row: Row<'_>| {
            row.trade(asked.range.symbol)
        })?;
        self.next(asked, link_of(&level)?, rows)
    }

    fn lookup(&self, asked: &Asked) -> Result<Option<Request>, PageError> {
        let request = asked
            .request(&self.path)?
            .with("timestamp.lt", asked.range.to.as_nanos())
            .with("order", "desc")
            .with("sort", "timestamp")
            .with("limit", 1);
        Ok(Some(request))
    }

    fn stream(&self, asked: &Asked) -> Option<PageStream> {
        Some(PageStream::new(
            asked.range.symbol,
            &self.results,
            asked.page_len,
            |reader, symbol| Row::read(reader)?.trade(symbol),
        ))
    }
}

/// The address of the next page, if there is one.
fn link_of(level: &Level<'_>) -> Result<Option<String>, PageError> {
    let link: Option<String> = match level.get("next_url") {
        Some(link) => parse(link.get().as_bytes(), "a next_url")?,
        None => None,
    };
    Ok(link.filter(|link| !link.is_empty()))
}
