//! The windows of one symbol and one spec that may still change.
//!
//! The newest open window stands apart, so that a trade in order touches nothing else. Behind it lie, in
//! order of their start, first the published windows that late trades may still revise, then the open ones.
//! Once the watermark, less the time for revisions, has passed a window's end, no trade that is not late can
//! reach it any more, and it goes when its place is needed. Deliberately does not know when to run: the aggregator keeps the clock.

use super::fold::Fold;
use super::publisher::Publisher;
use super::settings::Fill;
use super::window::{Bucketing, Windows};
use crate::engine::prefetch::fetch;
use crate::engine::rules::Eligible;
use crate::engine::zone_cache::Span;
use crate::model::{Bar, BarSpec, Price, Trade};
use std::collections::VecDeque;

/// Room that an emptied queue may keep.
const SPARE_LEN_MAX: usize = 64;
/// By how many windows the ring of older ones grows at least; where it is long, by half.
const ROOM_LEN: usize = 4;

/// Names a bar that changed after its publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revision {
    /// The index of the series in the table.
    pub(super) series: usize,
    pub(super) start: i64,
}

/// The surroundings of one series while it works.
#[derive(Debug)]
pub(super) struct SeriesContext<'a> {
    pub(super) publisher: Publisher<'a>,
    pub(super) spec: BarSpec,
    pub(super) bucketing: Bucketing,
    /// The index of the series in the table.
    pub(super) series: usize,
    /// Windows that end here or earlier are closed.
    pub(super) watermark: i64,
    /// Windows that end here or earlier can change no more.
    pub(super) settled: i64,
    pub(super) fill: Fill,
    pub(super) windows: &'a mut Windows,
    pub(super) revisions: &'a mut Vec<Revision>,
}

/// One window and what became of it: four lines of the cache, of which a trade in order touches two.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Window {
    span: Span,
    fold: Fold,
    /// The price of a published window without trades.
    fill_price: Option<Price>,
    published: bool,
    /// Whether it was left out when it closed, since it has no prices.
    left_out: bool,
    /// Whether it differs from its last update, forming ones included.
    changed: bool,
    revision: u32,
    trades_published: u64,
}

impl SeriesContext<'_> {
    /// The length of the windows between two with trades that become flat bars; `None` where none do.
    fn fill_length(&self) -> Option<i64> {
        match (self.fill, self.bucketing) {
            (Fill::PreviousClose, Bucketing::Every(length)) => Some(length),
            (Fill::PreviousClose, Bucketing::Day | Bucketing::Session) | (Fill::None, _) => None,
        }
    }
}

impl Window {
    const NOWHERE: Window = Window::open(Span::NOWHERE);

    const fn open(span: Span) -> Window {
        Window {
            span,
            fold: Fold::EMPTY,
            fill_price: None,
            published: false,
            left_out: false,
            changed: false,
            revision: 0,
            trades_published: 0,
        }
    }

    fn is_nowhere(&self) -> bool {
        self.span == Span::NOWHERE
    }

    /// The price it leaves to the windows after it.
    fn close(&self) -> Option<Price> {
        self.fill_price.or_else(|| self.fold.close())
    }

    #[inline]
    fn bar(&self, context: &SeriesContext<'_>) -> Bar {
        let publisher = &context.publisher;
        publisher.bar(context.spec, self.span, &self.fold, self.fill_price)
    }

    fn publish(&mut self, context: &mut SeriesContext<'_>) {
        let bar = self.bar(context);
        self.published = true;
        self.changed = false;
        self.trades_published = bar.trades;
        self.left_out = !context.publisher.close(bar);
    }

    /// Notes a change of a published window.
    fn revise(&mut self, context: &mut SeriesContext<'_>) {
        if self.left_out {
            if self.fold.prices().is_some() {
                context.publisher.counts.volume_only -= 1;
                self.publish(context);
            }
            return;
        }
        self.revision = self.revision.saturating_add(1);
        context.publisher.counts.revised += 1;
        if !self.changed {
            self.changed = true;
            context.revisions.push(Revision {
                series: context.series,
                start: self.span.start,
            });
        }
    }

    fn publish_revision(&mut self, context: &mut SeriesContext<'_>) {
        if self.published && self.changed {
            let bar = self.bar(context);
            let added = bar.trades.saturating_sub(self.trades_published);
            self.changed = false;
            self.trades_published = bar.trades;
            context.publisher.revise(bar, self.revision, added);
        }
    }
}

/// The windows of one symbol and spec.
#[derive(Debug)]
pub(super) struct Series {
    current: Window,
    older: VecDeque<Window>,
    /// How many of the older windows are published; they come first.
    published: usize,
    /// End and close of the last window let go.
    last_evicted: Option<(i64, Option<Price>)>,
}

impl Series {
    pub(super) fn new() -> Series {
        Series {
            current: Window::NOWHERE,
            older: VecDeque::new(),
            published: 0,
            last_evicted: None,
        }
    }

    /// Fetches what a trade in order needs.
    #[inline]
    pub(super) fn fetch(&self) {
        fetch(&self.current, 2);
    }

    /// Fetches the oldest window, whose place the next one to be closed takes where the ring is full, as it nearly
    /// always is.
    #[inline]
    pub(super) fn fetch_room(&self) {
        if let Some(oldest) = self.older.front() {
            fetch(oldest, 4);
        }
    }

    /// Folds a trade of the newest window; false when it belongs to another one.
    #[inline]
    pub(super) fn add_in_order(&mut self, time: i64, trade: &Trade, eligible: Eligible) -> bool {
        if !self.current.span.contains(time) {
            return false;
        }
        self.current.fold.add(trade, eligible);
        true
    }

    /// Notes that the newest window changed, which only forming bars ask for: it is on a line of the cache of its own.
    #[inline]
    pub(super) fn mark_changed(&mut self) {
        self.current.changed = true;
    }

    /// Folds a trade of any window that is not settled.
    pub(super) fn add(
        &mut self,
        trade: &Trade,
        eligible: Eligible,
        context: &mut SeriesContext<'_>,
    ) {
        let span = context
            .windows
            .span(context.bucketing, trade.time.as_nanos());
        if span.start == self.current.span.start {
            // Only the last window of representable time ends before its last instant.
            self.current.fold.add(trade, eligible);
            self.current.changed = true;
            return;
        }
        if span.start > self.current.span.start && span.end > context.watermark {
            if !self.current.is_nowhere() {
                self.make_room(context);
                self.older.push_back(self.current);
            }
            self.current = Window::open(span);
            self.current.fold.add(trade, eligible);
            self.current.changed = true;
            return;
        }
        self.make_room(context);
        let index = self.index_of(span.start).unwrap_or_else(|index| {
            self.older.insert(index, Window::open(span));
            index
        });
        let window = &mut self.older[index];
        window.fold.add(trade, eligible);
        window.fill_price = None;
        if window.published {
            window.revise(context);
            self.reprice(index, context);
        } else if span.end <= context.watermark {
            self.publish_at(index, context);
        } else {
            window.changed = true;
        }
    }

    /// Gives the window that starts at `start` another fold, after a correction.
    ///
    /// An open window without trades goes; a published one stays, since it may be stored.
    pub(super) fn refold(&mut self, start: i64, fold: Fold, context: &mut SeriesContext<'_>) {
        if self.current.span.start == start {
            (self.current.fold, self.current.changed) = (fold, true);
            if fold.is_empty() {
                let is_open = self.older.back().is_some_and(|window| !window.published);
                let next = if is_open { self.older.pop_back() } else { None };
                self.current = next.unwrap_or(Window::NOWHERE);
            }
            return;
        }
        let Ok(index) = self.index_of(start) else {
            return;
        };
        let before = self.before(index).and_then(|(_, close)| close);
        let window = &mut self.older[index];
        if !window.published {
            (window.fold, window.changed) = (fold, true);
            if fold.is_empty() {
                self.older.remove(index);
            }
        } else if window.fold != fold {
            window.fold = fold;
            let is_flat = fold.is_empty() && context.fill_length().is_some();
            window.fill_price = before.filter(|_| is_flat);
            window.revise(context);
            self.reprice(index, context);
        }
    }

    /// Notes a gap that is not yet among the context's.
    pub(super) fn mark_gap(&mut self, gap: Span, context: &mut SeriesContext<'_>) {
        for window in self.older.iter_mut().chain([&mut self.current]) {
            // One out of reach may still be here, because its place is not yet needed.
            let is_settled = window.published && window.span.end <= context.settled;
            if is_settled || !gap.overlaps(window.span) || context.publisher.is_gapped(window.span)
            {
                continue;
            }
            if window.published {
                window.revise(context);
            } else {
                window.changed = true;
            }
        }
    }

    /// Publishes what the watermark passed and lets go what is settled; returns the end of the first
    /// window still open.
    pub(super) fn settle(&mut self, context: &mut SeriesContext<'_>) -> i64 {
        let mut index = self.published;
        while self
            .older
            .get(index)
            .is_some_and(|window| window.span.end <= context.watermark)
        {
            index = self.publish_at(index, context) + 1;
        }
        if !self.current.is_nowhere() && self.current.span.end <= context.watermark {
            self.close_current(context);
        }
        self.next_end()
    }

    fn close_current(&mut self, context: &mut SeriesContext<'_>) {
        let end = self.current.span.end;
        if context.fill == Fill::PreviousClose {
            self.older.push_back(self.current);
            self.publish_at(self.older.len() - 1, context);
            self.let_go(context);
        } else {
            // Before it leaves for memory that is long out of the cache.
            self.current.publish(context);
            if context.settled < end {
                self.make_room(context);
                self.older.push_back(self.current);
                self.published += 1;
            } else {
                self.let_go(context);
                self.last_evicted = Some((end, None));
            }
        }
        self.current.span = Span::NOWHERE;
    }

    /// Makes room for one more older window.
    ///
    /// Looks at the oldest one only for its place, so that the ring stays as long as it has to be and nothing far
    /// away is read but what is written next.
    fn make_room(&mut self, context: &mut SeriesContext<'_>) {
        if self.older.len() == self.older.capacity() && !self.let_go_first(context) {
            self.older.reserve_exact(ROOM_LEN.max(self.older.len() / 2));
        }
    }

    /// Lets go the windows no trade can reach any more.
    pub(super) fn let_go(&mut self, context: &mut SeriesContext<'_>) {
        while self.let_go_first(context) {}
        if self.older.capacity() > SPARE_LEN_MAX + 4 * self.older.len() {
            self.older.shrink_to(self.older.len());
        }
    }

    fn let_go_first(&mut self, context: &mut SeriesContext<'_>) -> bool {
        let Some(window) = self.older.front_mut() else {
            return false;
        };
        if !window.published || window.span.end > context.settled {
            return false;
        }
        window.publish_revision(context);
        let close = window
            .close()
            .or(self.last_evicted.and_then(|(_, close)| close));
        self.last_evicted = Some((window.span.end, close));
        self.older.pop_front();
        self.published -= 1;
        true
    }

    /// Publishes the update of a revised window, if it still has one.
    pub(super) fn publish_revision(&mut self, start: i64, context: &mut SeriesContext<'_>) {
        if let Ok(index) = self.index_of(start) {
            self.older[index].publish_revision(context);
        }
    }

    /// Publishes the open windows that changed since they were last published.
    pub(super) fn publish_forming(&mut self, context: &mut SeriesContext<'_>) {
        let open = self
            .older
            .range_mut(self.published..)
            .chain([&mut self.current]);
        let is_due = |window: &&mut Window| window.changed && !window.is_nowhere();
        for window in open.filter(is_due) {
            window.changed = false;
            let bar = window.bar(context);
            context.publisher.form(bar);
        }
    }

    /// Start of the first window that may still change.
    pub(super) fn oldest_start(&self, settled: i64) -> Option<i64> {
        let current = (!self.current.is_nowhere()).then_some(&self.current);
        let mut windows = self.older.iter().chain(current);
        windows
            .find(|window| !window.published || window.span.end > settled)
            .map(|window| window.span.start)
    }

    /// Windows with trades that are not yet published.
    pub(super) fn open_len(&self) -> usize {
        self.older.len() - self.published + usize::from(!self.current.is_nowhere())
    }

    /// End of the first window still open.
    pub(super) fn next_end(&self) -> i64 {
        match self.older.get(self.published) {
            Some(window) => window.span.end,
            None if self.current.is_nowhere() => i64::MAX,
            None => self.current.span.end,
        }
    }

    /// Publishes a window for the first time, with the flat ones around it; returns where it then is.
    fn publish_at(&mut self, index: usize, context: &mut SeriesContext<'_>) -> usize {
        self.published += 1;
        if context.fill == Fill::None {
            // No need to look at the windows around it, which are long out of the cache.
            self.older[index].publish(context);
            return index;
        }
        let index = match self.before(index) {
            Some((end, Some(price))) => index + self.fill(index, end, price, context),
            Some((_, None)) | None => index,
        };
        let window = &mut self.older[index];
        window.publish(context);
        let end = window.span.end;
        if self.older.get(index + 1).is_some_and(|next| next.published)
            && let Some(price) = self.close_at(index)
        {
            self.fill(index + 1, end, price, context);
            self.reprice(index, context);
        }
        index
    }

    /// Where the older window that starts at `start` is, or would be.
    fn index_of(&self, start: i64) -> Result<usize, usize> {
        self.older
            .binary_search_by_key(&start, |window| window.span.start)
    }

    /// End of the window before `index`, and the close it leaves.
    fn before(&self, index: usize) -> Option<(i64, Option<Price>)> {
        match index.checked_sub(1) {
            Some(last) => Some((self.older[last].span.end, self.close_at(last))),
            None => self.last_evicted,
        }
    }

    /// The close that the window at `index` or the nearest before it leaves.
    fn close_at(&self, index: usize) -> Option<Price> {
        let evicted = self.last_evicted.and_then(|(_, close)| close);
        self.older
            .range(..=index)
            .rev()
            .find_map(Window::close)
            .or(evicted)
    }

    /// Inserts and publishes flat windows from `from` to the start of the window at `index`; returns how many.
    fn fill(
        &mut self,
        index: usize,
        from: i64,
        price: Price,
        context: &mut SeriesContext<'_>,
    ) -> usize {
        let Some(length) = context.fill_length() else {
            return 0;
        };
        let spans = context
            .windows
            .between(length, from, self.older[index].span.start);
        for (offset, span) in spans.iter().enumerate() {
            let mut window = Window {
                fill_price: Some(price),
                ..Window::open(*span)
            };
            window.publish(context);
            self.older.insert(index + offset, window);
        }
        self.published += spans.len();
        spans.len()
    }

    /// Carries the close of the window at `index` to the flat ones after it.
    fn reprice(&mut self, index: usize, context: &mut SeriesContext<'_>) {
        if context.fill == Fill::None {
            return;
        }
        let Some(price) = self.close_at(index) else {
            return;
        };
        for window in self
            .older
            .range_mut(index + 1..)
            .take_while(|window| window.published)
        {
            match window.fill_price {
                Some(filled) if filled != price => {
                    window.fill_price = Some(price);
                    window.revise(context);
                }
                Some(_) => {}
                None if window.fold.close().is_none() => {}
                None => break,
            }
        }
    }
}

#[cfg(test)]
impl Series {
    /// Windows that the ring of older ones has room for.
    pub(super) fn room(&self) -> usize {
        self.older.capacity()
    }
}
