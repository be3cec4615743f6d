//! Alpaca: `/v2/stocks/trades`, pages of up to 10,000 trades by page token.
//!
//! Wire format: the vendor's public description and Go client of 2026. The token keeps its place also inside
//! one nanosecond.

use super::wire::Record;
use crate::venue::history::{
    Asked, HistoryProtocol, Next, PageError, PageOrder, Request, Rows, VenueHistory, message,
    parse, shorten,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Display;

/// Pages by time, and the keys.
pub(super) static PAGES: VenueHistory = VenueHistory {
    secrets: &[
        ("key_id_env", "apca-api-key-id"),
        ("secret_key_env", "apca-api-secret-key"),
    ],
    ..VenueHistory::new(PageOrder::TIMED, |settings| {
        Box::new(Alpaca {
            feed: settings.get("feed").to_owned(),
            token: None,
        })
    })
};

#[derive(Debug)]
struct Alpaca {
    feed: String,
    /// The page token; the first page has none.
    token: Option<String>,
}

/// The rows of each symbol.
type Trades<'a> = BTreeMap<String, Option<Vec<&'a RawValue>>>;

impl Alpaca {
    fn asked(
        &self,
        asked: &Asked,
        start: &dyn Display,
        limit: usize,
    ) -> Result<Request, PageError> {
        let request = asked.request("/v2/stocks/trades")?;
        Ok(request
            .with("symbols", asked.range.symbol)
            .with("start", start)
            // The venue includes the end.
            .with("end", asked.range.to.saturating_sub(1))
            .with("feed", &self.feed)
            .with("sort", "asc")
            .with("limit", limit))
    }
}

impl HistoryProtocol for Alpaca {
    fn request(&self, asked: &Asked) -> Result<Request, PageError> {
        let request = self.asked(asked, &asked.range.from, asked.page_len)?;
        Ok(match &self.token {
            Some(token) => request.with("page_token", token),
            None => request,
        })
    }

    fn lookup(&self, asked: &Asked) -> Result<Option<Request>, PageError> {
        // The first day of the vendor's history.
        self.asked(asked, &"2016-01-01T00:00:00Z", 1).map(Some)
    }

    fn decode(&mut self, asked: &Asked, body: &[u8], rows: &mut Rows) -> Result<Next, PageError> {
        let symbol = asked.range.symbol;
        let mut envelope: BTreeMap<String, &RawValue> = parse(body, "a reply of trades by symbol")?;
        // A reply without the name says something else, and never that there are no trades.
        let trades = envelope.remove("trades").ok_or_else(|| PageError::Busy {
            message: message(body),
        })?;
        let trades: Option<Trades<'_>> = parse(trades.get().as_bytes(), "trades by symbol")?;
        let token: Option<String> = match envelope.remove("next_page_token") {
            Some(token) => parse(token.get().as_bytes(), "a page token")?,
            None => None,
        };
        let mut trades = trades.unwrap_or_default();
        let own = trades.remove(symbol.as_str()).flatten().unwrap_or_default();
        if let Some((found, _)) = trades.into_iter().find(|(_, rows)| rows.is_some()) {
            return Err(PageError::WrongSymbol {
                found: shorten(&found),
            });
        }
        rows.read(&own, |row: Record<'_>| row.row(symbol))?;
        self.token = token.filter(|token| !token.is_empty());
        Ok(match self.token.clone() {
            Some(cursor) => Next::Cursor {
                cursor,
                is_full: asked.page_len <= rows.read,
            },
            None => Next::Done,
        })
    }
}
