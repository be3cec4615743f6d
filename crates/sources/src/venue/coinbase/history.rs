//! Coinbase Exchange: `/products/{id}/trades`, pages of up to 1,000 trades, newest first, by number only.
//!
//! Wire format: the venue's public documents of 2026; `side` is the maker's. `after` gives the trades
//! before a number. There is no time in the question, so the start of the interval is found by bisection
//! over the numbers, about twenty pages; then the pages step forwards, each overlapping the one before by
//! its last trade. Walking back from now instead would fetch or hold every page since.

use super::wire::Row;
use crate::venue::VenueSettings;
use crate::venue::history::error::PageError;
use crate::venue::history::json::{Rows, parse};
use crate::venue::history::page::{HistoryProtocol, Listing, Next, Reply, Request, VenueTraits};
use crate::venue::history::progress::SymbolRange;
use crate::venue::history::settings::HistorySettingsError;
use barmill_core::model::Trade;
use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::num::NonZeroU32;

#[derive(Debug)]
pub(crate) struct Coinbase {
    base: Url,
    page_len: u64,
}

/// Where a page begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the newest trade.
    Start,
    /// Somewhere between these.
    Between(Bounds),
    /// Above `covered`, up to which every trade is known or before the interval; `newest` is the last one.
    Above { covered: u64, newest: u64 },
}

/// What bisection knows: up to `low` all trades are before the interval, from `high` on none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    low: u64,
    high: u64,
    newest: u64,
}

impl Coinbase {
    /// The parameter `after` of a page.
    fn after(&self, place: &Place) -> Option<u64> {
        match place {
            Place::Start => None,
            Place::Between(bounds) => Some(bounds.middle()),
            // Holds the trade `covered` whether the venue includes the number or not.
            Place::Above { covered, .. } => Some(covered.saturating_add(self.page_len - 1)),
        }
    }

    /// Goes on above a page, which must reach down to what is covered, hold nothing early above it, and lead on.
    fn step(
        &self,
        range: &SymbolRange,
        (covered, newest): (u64, u64),
        rows: &Rows,
    ) -> Result<Next<Place>, PageError> {
        let SymbolRange { from, to, .. } = *range;
        let is_early = |(_, trade): &(usize, &Trade)| trade.sequence > covered && trade.time < from;
        if let Some((row, trade)) = rows.trades.iter().enumerate().find(is_early) {
            return Err(PageError::Outside {
                row,
                time: trade.time,
                from,
                to,
            });
        }
        let oldest = rows.trades.first().map(|trade| trade.sequence);
        if oldest.is_none_or(|oldest| oldest > covered.saturating_add(1)) {
            let (asked, got) = (self.page_len.to_string(), rows.read.to_string());
            return Err(PageError::Ignored {
                parameter: "limit",
                asked,
                got,
            });
        }
        match rows.trades.last() {
            Some(last) if newest <= last.sequence => Ok(Next::Done),
            Some(last) if covered < last.sequence => Ok(Next::Step(Place::Above {
                covered: last.sequence,
                newest,
            })),
            Some(last) => Err(PageError::Stuck {
                rows: rows.read,
                time: last.time,
            }),
            None => Err(PageError::Stuck {
                rows: rows.read,
                time: from,
            }),
        }
    }
}

impl Bounds {
    /// The number that splits what is unknown.
    fn middle(self) -> u64 {
        self.low + (self.high - self.low) / 2 + 1
    }

    /// Narrows the bounds by the trades right before number `after`, or by there being none.
    fn narrow(
        self,
        range: &SymbolRange,
        after: u64,
        trades: &[Trade],
    ) -> Result<Next<Place>, PageError> {
        let Bounds { low, high, newest } = self;
        let below = || trades.iter().filter(|trade| trade.sequence < after);
        let early = below()
            .filter(|trade| trade.time < range.from)
            .map(|trade| trade.sequence)
            .max();
        let late = below()
            .filter(|trade| trade.time >= range.from)
            .map(|trade| trade.sequence)
            .min();
        let (low, high) = match (early, late) {
            (Some(early), Some(_)) => (early, early.saturating_add(1)),
            (None, Some(late)) => (low, high.min(late)),
            (Some(early), None) => (low.max(early), high),
            (None, None) => (low.max(after - 1), high),
        };
        if let Some(last) = trades
            .last()
            .filter(|_| (low, high) == (self.low, self.high))
        {
            return Err(PageError::Stuck {
                rows: trades.len(),
                time: last.time,
            });
        }
        Ok(if newest <= low {
            Next::Done
        } else if high <= low.saturating_add(1) {
            Next::Look(Place::Above {
                covered: low,
                newest,
            })
        } else {
            Next::Look(Place::Between(Bounds { low, high, newest }))
        })
    }
}

impl HistoryProtocol for Coinbase {
    fn new(base: &Url, settings: &VenueSettings) -> Result<Coinbase, HistorySettingsError> {
        Ok(Coinbase {
            base: base.clone(),
            page_len: u64::try_from(settings.page_len).unwrap_or(1_000),
        })
    }

    type Place = Place;

    fn traits(&self) -> VenueTraits {
        VenueTraits {
            name: "coinbase",
            is_open_ended: true,
            is_numbered: true,
            // Pages go back by number, so any earlier trade may be in one.
            lead_ns: i64::MAX,
            weight_max: NonZeroU32::MIN,
        }
    }

    fn start(&self) -> Place {
        Place::Start
    }

    fn request(&self, range: &SymbolRange, place: &Place) -> Result<Request, PageError> {
        let request = Request::new(&self.base, "/products/{ticker}/trades", range.symbol)?
            .with("limit", self.page_len);
        Ok(match self.after(place) {
            Some(after) => request.with("after", after),
            None => request,
        })
    }

    fn listing(&self) -> Option<Listing> {
        Some(Listing::new(&self.base, "/products", listed))
    }

    fn decode(
        &self,
        range: &SymbolRange,
        place: &Place,
        reply: &Reply,
        rows: &mut Rows,
    ) -> Result<Next<Place>, PageError> {
        let wire: Vec<&RawValue> = parse(&reply.body, "an array of trades")?;
        rows.read(&wire, |row: Row<'_>| row.row(range.symbol))?;
        rows.trades.reverse();
        let after = self.after(place).unwrap_or(u64::MAX);
        if let Some(newest) = rows.trades.last().filter(|trade| trade.sequence > after) {
            let (asked, got) = (after.to_string(), newest.sequence.to_string());
            return Err(PageError::Ignored {
                parameter: "after",
                asked,
                got,
            });
        }
        match *place {
            Place::Start => {
                let trades = std::mem::take(&mut rows.trades);
                let Some(newest) = trades.last().map(|trade| trade.sequence) else {
                    return Ok(Next::Done);
                };
                let high = newest.saturating_add(1);
                Bounds {
                    low: 0,
                    high,
                    newest,
                }
                .narrow(range, high, &trades)
            }
            Place::Between(bounds) => {
                bounds.narrow(range, after, &std::mem::take(&mut rows.trades))
            }
            Place::Above { covered, newest } => self.step(range, (covered, newest), rows),
        }
    }
}

/// The names in `[].id`.
fn listed(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Product {
        id: String,
    }
    let products: Vec<Product> = serde_json::from_slice(body).ok()?;
    Some(products.into_iter().map(|one| one.id).collect())
}
