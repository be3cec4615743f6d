//! Coinbase Exchange: `/products/{id}/trades`, pages of up to 1,000 trades, newest first, by number only.
//!
//! Wire format: the venue's public documents of 2026; `side` is the maker's. `after` gives the trades
//! before a number. There is no time in the question, so the start of the interval is found by bisection
//! over the numbers, about twenty pages; then the pages step forwards, each overlapping the one before by
//! its last trade. Walking back from now instead would fetch or hold every page since.

use super::wire::Row;
use crate::venue::history::{
    Asked, HistoryProtocol, Listing, Next, PageError, PageOrder, Request, Rows, SymbolRange,
    VenueHistory, parse,
};
use barmill_core::model::Trade;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Pages by number. They go back, so any earlier trade may be in one.
pub(super) static PAGES: VenueHistory = VenueHistory {
    order: PageOrder {
        lead_ns: i64::MAX,
        ..PageOrder::NUMBERED
    },
    listing: Some(Listing {
        path: "/products",
        names: listed,
    }),
    ..VenueHistory::new(PageOrder::NUMBERED, |_| Box::new(Coinbase(Place::Start)))
};

#[derive(Debug)]
struct Coinbase(Place);

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the newest trade.
    Start,
    /// Somewhere between these.
    Between(Bounds),
    /// Above `covered`, up to which every trade is known or before the interval; `newest` is the last one.
    Above { covered: u64, newest: u64 },
}

/// What bisection knows: up to `low` all trades are before the interval, from `high` on none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    low: u64,
    high: u64,
    newest: u64,
}

impl Coinbase {
    /// The parameter `after` of the page.
    fn after(&self, asked: &Asked) -> Option<u64> {
        match self.0 {
            Place::Start => None,
            Place::Between(bounds) => Some(bounds.middle()),
            // Holds the trade `covered` whether the venue includes the number or not.
            Place::Above { covered, .. } => Some(covered.saturating_add(page_len(asked) - 1)),
        }
    }

    /// Goes on above a page, which must reach down to what is covered, hold nothing early above it, and lead on.
    fn step(
        &mut self,
        asked: &Asked,
        (covered, newest): (u64, u64),
        rows: &Rows,
    ) -> Result<Next, PageError> {
        let SymbolRange { from, to, .. } = asked.range;
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
            return Err(PageError::ignored("limit", asked.page_len, rows.read));
        }
        match rows.trades.last() {
            Some(last) if newest <= last.sequence => Ok(Next::Done),
            Some(last) if covered < last.sequence => {
                let covered = last.sequence;
                self.0 = Place::Above { covered, newest };
                Ok(Next::Step)
            }
            last => Err(PageError::Stuck {
                rows: rows.read,
                time: last.map_or(from, |last| last.time),
            }),
        }
    }

    /// Goes on with what is known after a page that only located something.
    fn look(&mut self, bounds: Bounds) -> Next {
        let Bounds { low, high, newest } = bounds;
        if newest <= low {
            return Next::Done;
        }
        self.0 = if high <= low.saturating_add(1) {
            Place::Above {
                covered: low,
                newest,
            }
        } else {
            Place::Between(bounds)
        };
        Next::Look
    }
}

fn page_len(asked: &Asked) -> u64 {
    u64::try_from(asked.page_len).unwrap_or(u64::MAX)
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
    ) -> Result<Bounds, PageError> {
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
        match trades.last() {
            Some(last) if (low, high) == (self.low, self.high) => Err(PageError::Stuck {
                rows: trades.len(),
                time: last.time,
            }),
            Some(_) | None => Ok(Bounds { low, high, newest }),
        }
    }
}

impl HistoryProtocol for Coinbase {
    fn request(&self, asked: &Asked) -> Result<Request, PageError> {
        let request = asked
            .request("/products/{ticker}/trades")?
            .with("limit", asked.page_len);
        Ok(match self.after(asked) {
            Some(after) => request.with("after", after),
            None => request,
        })
    }

    fn decode(&mut self, asked: &Asked, body: &[u8], rows: &mut Rows) -> Result<Next, PageError> {
        let range = &asked.range;
        let wire: Vec<&RawValue> = parse(body, "an array of trades")?;
        rows.read(&wire, |row: Row<'_>| row.row(range.symbol))?;
        rows.trades.reverse();
        let after = self.after(asked).unwrap_or(u64::MAX);
        let newest = rows.trades.last().map(|trade| trade.sequence);
        if let Some(newest) = newest.filter(|newest| *newest > after) {
            return Err(PageError::ignored("after", after, newest));
        }
        let (bounds, after) = match (self.0, newest) {
            (Place::Above { covered, newest }, _) => {
                return self.step(asked, (covered, newest), rows);
            }
            (Place::Start, None) => return Ok(Next::Done),
            (Place::Start, Some(newest)) => {
                let (low, high) = (0, newest.saturating_add(1));
                (Bounds { low, high, newest }, high)
            }
            (Place::Between(bounds), _) => (bounds, after),
        };
        let trades = std::mem::take(&mut rows.trades);
        let bounds = bounds.narrow(range, after, &trades)?;
        Ok(self.look(bounds))
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
