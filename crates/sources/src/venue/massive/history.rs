//! Massive (formerly Polygon): `/v3/trades/{ticker}`, pages of up to 50,000 trades by SIP timestamp.
//!
//! Wire format: the vendor's public description of 2026-07. Two ways of paging: `next_url`, whose cursor keeps
//! its place also inside one nanosecond; and, for proxies that forward filters only, asking again from the
//! last SIP timestamp inclusive. Such proxies wrap the reply and name the key's header otherwise.

use super::wire::Row;
use crate::venue::VenueSettings;
use crate::venue::history::error::PageError;
use crate::venue::history::json::{Rows, message, parse, text_of};
use crate::venue::history::link::{follow, join};
use crate::venue::history::page::{HistoryProtocol, Next, Reply, Request, VenueTraits};
use crate::venue::history::page_stream::{PageStream, StreamedPage};
use crate::venue::history::progress::SymbolRange;
use crate::venue::history::settings::{HistorySettingsError, secret_header};
use barmill_core::model::Timestamp;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use secrecy::ExposeSecret;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ptr;

/// How pages follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MassivePaging {
    /// By `next_url`.
    Cursor,
    /// By asking again from the last SIP timestamp, inclusive: for proxies that drop cursors.
    Restart,
}

#[derive(Debug)]
pub(crate) struct Massive {
    base: Url,
    path: String,
    wrap: Vec<String>,
    results: String,
    paging: MassivePaging,
    page_len: usize,
    headers: HeaderMap,
}

/// Where a page begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At this SIP timestamp, inclusive; the first page has none and begins at the interval.
    From(Option<Timestamp>),
    /// Where a `next_url` points.
    Link(Url),
}

/// One level of the reply, its values unread.
type Level<'a> = HashMap<String, &'a RawValue>;

impl Massive {
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
    fn decode_streamed(
        &self,
        range: &SymbolRange,
        place: &Place,
        reply: &Reply,
        rows: &mut Rows,
    ) -> Option<Next<Place>> {
        let StreamedPage {
            trades,
            frame,
            array,
        } = rows.stream.take()?.finish(&reply.body)?;
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
            ..Rows::default()
        };
        let next = self.next(range, place, link, &read).ok()?;
        *rows = Rows {
            skip_malformed: rows.skip_malformed,
            ..read
        };
        Some(next)
    }

    fn next(
        &self,
        range: &SymbolRange,
        place: &Place,
        link: Option<String>,
        rows: &Rows,
    ) -> Result<Next<Place>, PageError> {
        let is_full = self.page_len <= rows.read;
        let last = rows.trades.last().map(|trade| trade.time);
        match (self.paging, link) {
            (MassivePaging::Cursor, Some(link)) => {
                let url = follow(&join(&self.base, &self.path, range.symbol)?, &link)?;
                Ok(Next::Cursor {
                    cursor: link,
                    place: Place::Link(url),
                    is_full,
                })
            }
            // A full page without a cursor may be the work of a proxy: one more page proves the end.
            (MassivePaging::Cursor, None) if !is_full => Ok(Next::Done),
            (MassivePaging::Cursor, None) => Ok(Next::Restart {
                place: Place::From(last),
                is_full,
            }),
            (MassivePaging::Restart, link) => {
                let from = last.or(match place {
                    Place::From(from) => *from,
                    Place::Link(_) => None,
                });
                Ok(Next::Restart {
                    place: Place::From(from),
                    is_full: is_full || link.is_some(),
                })
            }
        }
    }
}

impl HistoryProtocol for Massive {
    fn new(base: &Url, settings: &VenueSettings) -> Result<Massive, HistorySettingsError> {
        let path = settings.get("path");
        if !path.contains("{ticker}") {
            return Err(HistorySettingsError::Path {
                path: path.to_owned(),
            });
        }
        let mut wrap: Vec<String> = settings.get("wrap").split('.').map(str::to_owned).collect();
        let results = wrap.pop().unwrap_or_default();
        let mut headers = HeaderMap::new();
        if let Some(key) = settings.secret("key_env") {
            let name =
                HeaderName::from_bytes(settings.get("key_header").as_bytes()).map_err(|_| {
                    HistorySettingsError::Header {
                        key: "massive.key_header",
                    }
                })?;
            let key = key.expose_secret();
            let value = if name == AUTHORIZATION {
                format!("Bearer {key}")
            } else {
                key.to_owned()
            };
            headers.insert(name, secret_header("massive.key", &value)?);
        }
        Ok(Massive {
            base: base.clone(),
            path: path.to_owned(),
            wrap,
            results,
            paging: match settings.get("paging") {
                "restart" => MassivePaging::Restart,
                _ => MassivePaging::Cursor,
            },
            page_len: settings.page_len,
            headers,
        })
    }

    type Place = Place;

    fn traits(&self) -> VenueTraits {
        VenueTraits {
            name: "massive",
            is_open_ended: false,
            is_numbered: false,
            lead_ns: 0,
            weight_max: NonZeroU32::MIN,
        }
    }

    fn start(&self) -> Place {
        Place::From(None)
    }

    fn request(&self, range: &SymbolRange, place: &Place) -> Result<Request, PageError> {
        let from = match place {
            Place::From(from) => from.unwrap_or(range.from),
            Place::Link(url) => return Ok(Request::of(url.clone())),
        };
        let request = Request::new(&self.base, &self.path, range.symbol)?
            .with("timestamp.gte", from.as_nanos())
            .with("timestamp.lt", range.to.as_nanos())
            .with("order", "asc")
            .with("sort", "timestamp")
            .with("limit", self.page_len);
        Ok(request)
    }

    fn decode(
        &self,
        range: &SymbolRange,
        place: &Place,
        reply: &Reply,
        rows: &mut Rows,
    ) -> Result<Next<Place>, PageError> {
        if let Some(next) = self.decode_streamed(range, place, reply, rows) {
            return Ok(next);
        }
        let level = self.open(&reply.body)?;
        let results: Option<Vec<&RawValue>> = match level.get(&self.results) {
            Some(results) => parse(results.get().as_bytes(), "an array of trades")?,
            None => None,
        };
        rows.read(&results.unwrap_or_default(), |row: Row<'_>| {
            row.trade(range.symbol)
        })?;
        self.next(range, place, link_of(&level)?, rows)
    }

    fn lookup(&self, range: &SymbolRange) -> Result<Option<Request>, PageError> {
        let request = Request::new(&self.base, &self.path, range.symbol)?
            .with("timestamp.lt", range.to.as_nanos())
            .with("order", "desc")
            .with("sort", "timestamp")
            .with("limit", 1);
        Ok(Some(request))
    }

    fn stream(&self, range: &SymbolRange) -> Option<PageStream> {
        Some(PageStream::new(
            range.symbol,
            &self.results,
            self.page_len,
            |reader, symbol| Row::read(reader)?.trade(symbol),
        ))
    }

    fn headers(&self) -> HeaderMap {
        self.headers.clone()
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
