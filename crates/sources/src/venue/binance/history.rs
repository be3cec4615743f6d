//! Binance spot: `/api/v3/aggTrades` and `/api/v3/historicalTrades`, pages of up to 1,000 by number.
//!
//! Wire format: the venue's public documents of 2026-07. The first trade of the interval is found by
//! `startTime`; from then on pages begin at a number, inclusive. The first of them begins a little before
//! the interval: that it holds a trade of before the interval proves that none is missing at the start.
//! Times are asked for in microseconds and known by their magnitude.

use super::wire::{Event, Single};
use crate::venue::VenueSettings;
use crate::venue::history::{
    Asked, HistoryProtocol, Listing, Next, PageError, PageOrder, Request, Rows, VenueHistory, parse,
};
use barmill_core::model::Symbol;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::num::NonZeroU32;

/// Weight of a page of aggregate trades.
const AGGREGATE_WEIGHT: NonZeroU32 = NonZeroU32::new(4).unwrap();
/// Weight of a page of single trades.
const SINGLE_WEIGHT: NonZeroU32 = NonZeroU32::new(25).unwrap();
/// Numbers before the first trade of the interval at which the first page begins.
const LOOK_BACK: usize = 16;

/// Pages by number, and the key that is not needed.
pub(super) static PAGES: VenueHistory = VenueHistory {
    weight_max: |settings| Trades::of(settings).weight(),
    headers: &[("x-mbx-time-unit", "MICROSECOND")],
    secrets: &[("key_env", "x-mbx-apikey")],
    listing: Some(Listing {
        path: "/api/v3/exchangeInfo",
        names: listed,
    }),
    ..VenueHistory::new(PageOrder::NUMBERED, |settings| {
        Box::new(Binance {
            trades: Trades::of(settings),
            place: Place::Start,
        })
    })
};

/// Which of the two histories is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trades {
    /// `/api/v3/aggTrades`: the fills of one taker order at one price are one row.
    Aggregate,
    /// `/api/v3/historicalTrades`: every fill.
    Single,
}

impl Trades {
    fn of(settings: &VenueSettings) -> Trades {
        match settings.get("trades") {
            "single" => Trades::Single,
            _ => Trades::Aggregate,
        }
    }

    fn weight(self) -> NonZeroU32 {
        match self {
            Trades::Aggregate => AGGREGATE_WEIGHT,
            Trades::Single => SINGLE_WEIGHT,
        }
    }
}

#[derive(Debug)]
struct Binance {
    trades: Trades,
    place: Place,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the start of the interval, to learn the number of its first trade.
    Start,
    /// At this number, a little before the interval.
    Before(u64),
    /// At this number.
    At(u64),
}

/// The numbers of an aggregate trade: its own, and that of its first fill.
#[derive(Deserialize)]
struct Numbers {
    a: u64,
    f: u64,
}

impl Binance {
    /// Goes to the number at which the first page begins, from the reply to the question for the first trade.
    fn look(&mut self, wire: &[&RawValue], page_len: usize) -> Result<Next, PageError> {
        let Some(first) = wire.first() else {
            return Ok(Next::Done);
        };
        let first: Numbers = parse(first.get().as_bytes(), "an aggregate trade")?;
        let number = match self.trades {
            Trades::Aggregate => first.a,
            Trades::Single => first.f,
        };
        let back = u64::try_from(LOOK_BACK.min(page_len / 2)).unwrap_or(0);
        self.place = Place::Before(number.saturating_sub(back));
        Ok(Next::Look)
    }

    fn read(&self, symbol: Symbol, wire: &[&RawValue], rows: &mut Rows) -> Result<(), PageError> {
        match self.trades {
            Trades::Aggregate => rows.read(wire, |row: Event<'_>| row.row(symbol)),
            Trades::Single => rows.read(wire, |row: Single<'_>| row.row(symbol)),
        }
    }
}

impl HistoryProtocol for Binance {
    fn request(&self, asked: &Asked) -> Result<Request, PageError> {
        let (path, trades) = match (self.place, self.trades) {
            (Place::Before(_) | Place::At(_), Trades::Single) => {
                ("/api/v3/historicalTrades", Trades::Single)
            }
            (_, Trades::Aggregate) | (Place::Start, _) => ("/api/v3/aggTrades", Trades::Aggregate),
        };
        let request = asked.request(path)?.with("symbol", asked.range.symbol);
        let request = match self.place {
            Place::Start => request
                .with("startTime", asked.range.from.as_millis())
                .with("limit", 1),
            Place::Before(number) | Place::At(number) => {
                request.with("fromId", number).with("limit", asked.page_len)
            }
        };
        Ok(Request {
            weight: trades.weight(),
            ..request
        })
    }

    fn decode(&mut self, asked: &Asked, body: &[u8], rows: &mut Rows) -> Result<Next, PageError> {
        let wire: Vec<&RawValue> = parse(body, "an array of trades")?;
        let number = match self.place {
            Place::Start => return self.look(&wire, asked.page_len),
            Place::Before(number) | Place::At(number) => number,
        };
        self.read(asked.range.symbol, &wire, rows)?;
        if let Some(early) = rows.trades.iter().find(|trade| trade.sequence < number) {
            return Err(PageError::ignored("fromId", number, early.sequence));
        }
        if let Place::Before(_) = self.place
            && let Some(early) = cut_early(asked, number, rows)?
            && rows.trades.is_empty()
            && early > number
        {
            self.place = Place::Before(early);
            return Ok(Next::Look);
        }
        let Some(last) = rows.trades.last() else {
            return Ok(Next::Done);
        };
        self.place = Place::At(last.sequence);
        Ok(Next::Restart {
            is_full: asked.page_len <= rows.read,
        })
    }
}

/// Leaves out the trades before the interval and gives the number of the last of them; there is one, unless
/// the venue has no earlier trade and so begins later than asked.
fn cut_early(asked: &Asked, number: u64, rows: &mut Rows) -> Result<Option<u64>, PageError> {
    let from = asked.range.from;
    let count = rows
        .trades
        .iter()
        .take_while(|trade| trade.time < from)
        .count();
    let first = rows.trades.first();
    if count == 0 && first.is_none_or(|first| first.sequence == number && number > 0) {
        let got = first.map_or_else(|| "nothing".into(), |first| first.time.to_string());
        return Err(PageError::ignored("startTime", from, got));
    }
    Ok(rows
        .trades
        .drain(..count)
        .next_back()
        .map(|trade| trade.sequence))
}

/// The names in `symbols[].symbol`.
fn listed(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Info {
        symbols: Vec<Symbol>,
    }
    #[derive(Deserialize)]
    struct Symbol {
        symbol: String,
    }
    let info: Info = serde_json::from_slice(body).ok()?;
    Some(info.symbols.into_iter().map(|one| one.symbol).collect())
}
