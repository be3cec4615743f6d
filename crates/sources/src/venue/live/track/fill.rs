//! What a symbol asks of the archive, and what it does with the answers.

use super::super::gap_context::{Output, Rules};
use super::super::identity::{Identity, RESOLUTION_NS, is_copy};
use super::{State, Track, holding};
use barmill_core::model::{Timestamp, Trade, TradeId, TradeKey};
use barmill_core::port::{Gap, GapFill};
use std::time::Duration;

/// How far the venue's clock may be ahead of ours, nanoseconds.
const SKEW_NS: i64 = 5_000_000_000;

impl Track {
    /// The question to the archive, if it is time for it.
    pub(in super::super) fn ask(&mut self, rules: &Rules, wall: Timestamp) -> Option<Gap> {
        self.ask_at = None;
        let after = self.last?;
        if self.state == State::Unsure {
            self.state = holding(None);
        }
        let State::Holding { before, .. } = self.state else {
            return None;
        };
        self.is_asking = true;
        Some(self.gap(rules, after, before, wall))
    }

    /// The archive's answer; `None` when there will be none.
    pub(in super::super) fn on_fill(
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
        let State::Holding { before, .. } = self.state else {
            return;
        };
        if is_whole && (before.is_none() || (!rules.is_contiguous && is_found)) {
            self.release_all(rules, now, output);
        } else if place.0 < self.last || place.1 < self.read_to {
            self.ask_again(now);
        } else {
            self.on_vain(rules, now);
        }
    }

    /// The archive cannot be asked any more for this hole.
    pub(in super::super) fn give_up(
        &mut self,
        rules: &Rules,
        now: Duration,
        wall: Timestamp,
        output: &mut Output<'_>,
    ) {
        self.is_asking = false;
        let (
            State::Holding {
                before,
                is_full,
                is_broken,
                ..
            },
            Some(after),
        ) = (self.state, self.last)
        else {
            return;
        };
        if self.is_check && before.is_none() && !is_full && !is_broken {
            // The connection lost nothing that is known of.
            return self.release_all(rules, now, output);
        }
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
    pub(in super::super) fn is_exhausted(&self, rules: &Rules) -> bool {
        matches!(self.state, State::Holding { attempts, .. } if rules.gaps.attempts_max <= attempts)
    }

    fn on_vain(&mut self, rules: &Rules, now: Duration) {
        let State::Holding { attempts, .. } = &mut self.state else {
            return;
        };
        *attempts += 1;
        let doublings = attempts.saturating_sub(1).min(16);
        self.ask_at = Some(now + rules.gaps.backoff.saturating_mul(1 << doublings));
    }

    pub(super) fn ask_again(&mut self, now: Duration) {
        if let State::Holding { attempts, .. } = &mut self.state {
            *attempts = 0;
            self.ask_at = Some(now);
        }
    }

    fn gap(
        &self,
        rules: &Rules,
        after: TradeKey,
        before: Option<TradeKey>,
        wall: Timestamp,
    ) -> Gap {
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
        Gap {
            symbol: self.symbol,
            after,
            before,
            from,
            to,
            len_max: rules.gaps.len_max,
        }
    }

    /// Takes the archive's copies, timed as the socket would; answers whether the trade after the hole is among them, so
    /// that the archive has caught up with it.
    fn merge(&mut self, rules: &Rules, fill: &GapFill, output: &mut Output<'_>) -> bool {
        let before = if let State::Holding { before, .. } = self.state {
            before
        } else {
            None
        };
        let expected = if rules.is_contiguous {
            self.expected()
        } else {
            None
        };
        let mut is_found = false;
        for trade in fill
            .trades
            .iter()
            .filter(|trade| trade.symbol == self.symbol)
        {
            is_found |= before.is_some_and(|before| is_copy(trade, &before));
            let identity = Identity::of(trade);
            let is_old = match expected {
                Some(expected) => trade.sequence < expected,
                None => self.is_before_start(trade) || self.recent.contains(identity),
            };
            // A place in the archive's answer is no order that the socket's trades could share.
            let sequence = if trade.sequenced { trade.sequence } else { 0 };
            let copy = Trade {
                sequence,
                time: rules.as_told(trade.time),
                ..*trade
            };
            if !is_old && self.held.insert(identity, copy).is_none() {
                output.stats.fetched += 1;
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
    fn turn_page(&mut self, rules: &Rules, fill: &GapFill, output: &mut Output<'_>) {
        let Some(edge) = fill.trades.last().map(|trade| trade.time) else {
            return;
        };
        self.read_to = self.read_to.max(Some(edge));
        if rules.is_contiguous {
            return;
        }
        let edge = rules.as_told(edge);
        let is_whole = |_: &Identity, trade: &mut Trade| trade.time < edge;
        let mut ready: Vec<Trade> = self
            .held
            .extract_if(.., is_whole)
            .map(|(_, trade)| trade)
            .collect();
        ready.sort_by_key(Trade::key);
        for trade in ready {
            self.deliver(rules, trade, output);
        }
    }
}
