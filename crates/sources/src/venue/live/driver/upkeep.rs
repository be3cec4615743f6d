//! What the hub does beside its turns: the connections and their symbols, what is ready, and who is quiet.

use super::super::connection::{ConnectGate, Connection, Report};
use super::super::event::Event;
use super::super::feed::LiveStats;
use super::super::idle::Verdict;
use super::super::settings::LiveSymbols;
use super::{LiveDriver, QUIET_EVERY};
use barmill_core::port::ControlEvent;
use futures::stream::StreamExt;
use std::sync::PoisonError;
use std::time::Duration;

impl LiveDriver {
    pub(super) fn plan(&mut self, symbols: &LiveSymbols) {
        let LiveSymbols::Named(symbols) = symbols else {
            self.carried.push(None);
            self.connections
                .push(Connection::reports(self.shared.clone(), 0, None));
            return;
        };
        self.connect(symbols);
        if let Some(first) = symbols
            .iter()
            .filter_map(|one| one.after)
            .map(|after| after.time)
            .min()
        {
            self.position = first;
        }
    }

    pub(super) fn note_delay(&mut self, events: &[Event], now: Duration) {
        let time = |event: &Event| {
            if let Event::Trade(trade) = event {
                Some(trade.time)
            } else {
                None
            }
        };
        if let Some(newest) = events.iter().filter_map(time).max() {
            let wall = self.shared.clock.now();
            self.skew
                .note(wall.as_nanos().saturating_sub(newest.as_nanos()), now);
        }
    }

    /// Closes the connections in the venue's form.
    pub(super) async fn leave(&mut self) {
        self.door.send_replace(ConnectGate::Shut);
        let goodbyes = async {
            let mut left = self.carried.len();
            while left > 0
                && let Some((_, report)) = self.connections.next().await
            {
                left -= usize::from(matches!(report, Report::Down(_) | Report::Ended(_)));
            }
        };
        // A connection that is not open says nothing, so that this is bounded by time alone.
        let _late = tokio::time::timeout(Duration::from_secs(1), goodbyes).await;
    }

    /// After every turn: what is ready waits in the backlog, whose bound closes and opens the connections.
    pub(super) fn settle(&mut self) {
        let ready = self.continuity.take_ready();
        let now = self.shared.epoch.elapsed();
        if let Some(newest) = ready.iter().map(|trade| trade.time).max() {
            self.quiet.on_event(newest, now);
        }
        self.backlog.extend(ready);
        if !self.changes.is_empty() {
            let continuity = &self.continuity;
            let ready = self.changes.take(|place| continuity.is_live(place));
            for change in ready {
                self.backlog.push(change);
            }
        }
        if !self.quiet.is_off() && self.quiet_at <= now {
            self.quiet_at = now + QUIET_EVERY;
            self.look_at_quiet(now);
        }
        let is_whole = self.continuity.is_whole();
        if !is_whole || !self.was_whole {
            self.embargo = self.backlog.len();
        }
        self.was_whole = is_whole;
        let bound = self.settings.backlog_len_max;
        let is_held = *self.door.borrow() == ConnectGate::Held;
        if !is_held && bound <= self.backlog.len() {
            self.door.send_replace(ConnectGate::Held);
            self.note(|stats| stats.overloads += 1);
        } else if is_held && self.backlog.len() < bound / 2 {
            self.door.send_replace(ConnectGate::Open);
        }
        let (gaps, backlog_len) = (self.continuity.stats(), self.backlog.len());
        let (is_whole, delay_ns) = (self.continuity.is_whole(), self.skew.delay_ns());
        self.note(|stats| {
            stats.gaps = gaps;
            stats.backlog_len = backlog_len;
            stats.is_whole = is_whole;
            stats.delay_ns = delay_ns;
        });
    }

    /// Tells of the symbols that are quiet, and asks the archive of those of which nothing is known.
    pub(super) fn look_at_quiet(&mut self, now: Duration) {
        let settle = self.settings.gaps.settle;
        for line in 0..self.carried.len() {
            for place in self.places(line) {
                let Some(last) = self
                    .continuity
                    .last(place)
                    .filter(|_| self.continuity.is_live(place))
                else {
                    continue;
                };
                match self.quiet.judge((line, place), last, settle, now) {
                    Verdict::Wait => {}
                    Verdict::Ask => self.continuity.check(place, now),
                    Verdict::Quiet(before) => {
                        let Some(symbol) = self.continuity.symbol(place) else {
                            continue;
                        };
                        self.backlog.push(ControlEvent::Quiet { symbol, before });
                    }
                }
            }
        }
    }

    pub(super) fn places(&self, index: usize) -> Vec<usize> {
        match self.carried.get(index) {
            Some(Some(places)) => places.clone(),
            Some(None) | None => self.continuity.places(),
        }
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut LiveStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
