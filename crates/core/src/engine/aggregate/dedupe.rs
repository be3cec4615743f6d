//! Duplicate detection by the identities of one symbol's recent trades, in order of time.
//!
//! A trade with an identity is a duplicate when a kept trade of the same venue and identity lies within
//! 1 ms of it: the same trade comes in nanoseconds by REST and in milliseconds by socket. A trade without
//! one, but with the venue's sequence, is a duplicate when time, sequence and venue are equal. A trade with
//! neither never is. A trade that does not stand is no copy of one that does: a venue may give a correction the
//! identity of what it corrects. The caller never offers a trade further than the horizon behind the latest, so that
//! forgetting what is older loses no answer.

use crate::engine::prefetch::fetch;
use crate::model::{Trade, TradeId};
use std::collections::VecDeque;

/// Nanoseconds by which the copies of one trade may differ in time.
pub(super) const TOLERANCE_NS: i64 = 1_000_000;
/// By how many identities the ring grows at least.
const ROOM_LEN: usize = 8;
/// Set in a scope whose number is the venue's sequence.
const SEQUENCED: u32 = 1 << 16;
/// Set in the scope of a trade that does not stand.
const VOID: u32 = 1 << 17;
const DAY_NS: i64 = 86_400_000_000_000;

/// In 20 bytes, since of many symbols these are what takes the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, packed(4))]
struct Identity {
    time: i64,
    number: u64,
    /// The venue, and above it [`SEQUENCED`] and [`VOID`].
    scope: u32,
}

impl Identity {
    /// Number and scope of a trade's identity, if it has one.
    #[inline]
    fn name(trade: &Trade) -> Option<(u64, u32)> {
        let scope = u32::from(trade.venue) | if trade.is_void() { VOID } else { 0 };
        if trade.id != TradeId::NONE {
            Some((trade.id.raw(), scope))
        } else if trade.sequenced {
            Some((trade.sequence, scope | SEQUENCED))
        } else {
            None
        }
    }

    fn is_copy_of(self, other: Identity) -> bool {
        let same = self.number == other.number && self.scope == other.scope;
        same && (self.scope & SEQUENCED == 0 || self.time == other.time)
    }
}

/// Identities that stand apart from the ring; with them the state of a symbol fills three lines of the cache.
const RECENT_LEN: usize = 5;

/// The identities of one symbol's trades within the horizon.
///
/// The latest few stand apart and go to the ring together: of many symbols the rings are far away, and each trade
/// would wait for its own. Where the horizon is short, none ever gets there.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Identities {
    /// The latest time of any.
    newest: i64,
    /// The largest number ever kept: a larger one is new without a search.
    number_max: u64,
    /// Those after `older`, sorted by time: the first `recent_len`.
    recent: [Identity; RECENT_LEN],
    recent_len: u32,
    older: Older,
}

impl Identities {
    pub(super) fn new() -> Identities {
        let nothing = Identity {
            time: 0,
            number: 0,
            scope: u32::MAX,
        };
        Identities {
            // Before any event time, and far from the smallest number, so that sums do not overflow.
            newest: -DAY_NS,
            number_max: 0,
            recent: [nothing; RECENT_LEN],
            recent_len: 0,
            older: Older(VecDeque::new()),
        }
    }

    /// Keeps the trade's identity and returns true, or returns false for a duplicate. What lies before
    /// `horizon` may be forgotten.
    #[inline]
    pub(super) fn admit(&mut self, trade: &Trade, horizon: i64) -> bool {
        let Some((number, scope)) = Identity::name(trade) else {
            return true;
        };
        let time = trade.time.as_nanos();
        let is_alone = time - self.newest > TOLERANCE_NS;
        if !is_alone && self.number_max >= number && self.is_known(time, number, scope) {
            return false;
        }
        self.number_max = self.number_max.max(number);
        let oldest = horizon - TOLERANCE_NS;
        if time < self.newest {
            self.spill(oldest);
            self.older.insert(
                Identity {
                    time,
                    number,
                    scope,
                },
                oldest,
            );
            return true;
        }
        if self.recent_len as usize == RECENT_LEN {
            self.spill(oldest);
        }
        if let Some(slot) = self.recent.get_mut(self.recent_len as usize) {
            // One by one: a whole one is put together in memory first, and read back before it is written.
            slot.time = time;
            slot.number = number;
            slot.scope = scope;
            self.recent_len += 1;
        }
        self.newest = time;
        true
    }

    /// Fetches the end of the ring where the next identity makes the recent ones go there.
    #[inline]
    pub(super) fn fetch(&self) {
        if self.recent_len as usize == RECENT_LEN
            && let Some(last) = self.older.0.back()
        {
            fetch(last, 3);
        }
    }

    /// Moves the recent ones to the others, apart from those that may be forgotten.
    fn spill(&mut self, oldest: i64) {
        let recent = self
            .recent
            .get(..self.recent_len as usize)
            .unwrap_or_default();
        let kept = recent.partition_point(|kept| kept.time < oldest);
        self.older.append(&recent[kept..], oldest);
        self.recent_len = 0;
    }

    #[inline(never)]
    fn is_known(&self, time: i64, number: u64, scope: u32) -> bool {
        let identity = Identity {
            time,
            number,
            scope,
        };
        let recent = self
            .recent
            .get(..self.recent_len as usize)
            .unwrap_or_default();
        let is_near = |kept: &Identity| (kept.time - time).abs() <= TOLERANCE_NS;
        let mut copies = recent.iter().filter(|kept| identity.is_copy_of(**kept));
        let is_first_near = |first: &Identity| time.saturating_sub(TOLERANCE_NS) <= first.time;
        copies.any(is_near)
            || recent.first().is_none_or(is_first_near) && self.older.is_known(identity)
    }
}

/// Identities sorted by time.
#[derive(Debug)]
struct Older(VecDeque<Identity>);

impl Older {
    /// Keeps some, in order and not before the others.
    fn append(&mut self, identities: &[Identity], oldest: i64) {
        if identities.is_empty() {
            return;
        }
        self.make_room(identities.len(), oldest);
        self.0.extend(identities);
    }

    #[cold]
    fn insert(&mut self, identity: Identity, oldest: i64) {
        self.make_room(1, oldest);
        let place = self.0.partition_point(|kept| kept.time <= identity.time);
        self.0.insert(place, identity);
    }

    /// Whether a copy is kept within the tolerance.
    fn is_known(&self, identity: Identity) -> bool {
        let newest = identity.time.saturating_add(TOLERANCE_NS);
        let oldest = identity.time.saturating_sub(TOLERANCE_NS);
        let is_last = self.0.back().is_none_or(|last| last.time <= newest);
        let end = if is_last {
            self.0.len()
        } else {
            self.0.partition_point(|kept| kept.time <= newest)
        };
        let near = self.0.range(..end).rev();
        let mut near = near.take_while(|kept| oldest <= kept.time);
        near.any(|kept| identity.is_copy_of(*kept))
    }

    /// Forgets only when the ring would grow, so that the common append never looks at its old end.
    #[inline]
    fn make_room(&mut self, len: usize, oldest: i64) {
        if self.0.len() + len > self.0.capacity() {
            self.forget(len, oldest);
        }
    }

    #[cold]
    fn forget(&mut self, len: usize, oldest: i64) {
        while self.0.front().is_some_and(|kept| kept.time < oldest) {
            self.0.pop_front();
        }
        if self.0.len() + len > self.0.capacity() {
            // By a quarter, since of many symbols the room that is never used adds up.
            self.0.reserve_exact(ROOM_LEN.max(self.0.len() / 4));
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
        trades
            .iter()
            .map(|trade| identities.admit(trade, 0))
            .collect()
    }

    #[test]
    fn copies_within_a_millisecond_are_duplicates() {
        let first = with_id(10 * MS, 7, 1);
        for (time, fresh) in [
            (10 * MS, false),
            (11 * MS, false),
            (9 * MS, false),
            (11 * MS + 1, true),
            (9 * MS - 1, true),
        ] {
            assert_eq!(
                verdicts(&[first, with_id(time, 7, 1)]),
                [true, fresh],
                "at {time}"
            );
        }
    }

    #[test]
    fn identities_of_two_venues_are_two_trades() {
        assert_eq!(
            verdicts(&[with_id(0, 7, 1), with_id(0, 7, 2), with_id(0, 7, 2)]),
            [true, true, false]
        );
    }

    #[test]
    fn correction_under_the_identity_of_what_it_corrects_is_no_copy_of_it() {
        let with = |correction| Trade {
            correction,
            ..with_id(0, 7, 1)
        };
        assert_eq!(
            verdicts(&[with(1), with(12), with(12), with(11), with(0)]),
            [true, true, false, false, false]
        );
        assert_eq!(verdicts(&[with(0), with(8), with(8)]), [true, true, false]);
    }

    #[test]
    fn sequences_identify_only_at_the_same_time() {
        let trades = [
            with_sequence(MS, 7),
            with_sequence(MS + 1, 7),
            with_sequence(MS, 7),
        ];
        assert_eq!(verdicts(&trades), [true, true, false]);
        assert_eq!(
            verdicts(&[with_sequence(MS, 7), with_id(MS, 7, 0)]),
            [true, true]
        );
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
        assert!(
            identities.older.0.len() < 64,
            "{}",
            identities.older.0.len()
        );
        assert_eq!(TOLERANCE_NS, MS);
    }
}
