//! The aggregator: turns trades of any symbols into bar updates.
//!
//! Owns the order of the steps for each trade (watermark, late, duplicate, eligibility, session, fold) and
//! the dense per-symbol tables. Event time alone decides: the watermark of a symbol is the latest event
//! time seen of it, or given to [`Aggregator::advance`], less the lateness. Vendor day files come by ticker
//! and live streams by time; both work, because no symbol waits for another.
//!
//! A trade in order costs comparisons and one fold per spec: no allocation, hash, division or zone lookup.

use super::context::Revision;
use super::counts::AggregateCounts;
use super::dedupe::Identities;
use super::gaps::Gaps;
use super::recent_trades::Tape;
use super::series::Series;
use super::settings::AggregatorSettings;
use super::threshold_bar::{Cut, Queued, Reorder, Threshold};
use super::window::{Cadence, Windows};
use crate::engine::prefetch::fetch;
use crate::engine::rules::Eligible;
use crate::model::{BarSpec, BarUpdate, Symbol, Timestamp, Trade};

/// Late trades kept for [`Aggregator::take_late`]; later ones are only counted.
pub const LATE_LEN_MAX: usize = 65_536;
/// Trades whose tables are fetched together, while those of the next ones are on their way: enough to fill the time of
/// a fetch, few enough to stay in the first cache.
const FETCHED_LEN: usize = 16;
/// More than the whole of event time reaches; sums with it do not overflow.
const REACH_MAX: i64 = i64::MAX - 86_400_000_000_000;
const UNKNOWN: u32 = u32::MAX;

/// What one trade may set in the bars of each kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// In bars shorter than a day, and those that trades cut.
    pub(super) short: Eligible,
    /// In day and session bars.
    pub(super) daily: Eligible,
}

impl Standing {
    pub(super) const NONE: Standing = Standing {
        short: Eligible::NONE,
        daily: Eligible::NONE,
    };

    #[inline]
    pub(super) const fn is_none(self) -> bool {
        self.short.is_none() && self.daily.is_none()
    }
}

/// What every symbol has once, whatever the specs, in three lines of the cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Track {
    pub(super) symbol: Symbol,
    pub(super) changed: bool,
    /// Latest event time.
    pub(super) seen: i64,
    /// Event time at which the next window closes.
    pub(super) wake: i64,
    pub(super) identities: Identities,
}

/// Turns trades into bars. Pure: the same trades in the same order give the same updates, and any chunking
/// gives bars of the same content.
#[derive(Debug)]
pub struct Aggregator {
    pub(super) settings: AggregatorSettings,
    /// Those of a day or a session come last.
    pub(super) time_specs: Vec<(BarSpec, Cadence)>,
    /// Where in `time_specs` days and sessions begin.
    pub(super) daily_from: usize,
    pub(super) cut_specs: Vec<(BarSpec, Threshold)>,
    pub(super) windows: Windows,
    /// How far behind the latest event time a trade is still taken: lateness and the time for revisions.
    reach: i64,
    /// Event time up to which idle time was declared for all symbols.
    pub(super) advanced: i64,
    /// The latest event time of any trade.
    newest: Timestamp,
    /// Place of each symbol in the tables, by its index.
    places: Vec<u32>,
    pub(super) tracks: Vec<Track>,
    /// One per track and time spec.
    pub(super) series: Vec<Series>,
    /// One per track and spec cut by trades.
    pub(super) cuts: Vec<Cut>,
    /// One per track when there are specs cut by trades.
    pub(super) queues: Vec<Reorder>,
    /// One per track when there may be corrections.
    pub(super) tapes: Vec<Tape>,
    pub(super) gaps: Gaps,
    pub(super) revisions: Vec<Revision>,
    late: Vec<Trade>,
    pub(super) counts: AggregateCounts,
}

impl Aggregator {
    /// Makes an aggregator that has seen nothing.
    pub fn new(settings: AggregatorSettings) -> Aggregator {
        let cadence = |spec: &BarSpec| Cadence::of(*spec).map(|cadence| (*spec, cadence));
        let threshold = |spec: &BarSpec| Threshold::of(*spec).map(|threshold| (*spec, threshold));
        let mut time_specs: Vec<(BarSpec, Cadence)> =
            settings.specs.iter().filter_map(cadence).collect();
        time_specs.sort_by_key(|(_, cadence)| cadence.is_daily());
        Aggregator {
            daily_from: time_specs.partition_point(|(_, cadence)| !cadence.is_daily()),
            time_specs,
            cut_specs: settings.specs.iter().filter_map(threshold).collect(),
            windows: Windows::new(settings.zone.clone(), settings.session.clone()),
            reach: settings
                .lateness_ns
                .saturating_add(settings.revise_within_ns)
                .min(REACH_MAX),
            settings,
            advanced: 0,
            newest: Timestamp::EPOCH,
            places: Vec::new(),
            tracks: Vec::new(),
            series: Vec::new(),
            cuts: Vec::new(),
            queues: Vec::new(),
            tapes: Vec::new(),
            gaps: Gaps::default(),
            revisions: Vec::new(),
            late: Vec::new(),
            counts: AggregateCounts::default(),
        }
    }

    /// Takes trades of any symbols and appends the bars they close or revise.
    ///
    /// A bar's final update comes when the watermark passes its end. Of a bar revised by several trades of
    /// one call, one update comes at the end of the call.
    pub fn push(&mut self, trades: &[Trade], out: &mut Vec<BarUpdate>) {
        self.counts.trades += trades.len() as u64;
        let mut places = [[0; FETCHED_LEN]; 3];
        let some = |number: usize| trades.chunks(FETCHED_LEN).nth(number).unwrap_or_default();
        for step in 0..trades.len().div_ceil(FETCHED_LEN) + 2 {
            self.fetch_tables(some(step), &mut places[step % 3]);
            if let Some(before) = step.checked_sub(1) {
                self.fetch_rings(some(before), &places[before % 3]);
            }
            if let Some(now) = step.checked_sub(2) {
                for (trade, place) in some(now).iter().zip(places[now % 3]) {
                    self.take(place, trade, out);
                }
            }
        }
        self.publish_revisions(out);
    }

    /// Declares that every symbol is quiet up to `event_time`, so that its watermark rises as by a trade then.
    pub fn advance(&mut self, event_time: Timestamp, out: &mut Vec<BarUpdate>) {
        let time = event_time.as_nanos();
        self.advanced = self.advanced.max(time);
        for place in 0..self.tracks.len() {
            self.raise(place, time, out);
            for index in self.series_of(place) {
                let (series, mut context) = self.context(place, index, out);
                series.let_go(&mut context);
            }
        }
    }

    /// The latest event time of the trades taken so far, late ones and those that count for nothing included.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// The counts so far.
    pub fn counts(&self) -> AggregateCounts {
        self.counts
    }

    /// The latest event time of a symbol's trades, which decides what is late.
    pub fn seen(&self, symbol: Symbol) -> Option<Timestamp> {
        let place = self
            .places
            .get(symbol.index())
            .filter(|place| **place != UNKNOWN)?;
        Timestamp::from_nanos(self.tracks.get(*place as usize)?.seen)
    }

    /// Hands over the late trades since the last call, at most [`LATE_LEN_MAX`], in order of arrival.
    pub fn take_late(&mut self) -> Vec<Trade> {
        std::mem::take(&mut self.late)
    }

    /// The smallest start of any bar that may still change; `None` when there is none.
    pub fn oldest_open(&self) -> Option<Timestamp> {
        let series = self.tracks.iter().enumerate().flat_map(|(place, track)| {
            let settled = self.settled(track.seen);
            self.series[self.series_of(place)]
                .iter()
                .filter_map(move |series| series.oldest_start(settled))
        });
        let cuts = self.cuts.iter().filter_map(Cut::oldest_start);
        let waiting = self.queues.iter().filter_map(Reorder::oldest_time);
        series
            .chain(cuts)
            .chain(waiting)
            .min()
            .and_then(Timestamp::from_nanos)
    }

    /// Finds the places of some trades, and fetches what each of them needs.
    #[inline]
    fn fetch_tables(&mut self, trades: &[Trade], places: &mut [usize; FETCHED_LEN]) {
        for (trade, place) in trades.iter().zip(places) {
            *place = self.place(trade.symbol);
            self.newest = self.newest.max(trade.time);
            fetch(&self.tracks[*place], 3);
            for series in &self.series[self.series_of(*place)] {
                series.fetch();
            }
        }
    }

    /// Fetches what only some of these trades need, as their tables say.
    #[inline]
    fn fetch_rings(&self, trades: &[Trade], places: &[usize; FETCHED_LEN]) {
        for (trade, place) in trades.iter().zip(places) {
            let track = &self.tracks[*place];
            track.identities.fetch();
            if track.wake <= trade.time.as_nanos() {
                for series in &self.series[self.series_of(*place)] {
                    series.fetch_room();
                }
            }
        }
    }

    #[inline]
    fn take(&mut self, place: usize, trade: &Trade, out: &mut Vec<BarUpdate>) {
        let time = trade.time.as_nanos();
        let track = &mut self.tracks[place];
        if time > track.seen {
            track.seen = time;
            if time >= track.wake {
                self.settle(place, out);
            }
        }
        let track = &mut self.tracks[place];
        let horizon = track.seen - self.reach;
        if time < horizon {
            self.refuse_late(trade);
        } else if !track.identities.admit(trade, horizon) {
            self.counts.duplicates += 1;
        } else {
            if !self.tapes.is_empty() {
                self.tapes[place].keep(trade);
                self.trim_tape(place, horizon);
            }
            let standing = self.weigh(trade);
            if standing.is_none() {
                self.counts.ineligible += 1;
            } else if self.windows.is_open(time) {
                self.tracks[place].changed = true;
                self.fold(place, trade, standing, out);
            } else {
                self.counts.outside_session += 1;
            }
        }
        if !self.queues.is_empty() {
            self.release(place, out);
        }
    }

    /// Asks the rules once per profile in use.
    #[inline]
    pub(super) fn weigh(&self, trade: &Trade) -> Standing {
        let mut standing = Standing::NONE;
        if self.daily_from > 0 || !self.cut_specs.is_empty() {
            standing.short = self.settings.rules.eligibility(trade);
        }
        if self.daily_from < self.time_specs.len() {
            standing.daily = self.settings.rules.daily_eligibility(trade);
        }
        standing
    }

    /// What a trade may set in the bars of one time spec.
    #[inline]
    pub(super) fn eligible(&self, spec: usize, standing: Standing) -> Eligible {
        if spec < self.daily_from {
            standing.short
        } else {
            standing.daily
        }
    }

    #[inline]
    fn fold(&mut self, place: usize, trade: &Trade, standing: Standing, out: &mut Vec<BarUpdate>) {
        let time = trade.time.as_nanos();
        let first = place * self.time_specs.len();
        for index in self.series_of(place) {
            let eligible = self.eligible(index - first, standing);
            if eligible.is_none() {
                continue;
            }
            let series = &mut self.series[index];
            if !series.add_in_order(time, trade, eligible) {
                self.fold_out_of_order(place, index, (trade, eligible), out);
            } else if self.settings.forming {
                series.mark_changed();
            }
        }
        if !self.queues.is_empty()
            && !standing.short.is_none()
            && !self.queues[place].insert(Queued {
                trade: *trade,
                eligible: standing.short,
            })
        {
            if self.time_specs.is_empty() {
                self.refuse_late(trade);
            } else {
                self.counts.behind_cut += 1;
            }
        }
    }

    #[cold]
    pub(super) fn fold_out_of_order(
        &mut self,
        place: usize,
        index: usize,
        (trade, eligible): (&Trade, Eligible),
        out: &mut Vec<BarUpdate>,
    ) {
        let lateness = self.settings.lateness_ns;
        let (series, mut context) = self.context(place, index, out);
        series.add(trade, eligible, &mut context);
        let end = series.next_end();
        let track = &mut self.tracks[place];
        track.wake = track.wake.min(end.saturating_add(lateness));
    }

    #[cold]
    fn refuse_late(&mut self, trade: &Trade) {
        self.counts.late += 1;
        if self.late.len() < LATE_LEN_MAX {
            self.late.push(*trade);
        }
    }

    pub(super) fn raise(&mut self, place: usize, time: i64, out: &mut Vec<BarUpdate>) {
        let track = &mut self.tracks[place];
        if time > track.seen {
            track.seen = time;
            if time >= track.wake {
                self.settle(place, out);
            }
            self.release(place, out);
        }
    }

    #[inline]
    pub(super) fn place(&mut self, symbol: Symbol) -> usize {
        self.known(symbol).unwrap_or_else(|| self.enter(symbol))
    }

    #[inline]
    pub(super) fn known(&self, symbol: Symbol) -> Option<usize> {
        let place = self
            .places
            .get(symbol.index())
            .filter(|place| **place != UNKNOWN);
        place.map(|place| *place as usize)
    }

    #[cold]
    fn enter(&mut self, symbol: Symbol) -> usize {
        let place = self.tracks.len();
        if self.places.len() <= symbol.index() {
            self.places.resize(symbol.index() + 1, UNKNOWN);
        }
        self.places[symbol.index()] = u32::try_from(place).unwrap_or(UNKNOWN);
        let (seen, identities) = (self.advanced, Identities::new());
        self.tracks.push(Track {
            symbol,
            seen,
            wake: i64::MAX,
            changed: false,
            identities,
        });
        self.series
            .extend(self.time_specs.iter().map(|_| Series::new()));
        self.cuts.extend(self.cut_specs.iter().map(|_| Cut::EMPTY));
        if !self.cut_specs.is_empty() {
            self.queues.push(Reorder::new());
        }
        if self.settings.corrections {
            self.tapes.push(Tape::new(self.time_specs.len()));
        }
        place
    }

    pub(super) fn series_of(&self, place: usize) -> std::ops::Range<usize> {
        let count = self.time_specs.len();
        place * count..(place + 1) * count
    }

    pub(super) fn watermark(&self, seen: i64) -> i64 {
        seen.saturating_sub(self.settings.lateness_ns)
    }

    /// Event time of a symbol before which no trade can change a bar any more.
    pub(super) fn horizon(&self, place: usize) -> i64 {
        self.settled(self.tracks[place].seen)
    }

    pub(super) fn settled(&self, seen: i64) -> i64 {
        seen - self.reach
    }
}
