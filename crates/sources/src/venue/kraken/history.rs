//! Kraken: `/0/public/Trades`, pages of up to 1,000 trades since a nanosecond.
//!
//! Wire format: the venue's public documents of 2026 and a recorded reply. A page says in `last` the
//! nanosecond of its last trade, more exactly than the row's own time, which is cut to about 100 ns. The
//! next page is asked from one nanosecond before it, so that it holds that trade whether the venue
//! includes `since` or not; trades are told apart by their number.

use super::wire::Row;
use crate::venue::history::{
    Asked, HistoryProtocol, Listing, Next, PageError, PageOrder, Request, Rows, SymbolRange,
    VenueHistory, message, parse, shorten, text_of,
};
use barmill_core::model::{Timestamp, Trade};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Nanoseconds by which a row's time may be before its true time.
const CUT_NS: i64 = 1_000;
/// Nanoseconds before the interval in which a first page may begin.
const LEAD_NS: i64 = 2 * CUT_NS;

/// Pages by time, of trades that are numbered.
pub(super) static PAGES: VenueHistory = VenueHistory {
    order: PageOrder {
        lead_ns: LEAD_NS,
        ..PageOrder::NUMBERED
    },
    listing: Some(Listing {
        path: "/0/public/AssetPairs",
        names: listed,
    }),
    ..VenueHistory::new(PageOrder::NUMBERED, |_| Box::new(Kraken(Place::Start)))
};

#[derive(Debug)]
struct Kraken(Place);

/// Where a page begins.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// At the start of the interval.
    Start,
    /// One nanosecond before this one.
    At(Timestamp),
    /// At the venue's first trade ever, to see that it heeds `since`: the first page began with this
    /// trade, after the interval.
    Proof(Trade),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    error: Vec<String>,
    #[serde(borrow)]
    result: Option<BTreeMap<String, &'a RawValue>>,
}

impl Kraken {
    fn next(
        &mut self,
        asked: &Asked,
        last: Option<&RawValue>,
        rows: &Rows,
    ) -> Result<Next, PageError> {
        let (Some(first), Some(row)) = (rows.trades.first(), rows.trades.last()) else {
            return Ok(Next::Done);
        };
        let text = last.map_or("", text_of);
        let last = text.parse().ok().and_then(Timestamp::from_nanos);
        let Some(last) = last.filter(|last| last.since(row.time).abs() <= CUT_NS) else {
            let wanted = format!("the nanosecond of the last row, {}", row.time);
            return Err(PageError::ignored("last", wanted, shorten(text)));
        };
        let is_moving = match self.0 {
            Place::Start => true,
            Place::At(previous) => previous < last,
            Place::Proof(_) => false,
        };
        self.0 = Place::At(last);
        // The time just before the interval may fill a page.
        let from = asked.range.from;
        let is_lead = from.saturating_sub(LEAD_NS) <= first.time && row.time < from;
        if is_lead && is_moving {
            return Ok(Next::Look);
        }
        Ok(Next::Restart {
            is_full: asked.page_len <= rows.read,
        })
    }
}

impl HistoryProtocol for Kraken {
    fn request(&self, asked: &Asked) -> Result<Request, PageError> {
        let since = match &self.0 {
            Place::Start => asked.range.from.saturating_sub(CUT_NS),
            Place::At(last) => last.saturating_sub(1),
            Place::Proof(_) => Timestamp::EPOCH,
        };
        let request = asked.request("/0/public/Trades")?;
        Ok(request
            .with("pair", asked.range.symbol)
            .with("since", since.as_nanos())
            .with("count", asked.page_len))
    }

    fn decode(&mut self, asked: &Asked, body: &[u8], rows: &mut Rows) -> Result<Next, PageError> {
        let range = &asked.range;
        let envelope: Envelope<'_> = parse(body, "an object of error and result")?;
        check_errors(&envelope.error, body)?;
        let busy = || PageError::Busy {
            message: message(body),
        };
        let mut result = envelope.result.ok_or_else(busy)?;
        let last = result.remove("last");
        // The venue may answer with its own name of the pair, but with one pair only.
        let mut pairs = result.into_iter();
        let (pair, trades) = pairs.next().ok_or_else(busy)?;
        if let Some((found, _)) = pairs.next() {
            return Err(PageError::WrongSymbol {
                found: shorten(&format!("{pair} and {found}")),
            });
        }
        let trades: Vec<&RawValue> = parse(trades.get().as_bytes(), "an array of trades")?;
        rows.read(&trades, |row: Row<'_>| row.row(range.symbol))?;
        if let Place::Proof(first) = &self.0 {
            return prove(range, first, &std::mem::take(&mut rows.trades));
        }
        if let (Place::Start, Some(first)) = (&self.0, rows.trades.first())
            && first.time >= range.to
        {
            self.0 = Place::Proof(rows.trades.swap_remove(0));
            return Ok(Next::Look);
        }
        self.next(asked, last, rows)
    }
}

/// An interval without trades is believed if the venue, asked for its first trades, gives earlier ones.
fn prove(range: &SymbolRange, first: &Trade, oldest: &[Trade]) -> Result<Next, PageError> {
    match oldest.first() {
        Some(oldest) if oldest.time < range.from || oldest.sequence <= 1 => Ok(Next::Done),
        _ => Err(PageError::ignored("since", range.from, first.time)),
    }
}

fn check_errors(errors: &[String], body: &[u8]) -> Result<(), PageError> {
    let Some(first) = errors.first() else {
        return Ok(());
    };
    let message = message(body);
    let is_busy =
        first.starts_with("EService") || first.contains("Too many") || first.contains("Rate limit");
    Err(if is_busy {
        PageError::Busy { message }
    } else {
        PageError::Status {
            status: 200,
            message,
            retry_after: None,
        }
    })
}

/// The names of the pairs: those of the archive, and those of the socket, which calls XBT and XDG by their usual names.
fn listed(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Pairs {
        result: BTreeMap<String, Pair>,
    }
    #[derive(Deserialize)]
    struct Pair {
        altname: Option<String>,
        wsname: Option<String>,
    }
    let pairs: Pairs = serde_json::from_slice(body).ok()?;
    let names = pairs.result.into_iter().flat_map(|(key, pair)| {
        let usual = pair.wsname.as_ref().map(|name| {
            let assets = name.split('/').map(|asset| match asset {
                "XBT" => "BTC",
                "XDG" => "DOGE",
                other => other,
            });
            assets.collect::<Vec<_>>().join("/")
        });
        [Some(key), pair.altname, pair.wsname, usual]
    });
    Some(names.flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::{Asked, HistoryProtocol, Kraken, Place, Rows, SymbolRange, Timestamp};

    /// The words of the venue in a fault are one short line, whatever they hold.
    #[test]
    fn words_of_the_venue_are_shortened_without_control_characters() {
        let asked = Asked {
            base: "https://api.kraken.com".parse().unwrap(),
            range: SymbolRange {
                symbol: "XBTUSD".parse().unwrap(),
                from: Timestamp::EPOCH,
                to: "2025-10-16T00:00:00Z".parse().unwrap(),
            },
            page_len: 1_000,
        };
        let escape = "\u{7f}\\u001b[2J".repeat(1_000);
        for (last, more) in [
            (escape.clone(), String::new()),
            (String::new(), format!(r#","{escape}":[]"#)),
        ] {
            let rows = r#"[["1","1",1760535000.5,"s","l","",7]]"#;
            let text = format!(r#"{{"error":[],"result":{{"A":{rows},"last":"{last}"{more}}}}}"#);
            let fault = Kraken(Place::Start)
                .decode(&asked, text.as_bytes(), &mut Rows::default())
                .unwrap_err();
            let said = fault.to_string();
            assert!(
                said.len() < 500 && !said.chars().any(char::is_control),
                "{said:?}"
            );
        }
    }
}
