//! The aggregator: turns trades of any symbols into bar updates.
//!
//! Owns the order of the steps for each trade (watermark, late, duplicate, eligibility, session, fold), the dense
//! per-symbol tables, and what changes bars besides trades: idle time, the end of the input, corrections, gaps. Event
//! time alone decides: the watermark of a symbol is the latest event time seen of it, or given to
//! [`Aggregator::advance`], less the lateness. Vendor day files come by ticker and live streams by time; both work,
//! because no symbol waits for another.
//!
//! A trade in order costs comparisons and one fold per spec: no allocation, hash, division or zone lookup.
//!
//! A correction folds the windows of its trade again, from the trades kept since the horizon and the fold of
//! those before it, so that the bars are those of the corrected tape. Bars cut by trades change only while
//! the trade still waits for its turn: what is cut is not cut again.

use super::dedupe::Identities;
use super::fold::Fold;
use super::publisher::{Gaps, Publisher};
use super::recent_trades::{Original, RecentTrades};
use super::series::{Revision, Series, SeriesContext};
use super::settings::{AggregateCounts, AggregatorSettings, Fill};
use super::threshold_bar::{Queued, Threshold, ThresholdBars};
use super::window::{Bucketing, Windows};
use crate::engine::prefetch::fetch;
use crate::engine::rules::Eligible;
use crate::engine::zone_cache::Span;
use crate::model::{BarSpec, BarUpdate, Symbol, Timestamp, Trade};

/// Late trades kept for [`Aggregator::take_late`]; later ones are only counted.
pub const LATE_LEN_MAX: usize = 65_536;
/// Trades whose tables are fetched together, while those of the next ones are on their way: enough to fill the time of
/// a fetch, few enough to stay in the first cache.
const FETCHED_LEN: usize = 16;
/// More than the whole of event time reaches; sums with it do not overflow.
const REACH_MAX: i64 = i64::MAX - 86_400_000_000_000;
/// Rounds down to the windows of all specs at most; windows nest, so that two are enough but for odd sessions.
const ROUNDS_MAX: u32 = 8;
const UNKNOWN: u32 = u32::MAX;

/// What one trade may set in the bars of each kind.
#[derive(Debug, Clone, Copy)]
struct TradeEligibility {
    /// In bars shorter than a day, and those that trades cut.
    short: Eligible,
    /// In day and session bars.
    daily: Eligible,
}

impl TradeEligibility {
    const NONE: TradeEligibility = TradeEligibility {
        short: Eligible::NONE,
        daily: Eligible::NONE,
    };

    #[inline]
    const fn is_none(self) -> bool {
        self.short.is_none() && self.daily.is_none()
    }
}

/// What every symbol has once, whatever the specs, in three lines of the cache.
#[derive(Debug)]
#[repr(C, align(64))]
struct SymbolState {
    symbol: Symbol,
    /// Whether an open bar changed since the last forming updates.
    changed: bool,
    /// Latest event time.
    seen: i64,
    /// Event time at which the next window closes.
    wake: i64,
    identities: Identities,
}

/// Turns trades into bars. Pure: the same trades in the same order give the same updates, and any chunking
/// gives bars of the same content.
#[derive(Debug)]
pub struct Aggregator {
    settings: AggregatorSettings,
    /// Those of a day or a session come last.
    time_specs: Vec<(BarSpec, Bucketing)>,
    /// Where in `time_specs` days and sessions begin.
    daily_from: usize,
    threshold_specs: Vec<(BarSpec, Threshold)>,
    windows: Windows,
    /// How far behind the latest event time a trade is still taken: lateness and the time for revisions.
    reach: i64,
    /// Event time up to which idle time was declared for all symbols.
    advanced: i64,
    /// The latest event time of any trade.
    newest: Timestamp,
    /// Row of each symbol in the tables, by its index.
    rows: Vec<u32>,
    symbols: Vec<SymbolState>,
    /// One per symbol and time spec.
    series: Vec<Series>,
    /// One per symbol when there are specs cut by trades.
    threshold_bars: Vec<ThresholdBars>,
    /// One per symbol when there may be corrections.
    recent: Vec<RecentTrades>,
    gaps: Gaps,
    revisions: Vec<Revision>,
    late: Vec<Trade>,
    counts: AggregateCounts,
}

impl Aggregator {
    /// Makes an aggregator that has seen nothing.
    pub fn new(settings: AggregatorSettings) -> Aggregator {
        let bucketing = |spec: &BarSpec| Bucketing::of(*spec).map(|bucketing| (*spec, bucketing));
        let threshold = |spec: &BarSpec| Threshold::of(*spec).map(|threshold| (*spec, threshold));
        let mut time_specs: Vec<(BarSpec, Bucketing)> =
            settings.specs.iter().filter_map(bucketing).collect();
        time_specs.sort_by_key(|(_, bucketing)| bucketing.is_daily());
        Aggregator {
            daily_from: time_specs.partition_point(|(_, bucketing)| !bucketing.is_daily()),
            time_specs,
            threshold_specs: settings.specs.iter().filter_map(threshold).collect(),
            windows: Windows::new(settings.zone.clone(), settings.session.clone()),
            reach: settings
                .lateness_ns
                .saturating_add(settings.revise_within_ns)
                .min(REACH_MAX),
            settings,
            advanced: 0,
            newest: Timestamp::EPOCH,
            rows: Vec::new(),
            symbols: Vec::new(),
            series: Vec::new(),
            threshold_bars: Vec::new(),
            recent: Vec::new(),
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
        let mut rows = [[0; FETCHED_LEN]; 3];
        let some = |number: usize| trades.chunks(FETCHED_LEN).nth(number).unwrap_or_default();
        for step in 0..trades.len().div_ceil(FETCHED_LEN) + 2 {
            self.fetch_tables(some(step), &mut rows[step % 3]);
            if let Some(before) = step.checked_sub(1) {
                self.fetch_rings(some(before), &rows[before % 3]);
            }
            if let Some(now) = step.checked_sub(2) {
                for (trade, row) in some(now).iter().zip(rows[now % 3]) {
                    self.take(row, trade, out);
                }
            }
        }
        self.publish_revisions(out);
    }

    /// Declares that every symbol is quiet up to `event_time`, so that its watermark rises as by a trade then.
    pub fn advance(&mut self, event_time: Timestamp, out: &mut Vec<BarUpdate>) {
        let time = event_time.as_nanos();
        self.advanced = self.advanced.max(time);
        for row in 0..self.symbols.len() {
            self.raise(row, time, out);
            self.each_series(row, out, Series::let_go);
        }
    }

    /// Declares that no trade of one symbol before `time` is still to come: closes its bars that end by then.
    pub fn close_before(&mut self, symbol: Symbol, time: Timestamp, out: &mut Vec<BarUpdate>) {
        if let Some(row) = self.known(symbol) {
            let time = time.as_nanos().saturating_add(self.settings.lateness_ns);
            self.raise(row, time, out);
        }
    }

    /// Ends the input: appends everything still open as final, sorted by symbol, spec and start. Trades
    /// after it are late.
    pub fn finish(&mut self, out: &mut Vec<BarUpdate>) {
        let from = out.len();
        self.advanced = i64::MAX;
        for row in 0..self.symbols.len() {
            self.finish_row(row, out);
        }
        let rank = |spec: BarSpec| self.settings.specs.iter().position(|other| *other == spec);
        out[from..]
            .sort_by_key(|update| (update.bar.symbol, rank(update.bar.spec), update.bar.start));
    }

    /// Ends the input of one symbol, as [`Aggregator::finish`] does for all.
    pub fn finish_symbol(&mut self, symbol: Symbol, out: &mut Vec<BarUpdate>) {
        if let Some(row) = self.known(symbol) {
            self.finish_row(row, out);
        }
    }

    /// Appends a forming update of every open bar that changed since the last call.
    pub fn forming(&mut self, out: &mut Vec<BarUpdate>) {
        if !self.settings.forming {
            return;
        }
        for row in 0..self.symbols.len() {
            if !std::mem::replace(&mut self.symbols[row].changed, false) {
                continue;
            }
            self.each_series(row, out, Series::publish_forming);
            if let Some((bars, mut publisher)) = self.threshold_context(row, out) {
                bars.publish_forming(&mut publisher);
            }
        }
    }

    /// Replaces a trade taken before, or takes it away, and appends the bars that this revises.
    ///
    /// Needs [`AggregatorSettings::corrections`]. A trade that is unknown, or older than the horizon,
    /// is counted as uncorrected and changes nothing. The replacement moves no watermark. It is an ordinary
    /// trade afterwards; one that is late or known already does not take the place of the old one.
    pub fn correct(
        &mut self,
        symbol: Symbol,
        original: Original,
        replacement: Option<Trade>,
        out: &mut Vec<BarUpdate>,
    ) {
        let row = self.row(symbol);
        let horizon = self.settled(self.symbols[row].seen);
        let new = replacement.map(|new| Trade { symbol, ..new });
        let is_in_time = new.is_none_or(|new| horizon <= new.time.as_nanos());
        let recent = self.recent.get_mut(row).filter(|_| is_in_time);
        let Some(old) = recent.and_then(|recent| recent.take(original, horizon)) else {
            self.counts.uncorrected += 1;
            return;
        };
        let before = self.eligibility_in_session(&old);
        let has_thresholds = !self.threshold_specs.is_empty();
        let is_cut =
            has_thresholds && !before.short.is_none() && !self.threshold_bars[row].remove(&old);
        if is_cut && self.time_specs.is_empty() {
            self.recent[row].keep(&old);
            self.counts.uncorrected += 1;
            return;
        }
        self.counts.behind_cut += u64::from(is_cut);
        let identities = &mut self.symbols[row].identities;
        let new =
            new.filter(|new| identities.admit(new, horizon) || Original::of(new) == Some(original));
        self.count_change(&old, new.as_ref());
        let mut after = TradeEligibility::NONE;
        if let Some(new) = &new {
            after = self.eligibility_in_session(new);
            self.recent[row].keep(new);
        }
        self.symbols[row].changed = true;
        let changed = new.as_ref().map(|new| (new, after));
        self.refold(row, (&old, before), changed, out);
        if let Some(trade) = new.filter(|_| !is_cut && has_thresholds && !after.short.is_none()) {
            let eligible = after.short;
            let is_queued = self.threshold_bars[row].insert(Queued { trade, eligible });
            self.counts.behind_cut += u64::from(!is_queued);
        }
        self.publish_revisions(out);
        self.release(row, out);
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
        let gap = Span::new(from.as_nanos(), to.as_nanos());
        if gap.end <= gap.start {
            return;
        }
        let row = self.row(symbol);
        self.symbols[row].changed = true;
        self.each_series(row, out, |series, context| series.mark_gap(gap, context));
        if let Some(bars) = self.threshold_bars.get_mut(row) {
            bars.mark_gap(gap);
        }
        self.gaps.mark(row, gap);
        self.publish_revisions(out);
    }

    /// The event time from which the trades of a feed must be given again after a restart, when all before `position`
    /// were given: no bar that may still change begins before it, and no window of any spec lies across it.
    ///
    /// `None` where bars depend on everything before them: those cut by trades, and windows filled with the close
    /// before them.
    pub fn restart_at(&mut self, position: Timestamp) -> Option<Timestamp> {
        if !self.threshold_specs.is_empty() || self.settings.fill != Fill::None {
            return None;
        }
        let oldest = self.oldest_open().unwrap_or(position);
        let mut at = oldest.min(position).as_nanos();
        for _ in 0..ROUNDS_MAX {
            let starts = self
                .time_specs
                .iter()
                .map(|(_, bucketing)| self.windows.span(*bucketing, at).start);
            let start = starts.min().unwrap_or(at).min(at);
            if start == at {
                return Timestamp::from_nanos(at);
            }
            at = start;
        }
        None
    }

    /// The specs that bars are made of.
    pub fn specs(&self) -> &[BarSpec] {
        &self.settings.specs
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
        Timestamp::from_nanos(self.symbols.get(self.known(symbol)?)?.seen)
    }

    /// Hands over the late trades since the last call, at most [`LATE_LEN_MAX`], in order of arrival.
    pub fn take_late(&mut self) -> Vec<Trade> {
        std::mem::take(&mut self.late)
    }

    /// The smallest start of any bar that may still change; `None` when there is none.
    pub fn oldest_open(&self) -> Option<Timestamp> {
        let series = self.symbols.iter().enumerate().flat_map(|(row, state)| {
            let settled = self.settled(state.seen);
            self.series[self.series_of(row)]
                .iter()
                .filter_map(move |series| series.oldest_start(settled))
        });
        let cut = self
            .threshold_bars
            .iter()
            .filter_map(ThresholdBars::oldest_start);
        series.chain(cut).min().and_then(Timestamp::from_nanos)
    }

    /// Bars with trades that are not yet published.
    pub fn open_len(&self) -> usize {
        let windows: usize = self.series.iter().map(Series::open_len).sum();
        let cut: usize = self
            .threshold_bars
            .iter()
            .map(ThresholdBars::open_len)
            .sum();
        windows + cut
    }

    /// Finds the rows of some trades, and fetches what each of them needs.
    #[inline]
    fn fetch_tables(&mut self, trades: &[Trade], rows: &mut [usize; FETCHED_LEN]) {
        for (trade, row) in trades.iter().zip(rows) {
            *row = self.row(trade.symbol);
            self.newest = self.newest.max(trade.time);
            fetch(&self.symbols[*row], 3);
            for series in &self.series[self.series_of(*row)] {
                series.fetch();
            }
        }
    }

    /// Fetches what only some of these trades need, as their tables say.
    #[inline]
    fn fetch_rings(&self, trades: &[Trade], rows: &[usize; FETCHED_LEN]) {
        for (trade, row) in trades.iter().zip(rows) {
            let state = &self.symbols[*row];
            state.identities.fetch();
            if state.wake <= trade.time.as_nanos() {
                for series in &self.series[self.series_of(*row)] {
                    series.fetch_room();
                }
            }
        }
    }

    /// Takes one trade through all steps.
    #[inline]
    fn take(&mut self, row: usize, trade: &Trade, out: &mut Vec<BarUpdate>) {
        let time = trade.time.as_nanos();
        let state = &mut self.symbols[row];
        if time > state.seen {
            state.seen = time;
            if time >= state.wake {
                self.settle(row, out);
            }
        }
        let state = &mut self.symbols[row];
        let horizon = state.seen - self.reach;
        if time < horizon {
            self.refuse_late(trade);
        } else if !state.identities.admit(trade, horizon) {
            self.counts.duplicates += 1;
        } else {
            if !self.recent.is_empty() {
                self.recent[row].keep(trade);
                self.trim_recent(row, horizon);
            }
            let eligibility = self.eligibility(trade);
            if eligibility.is_none() {
                self.counts.ineligible += 1;
            } else if self.windows.is_open(time) {
                self.symbols[row].changed = true;
                self.fold(row, trade, eligibility, out);
            } else {
                self.counts.outside_session += 1;
            }
        }
        if !self.threshold_bars.is_empty() {
            self.release(row, out);
        }
    }

    /// Asks the rules once per profile in use.
    #[inline]
    fn eligibility(&self, trade: &Trade) -> TradeEligibility {
        let mut eligibility = TradeEligibility::NONE;
        if self.daily_from > 0 || !self.threshold_specs.is_empty() {
            eligibility.short = self.settings.rules.eligibility(trade);
        }
        if self.daily_from < self.time_specs.len() {
            eligibility.daily = self.settings.rules.daily_eligibility(trade);
        }
        eligibility
    }

    /// What a trade may set, nothing outside the session.
    fn eligibility_in_session(&mut self, trade: &Trade) -> TradeEligibility {
        if self.windows.is_open(trade.time.as_nanos()) {
            self.eligibility(trade)
        } else {
            TradeEligibility::NONE
        }
    }

    /// What a trade may set in the bars of one time spec.
    #[inline]
    fn eligible(&self, spec: usize, eligibility: TradeEligibility) -> Eligible {
        if spec < self.daily_from {
            eligibility.short
        } else {
            eligibility.daily
        }
    }

    #[inline]
    fn fold(
        &mut self,
        row: usize,
        trade: &Trade,
        eligibility: TradeEligibility,
        out: &mut Vec<BarUpdate>,
    ) {
        let time = trade.time.as_nanos();
        let first = row * self.time_specs.len();
        for index in self.series_of(row) {
            let eligible = self.eligible(index - first, eligibility);
            if eligible.is_none() {
                continue;
            }
            let series = &mut self.series[index];
            if !series.add_in_order(time, trade, eligible) {
                self.fold_out_of_order(row, index, (trade, eligible), out);
            } else if self.settings.forming {
                series.mark_changed();
            }
        }
        let eligible = eligibility.short;
        if !self.threshold_bars.is_empty()
            && !eligible.is_none()
            && !self.threshold_bars[row].insert(Queued {
                trade: *trade,
                eligible,
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
    fn fold_out_of_order(
        &mut self,
        row: usize,
        index: usize,
        (trade, eligible): (&Trade, Eligible),
        out: &mut Vec<BarUpdate>,
    ) {
        let (series, mut context) = self.context(row, index, out);
        series.add(trade, eligible, &mut context);
        let wake = series.next_end().saturating_add(self.settings.lateness_ns);
        let state = &mut self.symbols[row];
        state.wake = state.wake.min(wake);
    }

    #[cold]
    fn refuse_late(&mut self, trade: &Trade) {
        self.counts.late += 1;
        if self.late.len() < LATE_LEN_MAX {
            self.late.push(*trade);
        }
    }

    /// Raises the watermark of one symbol without a trade.
    fn raise(&mut self, row: usize, time: i64, out: &mut Vec<BarUpdate>) {
        let state = &mut self.symbols[row];
        if time > state.seen {
            state.seen = time;
            if time >= state.wake {
                self.settle(row, out);
            }
            self.release(row, out);
        }
    }

    /// Closes what the watermark of one symbol has passed.
    #[cold]
    fn settle(&mut self, row: usize, out: &mut Vec<BarUpdate>) {
        let mut end = i64::MAX;
        self.each_series(row, out, |series, context| {
            end = end.min(series.settle(context));
        });
        self.symbols[row].wake = end.saturating_add(self.settings.lateness_ns);
    }

    /// Cuts the trades of one symbol that the watermark has passed.
    fn release(&mut self, row: usize, out: &mut Vec<BarUpdate>) {
        let watermark = self.watermark(self.symbols[row].seen);
        if let Some((bars, mut publisher)) = self.threshold_context(row, out)
            && bars.release(watermark, &mut publisher)
        {
            self.symbols[row].changed = true;
        }
    }

    fn finish_row(&mut self, row: usize, out: &mut Vec<BarUpdate>) {
        self.symbols[row].seen = i64::MAX;
        self.each_series(row, out, |series, context| {
            (context.watermark, context.settled) = (i64::MAX, i64::MAX);
            series.settle(context);
        });
        if let Some((bars, mut publisher)) = self.threshold_context(row, out) {
            bars.finish(&mut publisher);
        }
    }

    fn publish_revisions(&mut self, out: &mut Vec<BarUpdate>) {
        let mut revisions = std::mem::take(&mut self.revisions);
        for Revision { series, start } in revisions.drain(..) {
            let row = series / self.time_specs.len();
            let (series, mut context) = self.context(row, series, out);
            series.publish_revision(start, &mut context);
        }
        // Put back for its room.
        self.revisions = revisions;
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
        if self.eligibility(trade).is_none() {
            Some(&mut self.counts.ineligible)
        } else if self.windows.is_open(trade.time.as_nanos()) {
            None
        } else {
            Some(&mut self.counts.outside_session)
        }
    }

    /// Gives each window of the old trade and of the new one the fold of its trades.
    fn refold(
        &mut self,
        row: usize,
        (old, before): (&Trade, TradeEligibility),
        new: Option<(&Trade, TradeEligibility)>,
        out: &mut Vec<BarUpdate>,
    ) {
        for index in self.series_of(row) {
            let spec = index - row * self.time_specs.len();
            let mut span = Span::NOWHERE;
            if !self.eligible(spec, before).is_none() {
                span = self
                    .windows
                    .span(self.time_specs[spec].1, old.time.as_nanos());
                let fold = self.fold_again(row, spec, span);
                let (series, mut context) = self.context(row, index, out);
                series.refold(span.start, fold, &mut context);
            }
            if let Some((new, after)) = new {
                let eligible = self.eligible(spec, after);
                if !eligible.is_none() && !span.contains(new.time.as_nanos()) {
                    self.fold_out_of_order(row, index, (new, eligible), out);
                }
            }
        }
    }

    /// The fold of a window's trades as they now are.
    fn fold_again(&mut self, row: usize, spec: usize, span: Span) -> Fold {
        let (mut fold, trades) = self.recent[row].window(spec, span);
        for trade in trades {
            // A day may reach over several sessions and the time between them.
            let eligibility = self.eligibility_in_session(&trade);
            let eligible = self.eligible(spec, eligibility);
            if !eligible.is_none() {
                fold.add(&trade, eligible);
            }
        }
        fold
    }

    /// Lets go the kept trades of a symbol before the horizon.
    fn trim_recent(&mut self, row: usize, horizon: i64) {
        while let Some(trade) = self.recent[row].let_go(horizon) {
            let eligibility = self.eligibility_in_session(&trade);
            for spec in 0..self.time_specs.len() {
                let eligible = self.eligible(spec, eligibility);
                if !eligible.is_none() {
                    let bucketing = self.time_specs[spec].1;
                    let start = self.windows.span(bucketing, trade.time.as_nanos()).start;
                    self.recent[row].put_behind(spec, start, &trade, eligible);
                }
            }
        }
    }

    #[inline]
    fn row(&mut self, symbol: Symbol) -> usize {
        self.known(symbol).unwrap_or_else(|| self.enter(symbol))
    }

    #[inline]
    fn known(&self, symbol: Symbol) -> Option<usize> {
        let row = self.rows.get(symbol.index()).filter(|row| **row != UNKNOWN);
        row.map(|row| *row as usize)
    }

    #[cold]
    fn enter(&mut self, symbol: Symbol) -> usize {
        let row = self.symbols.len();
        if self.rows.len() <= symbol.index() {
            self.rows.resize(symbol.index() + 1, UNKNOWN);
        }
        self.rows[symbol.index()] = u32::try_from(row).unwrap_or(UNKNOWN);
        self.symbols.push(SymbolState {
            symbol,
            changed: false,
            seen: self.advanced,
            wake: i64::MAX,
            identities: Identities::new(),
        });
        self.series
            .extend(self.time_specs.iter().map(|_| Series::new()));
        if !self.threshold_specs.is_empty() {
            self.threshold_bars
                .push(ThresholdBars::new(&self.threshold_specs));
        }
        if self.settings.corrections {
            self.recent.push(RecentTrades::new(self.time_specs.len()));
        }
        row
    }

    /// Lets every series of a symbol work.
    fn each_series<T>(
        &mut self,
        row: usize,
        out: &mut Vec<BarUpdate>,
        mut work: impl FnMut(&mut Series, &mut SeriesContext<'_>) -> T,
    ) {
        for index in self.series_of(row) {
            let (series, mut context) = self.context(row, index, out);
            work(series, &mut context);
        }
    }

    fn series_of(&self, row: usize) -> std::ops::Range<usize> {
        let count = self.time_specs.len();
        row * count..(row + 1) * count
    }

    /// Event time up to which windows are closed.
    fn watermark(&self, seen: i64) -> i64 {
        seen.saturating_sub(self.settings.lateness_ns)
    }

    /// Event time before which no trade can change a bar any more.
    fn settled(&self, seen: i64) -> i64 {
        seen - self.reach
    }

    fn context<'a>(
        &'a mut self,
        row: usize,
        index: usize,
        out: &'a mut Vec<BarUpdate>,
    ) -> (&'a mut Series, SeriesContext<'a>) {
        let SymbolState { symbol, seen, .. } = self.symbols[row];
        let (spec, bucketing) = self.time_specs[index - row * self.time_specs.len()];
        let (watermark, settled) = (self.watermark(seen), self.settled(seen));
        let context = SeriesContext {
            publisher: Publisher {
                symbol,
                volume_only: self.settings.volume_only,
                gaps: self.gaps.of(row),
                counts: &mut self.counts,
                out,
            },
            spec,
            bucketing,
            series: index,
            watermark,
            settled,
            fill: self.settings.fill,
            windows: &mut self.windows,
            revisions: &mut self.revisions,
        };
        (&mut self.series[index], context)
    }

    fn threshold_context<'a>(
        &'a mut self,
        row: usize,
        out: &'a mut Vec<BarUpdate>,
    ) -> Option<(&'a mut ThresholdBars, Publisher<'a>)> {
        let publisher = Publisher {
            symbol: self.symbols[row].symbol,
            volume_only: self.settings.volume_only,
            gaps: self.gaps.of(row),
            counts: &mut self.counts,
            out,
        };
        Some((self.threshold_bars.get_mut(row)?, publisher))
    }
}

#[cfg(test)]
impl Aggregator {
    /// Windows that the ring of each series has room for.
    pub(super) fn room(&self) -> Vec<usize> {
        self.series.iter().map(Series::room).collect()
    }
}
