//! The recording as the venue serves it: in order of time, with the venue's identities and clock resolution.

use super::descriptor::Numbering;
use crate::venue::Venue;
use barmill_core::model::{Conditions, Side, Symbol, Timestamp, Trade, TradeId};
use std::collections::HashMap;

/// Why trades cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TapeError {
    /// There is none.
    #[error("the recording has no trades")]
    Empty,
    /// More than an index can count.
    #[error("the recording has {len} trades, more than the {max} that can be served")]
    TooLong {
        /// How many there are.
        len: usize,
        /// How many there may be.
        max: usize,
    },
}

/// One symbol's trades.
#[derive(Debug)]
struct Lane {
    symbol: Symbol,
    /// Places in the tape, ascending.
    places: Vec<u32>,
}

/// Every trade of a recording in order of time, restated as the venue would tell it.
///
/// Numbers are kept where the recording has the venue's own: contiguous for the venues that promise it, else ascending;
/// otherwise a symbol's trades are numbered from 1. Memory is 88 bytes a trade.
#[derive(Debug)]
pub struct Tape {
    venue: &'static Venue,
    trades: Vec<Trade>,
    lane_of: Vec<u32>,
    lanes: Vec<Lane>,
    by_name: HashMap<String, usize>,
    renumbered: usize,
}

impl Tape {
    /// Trades of the longest tape.
    pub const LEN_MAX: usize = 1 << 28;

    /// Sorts and restates trades in any order.
    ///
    /// # Errors
    /// [`TapeError`] when there are none, or too many.
    pub fn new(venue: &'static Venue, mut trades: Vec<Trade>) -> Result<Tape, TapeError> {
        if trades.is_empty() {
            return Err(TapeError::Empty);
        }
        if Tape::LEN_MAX < trades.len() {
            return Err(TapeError::TooLong {
                len: trades.len(),
                max: Tape::LEN_MAX,
            });
        }
        trades.sort_by_key(Trade::key);
        let mut tape = Tape {
            venue,
            lane_of: Vec::with_capacity(trades.len()),
            lanes: Vec::new(),
            by_name: HashMap::new(),
            renumbered: 0,
            trades: Vec::new(),
        };
        let mut lanes: HashMap<Symbol, usize> = HashMap::new();
        for (place, trade) in (0u32..).zip(&trades) {
            let lane = *lanes
                .entry(trade.symbol)
                .or_insert_with(|| tape.open_lane(trade.symbol));
            tape.lanes[lane].places.push(place);
            tape.lane_of.push(u32::try_from(lane).unwrap_or(u32::MAX));
        }
        tape.trades = trades;
        for lane in 0..tape.lanes.len() {
            tape.number(lane);
        }
        tape.restate();
        Ok(tape)
    }

    /// Moves every trade in time.
    pub fn shift(&mut self, nanos: i64) {
        for trade in &mut self.trades {
            trade.time = trade.time.saturating_add(nanos);
        }
    }

    /// Trades in all.
    pub fn len(&self) -> usize {
        self.trades.len()
    }

    /// Whether there is no trade; a tape is never empty.
    pub fn is_empty(&self) -> bool {
        self.trades.is_empty()
    }

    /// The times of the first and the last trade.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let time = |trade: Option<&Trade>| trade.map_or(Timestamp::EPOCH, |trade| trade.time);
        (time(self.trades.first()), time(self.trades.last()))
    }

    /// The symbols, in the order of their first trades.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.lanes.iter().map(|lane| lane.symbol)
    }

    /// Symbols whose trades were numbered anew.
    pub fn renumbered(&self) -> usize {
        self.renumbered
    }

    /// Every trade as the venue tells it in its history, in order of time.
    pub fn trades(&self) -> &[Trade] {
        &self.trades
    }

    /// The venue.
    pub fn venue(&self) -> &'static Venue {
        self.venue
    }

    /// The lane of a symbol as a client writes it: case and separators do not count.
    pub(crate) fn lane(&self, name: &str) -> Option<usize> {
        self.by_name.get(&plain(name)).copied()
    }

    /// The lane of a trade.
    pub(crate) fn lane_of(&self, place: usize) -> usize {
        self.lane_of
            .get(place)
            .map_or(usize::MAX, |lane| *lane as usize)
    }

    pub(crate) fn lanes_len(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn symbol(&self, lane: usize) -> &'static str {
        self.lanes.get(lane).map_or("", |lane| lane.symbol.as_str())
    }

    /// The trades of a lane among the first `visible` of the tape, by their places.
    pub(crate) fn places(&self, lane: usize, visible: usize) -> &[u32] {
        let places = self.lanes.get(lane).map_or(&[][..], |lane| &lane.places);
        &places[..places.partition_point(|place| (*place as usize) < visible)]
    }

    pub(crate) fn at(&self, place: u32) -> &Trade {
        &self.trades[place as usize]
    }

    /// How many trades are before or at an instant.
    pub(crate) fn count_until(&self, time: Timestamp) -> usize {
        self.trades.partition_point(|trade| trade.time <= time)
    }

    fn open_lane(&mut self, symbol: Symbol) -> usize {
        self.lanes.push(Lane {
            symbol,
            places: Vec::new(),
        });
        self.by_name
            .insert(plain(symbol.as_str()), self.lanes.len() - 1);
        self.lanes.len() - 1
    }

    /// Gives the trades of a symbol numbers of the venue's kind, unless they have them.
    fn number(&mut self, lane: usize) {
        let numbering = self.venue.simulation.numbering;
        let places = &self.lanes[lane].places;
        let trades = &self.trades;
        let number = |place: u32| trades[place as usize].sequence;
        let is_numeric = places.iter().all(|&place| {
            let trade = &trades[place as usize];
            let is_numbered = trade.id.raw() == trade.sequence;
            trade.id.raw() < 1 << 63 && (numbering != Numbering::Contiguous || is_numbered)
        });
        let is_ordered = places.windows(2).all(|pair| match numbering {
            Numbering::Contiguous => number(pair[0]) + 1 == number(pair[1]),
            Numbering::Ascending => number(pair[0]) < number(pair[1]),
            Numbering::None => true,
        });
        let first = places.first().map_or(0, |&place| number(place));
        if is_numeric && is_ordered && (0 < first || numbering == Numbering::None) {
            return;
        }
        self.renumbered += 1;
        for (number, &place) in (1u64..).zip(places) {
            let trade = &mut self.trades[place as usize];
            trade.sequence = number;
            trade.id = TradeId::from_number(number);
        }
    }

    /// Leaves what the venue's history can tell.
    fn restate(&mut self) {
        let simulation = &self.venue.simulation;
        for trade in &mut self.trades {
            let excess = trade.time.as_nanos() % simulation.resolution_ns;
            trade.time = trade.time.saturating_sub(excess);
            trade.sequenced = simulation.numbering != Numbering::None;
            if self.venue.is_us_equity() {
                trade.side = Side::Unknown;
            } else {
                trade.venue = 0;
                trade.conditions = Conditions::NONE;
                trade.correction = 0;
            }
            (simulation.restate)(trade);
        }
    }
}

/// A name without case and separators.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|letter| !matches!(letter, '/' | '-' | '_'))
        .flat_map(char::to_uppercase)
        .collect()
}
