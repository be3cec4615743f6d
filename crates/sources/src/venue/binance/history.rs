//! Binance spot: `/api/v3/aggTrades` and `/api/v3/historicalTrades`, pages of up to 1,000 by number.
//!
//! Wire format: the venue's public documents of 2026-07. The first trade of the interval is found by
//! `startTime`; from then on pages begin at a number, inclusive. The first of them begins a little before
//! the interval: that it holds a trade of before the interval proves that none is missing at the start.
//! Times are asked for in microseconds and known by their magnitude.

use super::wire::{Event, Single};
use crate::venue::VenueSettings;
use crate::venue::history::error::PageError;
use crate::venue::history::json::{Rows, parse};
use crate::venue::history::page::{HistoryProtocol, Listing, Next, Reply, Request, VenueTraits};
use crate::venue::history::progress::SymbolRange;
use crate::venue::history::settings::{HistorySettingsError, secret_header};
use barmill_core::model::Symbol;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::num::NonZeroU32;

/// Weight of a page of aggregate trades.
const AGGREGATE_WEIGHT: NonZeroU32 = NonZeroU32::new(4).unwrap();
/// Weight of a page of single trades.
const SINGLE_WEIGHT: NonZeroU32 = NonZeroU32::new(25).unwrap();
/// Numbers before the first trade of the interval at which the first page begins.
const LOOK_BACK: usize = 16;

/// Which of the two histories is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinanceTrades {
    /// `/api/v3/aggTrades`: the fills of one taker order at one price are one row.
    Aggregate,
    /// `/api/v3/historicalTrades`: every fill.
    Single,
}

#[derive(Debug)]
pub(crate) struct Binance {
    base: Url,
    trades: BinanceTrades,
    page_len: usize,
    headers: HeaderMap,
}

/// Where a page begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
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
    /// The number at which the first page begins, from the reply to the question for the first trade.
    fn first(&self, wire: &[&RawValue]) -> Result<Option<Place>, PageError> {
        let Some(first) = wire.first() else {
            return Ok(None);
        };
        let first: Numbers = parse(first.get().as_bytes(), "an aggregate trade")?;
        let number = match self.trades {
            BinanceTrades::Aggregate => first.a,
            BinanceTrades::Single => first.f,
        };
        let back = u64::try_from(LOOK_BACK.min(self.page_len / 2)).unwrap_or(0);
        Ok(Some(Place::Before(number.saturating_sub(back))))
    }

    fn read(&self, symbol: Symbol, wire: &[&RawValue], rows: &mut Rows) -> Result<(), PageError> {
        match self.trades {
            BinanceTrades::Aggregate => rows.read(wire, |row: Event<'_>| row.row(symbol)),
            BinanceTrades::Single => rows.read(wire, |row: Single<'_>| row.row(symbol)),
        }
    }
}

impl HistoryProtocol for Binance {
    fn new(base: &Url, settings: &VenueSettings) -> Result<Binance, HistorySettingsError> {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static("x-mbx-time-unit"),
            HeaderValue::from_static("MICROSECOND"),
        );
        if let Some(key) = settings.secret("key_env") {
            let value = secret_header("binance.key", key.expose_secret())?;
            headers.insert(HeaderName::from_static("x-mbx-apikey"), value);
        }
        Ok(Binance {
            base: base.clone(),
            trades: match settings.get("trades") {
                "single" => BinanceTrades::Single,
                _ => BinanceTrades::Aggregate,
            },
            page_len: settings.page_len,
            headers,
        })
    }

    type Place = Place;

    fn traits(&self) -> VenueTraits {
        let weight_max = match self.trades {
            BinanceTrades::Aggregate => AGGREGATE_WEIGHT,
            BinanceTrades::Single => SINGLE_WEIGHT,
        };
        VenueTraits {
            name: "binance",
            is_open_ended: true,
            is_numbered: true,
            lead_ns: 0,
            weight_max,
        }
    }

    fn start(&self) -> Place {
        Place::Start
    }

    fn request(&self, range: &SymbolRange, place: &Place) -> Result<Request, PageError> {
        let (path, weight) = match (place, self.trades) {
            (Place::Start, _) | (_, BinanceTrades::Aggregate) => {
                ("/api/v3/aggTrades", AGGREGATE_WEIGHT)
            }
            (_, BinanceTrades::Single) => ("/api/v3/historicalTrades", SINGLE_WEIGHT),
        };
        let request = Request {
            weight,
            ..Request::new(&self.base, path, range.symbol)?
        }
        .with("symbol", range.symbol);
        Ok(match place {
            Place::Start => request
                .with("startTime", range.from.as_millis())
                .with("limit", 1),
            Place::Before(number) | Place::At(number) => {
                request.with("fromId", number).with("limit", self.page_len)
            }
        })
    }

    fn listing(&self) -> Option<Listing> {
        Some(Listing::new(&self.base, "/api/v3/exchangeInfo", listed))
    }

    fn decode(
        &self,
        range: &SymbolRange,
        place: &Place,
        reply: &Reply,
        rows: &mut Rows,
    ) -> Result<Next<Place>, PageError> {
        let wire: Vec<&RawValue> = parse(&reply.body, "an array of trades")?;
        let asked = match place {
            Place::Start => return Ok(self.first(&wire)?.map_or(Next::Done, Next::Look)),
            Place::Before(number) | Place::At(number) => *number,
        };
        self.read(range.symbol, &wire, rows)?;
        if let Some(early) = rows.trades.iter().find(|trade| trade.sequence < asked) {
            return Err(ignored("fromId", asked, early.sequence));
        }
        if let Place::Before(_) = place
            && let Some(early) = cut_early(range, asked, rows)?
            && rows.trades.is_empty()
            && early > asked
        {
            return Ok(Next::Look(Place::Before(early)));
        }
        Ok(match rows.trades.last() {
            Some(last) => Next::Restart {
                place: Place::At(last.sequence),
                is_full: self.page_len <= rows.read,
            },
            None => Next::Done,
        })
    }

    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }
}

/// Leaves out the trades before the interval and gives the number of the last of them; there is one, unless
/// the venue has no earlier trade and so begins later than asked.
fn cut_early(range: &SymbolRange, asked: u64, rows: &mut Rows) -> Result<Option<u64>, PageError> {
    let count = rows
        .trades
        .iter()
        .take_while(|trade| trade.time < range.from)
        .count();
    let first = rows.trades.first();
    if count == 0 && first.is_none_or(|first| first.sequence == asked && asked > 0) {
        let got = first.map_or_else(|| "nothing".into(), |first| first.time.to_string());
        return Err(PageError::Ignored {
            parameter: "startTime",
            asked: range.from.to_string(),
            got,
        });
    }
    Ok(rows
        .trades
        .drain(..count)
        .next_back()
        .map(|trade| trade.sequence))
}

fn ignored(parameter: &'static str, asked: u64, got: u64) -> PageError {
    PageError::Ignored {
        parameter,
        asked: asked.to_string(),
        got: got.to_string(),
    }
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
