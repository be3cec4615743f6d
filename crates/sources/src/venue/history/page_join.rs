//! Page joining: checks that pages connect without a gap, and drops rows seen before.
//!
//! Pure. A trade seen is known by its identity within its nanosecond, or by its number where the venue
//! numbers its trades; so a page may end anywhere, also inside one nanosecond.

use super::error::PageError;
use super::page::PageOrder;
use super::progress::SymbolRange;
use barmill_core::model::{Timestamp, Trade, TradeId};
use foldhash::fast::FixedState;
use std::collections::HashSet;

/// What makes two rows of one nanosecond the same trade: id, venue, sequence, correction.
type Identity = (TradeId, u16, u64, u8);

fn identity(trade: &Trade) -> Identity {
    let sequence = if trade.sequenced { trade.sequence } else { 0 };
    (trade.id, trade.venue, sequence, trade.correction)
}

/// The new trades of one page, in event time order; may be empty.
#[derive(Debug, Default)]
pub(crate) struct JoinedPage {
    pub(crate) trades: Vec<Trade>,
    /// Rows that repeat a trade without need.
    pub(crate) duplicates: u64,
    /// Whether the range is whole.
    pub(crate) is_last: bool,
}

/// What is known of the pages so far.
#[derive(Debug)]
pub(crate) struct PageJoiner {
    order: PageOrder,
    range: SymbolRange,
    last: Option<Trade>,
    /// The trades of the last one's nanosecond before it.
    at_last: HashSet<Identity, FixedState>,
}

impl PageJoiner {
    pub(crate) fn new(order: PageOrder, range: SymbolRange) -> PageJoiner {
        PageJoiner {
            order,
            range,
            last: None,
            at_last: HashSet::with_hasher(FixedState::with_seed(0)),
        }
    }

    /// Event time of the last trade, or the start of the interval.
    pub(crate) fn position(&self) -> Timestamp {
        self.last.map_or(self.range.from, |last| last.time)
    }

    /// Takes the rows of a page; `must_join` when it was asked for from the last trade on. The page is the last one if it
    /// reaches the end of the interval.
    pub(crate) fn join(
        &mut self,
        mut rows: Vec<Trade>,
        must_join: bool,
    ) -> Result<JoinedPage, PageError> {
        // A page of the venue's cursor that ends before the last trade is an old page.
        if let (Some(row), Some(last)) = (rows.last(), &self.last)
            && !must_join
            && row.time < last.time
        {
            return Err(PageError::Stuck {
                rows: rows.len(),
                time: row.time,
            });
        }
        let joint = self.last;
        let mut is_joined = !must_join || joint.is_none();
        let mut page = JoinedPage::default();
        let mut previous: Option<Trade> = None;
        // New rows move to the front; usually all are new and stay where they are.
        let mut kept = 0;
        for row in 0..rows.len() {
            let trade = rows[row];
            if let Some(previous) = previous.replace(trade)
                && (trade.time < previous.time
                    || self.order.is_numbered && trade.sequence < previous.sequence)
            {
                return Err(out_of_order(row, &trade, &previous));
            }
            if trade.time >= self.range.to && self.order.is_open_ended {
                page.is_last = true;
                break;
            }
            if !self.is_inside(row, &trade)? {
                continue;
            }
            is_joined = is_joined || joint.is_some_and(|last| identity(&last) == identity(&trade));
            if self.is_seen(&trade) {
                page.duplicates += u64::from(!must_join || kept > 0);
                continue;
            }
            if let Some(last) = self.last
                && trade.time < last.time
            {
                return Err(out_of_order(row, &trade, &last));
            }
            rows[kept] = self.take(trade);
            kept += 1;
        }
        rows.truncate(kept);
        page.trades = rows;
        match joint {
            Some(last) if !is_joined => Err(PageError::Torn { last: last.time }),
            Some(_) | None => Ok(page),
        }
    }

    fn is_inside(&self, row: usize, trade: &Trade) -> Result<bool, PageError> {
        let SymbolRange { from, to, .. } = self.range;
        if from <= trade.time && trade.time < to {
            return Ok(true);
        }
        if trade.time < from && from.saturating_sub(self.order.lead_ns) <= trade.time {
            return Ok(false);
        }
        Err(PageError::Outside {
            row,
            time: trade.time,
            from,
            to,
        })
    }

    fn is_seen(&self, trade: &Trade) -> bool {
        match &self.last {
            Some(last) if self.order.is_numbered => trade.sequence <= last.sequence,
            Some(last) if trade.time == last.time => {
                identity(last) == identity(trade) || self.at_last.contains(&identity(trade))
            }
            Some(_) | None => false,
        }
    }

    fn take(&mut self, mut trade: Trade) -> Trade {
        if !trade.sequenced {
            // The place within its instant, so that it does not depend on where the fetch began.
            let before = self.last.filter(|last| last.time == trade.time);
            trade.sequence = before.map_or(0, |last| last.sequence.saturating_add(1));
        }
        match &self.last {
            Some(last) if last.time == trade.time => {
                self.at_last.insert(identity(last));
            }
            // Trades seldom share a nanosecond, and then nothing is noted.
            Some(_) | None if self.at_last.is_empty() => {}
            Some(_) | None => self.at_last.clear(),
        }
        self.last = Some(trade);
        trade
    }
}

fn out_of_order(row: usize, trade: &Trade, previous: &Trade) -> PageError {
    PageError::Order {
        row,
        time: trade.time,
        previous: previous.time,
    }
}

#[cfg(test)]
mod tests {
    use super::{JoinedPage, PageJoiner};
    use crate::venue::history::error::PageError;
    use crate::venue::history::page::PageOrder;
    use crate::venue::history::progress::SymbolRange;
    use barmill_core::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
    use proptest::prelude::*;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos).unwrap()
    }

    fn symbol() -> Symbol {
        "JOIN".parse().unwrap()
    }

    fn trade(nanos: i64, id: u64) -> Trade {
        Trade {
            symbol: symbol(),
            time: at(nanos),
            sequence: id,
            id: TradeId::from_number(id),
            price: Price::from_raw(1),
            size: Size::ZERO,
            conditions: Conditions::NONE,
            venue: 0,
            correction: 0,
            side: Side::Unknown,
            sequenced: true,
        }
    }

    fn joiner(is_numbered: bool, is_open_ended: bool) -> PageJoiner {
        let order = PageOrder {
            is_open_ended,
            is_numbered,
            lead_ns: 5,
        };
        PageJoiner::new(
            order,
            SymbolRange {
                symbol: symbol(),
                from: at(100),
                to: at(1_000),
            },
        )
    }

    fn join(
        joiner: &mut PageJoiner,
        rows: &[(i64, u64)],
        must_join: bool,
    ) -> Result<JoinedPage, PageError> {
        let rows: Vec<Trade> = rows.iter().map(|&(nanos, id)| trade(nanos, id)).collect();
        joiner.join(rows, must_join)
    }

    #[test]
    fn row_outside_the_interval_is_an_error() {
        for nanos in [94, 1_000] {
            let fault = join(&mut joiner(false, false), &[(nanos, 1)], false).unwrap_err();
            assert!(
                matches!(fault, PageError::Outside { row: 0, .. }),
                "{nanos}"
            );
        }
        assert!(
            join(&mut joiner(false, false), &[(99, 1)], false)
                .unwrap()
                .trades
                .is_empty()
        );
    }

    #[test]
    fn open_ended_venue_is_done_at_the_end_of_the_interval() {
        let page = join(&mut joiner(true, true), &[(999, 1), (1_000, 2)], false).unwrap();
        assert_eq!((page.trades.len(), page.is_last), (1, true));
    }

    #[test]
    fn row_before_its_predecessor_is_an_error() {
        let fault = join(&mut joiner(false, false), &[(200, 1), (150, 2)], false).unwrap_err();
        assert!(matches!(fault, PageError::Order { row: 1, .. }));
        let mut joiner = joiner(false, false);
        join(&mut joiner, &[(200, 1)], false).unwrap();
        let fault = join(&mut joiner, &[(150, 2), (300, 3)], false).unwrap_err();
        assert!(matches!(fault, PageError::Order { row: 0, .. }));
    }

    #[test]
    fn old_page_of_a_cursor_brings_nothing_new() {
        let mut joiner = joiner(false, false);
        join(&mut joiner, &[(200, 1), (300, 2)], false).unwrap();
        let fault = join(&mut joiner, &[(150, 0), (200, 1)], false).unwrap_err();
        assert!(matches!(fault, PageError::Stuck { rows: 2, .. }));
    }

    #[test]
    fn page_without_the_last_trade_is_torn() {
        for numbered in [false, true] {
            let mut joiner = joiner(numbered, true);
            join(&mut joiner, &[(200, 1), (300, 2)], false).unwrap();
            let fault = join(&mut joiner, &[(400, 4)], true).unwrap_err();
            assert!(
                matches!(fault, PageError::Torn { .. }),
                "numbered: {numbered}"
            );
            assert!(matches!(
                join(&mut joiner, &[], true),
                Err(PageError::Torn { .. })
            ));
        }
    }

    #[test]
    fn repeated_row_is_counted_and_an_overlap_is_not() {
        let mut joiner = joiner(false, false);
        let page = join(&mut joiner, &[(200, 1), (200, 1), (200, 2)], false).unwrap();
        assert_eq!((page.trades.len(), page.duplicates), (2, 1));
        let page = join(&mut joiner, &[(200, 1), (200, 2), (300, 3)], true).unwrap();
        assert_eq!((page.trades.len(), page.duplicates), (1, 0));
    }

    proptest! {
        #[test]
        fn pages_restarted_at_the_last_trade_lose_and_double_nothing(
            steps in proptest::collection::vec(0i64..3, 1..120),
            len in 8usize..20,
            numbered in any::<bool>(),
        ) {
            let mut nanos = 100;
            let all: Vec<Trade> = steps.iter().enumerate().map(|(index, step)| {
                // No more than seven trades share one nanosecond, so that a page always moves on.
                nanos += if index % 7 == 0 { 1 } else { *step / 2 };
                trade(nanos, index as u64)
            }).collect();
            let mut joiner = joiner(numbered, false);
            let mut got: Vec<Trade> = Vec::new();
            loop {
                let start = joiner.position();
                let page: Vec<Trade> = all.iter().filter(|trade| trade.time >= start).take(len).copied().collect();
                let new = joiner.join(page, !got.is_empty()).unwrap().trades;
                if new.is_empty() {
                    break;
                }
                got.extend(new);
            }
            prop_assert_eq!(got, all);
        }
    }
}
