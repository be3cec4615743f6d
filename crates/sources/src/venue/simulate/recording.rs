//! The recording as the venue serves it: in order of time, with the venue's identities and clock resolution.

use crate::venue::Venue;
use barmill_core::model::{Conditions, Side, Symbol, Timestamp, Trade, TradeId};
use std::collections::HashMap;
use std::ops::Range;

/// Why trades cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
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

/// How a venue numbers the trades of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// Each number is one more than the one before.
    Contiguous,
    /// Numbers grow.
    Ascending,
    /// Trades have identities, but no numbers.
    None,
}

/// Every trade of a recording in order of time, restated as the venue would tell it.
///
/// Numbers are kept where the recording has the venue's own: contiguous for the venues that promise it, else ascending;
/// otherwise a symbol's trades are numbered from 1. Memory is at most 88 bytes a trade.
#[derive(Debug)]
pub struct Recording {
    venue: &'static Venue,
    trades: Vec<Trade>,
    /// In the order of their first trades.
    symbols: Vec<Symbol>,
    by_name: HashMap<String, Symbol>,
    /// The positions of each symbol's trades, ascending.
    positions: HashMap<Symbol, Vec<u32>>,
    renumbered: usize,
}

impl Recording {
    /// Trades of the longest recording.
    pub const LEN_MAX: usize = 1 << 28;

    /// Sorts and restates trades in any order.
    ///
    /// # Errors
    /// [`RecordingError`] when there are none, or too many.
    pub fn new(venue: &'static Venue, mut trades: Vec<Trade>) -> Result<Recording, RecordingError> {
        if trades.is_empty() {
            return Err(RecordingError::Empty);
        }
        if Recording::LEN_MAX < trades.len() {
            return Err(RecordingError::TooLong {
                len: trades.len(),
                max: Recording::LEN_MAX,
            });
        }
        trades.sort_by_key(Trade::key);
        let (mut symbols, mut positions) = (Vec::new(), HashMap::<Symbol, Vec<u32>>::new());
        for (position, trade) in (0u32..).zip(&trades) {
            let of_symbol = positions.entry(trade.symbol).or_default();
            if of_symbol.is_empty() {
                symbols.push(trade.symbol);
            }
            of_symbol.push(position);
        }
        let by_name = symbols
            .iter()
            .map(|&symbol| (plain(symbol.as_str()), symbol));
        let mut recording = Recording {
            venue,
            trades,
            by_name: by_name.collect(),
            symbols,
            renumbered: 0,
            positions: HashMap::new(),
        };
        for of_symbol in positions.values() {
            recording.number(of_symbol);
        }
        recording.positions = positions;
        recording.restate();
        Ok(recording)
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

    /// Whether there is no trade; a recording is never empty.
    pub fn is_empty(&self) -> bool {
        self.trades.is_empty()
    }

    /// The times of the first and the last trade.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let time = |trade: Option<&Trade>| trade.map_or(Timestamp::EPOCH, |trade| trade.time);
        (time(self.trades.first()), time(self.trades.last()))
    }

    /// The symbols, in the order of their first trades.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
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

    /// How many trades are before or at an instant.
    pub(crate) fn count_until(&self, time: Timestamp) -> usize {
        self.trades.partition_point(|trade| trade.time <= time)
    }

    /// Gives the trades of a symbol numbers of the venue's kind, unless they have them.
    fn number(&mut self, positions: &[u32]) {
        let numbering = self.venue.simulation.numbering;
        let number = |position: u32| self.trades[position as usize].sequence;
        let is_numeric = positions.iter().all(|&position| {
            let id = self.trades[position as usize].id.raw();
            id < 1 << 63 && (numbering != Numbering::Contiguous || id == number(position))
        });
        let is_ordered = positions.windows(2).all(|pair| match numbering {
            Numbering::Contiguous => number(pair[0]) + 1 == number(pair[1]),
            Numbering::Ascending => number(pair[0]) < number(pair[1]),
            Numbering::None => true,
        });
        let first = positions.first().map_or(0, |&position| number(position));
        if is_numeric && is_ordered && (0 < first || numbering == Numbering::None) {
            return;
        }
        self.renumbered += 1;
        for (number, &position) in (1u64..).zip(positions) {
            let trade = &mut self.trades[position as usize];
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

/// The trades of a recording that have happened: its first `len`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) len: usize,
    /// The simulated time.
    pub(crate) now: Timestamp,
}

impl<'a> Published<'a> {
    pub(crate) fn symbols(&self) -> &'a [Symbol] {
        self.recording.symbols()
    }

    /// The symbol that a client means: case and separators do not count.
    pub(crate) fn symbol(&self, name: &str) -> Option<Symbol> {
        self.recording.by_name.get(&plain(name)).copied()
    }

    /// The symbols of the names that are known.
    pub(crate) fn known(&self, names: &[&str]) -> Vec<Symbol> {
        names.iter().filter_map(|name| self.symbol(name)).collect()
    }

    /// The same, where `*` means all symbols.
    pub(crate) fn known_or_all(&self, names: &[&str]) -> Vec<Symbol> {
        if names.contains(&"*") {
            return self.symbols().to_vec();
        }
        self.known(names)
    }

    /// What has happened of a symbol.
    pub(crate) fn history(&self, symbol: Symbol) -> History<'a> {
        let all = self.recording.positions.get(&symbol);
        let all = all.map_or(&[][..], Vec::as_slice);
        History {
            trades: &self.recording.trades,
            positions: &all[..all.partition_point(|position| (*position as usize) < self.len)],
        }
    }
}

/// Trades of one symbol in order of time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct History<'a> {
    trades: &'a [Trade],
    positions: &'a [u32],
}

impl<'a> History<'a> {
    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    /// How many trades are before the first for which this is false.
    pub(crate) fn count_while(&self, is_before: impl Fn(&Trade) -> bool) -> usize {
        let is_before = |&position: &u32| is_before(&self.trades[position as usize]);
        self.positions.partition_point(is_before)
    }

    /// A part of them; none where it ends before it starts.
    pub(crate) fn slice(&self, range: Range<usize>) -> History<'a> {
        History {
            positions: self.positions.get(range).unwrap_or_default(),
            ..*self
        }
    }

    pub(crate) fn newest(&self, count: usize) -> History<'a> {
        self.slice(self.len().saturating_sub(count)..self.len())
    }

    pub(crate) fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = &'a Trade> + ExactSizeIterator + use<'a> {
        let trades = self.trades;
        self.positions
            .iter()
            .map(move |&position| &trades[position as usize])
    }
}

/// A name without case and separators.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|letter| !matches!(letter, '/' | '-' | '_'))
        .flat_map(char::to_uppercase)
        .collect()
}
