//! Kraken: `/0/public/Trades`, pages of up to 1,000 trades since a nanosecond.
//!
//! Wire format: the venue's public documents of 2026 and a recorded reply. A page says in `last` the
//! nanosecond of its last trade, more exactly than the row's own time, which is cut to about 100 ns. The
//! next page is asked from one nanosecond before it, so that it holds that trade whether the venue
//! includes `since` or not; trades are told apart by their number.

use super::wire::Row;
use crate::venue::VenueSettings;
use crate::venue::history::error::PageError;
use crate::venue::history::json::{Rows, message, parse, shorten, text_of};
use crate::venue::history::page::{HistoryProtocol, Listing, Next, Reply, Request, VenueTraits};
use crate::venue::history::progress::SymbolRange;
use crate::venue::history::settings::HistorySettingsError;
use barmill_core::model::{Timestamp, Trade};
use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Nanoseconds by which a row's time may be before its true time.
const CUT_NS: i64 = 1_000;
/// Nanoseconds before the interval in which a first page may begin.
const LEAD_NS: i64 = 2 * CUT_NS;

#[derive(Debug)]
pub(crate) struct Kraken {
    base: Url,
    page_len: usize,
}

/// Where a page begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
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

impl HistoryProtocol for Kraken {
    fn new(base: &Url, settings: &VenueSettings) -> Result<Kraken, HistorySettingsError> {
        Ok(Kraken {
            base: base.clone(),
            page_len: settings.page_len,
        })
    }

    type Place = Place;

    fn traits(&self) -> VenueTraits {
        VenueTraits {
            name: "kraken",
            is_open_ended: true,
            is_numbered: true,
            lead_ns: LEAD_NS,
            weight_max: NonZeroU32::MIN,
        }
    }

    fn start(&self) -> Place {
        Place::Start
    }

    fn request(&self, range: &SymbolRange, place: &Place) -> Result<Request, PageError> {
        let since = match place {
            Place::Start => range.from.saturating_sub(CUT_NS),
            Place::At(last) => last.saturating_sub(1),
            Place::Proof(_) => Timestamp::EPOCH,
        };
        let request = Request::new(&self.base, "/0/public/Trades", range.symbol)?
            .with("pair", range.symbol)
            .with("since", since.as_nanos())
            .with("count", self.page_len);
        Ok(request)
    }

    fn listing(&self) -> Option<Listing> {
        Some(Listing::new(&self.base, "/0/public/AssetPairs", listed))
    }

    fn decode(
        &self,
        range: &SymbolRange,
        place: &Place,
        reply: &Reply,
        rows: &mut Rows,
    ) -> Result<Next<Place>, PageError> {
        let envelope: Envelope<'_> = parse(&reply.body, "an object of error and result")?;
        check_errors(&envelope.error, &reply.body)?;
        let mut result = envelope.result.ok_or_else(|| PageError::Busy {
            message: message(&reply.body),
        })?;
        let last = result.remove("last");
        // The venue may answer with its own name of the pair, but with one pair only.
        let mut pairs = result.into_iter();
        let (pair, trades) = pairs.next().ok_or_else(|| PageError::Busy {
            message: message(&reply.body),
        })?;
        if let Some((found, _)) = pairs.next() {
            return Err(PageError::WrongSymbol {
                found: shorten(&format!("{pair} and {found}")),
            });
        }
        let trades: Vec<&RawValue> = parse(trades.get().as_bytes(), "an array of trades")?;
        rows.read(&trades, |row: Row<'_>| row.row(range.symbol))?;
        if let Place::Proof(first) = place {
            return prove(range, first, &std::mem::take(&mut rows.trades));
        }
        if let (Place::Start, Some(first)) = (place, rows.trades.first())
            && first.time >= range.to
        {
            return Ok(Next::Look(Place::Proof(rows.trades.swap_remove(0))));
        }
        next(range, place, last, (rows, self.page_len))
    }
}

fn next(
    range: &SymbolRange,
    place: &Place,
    last: Option<&RawValue>,
    (rows, page_len): (&Rows, usize),
) -> Result<Next<Place>, PageError> {
    let (Some(first), Some(row)) = (rows.trades.first(), rows.trades.last()) else {
        return Ok(Next::Done);
    };
    let text = last.map_or("", text_of);
    let last = text.parse().ok().and_then(Timestamp::from_nanos);
    let Some(last) = last.filter(|last| last.since(row.time).abs() <= CUT_NS) else {
        return Err(PageError::Ignored {
            parameter: "last",
            asked: format!("the nanosecond of the last row, {}", row.time),
            got: shorten(text),
        });
    };
    let is_moving = match place {
        Place::Start => true,
        Place::At(previous) => *previous < last,
        Place::Proof(_) => false,
    };
    // The time just before the interval may fill a page.
    let is_lead = range.from.saturating_sub(LEAD_NS) <= first.time && row.time < range.from;
    if is_lead && is_moving {
        return Ok(Next::Look(Place::At(last)));
    }
    Ok(Next::Restart {
        place: Place::At(last),
        is_full: page_len <= rows.read,
    })
}

/// An interval without trades is believed if the venue, asked for its first trades, gives earlier ones.
fn prove(range: &SymbolRange, first: &Trade, oldest: &[Trade]) -> Result<Next<Place>, PageError> {
    match oldest.first() {
        Some(oldest) if oldest.time < range.from || oldest.sequence <= 1 => Ok(Next::Done),
        _ => Err(PageError::Ignored {
            parameter: "since",
            asked: range.from.to_string(),
            got: first.time.to_string(),
        }),
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
            let asset = |name: &str| match name {
                "XBT" => "BTC".to_owned(),
                "XDG" => "DOGE".to_owned(),
                other => other.to_owned(),
            };
            let assets: Vec<String> = name.split('/').map(asset).collect();
            assets.join("/")
        });
        [Some(key), pair.altname, pair.wsname, usual]
    });
    Some(names.flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::{HistoryProtocol, Kraken, Reply, Rows, SymbolRange, Timestamp};
    use crate::venue::history::link::parse_base;
    use crate::venue::{VenueSettings, kraken};

    /// The words of the venue in a fault are one short line, whatever they hold.
    #[test]
    fn words_of_the_venue_are_shortened_without_control_characters() {
        let base = parse_base("https://api.kraken.com").unwrap();
        let venue = Kraken::new(&base, &VenueSettings::new(&kraken::VENUE)).unwrap();
        let range = SymbolRange {
            symbol: "XBTUSD".parse().unwrap(),
            from: Timestamp::EPOCH,
            to: "2025-10-16T00:00:00Z".parse().unwrap(),
        };
        let escape = "\u{7f}\\u001b[2J".repeat(1_000);
        for (last, more) in [
            (escape.clone(), String::new()),
            (String::new(), format!(r#","{escape}":[]"#)),
        ] {
            let rows = r#"[["1","1",1760535000.5,"s","l","",7]]"#;
            let text = format!(r#"{{"error":[],"result":{{"A":{rows},"last":"{last}"{more}}}}}"#);
            let reply = Reply {
                body: text.into_bytes(),
                stream: None,
            };
            let fault = venue
                .decode(&range, &venue.start(), &reply, &mut Rows::default())
                .unwrap_err();
            let said = fault.to_string();
            assert!(
                said.len() < 500 && !said.chars().any(char::is_control),
                "{said:?}"
            );
        }
    }
}
