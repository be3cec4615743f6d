//! When bars are published: closed, forming and revised ones.
//!
//! Owns the way from the watermark to the series and cuts, and the desks they work at. Deliberately does not
//! take in trades.

use super::aggregator::{Aggregator, Track};
use super::context::SeriesContext;
use super::series::Series;
use super::threshold_bar::{Cut, CutContext, Queued, Reorder, Threshold};
use crate::model::{BarSpec, BarUpdate, Symbol, Timestamp};

impl Aggregator {
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
                let (series, mut context) = self.context(place, index, out);
                series.publish_forming(&mut context);
            }
            for index in 0..self.cut_specs.len() {
                let (cut, _, mut context) = self.cut_desk(place, index, out);
                cut.publish_forming(&mut context);
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
        out[from..]
            .sort_by_key(|update| (update.bar.symbol, rank(update.bar.spec), update.bar.start));
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
            self.raise(
                place,
                time.as_nanos().saturating_add(self.settings.lateness_ns),
                out,
            );
        }
    }

    /// The specs that bars are made of.
    pub fn specs(&self) -> &[BarSpec] {
        &self.settings.specs
    }

    fn finish_place(&mut self, place: usize, out: &mut Vec<BarUpdate>) {
        self.tracks[place].seen = i64::MAX;
        for index in self.series_of(place) {
            let (series, mut context) = self.context(place, index, out);
            (context.watermark, context.settled) = (i64::MAX, i64::MAX);
            series.settle(&mut context);
        }
        while let Some(queued) = self.queues.get_mut(place).and_then(Reorder::release_any) {
            self.cut(place, &queued, out);
        }
        for index in 0..self.cut_specs.len() {
            let (cut, _, mut context) = self.cut_desk(place, index, out);
            cut.finish(&mut context);
        }
    }

    /// Closes what the watermark of one symbol has passed.
    #[cold]
    pub(super) fn settle(&mut self, place: usize, out: &mut Vec<BarUpdate>) {
        let mut end = i64::MAX;
        for index in self.series_of(place) {
            let (series, mut context) = self.context(place, index, out);
            end = end.min(series.settle(&mut context));
        }
        self.tracks[place].wake = end.saturating_add(self.settings.lateness_ns);
    }

    /// Cuts the trades of one symbol that the watermark has passed.
    pub(super) fn release(&mut self, place: usize, out: &mut Vec<BarUpdate>) {
        let watermark = self.watermark(self.tracks[place].seen);
        while let Some(queued) = self
            .queues
            .get_mut(place)
            .and_then(|queue| queue.release(watermark))
        {
            self.cut(place, &queued, out);
        }
    }

    pub(super) fn cut(&mut self, place: usize, queued: &Queued, out: &mut Vec<BarUpdate>) {
        self.tracks[place].changed = true;
        for index in 0..self.cut_specs.len() {
            let (cut, threshold, mut context) = self.cut_desk(place, index, out);
            cut.add(queued, threshold, &mut context);
        }
    }

    pub(super) fn publish_revisions(&mut self, out: &mut Vec<BarUpdate>) {
        let mut revisions = std::mem::take(&mut self.revisions);
        for revision in revisions.drain(..) {
            let place = revision.slot / self.time_specs.len();
            let (series, mut context) = self.context(place, revision.slot, out);
            series.publish_revision(revision.start, &mut context);
        }
        // Put back for its room.
        self.revisions = revisions;
    }

    pub(super) fn context<'a>(
        &'a mut self,
        place: usize,
        index: usize,
        out: &'a mut Vec<BarUpdate>,
    ) -> (&'a mut Series, SeriesContext<'a>) {
        let Track { symbol, seen, .. } = self.tracks[place];
        let (spec, cadence) = self.time_specs[index - place * self.time_specs.len()];
        let (watermark, settled) = (self.watermark(seen), self.settled(seen));
        let context = SeriesContext {
            symbol,
            spec,
            cadence,
            slot: index,
            watermark,
            settled,
            fill: self.settings.fill,
            volume_only: self.settings.volume_only,
            gaps: self.gaps.of(place),
            windows: &mut self.windows,
            revisions: &mut self.revisions,
            counts: &mut self.counts,
            out,
        };
        (&mut self.series[index], context)
    }

    pub(super) fn cut_desk<'a>(
        &'a mut self,
        place: usize,
        index: usize,
        out: &'a mut Vec<BarUpdate>,
    ) -> (&'a mut Cut, Threshold, CutContext<'a>) {
        let (spec, threshold) = self.cut_specs[index];
        let symbol = self.tracks[place].symbol;
        let cut = &mut self.cuts[place * self.cut_specs.len() + index];
        let (volume_only, gaps) = (self.settings.volume_only, self.gaps.of(place));
        let context = CutContext {
            symbol,
            spec,
            volume_only,
            gaps,
            counts: &mut self.counts,
            out,
        };
        (cut, threshold, context)
    }
}
