//! Alpaca: `/v2/stocks/trades`, pages of up to 10,000 trades by page token.
//!
//! Wire format: the vendor's public description and Go client of 2026. The token keeps its place also inside
//! one nanosecond.

use super::wire::Record;
use crate::venue::VenueSettings;
use crate::venue::history::error::PageError;
use crate::venue::history::json::{Rows, message, parse, shorten};
use crate::venue::history::link::join;
use crate::venue::history::page::{HistoryProtocol, Next, Reply, Request, VenueTraits};
use crate::venue::history::pager::OpenHistory;
use crate::venue::history::progress::SymbolRange;
use crate::venue::history::source::{HistorySettingsError, in_range, secret_header};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName};
use secrecy::ExposeSecret;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Opens the history.
pub(crate) fn open(
    base: &Url,
    settings: &VenueSettings,
) -> Result<Arc<dyn OpenHistory>, HistorySettingsError> {
    Ok(Arc::new(Alpaca::new(base, settings)?))
}

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
    pub(crate) fn new(
        base: &Url,
        settings: &VenueSettings,
    ) -> Result<Alpaca, HistorySettingsError> {
        in_range("alpaca.page_len", settings.page_len, 2, 10_000)?;
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
}

impl HistoryProtocol for Alpaca {
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
        let mut url = join(&self.base, "/v2/stocks/trades", range.symbol)?;
        url.query_pairs_mut()
            .append_pair("symbols", range.symbol.as_str())
            .append_pair("start", &range.from.to_string())
            // The venue includes the end.
            .append_pair("end", &range.to.saturating_sub(1).to_string())
            .append_pair("feed", &self.feed)
            .append_pair("sort", "asc")
            .append_pair("limit", &self.page_len.to_string());
        if let Some(token) = place {
            url.query_pairs_mut().append_pair("page_token", token);
        }
        Ok(Request {
            url,
            weight: NonZeroU32::MIN,
        })
    }

    fn lookup(&self, range: &SymbolRange) -> Result<Option<Request>, PageError> {
        let mut url = join(&self.base, "/v2/stocks/trades", range.symbol)?;
        url.query_pairs_mut()
            .append_pair("symbols", range.symbol.as_str())
            // The first day of the vendor's history.
            .append_pair("start", "2016-01-01T00:00:00Z")
            .append_pair("end", &range.to.saturating_sub(1).to_string())
            .append_pair("feed", &self.feed)
            .append_pair("sort", "asc")
            .append_pair("limit", "1");
        Ok(Some(Request {
            url,
            weight: NonZeroU32::MIN,
        }))
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
