//! One symbol's unbroken line of trades.
//!
//! Owns what is delivered of a symbol, when it must be asked of the archive, and the merge of both. Where identities
//! are contiguous a hole shows in them; elsewhere every break of the connection is one. While a hole is open, live
//! trades wait in a bounded buffer; what does not fit is fetched afterwards. Pure: time is an argument.

use super::gap_context::{Output, Rules};
use super::identity::{Identity, RESOLUTION_NS, Recent};
use barmill_core::model::{Price, Symbol, Timestamp, Trade, TradeId, TradeKey};
use std::collections::BTreeMap;
use std::time::Duration;

mod fill;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Something may have been missed since the last trade.
    Unsure,
    /// Nothing is missed.
    Live,
    /// It is not followed any more.
    Left,
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each changes without the others"
)]
pub(crate) struct Track {
    symbol: Symbol,
    /// The newest trade delivered, or the place to start from.
    last: Option<TradeKey>,
    /// The place this track started from: what is before it is another's to deliver.
    start: Option<TradeKey>,
    /// Whether it was told to start at an instant, so that the archive alone knows its first trade.
    is_from_instant: bool,
    recent: Recent,
    held: BTreeMap<Identity, Trade>,
    state: State,
    /// When to ask the archive, on the feed's clock.
    ask_at: Option<Duration>,
    is_asking: bool,
    /// How far the archive's pages for this hole have come.
    read_to: Option<Timestamp>,
    /// Whether the archive is asked for no other reason than that nothing comes.
    is_check: bool,
    /// Whether the subscription is confirmed, so that nothing more is missed.
    is_up: bool,
}

impl Track {
    pub(crate) fn new(symbol: Symbol, after: Option<TradeKey>) -> Track {
        Track {
            symbol,
            last: after,
            start: after,
            is_from_instant: after.is_some_and(|after| after.id == TradeId::NONE),
            recent: Recent::default(),
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

    /// Whether something is missed of what is followed.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Live | State::Left)
    }

    /// Stops, or goes on as after a broken connection; what was held behind a hole is fetched again.
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

    /// Trades that wait behind a hole.
    pub(crate) fn held_len(&self) -> usize {
        self.held.len()
    }

    /// The newest trade delivered, or the place to start from.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        self.last.map(|last| last.time)
    }

    /// Nothing comes: has the archive asked whether that is all there is.
    pub(crate) fn check(&mut self, now: Duration) {
        if self.state == State::Live && self.last.is_some() {
            (self.state, self.is_check, self.ask_at) = (State::Unsure, true, Some(now));
        }
    }

    /// When the archive is to be asked; `None` while it is being asked.
    pub(crate) fn ask_at(&self) -> Option<Duration> {
        if self.is_asking { None } else { self.ask_at }
    }

    /// The connection is gone: what comes next may follow a hole.
    pub(crate) fn on_down(&mut self, rules: &Rules) {
        self.is_up = false;
        match &mut self.state {
            State::Unsure => self.ask_at = None,
            State::Live => self.state = State::Unsure,
            State::Left => {}
            State::Holding {
                is_full, is_broken, ..
            } => {
                *is_broken = true;
                // Without identities to tell, later trades must not join those before the break.
                *is_full |= !rules.is_contiguous;
            }
        }
    }

    /// The subscription is confirmed: from `wall` on every trade comes.
    pub(crate) fn on_live(&mut self, rules: &Rules, now: Duration, wall: Timestamp) {
        self.is_up = true;
        if self.state != State::Unsure {
            return;
        }
        if self.last.is_some() {
            self.ask_at = Some(now + rules.gaps.settle);
        } else {
            self.last = Some(TradeKey {
                time: wall,
                sequence: 0,
                id: TradeId::NONE,
                price: Price::ZERO,
            });
            self.start = self.last;
            self.state = State::Live;
        }
    }

    /// The venue tells its newest identity.
    pub(crate) fn on_newest(&mut self, rules: &Rules, sequence: u64, now: Duration) {
        if self.state == State::Live && self.expected().is_some_and(|expected| expected <= sequence)
        {
            self.state = State::Unsure;
            self.ask_at = Some(now + rules.gaps.wait);
        }
    }

    pub(crate) fn on_snapshot(
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

    pub(crate) fn on_trade(
        &mut self,
        rules: &Rules,
        trade: &Trade,
        now: Duration,
        output: &mut Output<'_>,
    ) {
        // The archive may be ahead of the socket, and it is read again from before a hole: both are waited for.
        let passed = self
            .last
            .map_or(trade.time, |last| last.time.min(trade.time));
        self.recent
            .forget_before(passed.saturating_sub(rules.overlap_ns + RESOLUTION_NS));
        if self.is_seen(rules, trade) {
            output.stats.duplicates += 1;
            return;
        }
        let is_next = match (rules.is_contiguous, self.expected(), self.state) {
            (_, _, State::Holding { .. } | State::Left) => false,
            (true, Some(expected), _) => trade.sequence == expected,
            // An archive that had nothing when it was asked may have lagged.
            (true, None, State::Live) => !self.is_from_instant,
            (_, _, State::Live) => true,
            (_, _, State::Unsure) => self.last.is_none(),
        };
        if is_next {
            self.state = State::Live;
            (self.ask_at, self.is_check) = (None, false);
            self.deliver(rules, *trade, output);
            return;
        }
        self.hold(rules, trade, now, output);
        if rules.is_contiguous {
            self.release_run(rules, now, output);
        }
    }

    /// The identity that must come next, where it is known.
    fn expected(&self) -> Option<u64> {
        self.last
            .filter(|last| last.id != TradeId::NONE)
            .map(|last| last.sequence + 1)
    }

    fn is_seen(&self, rules: &Rules, trade: &Trade) -> bool {
        if rules.is_contiguous {
            let is_before = self
                .expected()
                .is_some_and(|expected| trade.sequence < expected);
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
        self.last = if rules.is_contiguous {
            Some(trade.key())
        } else {
            self.last.max(Some(trade.key()))
        };
        output.trades.push(trade);
    }

    fn hold(&mut self, rules: &Rules, trade: &Trade, now: Duration, output: &mut Output<'_>) {
        if !matches!(self.state, State::Holding { .. }) {
            output.stats.opened += 1;
            self.state = holding(Some(trade.key()));
            self.ask_at = Some(now + rules.gaps.wait);
        }
        let State::Holding { is_full, .. } = &mut self.state else {
            return;
        };
        *is_full |= rules.gaps.held_len_max <= self.held.len() || output.room == 0;
        if *is_full {
            output.stats.dropped += 1;
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
            (State::Live | State::Left | State::Unsure, _) => self.held.clear(),
            // An open end is settled by the archive's answer alone.
            (State::Holding { before: None, .. }, None) => {}
            (State::Holding { .. }, None) => self.settle(rules, now),
            (
                State::Holding {
                    before, attempts, ..
                },
                Some(key),
            ) => {
                *before = Some(key);
                if is_moved {
                    *attempts = 0;
                    self.ask_at = Some(now + rules.gaps.wait);
                }
            }
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
        let State::Holding {
            is_full, is_broken, ..
        } = self.state
        else {
            return;
        };
        (self.read_to, self.is_check) = (None, false);
        let is_sure = self.is_up && !is_full && !is_broken;
        self.state = if is_sure { State::Live } else { State::Unsure };
        self.ask_at = (self.is_up && !is_sure).then(|| now + rules.gaps.settle);
    }
}

fn holding(before: Option<TradeKey>) -> State {
    State::Holding {
        before,
        attempts: 0,
        is_full: false,
        is_broken: false,
    }
}
