//! Changes to aggregated trades: corrections, cancels and gaps.
//!
//! A correction folds the windows of its trade again, from the trades kept since the horizon and the fold of
//! those before it, so that the bars are those of the corrected tape. Bars cut by trades change only while
//! the trade still waits for its turn: what is cut is not cut again.

use super::aggregator::{Aggregator, Standing};
use super::fold::Fold;
use super::recent_trades::Original;
use super::threshold_bar::Queued;
use super::zone_cache::Span;
use crate::model::{BarUpdate, Symbol, Timestamp, Trade};

impl Aggregator {
    /// Replaces a trade taken before, or takes it away, and appends the bars that this revises.
    ///
    /// Needs [`super::AggregatorSettings::corrections`]. A trade that is unknown, or older than the horizon,
    /// is counted as uncorrected and changes nothing. The replacement moves no watermark. It is an ordinary
    /// trade afterwards; one that is late or known already does not take the place of the old one.
    pub fn correct(
        &mut self,
        symbol: Symbol,
        original: Original,
        replacement: Option<Trade>,
        out: &mut Vec<BarUpdate>,
    ) {
        let place = self.place(symbol);
        let horizon = self.horizon(place);
        let new = replacement.map(|new| Trade { symbol, ..new });
        let is_in_time = new.is_none_or(|new| horizon <= new.time.as_nanos());
        let tape = self.tapes.get_mut(place).filter(|_| is_in_time);
        let Some(old) = tape.and_then(|tape| tape.take(original, horizon)) else {
            self.counts.uncorrected += 1;
            return;
        };
        let before = self.stand(&old);
        let is_cut = !self.cut_specs.is_empty()
            && !before.short.is_none()
            && !self.queues[place].remove(&old);
        if is_cut && self.time_specs.is_empty() {
            self.tapes[place].keep(&old);
            self.counts.uncorrected += 1;
            return;
        }
        self.counts.behind_cut += u64::from(is_cut);
        let identities = &mut self.tracks[place].identities;
        let new =
            new.filter(|new| identities.admit(new, horizon) || Original::of(new) == Some(original));
        self.count_change(&old, new.as_ref());
        let after = new.as_ref().map_or(Standing::NONE, |new| self.stand(new));
        if let Some(new) = &new {
            self.tapes[place].keep(new);
        }
        self.tracks[place].changed = true;
        self.refold(
            place,
            (&old, before),
            new.as_ref().map(|new| (new, after)),
            out,
        );
        if let Some(trade) =
            new.filter(|_| !is_cut && !self.cut_specs.is_empty() && !after.short.is_none())
            && !self.queues[place].insert(Queued {
                trade,
                eligible: after.short,
            })
        {
            self.counts.behind_cut += 1;
        }
        self.publish_revisions(out);
        self.release(place, out);
    }

    /// Marks the bars of a symbol that overlap `[from, to)` as gapped, now and when they are made later, and
    /// appends the published ones that this revises.
    pub fn mark_gap(
        &mut self,
        symbol: Symbol,
        from: Timestamp,
        to: Timestamp,
        out: &mut Vec<BarUpdate>,
    ) {
        let gap = Span {
            start: from.as_nanos(),
            end: to.as_nanos(),
        };
        if gap.end <= gap.start {
            return;
        }
        let place = self.place(symbol);
        self.tracks[place].changed = true;
        for index in self.series_of(place) {
            let (series, mut context) = self.context(place, index, out);
            series.mark_gap(gap, &mut context);
        }
        let count = self.cut_specs.len();
        self.cuts[place * count..(place + 1) * count]
            .iter_mut()
            .for_each(|cut| cut.mark_gap(gap));
        self.gaps.mark(place, gap);
        self.publish_revisions(out);
    }

    /// Moves a trade between the counters, so that every trade stays in a bar or in one of them.
    fn count_change(&mut self, old: &Trade, new: Option<&Trade>) {
        if let Some(counter) = self.counter(old) {
            *counter -= 1;
        }
        let Some(new) = new else {
            self.counts.cancelled += 1;
            return;
        };
        self.counts.corrected += 1;
        if let Some(counter) = self.counter(new) {
            *counter += 1;
        }
    }

    /// The counter of a trade that is in no bar.
    fn counter(&mut self, trade: &Trade) -> Option<&mut u64> {
        if self.weigh(trade).is_none() {
            Some(&mut self.counts.ineligible)
        } else if self.windows.is_open(trade.time.as_nanos()) {
            None
        } else {
            Some(&mut self.counts.outside_session)
        }
    }

    /// What a trade may set, nothing outside the session.
    fn stand(&mut self, trade: &Trade) -> Standing {
        if self.windows.is_open(trade.time.as_nanos()) {
            self.weigh(trade)
        } else {
            Standing::NONE
        }
    }

    /// Gives each window of the old trade and of the new one the fold of its trades.
    fn refold(
        &mut self,
        place: usize,
        (old, before): (&Trade, Standing),
        new: Option<(&Trade, Standing)>,
        out: &mut Vec<BarUpdate>,
    ) {
        for index in self.series_of(place) {
            let spec = index - place * self.time_specs.len();
            let cadence = self.time_specs[spec].1;
            let mut span = Span::NOWHERE;
            if !self.eligible(spec, before).is_none() {
                span = self.windows.span(cadence, old.time.as_nanos());
                let fold = self.fold_again(place, spec, span);
                let (series, mut context) = self.context(place, index, out);
                series.refold(span.start, fold, &mut context);
            }
            if let Some((new, after)) = new {
                let eligible = self.eligible(spec, after);
                if !eligible.is_none() && !span.contains(new.time.as_nanos()) {
                    self.fold_out_of_order(place, index, (new, eligible), out);
                }
            }
        }
    }

    /// The fold of a window's trades as they now are.
    fn fold_again(&mut self, place: usize, spec: usize, span: Span) -> Fold {
        let (mut fold, trades) = self.tapes[place].window(spec, span);
        for trade in trades {
            // A day may reach over several sessions and the time between them.
            if self.windows.is_open(trade.time.as_nanos()) {
                let eligible = if spec < self.daily_from {
                    self.settings.rules.eligibility(trade)
                } else {
                    self.settings.rules.daily_eligibility(trade)
                };
                if !eligible.is_none() {
                    fold.add(trade, eligible);
                }
            }
        }
        fold
    }

    /// Lets go the kept trades of a symbol before the horizon.
    pub(super) fn trim_tape(&mut self, place: usize, horizon: i64) {
        while let Some(trade) = self.tapes[place].let_go(horizon) {
            let standing = self.stand(&trade);
            for spec in 0..self.time_specs.len() {
                let eligible = self.eligible(spec, standing);
                if !eligible.is_none() {
                    let span = self
                        .windows
                        .span(self.time_specs[spec].1, trade.time.as_nanos());
                    self.tapes[place].put_behind(spec, span.start, &trade, eligible);
                }
            }
        }
    }
}
