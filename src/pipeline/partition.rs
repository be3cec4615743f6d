//! Partitioning: which shard a symbol belongs to.
//!
//! Decided by the name alone: the numbers of symbols follow the order in which threads meet them, and a run that goes
//! on after a crash must find each symbol on the same shard.

use crate::model::{Symbol, Trade};
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

const UNKNOWN: u8 = u8::MAX;

/// Deals symbols to shards, and keeps the answers by the symbols' numbers.
#[derive(Debug)]
pub(crate) struct Partition {
    shards: usize,
    /// At most 64 shards, see `aggregate.shards`; more are looked up each time.
    known: Vec<u8>,
}

impl Partition {
    pub(crate) fn new(shards: usize) -> Partition {
        Partition {
            shards,
            known: Vec::new(),
        }
    }

    /// The shard of a symbol, from 0.
    #[inline]
    pub(crate) fn shard(&mut self, symbol: Symbol) -> usize {
        match self.known.get(symbol.index()) {
            Some(&shard) if shard != UNKNOWN => usize::from(shard),
            Some(_) | None => self.look_up(symbol),
        }
    }

    #[cold]
    fn look_up(&mut self, symbol: Symbol) -> usize {
        // A fixed seed gives the same hash in every run of one build.
        let hash = FixedState::with_seed(0).hash_one(symbol.as_str());
        let shard = usize::try_from(hash).unwrap_or(0) % self.shards;
        if self.known.len() <= symbol.index() {
            self.known.resize(symbol.index() + 1, UNKNOWN);
        }
        self.known[symbol.index()] = u8::try_from(shard).unwrap_or(UNKNOWN);
        shard
    }

    /// Splits trades by the shard of their symbol, keeping their order.
    pub(crate) fn split(&mut self, trades: Vec<Trade>) -> Vec<Vec<Trade>> {
        if self.shards == 1 {
            return vec![trades];
        }
        let mut parts = vec![Vec::with_capacity(trades.len() / self.shards + 1); self.shards];
        for trade in trades {
            parts[self.shard(trade.symbol)].push(trade);
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::Partition;
    use crate::model::Symbol;

    #[test]
    fn names_decide_and_use_every_shard() {
        let symbols: Vec<Symbol> = (0..100)
            .map(|number| format!("DEAL{number}").parse().unwrap())
            .collect();
        let deal = |symbols: &mut dyn Iterator<Item = &Symbol>| {
            let mut deal = Partition::new(3);
            let mut shards: Vec<(Symbol, usize)> = symbols
                .map(|symbol| (*symbol, deal.shard(*symbol)))
                .collect();
            shards.sort_unstable();
            shards
        };
        let dealt = deal(&mut symbols.iter());
        assert_eq!(
            deal(&mut symbols.iter().rev().chain(&symbols).take(100)),
            dealt
        );
        for shard in 0..3 {
            assert!(
                dealt.iter().filter(|(_, found)| *found == shard).count() > 10,
                "{dealt:?}"
            );
        }
    }
}
