//! Per-symbol gap detection and backfill: a state machine.
//!
//! Owns what is delivered of one symbol, when the archive must be asked, and the merge of both. Where identities are
//! contiguous, a gap shows in them; elsewhere every break of the connection is one. While a gap is open, live trades
//! are held in a bounded buffer; what does not fit is fetched afterwards. Pure: time is an argument.

use super::identity::{Identity, RESOLUTION_NS, RecentIdentities, is_copy};
use super::settings::GapSettings;
use barmill_core::engine::retry::doubled;
use barmill_core::model::{Symbol, Timestamp, Trade, TradeId, TradeKey};
use barmill_core::port::{Gap, GapFill};
use std::collections::BTreeMap;
use std::time::Duration;

/// How far the venue's clock may be ahead of ours, nanoseconds.
const SKEW_NS: i64 = 5_000_000_000;

/// The present on the two clocks of a feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Time since the feed was made.
    pub(crate) elapsed: Duration,
    /// The time of day.
    pub(crate) wall: Timestamp,
}

/// What holds for every symbol of a feed.
#[derive(Debug, Clone)]
pub(crate) struct GapRules {
    /// The settings.
    pub(crate) settings: GapSettings,
    /// Whether identities have no gaps.
    pub(crate) is_contiguous: bool,
    /// `settings.overlap` in nanoseconds.
    pub(crate) overlap_ns: i64,
    /// Nanoseconds of the finest step of the socket's clock, at least 1.
    pub(crate) resolution_ns: i64,
}

impl GapRules {
    /// An instant as the socket's clock tells it.
    ///
    /// The archive's clock may be finer. A copy of its own among trades of the socket would seem later than those that
    /// follow it within the step, and close a bar in their place.
    fn as_told(&self, time: Timestamp) -> Timestamp {
        time.saturating_sub(time.as_nanos().rem_euclid(self.resolution_ns))
    }
}

/// What the symbols of a feed counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GapStats {
    /// Trades left out because they were delivered before.
    pub duplicates: u64,
    /// Gaps seen, among them those that closed by themselves.
    pub opened: u64,
    /// Gaps that stay open.
    pub unfilled: u64,
    /// Trades that came from the archive.
    pub fetched: u64,
    /// Live trades dropped for want of room and fetched afterwards.
    pub dropped: u64,
}

/// What the symbols of a feed have to deliver.
#[derive(Debug, Default)]
pub(crate) struct GapOutput {
    /// Trades, in order per symbol.
    pub(crate) trades: Vec<Trade>,
    /// Gaps that stay open.
    pub(crate) unfilled: Vec<Gap>,
    /// The counts.
    pub(crate) stats: GapStats,
}

/// What one call on a symbol works with.
#[derive(Debug)]
pub(crate) struct GapContext<'a> {
    /// What holds for every symbol.
    pub(crate) rules: &'a GapRules,
    /// The present.
    pub(crate) now: Now,
    /// Live trades that may still be held, of all symbols together.
    pub(crate) room: usize,
    /// Where results go.
    pub(crate) output: &'a mut GapOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Something may have been missed since the last trade.
    Unsure,
    /// Nothing is missed.
    Live,
    /// It is not followed any more.
    Left,
    /// Something is missed.
    Holding(Hold),
}

/// The gap behind which trades are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Hold {
    /// The trade behind the gap, where one is known.
    before: Option<TradeKey>,
    attempts: u32,
    /// Live trades no longer fit.
    is_full: bool,
    /// The connection broke since.
    is_broken: bool,
}

/// One symbol.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each changes without the others"
)]
pub(crate) struct SymbolGaps {
    symbol: Symbol,
    /// The newest trade delivered, or the one to start behind.
    last: Option<TradeKey>,
    /// The trade or instant it started behind: what is before it is another's to deliver.
    start: Option<TradeKey>,
    /// Whether it was told to start at an instant, so that the archive alone knows its first trade.
    is_from_instant: bool,
    recent: RecentIdentities,
    held: BTreeMap<Identity, Trade>,
    state: State,
    /// When to ask the archive, on the feed's clock.
    ask_at: Option<Duration>,
    is_asking: bool,
    /// How far the archive's pages for this gap have come.
    read_to: Option<Timestamp>,
    /// Whether the archive is asked for no other reason than that nothing comes.
    is_check: bool,
    /// Whether the subscription is confirmed, so that nothing more is missed.
    is_up: bool,
}

impl SymbolGaps {
    pub(crate) fn new(symbol: Symbol, after: Option<TradeKey>) -> SymbolGaps {
        SymbolGaps {
            symbol,
            last: after,
            start: after,
            is_from_instant: after.is_some_and(|after| after.id == TradeId::NONE),
            recent: RecentIdentities::default(),
            held: BTreeMap::new(),
            state: State::Unsure,
            ask_at: None,
            is_asking: false,
            read_to: None,
            is_check: false,
            is_up: false,
        }
    }

    pub(crate) fn symbol(&self) -> Symbol {
        self.symbol
    }

    pub(crate) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Whether it is not followed any more.
    pub(crate) fn is_left(&self) -> bool {
        self.state == State::Left
    }

    /// Whether something is missed of what is followed.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Live | State::Left)
    }

    /// Trades that wait behind a gap.
    pub(crate) fn held_len(&self) -> usize {
        self.held.len()
    }

    /// The newest trade delivered, or the instant to start from.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        self.last.map(|last| last.time)
    }

    /// When the archive is to be asked; `None` while it is being asked.
    pub(crate) fn ask_at(&self) -> Option<Duration> {
        if self.is_asking { None } else { self.ask_at }
    }

    /// Stops, or goes on as after a broken connection; what was held behind a gap is fetched again.
    pub(crate) fn set_followed(&mut self, is_followed: bool) {
        (self.is_up, self.is_asking, self.is_check) = (false, false, false);
        self.state = if is_followed {
            State::Unsure
        } else {
            State::Left
        };
        (self.ask_at, self.read_to) = (None, None);
        self.held.clear();
    }

    /// Nothing comes: has the archive asked whether that is all there is.
    pub(crate) fn check(&mut self, now: Now) {
        if self.state == State::Live && self.last.is_some() {
            (self.state, self.is_check, self.ask_at) = (State::Unsure, true, Some(now.elapsed));
        }
    }

    /// The connection is gone: what comes next may follow a gap.
    pub(crate) fn on_down(&mut self, rules: &GapRules) {
        self.is_up = false;
        match &mut self.state {
            State::Unsure => self.ask_at = None,
            State::Live => self.state = State::Unsure,
            State::Left => {}
            State::Holding(hold) => {
                hold.is_broken = true;
                // Without identities to tell, later trades must not join those before the break.
                hold.is_full |= !rules.is_contiguous;
            }
        }
    }

    /// The subscription is confirmed: from now on every trade comes.
    pub(crate) fn on_live(&mut self, cx: &GapContext<'_>) {
        self.is_up = true;
        if self.state != State::Unsure {
            return;
        }
        if self.last.is_some() {
            self.ask_at = Some(cx.now.elapsed + cx.rules.settings.settle);
        } else {
            self.last = Some(TradeKey::instant(cx.now.wall));
            self.start = self.last;
            self.state = State::Live;
        }
    }

    /// The venue tells its newest identity.
    pub(crate) fn on_newest(&mut self, sequence: u64, cx: &GapContext<'_>) {
        if self.state == State::Live && self.expected().is_some_and(|expected| expected <= sequence)
        {
            self.state = State::Unsure;
            self.ask_at = Some(cx.now.elapsed + cx.rules.settings.wait);
        }
    }

    /// A trade from before the subscription.
    pub(crate) fn on_snapshot(&mut self, trade: &Trade, cx: &mut GapContext<'_>) {
        // A start that nobody asked for would make bars of a part of their trades.
        if cx.rules.is_contiguous && self.expected().is_some() {
            self.on_trade(trade, cx);
        }
    }

    pub(crate) fn on_trade(&mut self, trade: &Trade, cx: &mut GapContext<'_>) {
        let rules = cx.rules;
        // The archive may be ahead of the socket, and it is read again from before a gap: both are waited for.
        let passed = self
            .last
            .map_or(trade.time, |last| last.time.min(trade.time));
        self.recent
            .forget_before(passed.saturating_sub(rules.overlap_ns + RESOLUTION_NS));
        if self.is_seen(trade, rules) {
            cx.output.stats.duplicates += 1;
            return;
        }
        let is_next = match (rules.is_contiguous, self.expected(), self.state) {
            (_, _, State::Holding(_) | State::Left) => false,
            (true, Some(expected), _) => trade.sequence == expected,
            // An archive that had nothing when it was asked may have lagged.
            (true, None, State::Live) => !self.is_from_instant,
            (_, _, State::Live) => true,
            (_, _, State::Unsure) => self.last.is_none(),
        };
        if is_next {
            self.state = State::Live;
            (self.ask_at, self.is_check) = (None, false);
            self.deliver(*trade, cx);
            return;
        }
        self.hold(trade, cx);
        if rules.is_contiguous {
            self.release_run(cx);
        }
    }

    /// The question to the archive, if it is time for it.
    pub(crate) fn ask(&mut self, cx: &GapContext<'_>) -> Option<Gap> {
        self.ask_at = None;
        let after = self.last?;
        if self.state == State::Unsure {
            self.state = State::Holding(Hold::default());
        }
        let State::Holding(hold) = self.state else {
            return None;
        };
        self.is_asking = true;
        Some(self.gap(after, hold.before, cx))
    }

    /// The archive's answer; `None` when it failed.
    pub(crate) fn on_fill(&mut self, fill: Option<&GapFill>, cx: &mut GapContext<'_>) {
        let rules = cx.rules;
        self.is_asking = false;
        let progress = (self.last, self.read_to);
        let is_found = fill.is_some_and(|fill| self.merge(fill, cx));
        let is_whole = fill.is_some_and(|fill| fill.is_whole);
        if rules.is_contiguous {
            if fill.is_some_and(|fill| !fill.trades.is_empty()) {
                self.start_at_first_held();
            }
            self.release_run(cx);
        }
        if let (Some(fill), false) = (fill, is_whole) {
            self.turn_page(fill, cx);
        }
        let State::Holding(hold) = &mut self.state else {
            return;
        };
        if is_whole && (hold.before.is_none() || (!rules.is_contiguous && is_found)) {
            self.release_all(cx);
        } else if progress.0 < self.last || progress.1 < self.read_to {
            self.ask_again(cx.now);
        } else {
            hold.attempts += 1;
            let wait = doubled(rules.settings.backoff, hold.attempts.min(17));
            self.ask_at = Some(cx.now.elapsed + wait);
        }
    }

    /// Whether the last answer left no attempt.
    pub(crate) fn is_exhausted(&self, rules: &GapRules) -> bool {
        matches!(self.state, State::Holding(hold) if rules.settings.attempts_max <= hold.attempts)
    }

    /// The archive cannot be asked any more for this gap.
    pub(crate) fn give_up(&mut self, cx: &mut GapContext<'_>) {
        self.is_asking = false;
        let (State::Holding(hold), Some(after)) = (self.state, self.last) else {
            return;
        };
        if self.is_check && hold.before.is_none() && !hold.is_full && !hold.is_broken {
            // The connection lost nothing that is known of.
            return self.release_all(cx);
        }
        cx.output.stats.unfilled += 1;
        cx.output.unfilled.push(self.gap(after, hold.before, cx));
        if !cx.rules.is_contiguous || self.held.is_empty() {
            return self.release_all(cx);
        }
        if let Some((_, first)) = self.held.pop_first() {
            self.deliver(first, cx);
        }
        self.ask_again(cx.now);
        self.release_run(cx);
    }

    /// The identity that must come next, where it is known.
    fn expected(&self) -> Option<u64> {
        self.last
            .filter(|last| last.id != TradeId::NONE)
            .map(|last| last.sequence + 1)
    }

    fn is_seen(&self, trade: &Trade, rules: &GapRules) -> bool {
        let identity = Identity::of(trade);
        let is_delivered = if rules.is_contiguous {
            self.expected()
                .is_some_and(|expected| trade.sequence < expected)
        } else {
            self.recent.contains(identity)
        };
        is_delivered || self.held.contains_key(&identity)
    }

    fn deliver(&mut self, trade: Trade, cx: &mut GapContext<'_>) {
        // The order of contiguous identities rules, whatever the venue's clock says.
        if cx.rules.is_contiguous {
            self.last = Some(trade.key());
        } else {
            self.recent.insert(trade.time, Identity::of(&trade));
            self.last = self.last.max(Some(trade.key()));
        }
        cx.output.trades.push(trade);
    }

    fn deliver_sorted(&mut self, mut trades: Vec<Trade>, cx: &mut GapContext<'_>) {
        trades.sort_by_key(Trade::key);
        for trade in trades {
            self.deliver(trade, cx);
        }
    }

    fn hold(&mut self, trade: &Trade, cx: &mut GapContext<'_>) {
        let settings = &cx.rules.settings;
        if !matches!(self.state, State::Holding(_)) {
            cx.output.stats.opened += 1;
            self.state = State::Holding(Hold {
                before: Some(trade.key()),
                ..Hold::default()
            });
            self.ask_at = Some(cx.now.elapsed + settings.wait);
        }
        let State::Holding(hold) = &mut self.state else {
            return;
        };
        hold.is_full |= settings.held_len_max <= self.held.len() || cx.room == 0;
        if hold.is_full {
            cx.output.stats.dropped += 1;
        } else {
            self.held.insert(Identity::of(trade), *trade);
        }
    }

    /// With only an instant to start from, the archive's first trade is the first.
    fn start_at_first_held(&mut self) {
        if let (None, Some(last), Some((_, first))) =
            (self.expected(), self.last, self.held.first_key_value())
        {
            let sequence = first.sequence.saturating_sub(1);
            self.last = Some(TradeKey {
                sequence,
                id: TradeId::from_number(sequence),
                ..last
            });
        }
    }

    /// Delivers held trades as far as their identities are contiguous.
    fn release_run(&mut self, cx: &mut GapContext<'_>) {
        let mut is_moved = false;
        while let (Some(expected), Some(first)) = (self.expected(), self.held.first_entry())
            && first.get().sequence == expected
        {
            let trade = first.remove();
            self.deliver(trade, cx);
            is_moved = true;
        }
        let first_key = self.held.first_key_value().map(|(_, first)| first.key());
        match (&mut self.state, first_key) {
            (State::Live | State::Left | State::Unsure, _) => self.held.clear(),
            (State::Holding(hold), Some(key)) => {
                hold.before = Some(key);
                if is_moved {
                    hold.attempts = 0;
                    self.ask_at = Some(cx.now.elapsed + cx.rules.settings.wait);
                }
            }
            // An open end is settled by the archive's answer alone.
            (State::Holding(hold), None) if hold.before.is_none() => {}
            (State::Holding(_), None) => self.settle(cx),
        }
    }

    fn release_all(&mut self, cx: &mut GapContext<'_>) {
        let held = std::mem::take(&mut self.held);
        self.deliver_sorted(held.into_values().collect(), cx);
        self.settle(cx);
    }

    /// The gap is closed; what was dropped, or missed since, is the next one.
    fn settle(&mut self, cx: &GapContext<'_>) {
        let State::Holding(hold) = self.state else {
            return;
        };
        (self.read_to, self.is_check) = (None, false);
        let is_sure = self.is_up && !hold.is_full && !hold.is_broken;
        self.state = if is_sure { State::Live } else { State::Unsure };
        let ask_at = cx.now.elapsed + cx.rules.settings.settle;
        self.ask_at = (self.is_up && !is_sure).then_some(ask_at);
    }

    fn ask_again(&mut self, now: Now) {
        if let State::Holding(hold) = &mut self.state {
            hold.attempts = 0;
            self.ask_at = Some(now.elapsed);
        }
    }

    fn gap(&self, after: TradeKey, before: Option<TradeKey>, cx: &GapContext<'_>) -> Gap {
        let to = match before {
            Some(before) => before.time.saturating_add(RESOLUTION_NS),
            None => cx.now.wall.saturating_add(SKEW_NS),
        };
        let from = match self.read_to {
            // Identities say where to go on, whatever was read.
            _ if cx.rules.is_contiguous => after.time,
            Some(read_to) => read_to,
            None => after.time.saturating_sub(cx.rules.overlap_ns),
        };
        Gap {
            symbol: self.symbol,
            after,
            before,
            from,
            to,
            len_max: cx.rules.settings.len_max,
        }
    }

    /// Takes the archive's copies, timed as the socket would; answers whether the trade after the gap is among them, so
    /// that the archive has caught up with it.
    fn merge(&mut self, fill: &GapFill, cx: &mut GapContext<'_>) -> bool {
        let before = match self.state {
            State::Holding(hold) => hold.before,
            State::Unsure | State::Live | State::Left => None,
        };
        let expected = self.expected().filter(|_| cx.rules.is_contiguous);
        let mut is_found = false;
        let of_symbol = fill
            .trades
            .iter()
            .filter(|trade| trade.symbol == self.symbol);
        for trade in of_symbol {
            is_found |= before.is_some_and(|before| is_copy(trade, &before));
            let identity = Identity::of(trade);
            let is_old = match expected {
                Some(expected) => trade.sequence < expected,
                None => self.is_before_start(trade) || self.recent.contains(identity),
            };
            // A number in the archive's answer is no order that the socket's trades could share.
            let sequence = if trade.sequenced { trade.sequence } else { 0 };
            let copy = Trade {
                sequence,
                time: cx.rules.as_told(trade.time),
                ..*trade
            };
            if !is_old && self.held.insert(identity, copy).is_none() {
                cx.output.stats.fetched += 1;
            }
        }
        is_found
    }

    /// The start may be known from the socket's clock, and its archive copy may seem later.
    fn is_before_start(&self, trade: &Trade) -> bool {
        let Some(start) = self.start else {
            return false;
        };
        if start.id == TradeId::NONE || trade.time < start.time {
            return trade.time < start.time;
        }
        let is_near = trade.time < start.time.saturating_add(RESOLUTION_NS);
        trade.id == start.id
            || trade.key() <= start
            || (is_near && trade.sequenced && trade.sequence <= start.sequence)
    }

    /// More pages follow: delivers what this one made whole, and goes on from its end.
    fn turn_page(&mut self, fill: &GapFill, cx: &mut GapContext<'_>) {
        let Some(edge) = fill.trades.last().map(|trade| trade.time) else {
            return;
        };
        self.read_to = self.read_to.max(Some(edge));
        if cx.rules.is_contiguous {
            return;
        }
        let edge = cx.rules.as_told(edge);
        let is_whole = |_: &Identity, trade: &mut Trade| trade.time < edge;
        let ready = self.held.extract_if(.., is_whole);
        let ready = ready.map(|(_, trade)| trade).collect();
        self.deliver_sorted(ready, cx);
    }
}
