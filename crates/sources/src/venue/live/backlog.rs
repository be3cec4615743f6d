//! What waits for the consumer: trades, and what is true only behind them.

use barmill_core::model::Trade;
use barmill_core::port::ControlEvent;
use std::collections::VecDeque;

/// Trades in their order, and asides each behind the trades that were there before it.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    trades: VecDeque<Trade>,
    /// Each with the count of trades that go before it.
    asides: VecDeque<(u64, ControlEvent)>,
    taken_in: u64,
    given_out: u64,
}

impl Backlog {
    pub(crate) fn extend(&mut self, trades: Vec<Trade>) {
        self.taken_in += trades.len() as u64;
        self.trades.extend(trades);
    }

    pub(crate) fn push(&mut self, aside: ControlEvent) {
        self.asides.push_back((self.taken_in, aside));
    }

    /// Trades that wait.
    pub(crate) fn len(&self) -> usize {
        self.trades.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.trades.is_empty() && self.asides.is_empty()
    }

    /// The oldest trades, `len_max` at most, and the asides that are true behind them.
    pub(crate) fn take(&mut self, len_max: usize) -> (Vec<Trade>, Vec<ControlEvent>) {
        let count = self.trades.len().min(len_max);
        let trades: Vec<Trade> = self.trades.drain(..count).collect();
        self.given_out += trades.len() as u64;
        let is_due = |(before, _): &(u64, ControlEvent)| *before <= self.given_out;
        let due = self.asides.iter().take_while(|aside| is_due(aside)).count();
        (
            trades,
            self.asides.drain(..due).map(|(_, aside)| aside).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Backlog;
    use barmill_core::engine::testing::trade;
    use barmill_core::model::Timestamp;
    use barmill_core::port::ControlEvent;

    #[test]
    fn aside_comes_behind_the_trades_that_were_there_before_it() {
        let quiet = |before| ControlEvent::Quiet {
            symbol: "OB.A".parse().unwrap(),
            before: Timestamp::from_nanos(before).unwrap(),
        };
        let mut outbox = Backlog::default();
        outbox.push(quiet(0));
        outbox.extend(vec![trade("OB.A", 1), trade("OB.A", 2)]);
        outbox.push(quiet(2));
        outbox.extend(vec![trade("OB.A", 3)]);
        assert_eq!(outbox.take(1).1, [quiet(0)]);
        assert_eq!(outbox.take(1).1, [quiet(2)]);
        let (trades, asides) = outbox.take(9);
        assert_eq!(
            (trades.len(), asides.len(), outbox.is_empty()),
            (1, 0, true)
        );
    }
}
