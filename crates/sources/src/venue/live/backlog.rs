//! What waits for the consumer: trades, what is true only behind them, and the position that they reach.

use super::event::Correction;
use barmill_core::engine::aggregate::Original;
use barmill_core::model::{Symbol, Timestamp, Trade};
use barmill_core::port::{ControlEvent, Position, TradeBatch};
use std::collections::VecDeque;

/// Changes of trades that wait for their symbol at most; beyond it the oldest is told early, and counted where its
/// trade is unknown.
const CHANGES_LEN_MAX: usize = 65_536;
/// Event time that the position stays behind the newest trade, for symbols that run behind others, nanoseconds.
const POSITION_SLACK_NS: i64 = 10_000_000_000;

/// Trades in their order, and control events each behind the trades that were there before it.
#[derive(Debug)]
pub(crate) struct Backlog {
    trades: VecDeque<Trade>,
    /// Each with the count of trades that go before it.
    events: VecDeque<(u64, ControlEvent)>,
    /// Changes of trades whose symbol misses something, so that the trade may be yet to come.
    changes: VecDeque<(Symbol, ControlEvent)>,
    taken_in: u64,
    given_out: u64,
    position: Timestamp,
    newest: Timestamp,
    was_whole: bool,
    /// Trades taken in before the position may move on: among them are fetched, older ones.
    hold_back_until: u64,
}

impl Backlog {
    /// An empty one; every symbol is read from `position` on.
    pub(crate) fn new(position: Timestamp) -> Backlog {
        Backlog {
            trades: VecDeque::new(),
            events: VecDeque::new(),
            changes: VecDeque::new(),
            taken_in: 0,
            given_out: 0,
            position,
            newest: Timestamp::EPOCH,
            was_whole: false,
            hold_back_until: 0,
        }
    }

    pub(crate) fn extend(&mut self, trades: Vec<Trade>) {
        self.taken_in += trades.len() as u64;
        self.trades.extend(trades);
    }

    /// Adds what is true behind the trades that are here.
    pub(crate) fn push(&mut self, event: ControlEvent) {
        self.events.push_back((self.taken_in, event));
    }

    /// Replaces or takes back a trade once its symbol misses nothing; a venue that does not say which one changes
    /// nothing.
    pub(crate) fn correct(&mut self, pair: &Correction) {
        if let Some(original) = Original::of(&pair.original) {
            let symbol = pair.original.symbol;
            let change = ControlEvent::Change {
                symbol,
                original,
                replacement: pair.corrected,
            };
            self.changes.push_back((symbol, change));
        }
    }

    /// Lets changes go on whose symbols miss nothing, so that their trades are here or will never be.
    pub(crate) fn release_changes(&mut self, is_live: impl Fn(Symbol) -> bool) {
        let excess = self.changes.len().saturating_sub(CHANGES_LEN_MAX);
        let mut number = 0;
        let (events, taken_in) = (&mut self.events, self.taken_in);
        self.changes.retain(|(symbol, change)| {
            number += 1;
            let is_ready = number <= excess || is_live(*symbol);
            if is_ready {
                events.push_back((taken_in, *change));
            }
            !is_ready
        });
    }

    /// Notes whether any symbol misses something: while one does, the position stays before it.
    pub(crate) fn note_whole(&mut self, is_whole: bool) {
        if !is_whole || !self.was_whole {
            self.hold_back_until = self.taken_in;
        }
        self.was_whole = is_whole;
    }

    /// Trades that wait.
    pub(crate) fn len(&self) -> usize {
        self.trades.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.trades.is_empty() && self.events.is_empty()
    }

    /// The oldest trades, `len_max` at most, and the control events that are true behind them.
    pub(crate) fn take(&mut self, len_max: usize) -> TradeBatch {
        let count = self.trades.len().min(len_max);
        let trades: Vec<Trade> = self.trades.drain(..count).collect();
        self.given_out += trades.len() as u64;
        let is_due = |(before, _): &(u64, ControlEvent)| *before <= self.given_out;
        let due = self.events.iter().take_while(|event| is_due(event)).count();
        let events = self.events.drain(..due).map(|(_, event)| event).collect();
        let newest = trades.iter().map(|trade| trade.time).max();
        self.newest = self.newest.max(newest.unwrap_or_default());
        if self.was_whole && self.hold_back_until <= self.given_out {
            let reached = self.newest.saturating_sub(POSITION_SLACK_NS);
            self.position = self.position.max(reached);
        }
        let position = Position(u64::try_from(self.position.as_nanos()).unwrap_or(0));
        TradeBatch {
            events,
            ..TradeBatch::new(trades, position)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Backlog;
    use barmill_core::engine::testing::trade;
    use barmill_core::model::Timestamp;
    use barmill_core::port::ControlEvent;

    #[test]
    fn control_event_comes_behind_the_trades_that_were_there_before_it() {
        let quiet = |before| ControlEvent::Quiet {
            symbol: "OB.A".parse().unwrap(),
            before: Timestamp::from_nanos(before).unwrap(),
        };
        let mut backlog = Backlog::new(Timestamp::EPOCH);
        backlog.push(quiet(0));
        backlog.extend(vec![trade("OB.A", 1), trade("OB.A", 2)]);
        backlog.push(quiet(2));
        backlog.extend(vec![trade("OB.A", 3)]);
        assert_eq!(backlog.take(1).events, [quiet(0)]);
        assert_eq!(backlog.take(1).events, [quiet(2)]);
        let batch = backlog.take(9);
        assert_eq!(
            (batch.trades.len(), batch.events.len(), backlog.is_empty()),
            (1, 0, true)
        );
    }
}
