//! Duplicates: the identities of one symbol's recent trades, in time order.
//!
//! A trade with an identity is a duplicate when a kept trade of the same venue and identity lies within
//! 1 ms of it: the same trade comes in nanoseconds by REST and in milliseconds by socket. A trade without
//! one, but with the venue's sequence, is a duplicate when time, sequence and venue are equal. A trade with
//! neither never is. The caller never offers a trade further than the horizon behind the latest, so that
//! forgetting what is older loses no answer.

use crate::model::{Trade, TradeId};
use std::collections::VecDeque;

/// Nanoseconds by which the copies of one trade may differ in time.
pub(super) const TOLERANCE_NS: i64 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    time: i64,
    number: u64,
    /// The venue, and above it whether the number is the venue's sequence.
    scope: u32,
}

impl Identity {
    /// Number and scope of a trade's identity, if it has one.
    #[inline]
    fn name(trade: &Trade) -> Option<(u64, u32)> {
        let scope = u32::from(trade.venue);
        if trade.id != TradeId::NONE {
            Some((trade.id.raw(), scope))
        } else if trade.sequenced {
            Some((trade.sequence, scope | 1 << 16))
        } else {
            None
        }
    }

    fn is_copy_of(self, other: Identity) -> bool {
        let same = self.number == other.number && self.scope == other.scope;
        same && (self.scope >> 16 == 0 || self.time == other.time)
    }
}

/// The identities of one symbol's trades within the horizon, sorted by time.
#[derive(Debug)]
pub(super) struct Identities {
    ring: VecDeque<Identity>,
    last_time: i64,
    /// The largest number ever kept: a larger one is new without a search.
    number_max: u64,
}

impl Identities {
    pub(super) fn new() -> Identities {
        Identities { ring: VecDeque::new(), last_time: i64::MIN, number_max: 0 }
    }

    /// Keeps the trade's identity and returns true, or returns false for a duplicate. What lies before
    /// `horizon` may be forgotten.
    #[inline]
    pub(super) fn admit(&mut self, trade: &Trade, horizon: i64) -> bool {
        let Some((number, scope)) = Identity::name(trade) else { return true };
        let time = trade.time.as_nanos();
        let alone = time > self.last_time.saturating_add(TOLERANCE_NS);
        if !alone && !self.admit_close(Identity { time, number, scope }) {
            return false;
        }
        if time < self.last_time {
            self.insert(Identity { time, number, scope }, horizon);
            return true;
        }
        self.last_time = time;
        self.number_max = self.number_max.max(number);
        if self.ring.len() == self.ring.capacity() {
            self.forget(horizon);
        }
        self.ring.push_back(Identity { time, number, scope });
        true
    }

    /// Whether a trade that is not clearly after the last one is new.
    fn admit_close(&self, identity: Identity) -> bool {
        if self.number_max < identity.number {
            return true;
        }
        let end = if self.last_time <= identity.time {
            self.ring.len()
        } else {
            let newest = identity.time.saturating_add(TOLERANCE_NS);
            self.ring.partition_point(|kept| kept.time <= newest)
        };
        !self.is_known(identity, end)
    }

    #[cold]
    fn insert(&mut self, identity: Identity, horizon: i64) {
        self.number_max = self.number_max.max(identity.number);
        if self.ring.len() == self.ring.capacity() {
            self.forget(horizon);
        }
        let place = self.ring.partition_point(|kept| kept.time <= identity.time);
        self.ring.insert(place, identity);
    }

    /// Looks backwards from `end` as far as the tolerance reaches.
    fn is_known(&self, identity: Identity, end: usize) -> bool {
        let oldest = identity.time.saturating_sub(TOLERANCE_NS);
        self.ring
            .range(..end)
            .rev()
            .take_while(|kept| kept.time >= oldest)
            .any(|kept| identity.is_copy_of(*kept))
    }

    /// Forgets only when the ring would grow, so that the common append never looks at its old end.
    #[cold]
    fn forget(&mut self, horizon: i64) {
        let oldest = horizon.saturating_sub(TOLERANCE_NS);
        while self.ring.front().is_some_and(|kept| kept.time < oldest) {
            self.ring.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Identities, TOLERANCE_NS};
    use crate::engine::aggregate::testing::trade;
    use crate::model::{Trade, TradeId};

    const MS: i64 = 1_000_000;

    fn with_id(time: i64, id: u64, venue: u16) -> Trade {
        let mut one = trade("A", time, "1", "1");
        (one.id, one.venue) = (TradeId::from_number(id), venue);
        one
    }

    fn with_sequence(time: i64, sequence: u64) -> Trade {
        let mut one = trade("A", time, "1", "1");
        (one.id, one.sequence, one.sequenced) = (TradeId::NONE, sequence, true);
        one
    }

    fn verdicts(trades: &[Trade]) -> Vec<bool> {
        let mut identities = Identities::new();
        trades.iter().map(|trade| identities.admit(trade, 0)).collect()
    }

    #[test]
    fn copies_within_a_millisecond_are_duplicates() {
        let first = with_id(10 * MS, 7, 1);
        for (time, fresh) in
            [(10 * MS, false), (11 * MS, false), (9 * MS, false), (11 * MS + 1, true), (9 * MS - 1, true)]
        {
            assert_eq!(verdicts(&[first, with_id(time, 7, 1)]), [true, fresh], "at {time}");
        }
    }

    #[test]
    fn identities_of_two_venues_are_two_trades() {
        assert_eq!(verdicts(&[with_id(0, 7, 1), with_id(0, 7, 2), with_id(0, 7, 2)]), [true, true, false]);
    }

    #[test]
    fn sequences_identify_only_at_the_same_time() {
        let trades = [with_sequence(MS, 7), with_sequence(MS + 1, 7), with_sequence(MS, 7)];
        assert_eq!(verdicts(&trades), [true, true, false]);
        assert_eq!(verdicts(&[with_sequence(MS, 7), with_id(MS, 7, 0)]), [true, true]);
    }

    #[test]
    fn trades_without_identity_are_never_duplicates() {
        let mut one = trade("A", 5, "1", "1");
        (one.id, one.sequenced) = (TradeId::NONE, false);
        assert_eq!(verdicts(&[one, one, one]), [true, true, true]);
    }

    #[test]
    fn a_copy_far_behind_is_found_and_one_behind_the_horizon_is_forgotten() {
        let mut identities = Identities::new();
        for index in 0..1_000 {
            let time = 10 * MS * index;
            assert!(identities.admit(&with_id(time, 5, 1), time - 100 * MS));
        }
        assert!(!identities.admit(&with_id(9_900 * MS, 5, 1), 9_890 * MS));
        assert!(identities.ring.len() < 64, "{}", identities.ring.len());
        assert_eq!(TOLERANCE_NS, MS);
    }
}
