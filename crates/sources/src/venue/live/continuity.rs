//! The unbroken lines of all symbols of a feed, and the questions to the archive in the order they fall due.
//!
//! Pure: time is an argument. What one symbol does is in `track`.

use super::gap_context::{GapStats, Output, Rules};
use super::settings::GapSettings;
use super::track::Track;
use barmill_core::model::{Symbol, Timestamp, Trade, TradeKey};
use barmill_core::port::{Gap, GapError, GapFill, Remedy};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The tracks of a feed and what they have to deliver.
#[derive(Debug)]
pub(crate) struct Continuity {
    rules: Rules,
    tracks: Vec<Track>,
    /// Place in `tracks` by the number of the symbol.
    places: Vec<Option<usize>>,
    /// Places of symbols that are not followed any more.
    left: BTreeMap<Symbol, usize>,
    due: BTreeSet<(Duration, usize)>,
    open: usize,
    /// Trades held by all tracks.
    held: usize,
    ready: Vec<Trade>,
    unfilled: Vec<Gap>,
    stats: GapStats,
}

impl Continuity {
    pub(crate) fn new(gaps: &GapSettings, is_contiguous: bool, resolution_ns: i64) -> Continuity {
        let overlap_ns = i64::try_from(gaps.overlap.as_nanos()).unwrap_or(i64::MAX / 2);
        Continuity {
            rules: Rules {
                gaps: gaps.clone(),
                is_contiguous,
                overlap_ns,
                resolution_ns,
            },
            tracks: Vec::new(),
            places: Vec::new(),
            left: BTreeMap::new(),
            due: BTreeSet::new(),
            open: 0,
            held: 0,
            ready: Vec::new(),
            unfilled: Vec::new(),
            stats: GapStats::default(),
        }
    }

    /// Follows a symbol from a known place on, or from what comes.
    pub(crate) fn follow(&mut self, symbol: Symbol, after: Option<TradeKey>) -> usize {
        if let Some(place) = self.place(symbol) {
            return place;
        }
        if self.places.len() <= symbol.index() {
            self.places.resize(symbol.index() + 1, None);
        }
        if let Some(place) = self.left.remove(&symbol) {
            // It goes on where it was left; what it missed since is fetched.
            self.places[symbol.index()] = Some(place);
            self.change(place, |track, _, _| track.set_followed(true));
            return place;
        }
        let place = self.tracks.len();
        self.places[symbol.index()] = Some(place);
        self.tracks.push(Track::new(symbol, after));
        self.open += 1;
        place
    }

    /// Follows a symbol no longer; answers its place.
    pub(crate) fn leave(&mut self, symbol: Symbol) -> Option<usize> {
        let place = self.place(symbol)?;
        self.change(place, |track, _, _| track.set_followed(false));
        self.places[symbol.index()] = None;
        self.left.insert(symbol, place);
        Some(place)
    }

    /// Whether a symbol was followed before.
    pub(crate) fn was_left(&self, symbol: Symbol) -> bool {
        self.left.contains_key(&symbol)
    }

    pub(crate) fn place(&self, symbol: Symbol) -> Option<usize> {
        self.places.get(symbol.index()).copied().flatten()
    }

    /// All places, for a connection that carries everything.
    pub(crate) fn places(&self) -> Vec<usize> {
        (0..self.tracks.len()).collect()
    }

    pub(crate) fn on_down(&mut self, places: &[usize]) {
        for &place in places {
            self.change(place, |track, rules, _| track.on_down(rules));
        }
    }

    pub(crate) fn on_live(&mut self, places: &[usize], now: Duration, wall: Timestamp) {
        for &place in places {
            self.change(place, |track, rules, _| track.on_live(rules, now, wall));
        }
    }

    pub(crate) fn on_newest(&mut self, place: usize, sequence: u64, now: Duration) {
        self.change(place, |track, rules, _| {
            track.on_newest(rules, sequence, now);
        });
    }

    pub(crate) fn on_trade(&mut self, place: usize, trade: &Trade, now: Duration) {
        self.change(place, |track, rules, output| {
            track.on_trade(rules, trade, now, output);
        });
    }

    pub(crate) fn on_snapshot(&mut self, place: usize, trade: &Trade, now: Duration) {
        self.change(place, |track, rules, output| {
            track.on_snapshot(rules, trade, now, output);
        });
    }

    /// The next question that is due.
    pub(crate) fn ask(&mut self, now: Duration, wall: Timestamp) -> Option<Gap> {
        while let Some(&(at, place)) = self.due.first()
            && at <= now
        {
            let mut gap = None;
            self.due.pop_first();
            self.change(place, |track, rules, _| gap = track.ask(rules, wall));
            if gap.is_some() {
                return gap;
            }
        }
        None
    }

    /// When the next question is due.
    pub(crate) fn ask_at(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The archive's answer to a question.
    pub(crate) fn on_fill(
        &mut self,
        symbol: Symbol,
        fill: &Result<GapFill, GapError>,
        now: Duration,
        wall: Timestamp,
    ) {
        let Some(place) = self.place(symbol) else {
            return;
        };
        let is_final = matches!(
            fill,
            Err(GapError {
                remedy: Remedy::Refuse | Remedy::Fatal,
                ..
            })
        );
        self.change(place, |track, rules, output| {
            track.on_fill(rules, fill.as_ref().ok(), now, output);
            if is_final || track.is_exhausted(rules) {
                track.give_up(rules, now, wall, output);
            }
        });
    }

    /// Takes the trades that are ready, in order per symbol.
    pub(crate) fn take_ready(&mut self) -> Vec<Trade> {
        std::mem::take(&mut self.ready)
    }

    /// Takes the holes that stay open.
    pub(crate) fn take_unfilled(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.unfilled)
    }

    /// Tells of a hole that nobody will fill.
    pub(crate) fn tell(&mut self, gap: Gap) {
        self.unfilled.push(gap);
    }

    pub(crate) fn has_unfilled(&self) -> bool {
        !self.unfilled.is_empty()
    }

    /// Whether a symbol misses nothing, as far as is known.
    pub(crate) fn is_live(&self, place: usize) -> bool {
        self.tracks.get(place).is_some_and(Track::is_live)
    }

    pub(crate) fn symbol(&self, place: usize) -> Option<Symbol> {
        self.tracks.get(place).map(Track::symbol)
    }

    /// Event time of a symbol's newest trade, or of the place to start from.
    pub(crate) fn last(&self, place: usize) -> Option<Timestamp> {
        self.tracks.get(place).and_then(Track::last)
    }

    /// Has the archive asked whether there is really nothing new.
    pub(crate) fn check(&mut self, place: usize, now: Duration) {
        self.change(place, |track, _, _| track.check(now));
    }

    /// Whether no symbol misses anything, as far as is known.
    pub(crate) fn is_whole(&self) -> bool {
        self.open == 0
    }

    pub(crate) fn stats(&self) -> GapStats {
        self.stats
    }

    /// Lets one track act, and keeps the order of the questions and the counts of all tracks true.
    fn change(&mut self, place: usize, act: impl FnOnce(&mut Track, &Rules, &mut Output<'_>)) {
        let Some(track) = self.tracks.get_mut(place) else {
            return;
        };
        let (asked_at, was_open, others_held) = (
            track.ask_at(),
            track.is_open(),
            self.held - track.held_len(),
        );
        let mut output = Output {
            trades: &mut self.ready,
            unfilled: &mut self.unfilled,
            stats: &mut self.stats,
            room: self.rules.gaps.held_sum_max.saturating_sub(self.held),
        };
        act(track, &self.rules, &mut output);
        self.held = others_held + track.held_len();
        let ask_at = track.ask_at();
        if ask_at != asked_at {
            if let Some(at) = asked_at {
                self.due.remove(&(at, place));
            }
            if let Some(at) = ask_at {
                self.due.insert((at, place));
            }
        }
        self.open = self.open + usize::from(track.is_open()) - usize::from(was_open);
    }
}

#[cfg(test)]
mod tests;
