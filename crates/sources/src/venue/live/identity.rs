//! The identity of a live trade, and the recently seen identities.

use barmill_core::model::{Timestamp, Trade, TradeId, TradeKey};
use std::collections::{HashSet, VecDeque};

/// The coarsest clock of a venue's socket, nanoseconds.
pub(crate) const RESOLUTION_NS: i64 = 1_000_000;
/// The most identities kept per symbol, whatever the horizon.
const RECENT_LEN_MAX: usize = 1 << 16;

/// What makes two copies of a trade the same, over the socket and from the archive, whose clocks differ. Within one
/// venue code and correction it is ordered as the venue numbers its trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Identity {
    venue: u16,
    correction: u8,
    number: u64,
    /// Nanoseconds, where neither identity nor sequence is known.
    time: i64,
}

impl Identity {
    pub(crate) fn of(trade: &Trade) -> Identity {
        let (number, time) = match (trade.id, trade.sequenced) {
            (TradeId::NONE, true) => (trade.sequence, -1),
            (TradeId::NONE, false) => (trade.price.raw(), trade.time.as_nanos()),
            (id, _) => (id.raw(), -2),
        };
        Identity {
            venue: trade.venue,
            correction: trade.correction,
            number,
            time,
        }
    }
}

/// The identities of one symbol's newest trades.
#[derive(Debug, Default)]
pub(crate) struct RecentIdentities {
    known: HashSet<Identity, foldhash::fast::FixedState>,
    order: VecDeque<(Timestamp, Identity)>,
}

impl RecentIdentities {
    pub(crate) fn contains(&self, identity: Identity) -> bool {
        self.known.contains(&identity)
    }

    /// Notes a trade that is delivered.
    pub(crate) fn insert(&mut self, time: Timestamp, identity: Identity) {
        if self.known.insert(identity) {
            self.order.push_back((time, identity));
        }
        while RECENT_LEN_MAX < self.order.len() {
            self.forget_first();
        }
    }

    /// Forgets trades before an instant: those that the socket has passed, whatever the archive gave ahead of it.
    pub(crate) fn forget_before(&mut self, oldest: Timestamp) {
        while self.order.front().is_some_and(|(time, _)| *time < oldest) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, identity)) = self.order.pop_front() {
            self.known.remove(&identity);
        }
    }
}

/// Whether a trade of the archive is the one a socket gave, whose clock is coarser.
pub(crate) fn is_copy(trade: &Trade, live: &TradeKey) -> bool {
    let is_near = live.time <= trade.time && trade.time < live.time.saturating_add(RESOLUTION_NS);
    let is_same = match live.id {
        TradeId::NONE => trade.sequenced && trade.sequence == live.sequence,
        id => trade.id == id,
    };
    is_same && is_near
}
