//! The aggregation: trades of any symbols in, updates of bars out.
//!
//! Owns the order of the steps for each trade (watermark, late, duplicate, eligibility, session, fold) and
//! the dense per-symbol tables. Event time alone decides: the watermark of a symbol is the latest event
//! time seen of it, or given to [`Aggregator::advance`], less the lateness. Vendor day files come by ticker
//! and live streams by time; both work, because no symbol waits for another.
//!
//! A trade in order costs comparisons and one fold per spec: no allocation, hash, division or zone lookup.

use super::counts::AggregateCounts;
use super::cut::{Cut, CutDesk, Queued, Reorder, Threshold};
use super::dedupe::Identities;
use super::desk::{Desk, Revision};
use super::eligibility::Rights;
use super::series::Series;
use super::settings::AggregatorSettings;
use super::window::{Cadence, Windows};
use crate::model::{BarSpec, BarUpdate, Symbol, Timestamp, Trade};

/// Late trades kept for [`Aggregator::take_late`]; later ones are only counted.
pub const LATE_LEN_MAX: usize = 65_536;
const UNKNOWN: u32 = u32::MAX;

/// What every symbol has once, whatever the specs.
#[derive(Debug)]
struct Track {
    symbol: Symbol,
    /// Latest event time.
    seen: i64,
    /// Event time at which the next window closes.
    wake: i64,
    changed: bool,
    identities: Identities,
}

/// Turns trades into bars. Pure: the same trades in the same order give the same updates, and any chunking
/// gives bars of the same content.
#[derive(Debug)]
pub struct Aggregator {
    settings: AggregatorSettings,
    time_specs: Vec<(BarSpec, Cadence)>,
    cut_specs: Vec<(BarSpec, Threshold)>,
    windows: Windows,
    /// Event time up to which idle time was declared for all symbols.
    advanced: i64,
    /// Place of each symbol in the tables, by its index.
    places: Vec<u32>,
    tracks: Vec<Track>,
    /// One per track and time spec.
    series: Vec<Series>,
    /// One per track and spec cut by trades.
    cuts: Vec<Cut>,
    /// One per track when there are specs cut by trades.
    queues: Vec<Reorder>,
    revisions: Vec<Revision>,
    late: Vec<Trade>,
    counts: AggregateCounts,
}

impl Aggregator {
    /// Makes an aggregator that has seen nothing.
    pub fn new(settings: AggregatorSettings) -> Aggregator {
        let cadence = |spec: &BarSpec| Cadence::of(*spec).map(|cadence| (*spec, cadence));
        let threshold = |spec: &BarSpec| Threshold::of(*spec).map(|threshold| (*spec, threshold));
        Aggregator {
            time_specs: settings.specs.iter().filter_map(cadence).collect(),
            cut_specs: settings.specs.iter().filter_map(threshold).collect(),
            windows: Windows::new(settings.zone.clone(), settings.session.clone()),
            settings,
            advanced: 0,
            places: Vec::new(),
            tracks: Vec::new(),
            series: Vec::new(),
            cuts: Vec::new(),
            queues: Vec::new(),
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
        for trade in trades {
            self.take(trade, out);
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
                let (series, mut desk) = self.desk(place, index, out);
                series.let_go(&mut desk);
            }
        }
    }

    /// Appends a forming update of every open bar that changed since the last call.
    pub fn forming(&mut self, out: &mut Vec<BarUpdate>) {
        if !self.settings.forming {
            return;
        }
        for place in 0..self.tracks.len() {
            if !std::mem::replace(&mut self.tracks[place].changed, false) {
                continue;
            }
            for index in self.series_of(place) {
                let (series, mut desk) = self.desk(place, index, out);
                series.publish_forming(&mut desk);
            }
            for index in 0..self.cut_specs.len() {
                let (cut, _, mut desk) = self.cut_desk(place, index, out);
                cut.publish_forming(&mut desk);
            }
        }
    }

    /// Ends the input: appends everything still open as final, sorted by symbol, spec and start. Trades
    /// after it are late.
    pub fn finish(&mut self, out: &mut Vec<BarUpdate>) {
        let from = out.len();
        self.advanced = i64::MAX;
        for place in 0..self.tracks.len() {
            self.finish_place(place, out);
        }
        let rank = |spec: BarSpec| self.settings.specs.iter().position(|other| *other == spec);
        out[from..].sort_by_key(|update| (update.bar.symbol, rank(update.bar.spec), update.bar.start));
    }

    /// Ends the input of one symbol, as [`Aggregator::finish`] does for all.
    pub fn finish_symbol(&mut self, symbol: Symbol, out: &mut Vec<BarUpdate>) {
        if let Some(place) = self.known(symbol) {
            self.finish_place(place, out);
        }
    }

    /// Declares that no trade of one symbol before `time` is still to come: closes its bars that end by then.
    pub fn close_before(&mut self, symbol: Symbol, time: Timestamp, out: &mut Vec<BarUpdate>) {
        if let Some(place) = self.known(symbol) {
            self.raise(place, time.as_nanos().saturating_add(self.settings.lateness_ns), out);
        }
    }

    /// The specs that bars are made of.
    pub fn specs(&self) -> &[BarSpec] {
        &self.settings.specs
    }

    /// What was counted so far.
    pub fn counts(&self) -> AggregateCounts {
        self.counts
    }

    /// Hands over the late trades since the last call, at most [`LATE_LEN_MAX`], in order of arrival.
    pub fn take_late(&mut self) -> Vec<Trade> {
        std::mem::take(&mut self.late)
    }

    /// The smallest start of any bar that may still change; `None` when there is none.
    pub fn oldest_open(&self) -> Option<Timestamp> {
        let series = self.tracks.iter().enumerate().flat_map(|(place, track)| {
            let settled = self.settled(track.seen);
            self.series[self.series_of(place)].iter().filter_map(move |series| series.oldest_start(settled))
        });
        let cuts = self.cuts.iter().filter_map(Cut::oldest_start);
        let waiting = self.queues.iter().filter_map(Reorder::oldest_time);
        series.chain(cuts).chain(waiting).min().and_then(Timestamp::from_nanos)
    }

    #[inline]
    fn take(&mut self, trade: &Trade, out: &mut Vec<BarUpdate>) {
        let place = self.place(trade.symbol);
        let time = trade.time.as_nanos();
        let track = &mut self.tracks[place];
        if time > track.seen {
            track.seen = time;
            if time >= track.wake {
                self.settle(place, out);
            }
        }
        let track = &mut self.tracks[place];
        let horizon = track
            .seen
            .saturating_sub(self.settings.lateness_ns)
            .saturating_sub(self.settings.revise_within_ns);
        if time < horizon {
            self.refuse_late(trade);
        } else if !track.identities.admit(trade, horizon) {
            self.counts.duplicates += 1;
        } else {
            let rights = self.settings.rules.rights(trade);
            if rights == Rights::NONE {
                self.counts.ineligible += 1;
            } else if self.windows.is_open(time) {
                track.changed = true;
                self.fold(place, trade, rights, out);
            } else {
                self.counts.outside_session += 1;
            }
        }
        if !self.queues.is_empty() {
            self.release(place, out);
        }
    }

    #[inline]
    fn fold(&mut self, place: usize, trade: &Trade, rights: Rights, out: &mut Vec<BarUpdate>) {
        let time = trade.time.as_nanos();
        for index in self.series_of(place) {
            if !self.series[index].add_in_order(time, trade, rights) {
                self.fold_out_of_order(place, index, (trade, rights), out);
            }
        }
        if !self.queues.is_empty() && !self.queues[place].insert(Queued { trade: *trade, rights }) {
            if self.time_specs.is_empty() {
                self.refuse_late(trade);
            } else {
                self.counts.behind_cut += 1;
            }
        }
    }

    #[cold]
    fn fold_out_of_order(
        &mut self,
        place: usize,
        index: usize,
        (trade, rights): (&Trade, Rights),
        out: &mut Vec<BarUpdate>,
    ) {
        let lateness = self.settings.lateness_ns;
        let (series, mut desk) = self.desk(place, index, out);
        series.add(trade, rights, &mut desk);
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

    fn raise(&mut self, place: usize, time: i64, out: &mut Vec<BarUpdate>) {
        let track = &mut self.tracks[place];
        if time > track.seen {
            track.seen = time;
            if time >= track.wake {
                self.settle(place, out);
            }
            self.release(place, out);
        }
    }

    fn finish_place(&mut self, place: usize, out: &mut Vec<BarUpdate>) {
        self.tracks[place].seen = i64::MAX;
        for index in self.series_of(place) {
            let (series, mut desk) = self.desk(place, index, out);
            (desk.watermark, desk.settled) = (i64::MAX, i64::MAX);
            series.settle(&mut desk);
        }
        while let Some(queued) = self.queues.get_mut(place).and_then(Reorder::release_any) {
            self.cut(place, &queued, out);
        }
        for index in 0..self.cut_specs.len() {
            let (cut, _, mut desk) = self.cut_desk(place, index, out);
            cut.finish(&mut desk);
        }
    }

    /// Closes what the watermark of one symbol has passed.
    #[cold]
    fn settle(&mut self, place: usize, out: &mut Vec<BarUpdate>) {
        let mut end = i64::MAX;
        for index in self.series_of(place) {
            let (series, mut desk) = self.desk(place, index, out);
            end = end.min(series.settle(&mut desk));
        }
        self.tracks[place].wake = end.saturating_add(self.settings.lateness_ns);
    }

    /// Cuts the trades of one symbol that the watermark has passed.
    fn release(&mut self, place: usize, out: &mut Vec<BarUpdate>) {
        let watermark = self.watermark(self.tracks[place].seen);
        while let Some(queued) = self.queues.get_mut(place).and_then(|queue| queue.release(watermark)) {
            self.cut(place, &queued, out);
        }
    }

    fn cut(&mut self, place: usize, queued: &Queued, out: &mut Vec<BarUpdate>) {
        self.tracks[place].changed = true;
        for index in 0..self.cut_specs.len() {
            let (cut, threshold, mut desk) = self.cut_desk(place, index, out);
            cut.add(queued, threshold, &mut desk);
        }
    }

    fn publish_revisions(&mut self, out: &mut Vec<BarUpdate>) {
        let mut revisions = std::mem::take(&mut self.revisions);
        for revision in revisions.drain(..) {
            let place = revision.slot / self.time_specs.len();
            let (series, mut desk) = self.desk(place, revision.slot, out);
            series.publish_revision(revision.start, &mut desk);
        }
        // Put back for its room.
        self.revisions = revisions;
    }

    #[inline]
    fn place(&mut self, symbol: Symbol) -> usize {
        self.known(symbol).unwrap_or_else(|| self.enter(symbol))
    }

    #[inline]
    fn known(&self, symbol: Symbol) -> Option<usize> {
        let place = self.places.get(symbol.index()).filter(|place| **place != UNKNOWN);
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
        self.tracks.push(Track { symbol, seen, wake: i64::MAX, changed: false, identities });
        self.series.extend(self.time_specs.iter().map(|_| Series::new()));
        self.cuts.extend(self.cut_specs.iter().map(|_| Cut::EMPTY));
        if !self.cut_specs.is_empty() {
            self.queues.push(Reorder::new());
        }
        place
    }

    fn series_of(&self, place: usize) -> std::ops::Range<usize> {
        let count = self.time_specs.len();
        place * count..(place + 1) * count
    }

    fn watermark(&self, seen: i64) -> i64 {
        seen.saturating_sub(self.settings.lateness_ns)
    }

    /// Event time before which no trade can change a bar any more.
    fn settled(&self, seen: i64) -> i64 {
        self.watermark(seen).saturating_sub(self.settings.revise_within_ns)
    }

    fn desk<'a>(
        &'a mut self,
        place: usize,
        index: usize,
        out: &'a mut Vec<BarUpdate>,
    ) -> (&'a mut Series, Desk<'a>) {
        let Track { symbol, seen, .. } = self.tracks[place];
        let (spec, cadence) = self.time_specs[index - place * self.time_specs.len()];
        let (watermark, settled) = (self.watermark(seen), self.settled(seen));
        let desk = Desk {
            symbol,
            spec,
            cadence,
            slot: index,
            watermark,
            settled,
            fill: self.settings.fill,
            windows: &mut self.windows,
            revisions: &mut self.revisions,
            counts: &mut self.counts,
            out,
        };
        (&mut self.series[index], desk)
    }

    fn cut_desk<'a>(
        &'a mut self,
        place: usize,
        index: usize,
        out: &'a mut Vec<BarUpdate>,
    ) -> (&'a mut Cut, Threshold, CutDesk<'a>) {
        let (spec, threshold) = self.cut_specs[index];
        let symbol = self.tracks[place].symbol;
        let cut = &mut self.cuts[place * self.cut_specs.len() + index];
        (cut, threshold, CutDesk { symbol, spec, counts: &mut self.counts, out })
    }
}
