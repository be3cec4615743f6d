//! Values that several engine tests build.
#![expect(clippy::unwrap_used, reason = "fixed values of tests")]

use crate::model::{
    Bar, BarFlags, BarState, BarUpdate, Notional, Ohlc, Price, Size, Timestamp, Trade, Volume,
    WriteItem,
};
use crate::port::{Changes, Committed, Position, SpoolRange, StateError, StateStore};
use futures::future::BoxFuture;

const MINUTE_NS: i64 = 60_000_000_000;

/// A one-minute bar of one trade of 100 at 10, starting `minute` minutes after 2025-10-15T13:30:00Z.
pub fn update(symbol: &str, minute: i64, state: BarState, revision: u32) -> BarUpdate {
    let start = Timestamp::from_nanos(1_760_535_000_000_000_000 + minute * MINUTE_NS).unwrap();
    let price: Price = "10".parse().unwrap();
    let size: Size = "100".parse().unwrap();
    let mut volume = Volume::ZERO;
    volume += size;
    let bar = Bar {
        symbol: symbol.parse().unwrap(),
        spec: "1m".parse().unwrap(),
        start,
        end: start.saturating_add(MINUTE_NS),
        prices: Some(Ohlc {
            open: price,
            high: price,
            low: price,
            close: price,
        }),
        volume,
        notional: Notional::of(price, size),
        notional_volume: volume,
        trades: 1,
        buy_volume: Volume::ZERO,
        sell_volume: Volume::ZERO,
        first_sequence: 1,
        last_sequence: 1,
        flags: BarFlags::default(),
    };
    BarUpdate {
        bar,
        state,
        revision,
        trades_added: 1,
    }
}

/// A trade of 100 at 10, `offset` nanoseconds after 2025-10-15T13:30:00Z; its sequence is its offset.
pub fn trade(symbol: &str, offset: i64) -> Trade {
    let time = Timestamp::from_nanos(1_760_535_000_000_000_000 + offset).unwrap();
    let (price, size) = ("10".parse().unwrap(), "100".parse().unwrap());
    Trade {
        sequence: offset.unsigned_abs(),
        sequenced: true,
        ..Trade::new(symbol.parse().unwrap(), time, price, size)
    }
}

/// Single changes of a state store.
pub trait SingleChanges: StateStore {
    /// Appends items to the spool: all or none, durable when it resolves.
    ///
    /// # Errors
    /// As for [`StateStore::commit`].
    fn spool_append(
        &self,
        items: Vec<WriteItem>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Committed, StateError>> {
        self.commit(Changes {
            now,
            spool_append: items,
            ..Changes::default()
        })
    }

    /// The oldest items of the spool, at most `len_max`.
    ///
    /// # Errors
    /// As for [`StateStore::spool_read`].
    fn spool_front(
        &self,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, WriteItem)>, StateError>> {
        self.spool_read(0, len_max)
    }

    /// Removes the items up to place `through`, included.
    ///
    /// # Errors
    /// As for [`StateStore::commit`].
    fn spool_remove(&self, through: u64) -> BoxFuture<'_, Result<Committed, StateError>> {
        let spool_remove = vec![SpoolRange {
            first: 0,
            last: through,
        }];
        self.commit(Changes {
            spool_remove,
            ..Changes::default()
        })
    }

    /// Saves the position of each named feed.
    ///
    /// # Errors
    /// As for [`StateStore::commit`].
    fn checkpoint_save(
        &self,
        checkpoints: Vec<(String, Position)>,
    ) -> BoxFuture<'_, Result<Committed, StateError>> {
        self.commit(Changes {
            checkpoints,
            ..Changes::default()
        })
    }
}

impl<S: StateStore + ?Sized> SingleChanges for S {}
