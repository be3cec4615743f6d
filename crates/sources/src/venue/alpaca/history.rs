//! Alpaca: `/v2/stocks/trades`, pages of up to 10,000 trades by page token.
//!
//! Wire format: the vendor's public description and Go client of 2026. The token keeps its place also inside
//! one nanosecond.

use super::wire::Record;
use crate::venue::VenueSettings;
use crate::venue::history::error::PageError;
use crate::venue::history::json::{Rows, message, parse, shorten};
use crate::venue::history::page::{HistoryProtocol, Next, Reply, Request, VenueTraits};
use crate::venue::history::progress::SymbolRange;
use crate::venue::history::settings::{HistorySettingsError, secret_header};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName};
use secrecy::ExposeSecret;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroU32;

#[derive(Debug)]
pub(crate) struct Alpaca {
    base: Url,
    feed: String,
    page_len: usize,
    headers: HeaderMap,
}

/// The rows of each symbol.
type Trades<'a> = BTreeMap<String, Option<Vec<&'a RawValue>>>;

impl Alpaca {
    fn asked(
        &self,
        range: &SymbolRange,
        start: &dyn Display,
        limit: usize,
    ) -> Result<Request, PageError> {
        let request = Request::new(&self.base, "/v2/stocks/trades", range.symbol)?
            .with("symbols", range.symbol)
            .with("start", start)
            // The venue includes the end.
            .with("end", range.to.saturating_sub(1))
            .with("feed", &self.feed)
            .with("sort", "asc")
            .with("limit", limit);
        Ok(request)
    }
}

impl HistoryProtocol for Alpaca {
    fn new(base: &Url, settings: &VenueSettings) -> Result<Alpaca, HistorySettingsError> {
        let mut headers = HeaderMap::new();
        let keys = [
            (
                "alpaca.key_id",
                "apca-api-key-id",
                settings.secret("key_id_env"),
            ),
            (
                "alpaca.secret_key",
                "apca-api-secret-key",
                settings.secret("secret_key_env"),
            ),
        ];
        for (key, name, secret) in keys {
            if let Some(secret) = secret {
                headers.insert(
                    HeaderName::from_static(name),
                    secret_header(key, secret.expose_secret())?,
                );
            }
        }
        Ok(Alpaca {
            base: base.clone(),
            feed: settings.get("feed").to_owned(),
            page_len: settings.page_len,
            headers,
        })
    }

    /// The page token; the first page has none.
    type Place = Option<String>;

    fn traits(&self) -> VenueTraits {
        VenueTraits {
            name: "alpaca",
            is_open_ended: false,
            is_numbered: false,
            lead_ns: 0,
            weight_max: NonZeroU32::MIN,
        }
    }

    fn start(&self) -> Option<String> {
        None
    }

    fn request(&self, range: &SymbolRange, place: &Option<String>) -> Result<Request, PageError> {
        let request = self.asked(range, &range.from, self.page_len)?;
        Ok(match place {
            Some(token) => request.with("page_token", token),
            None => request,
        })
    }

    fn lookup(&self, range: &SymbolRange) -> Result<Option<Request>, PageError> {
        // The first day of the vendor's history.
        self.asked(range, &"2016-01-01T00:00:00Z", 1).map(Some)
    }

    fn decode(
        &self,
        range: &SymbolRange,
        _place: &Option<String>,
        reply: &Reply,
        rows: &mut Rows,
    ) -> Result<Next<Option<String>>, PageError> {
        let mut envelope: BTreeMap<String, &RawValue> =
            parse(&reply.body, "a reply of trades by symbol")?;
        // A reply without the name says something else, and never that there are no trades.
        let trades = envelope.remove("trades").ok_or_else(|| PageError::Busy {
            message: message(&reply.body),
        })?;
        let trades: Option<Trades<'_>> = parse(trades.get().as_bytes(), "trades by symbol")?;
        let token: Option<String> = match envelope.remove("next_page_token") {
            Some(token) => parse(token.get().as_bytes(), "a page token")?,
            None => None,
        };
        let mut trades = trades.unwrap_or_default();
        let own = trades
            .remove(range.symbol.as_str())
            .flatten()
            .unwrap_or_default();
        if let Some((found, _)) = trades.into_iter().find(|(_, rows)| rows.is_some()) {
            return Err(PageError::WrongSymbol {
                found: shorten(&found),
            });
        }
        rows.read(&own, |row: Record<'_>| row.row(range.symbol))?;
        Ok(match token.filter(|token| !token.is_empty()) {
            Some(token) => {
                let is_full = self.page_len <= rows.read;
                Next::Cursor {
                    cursor: token.clone(),
                    place: Some(token),
                    is_full,
                }
            }
            None => Next::Done,
        })
    }

    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }
}
