//! One symbol's unbroken line of trades.
//!
//! Owns what is delivered of a symbol, when it must be asked of the archive, and the merge of both. Where identities
//! are contiguous a hole shows in them; elsewhere every break of the connection is one. While a hole is open, live
//! trades wait in a bounded buffer; what does not fit is fetched afterwards. Pure: time is an argument.

use super::identity::{Identity, RESOLUTION_NS, Recent, is_copy};
use super::ledger::{Output, Rules};
use crate::model::{Price, Symbol, Timestamp, Trade, TradeId, TradeKey};
use crate::port::{Gap, GapFill};
use std::collections::BTreeMap;
use std::time::Duration;

/// How far the venue's clock may be ahead of ours, nanoseconds.
const SKEW_NS: i64 = 5_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Something may have been missed since the last trade.
    Unsure,
    /// Nothing is missed.
    Live,
    /// Something is missed.
    Holding {
        before: Option<TradeKey>,
        attempts: u32,
        /// Live trades no longer fit.
        is_full: bool,
        /// The connection broke since.
        is_broken: bool,
    },
}

/// One symbol.
#[derive(Debug)]
pub(super) struct Track {
    symbol: Symbol,
    /// The newest trade delivered, or the place to start from.
    last: Option<TradeKey>,
    /// The place this track started from: what is before it is another's to deliver.
    start: Option<TradeKey>,
    recent: Recent,
    held: BTreeMap<Identity, Trade>,
    state: State,
    /// When to ask the archive, on the feed's clock.
    ask_at: Option<Duration>,
    is_asking: bool,
    /// How far the archive's pages for this hole have come.
    read_to: Option<Timestamp>,
    /// Whether the subscription is confirmed, so that nothing more is missed.
    is_up: bool,
}

impl Track {
    pub(super) fn new(symbol: Symbol, after: Option<TradeKey>) -> Track {
        Track {
            symbol,
            last: after,
            start: after,
            recent: Recent::default(),
            held: BTreeMap::new(),
            state: State::Unsure,
            ask_at: None,
            is_asking: false,
            read_to: None,
            is_up: false,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// When the archive is to be asked; `None` while it is being asked.
    pub(super) fn ask_at(&self) -> Option<Duration> {
        if self.is_asking { None } else { self.ask_at }
    }

    /// The connection is gone: what comes next may follow a hole.
    pub(super) fn on_down(&mut self, rules: &Rules) {
        self.is_up = false;
        match &mut self.state {
            State::Unsure => self.ask_at = None,
            State::Live => self.state = State::Unsure,
            State::Holding { is_full, is_broken, .. } => {
                *is_broken = true;
                // Without identities to tell, later trades must not join those before the break.
                *is_full |= !rules.is_contiguous;
            }
        }
    }

    /// The subscription is confirmed: from `wall` on every trade comes.
    pub(super) fn on_live(&mut self, rules: &Rules, now: Duration, wall: Timestamp) {
        self.is_up = true;
        if self.state != State::Unsure {
            return;
        }
        if self.last.is_some() {
            self.ask_at = Some(now + rules.gaps.settle);
        } else {
            self.last = Some(TradeKey { time: wall, sequence: 0, id: TradeId::NONE, price: Price::ZERO });
            self.start = self.last;
            self.state = State::Live;
        }
    }

    /// The venue tells its newest identity.
    pub(super) fn on_newest(&mut self, rules: &Rules, sequence: u64, now: Duration) {
        if self.state == State::Live && self.expected().is_some_and(|expected| expected <= sequence) {
            self.state = State::Unsure;
            self.ask_at = Some(now + rules.gaps.wait);
        }
    }

    pub(super) fn on_snapshot(
        &mut self,
        rules: &Rules,
        trade: &Trade,
        now: Duration,
        output: &mut Output<'_>,
    ) {
        // A start that nobody asked for would make bars of a part of their trades.
        if rules.is_contiguous && self.expected().is_some() {
            self.on_trade(rules, trade, now, output);
        }
    }

    pub(super) fn on_trade(&mut self, rules: &Rules, trade: &Trade, now: Duration, output: &mut Output<'_>) {
        // The archive may be ahead of the socket, and it is read again from before a hole: both are waited for.
        let passed = self.last.map_or(trade.time, |last| last.time.min(trade.time));
        self.recent.forget_before(passed.saturating_sub(rules.overlap_ns + RESOLUTION_NS));
        if self.is_seen(rules, trade) {
            output.stats.duplicates += 1;
            return;
        }
        let is_next = match (rules.is_contiguous, self.expected(), self.state) {
            (_, _, State::Holding { .. }) => false,
            (true, Some(expected), _) => trade.sequence == expected,
            (_, _, State::Live) => true,
            (_, _, State::Unsure) => self.last.is_none(),
        };
        if is_next {
            self.state = State::Live;
            self.ask_at = None;
            self.deliver(rules, *trade, output);
            return;
        }
        self.hold(rules, trade, now, output);
        if rules.is_contiguous {
            self.release_run(rules, now, output);
        }
    }

    /// The question to the archive, if it is time for it.
    pub(super) fn ask(&mut self, rules: &Rules, wall: Timestamp) -> Option<Gap> {
        self.ask_at = None;
        let after = self.last?;
        if self.state == State::Unsure {
            self.state = holding(None);
        }
        let State::Holding { before, .. } = self.state else { return None };
        self.is_asking = true;
        Some(self.gap(rules, after, before, wall))
    }

    /// The archive's answer; `None` when there will be none.
    pub(super) fn on_fill(
        &mut self,
        rules: &Rules,
        fill: Option<&GapFill>,
        now: Duration,
        output: &mut Output<'_>,
    ) {
        self.is_asking = false;
        let place = (self.last, self.read_to);
        let is_found = fill.is_some_and(|fill| self.merge(rules, fill, output));
        let is_whole = fill.is_some_and(|fill| fill.is_whole);
        if rules.is_contiguous {
            if fill.is_some_and(|fill| !fill.trades.is_empty()) {
                self.start_at_first_held();
            }
            self.release_run(rules, now, output);
        }
        if let (Some(fill), false) = (fill, is_whole) {
            self.turn_page(rules, fill, output);
        }
        let State::Holding { before, .. } = self.state else { return };
        if is_whole && (before.is_none() || (!rules.is_contiguous && is_found)) {
            self.release_all(rules, now, output);
        } else if place.0 < self.last || place.1 < self.read_to {
            self.ask_again(now);
        } else {
            self.on_vain(rules, now);
        }
    }

    /// The archive cannot be asked any more for this hole.
    pub(super) fn give_up(&mut self, rules: &Rules, now: Duration, wall: Timestamp, output: &mut Output<'_>) {
        self.is_asking = false;
        let (State::Holding { before, .. }, Some(after)) = (self.state, self.last) else { return };
        output.stats.unfilled += 1;
        output.unfilled.push(self.gap(rules, after, before, wall));
        if !rules.is_contiguous || self.held.is_empty() {
            return self.release_all(rules, now, output);
        }
        if let Some((_, first)) = self.held.pop_first() {
            self.deliver(rules, first, output);
        }
        self.ask_again(now);
        self.release_run(rules, now, output);
    }

    /// Whether the last answer left attempts.
    pub(super) fn is_exhausted(&self, rules: &Rules) -> bool {
        matches!(self.state, State::Holding { attempts, .. } if rules.gaps.attempts_max <= attempts)
    }

    fn on_vain(&mut self, rules: &Rules, now: Duration) {
        let State::Holding { attempts, .. } = &mut self.state else { return };
        *attempts += 1;
        let doublings = attempts.saturating_sub(1).min(16);
        self.ask_at = Some(now + rules.gaps.backoff.saturating_mul(1 << doublings));
    }

    fn ask_again(&mut self, now: Duration) {
        if let State::Holding { attempts, .. } = &mut self.state {
            *attempts = 0;
            self.ask_at = Some(now);
        }
    }

    fn gap(&self, rules: &Rules, after: TradeKey, before: Option<TradeKey>, wall: Timestamp) -> Gap {
        let to = match before {
            Some(before) => before.time.saturating_add(RESOLUTION_NS),
            None => wall.saturating_add(SKEW_NS),
        };
        let from = match self.read_to {
            // Identities say where to go on, whatever was read.
            _ if rules.is_contiguous => after.time,
            Some(read_to) => read_to,
            None => after.time.saturating_sub(rules.overlap_ns),
        };
        Gap { symbol: self.symbol, after, before, from, to, len_max: rules.gaps.len_max }
    }

    /// The identity that must come next, where it is known.
    fn expected(&self) -> Option<u64> {
        self.last.filter(|last| last.id != TradeId::NONE).map(|last| last.sequence + 1)
    }

    fn is_seen(&self, rules: &Rules, trade: &Trade) -> bool {
        if rules.is_contiguous {
            let is_before = self.expected().is_some_and(|expected| trade.sequence < expected);
            return is_before || self.held.contains_key(&Identity::of(trade));
        }
        let identity = Identity::of(trade);
        self.recent.contains(identity) || self.held.contains_key(&identity)
    }

    fn deliver(&mut self, rules: &Rules, trade: Trade, output: &mut Output<'_>) {
        if !rules.is_contiguous {
            self.recent.insert(trade.time, Identity::of(&trade));
        }
        // The order of contiguous identities rules, whatever the venue's clock says.
        self.last = if rules.is_contiguous { Some(trade.key()) } else { self.last.max(Some(trade.key())) };
        output.trades.push(trade);
    }

    fn hold(&mut self, rules: &Rules, trade: &Trade, now: Duration, output: &mut Output<'_>) {
        if !matches!(self.state, State::Holding { .. }) {
            output.stats.opened += 1;
            self.state = holding(Some(trade.key()));
            self.ask_at = Some(now + rules.gaps.wait);
        }
        let State::Holding { is_full, .. } = &mut self.state else { return };
        *is_full |= rules.gaps.held_len_max <= self.held.len();
        if *is_full {
            output.stats.dropped += 1;
        } else {
            self.held.insert(Identity::of(trade), *trade);
        }
    }

    /// Takes the archive's copies, which win as their clock is finer; answers whether the trade after the hole is
    /// among them, so that the archive has caught up with it.
    fn merge(&mut self, rules: &Rules, fill: &GapFill, output: &mut Output<'_>) -> bool {
        let before = if let State::Holding { before, .. } = self.state { before } else { None };
        let expected = if rules.is_contiguous { self.expected() } else { None };
        let mut is_found = false;
        for trade in fill.trades.iter().filter(|trade| trade.symbol == self.symbol) {
            is_found |= before.is_some_and(|before| is_copy(trade, &before));
            let identity = Identity::of(trade);
            let is_old = match expected {
                Some(expected) => trade.sequence < expected,
                None => self.is_before_start(trade) || self.recent.contains(identity),
            };
            // A place in the archive's answer is no order that the socket's trades could share.
            let sequence = if trade.sequenced { trade.sequence } else { 0 };
            if !is_old && self.held.insert(identity, Trade { sequence, ..*trade }).is_none() {
                output.stats.fetched += 1;
            }
        }
        is_found
    }

    /// The start may be known from the socket's clock, and its archive copy may seem later.
    fn is_before_start(&self, trade: &Trade) -> bool {
        let Some(start) = self.start else { return false };
        if start.id == TradeId::NONE || trade.time < start.time {
            return trade.time < start.time;
        }
        let is_near = trade.time < start.time.saturating_add(RESOLUTION_NS);
        trade.id == start.id
            || trade.key() <= start
            || (is_near && trade.sequenced && trade.sequence <= start.sequence)
    }

    /// With only an instant to start from, the archive's first trade is the first.
    fn start_at_first_held(&mut self) {
        if let (None, Some(last), Some((_, first))) =
            (self.expected(), self.last, self.held.first_key_value())
        {
            let sequence = first.sequence.saturating_sub(1);
            self.last = Some(TradeKey { sequence, id: TradeId::from_number(sequence), ..last });
        }
    }

    /// Delivers held trades as far as their identities are contiguous.
    fn release_run(&mut self, rules: &Rules, now: Duration, output: &mut Output<'_>) {
        let mut is_moved = false;
        while let (Some(expected), Some(first)) = (self.expected(), self.held.first_entry())
            && first.get().sequence == expected
        {
            let trade = first.remove();
            self.deliver(rules, trade, output);
            is_moved = true;
        }
        let first_key = self.held.first_key_value().map(|(_, first)| first.key());
        match (&mut self.state, first_key) {
            (State::Live | State::Unsure, _) => self.held.clear(),
            // An open end is settled by the archive's answer alone.
            (State::Holding { before: None, .. }, None) => {}
            (State::Holding { .. }, None) => self.settle(rules, now),
            (State::Holding { before, attempts, .. }, Some(key)) => {
                *before = Some(key);
                if is_moved {
                    *attempts = 0;
                    self.ask_at = Some(now + rules.gaps.wait);
                }
            }
        }
    }

    /// More pages follow: delivers what this one made whole, and goes on from its end.
    fn turn_page(&mut self, rules: &Rules, fill: &GapFill, output: &mut Output<'_>) {
        let Some(edge) = fill.trades.last().map(|trade| trade.time) else { return };
        self.read_to = self.read_to.max(Some(edge));
        if rules.is_contiguous {
            return;
        }
        let is_whole = |_: &Identity, trade: &mut Trade| trade.time < edge;
        let mut ready: Vec<Trade> = self.held.extract_if(.., is_whole).map(|(_, trade)| trade).collect();
        ready.sort_by_key(Trade::key);
        for trade in ready {
            self.deliver(rules, trade, output);
        }
    }

    fn release_all(&mut self, rules: &Rules, now: Duration, output: &mut Output<'_>) {
        let mut ready: Vec<Trade> = std::mem::take(&mut self.held).into_values().collect();
        ready.sort_by_key(Trade::key);
        for trade in ready {
            self.deliver(rules, trade, output);
        }
        self.settle(rules, now);
    }

    /// The hole is closed; what was dropped, or missed since, is the next one.
    fn settle(&mut self, rules: &Rules, now: Duration) {
        let State::Holding { is_full, is_broken, .. } = self.state else { return };
        self.read_to = None;
        let is_sure = self.is_up && !is_full && !is_broken;
        self.state = if is_sure { State::Live } else { State::Unsure };
        self.ask_at = (self.is_up && !is_sure).then(|| now + rules.gaps.settle);
    }
}

fn holding(before: Option<TradeKey>) -> State {
    State::Holding { before, attempts: 0, is_full: false, is_broken: false }
}
