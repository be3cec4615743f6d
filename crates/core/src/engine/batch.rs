//! Batches of write items: coalesced; closed by count, bytes or age; never two writes of one bar in flight.
//!
//! Owns what waits to be written and what is being written. Knows neither the store nor the clock: `now`
//! is a monotonic instant given by the caller. A forming bar is replaced by any newer update of the same
//! bar; final and revised bars and their order per bar are kept.

use super::slots::SlotQueue;
use crate::model::{BarKey, BarSpec, BarState, BarUpdate, Symbol, WriteItem};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;
use std::time::Duration;

/// When a batch is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Items in one batch at most, 1 and up.
    pub len_max: usize,
    /// Estimated bytes in one batch at most; a larger single item goes alone.
    pub bytes_max: usize,
    /// Age of the oldest item at which a batch is closed.
    pub linger: Duration,
    /// Whether a batch is closed at once while nothing is in flight.
    pub eager: bool,
}

/// What is written at most once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ItemKey {
    Bar(BarKey),
    Manifest(BarSpec, jiff::civil::Date, Symbol),
}

/// An [`ItemKey`] in 16 bytes: the table of what is in flight is asked twice for each bar, and has to stay near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tag {
    /// The start of a bar; of a manifest its date, as year, month and day.
    time: i64,
    symbol: Symbol,
    /// Twice the number of the spec, and one more for a manifest.
    what: u32,
}

/// The specs seen so far, numbered.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
struct Specs(Vec<BarSpec>);

impl Specs {
    #[inline]
    fn tag(&mut self, item: &WriteItem) -> Tag {
        match item {
            WriteItem::Bar(BarUpdate { bar, .. }) => Tag {
                time: bar.start.as_nanos(),
                symbol: bar.symbol,
                what: 2 * self.number(bar.spec),
            },
            WriteItem::Manifest(manifest) => {
                let (year, date) = (i64::from(manifest.date.year()), manifest.date);
                let time = year * 10_000 + i64::from(date.month()) * 100 + i64::from(date.day());
                Tag {
                    time,
                    symbol: manifest.symbol,
                    what: 2 * self.number(manifest.spec) + 1,
                }
            }
        }
    }

    /// A run has a few specs, so that looking through them is quicker than a table.
    #[inline]
    fn number(&mut self, spec: BarSpec) -> u32 {
        let index = self
            .0
            .iter()
            .position(|known| *known == spec)
            .unwrap_or_else(|| {
                self.0.push(spec);
                self.0.len() - 1
            });
        u32::try_from(index).unwrap_or(u32::MAX / 2)
    }
}

/// What is known of an item that waits.
#[derive(Debug, Clone, Copy)]
struct Pending {
    tag: Tag,
    weight: usize,
    since: Duration,
    is_forming: bool,
}

/// The items of one key that are in flight.
#[derive(Debug, Clone, Copy)]
struct Flying {
    /// The batch that took the last of them; a batch may hold two updates of one bar.
    batch: u64,
    count: u64,
}

/// The queue before the store.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Batcher {
    limits: BatchLimits,
    queue: SlotQueue<WriteItem, Pending>,
    specs: Specs,
    /// Queue slots of forming bars, which a newer update of the same bar replaces.
    forming: HashMap<Tag, u64, FixedState>,
    /// Items in flight, by key.
    in_flight: HashMap<Tag, Flying, FixedState>,
    /// Batches closed so far.
    batches: u64,
    bytes: usize,
    /// Set when every queued item waits for one in flight, until one has come back.
    blocked: bool,
    coalesced: u64,
}

impl Batcher {
    /// Makes an empty queue.
    pub fn new(limits: BatchLimits) -> Batcher {
        Batcher {
            limits: BatchLimits {
                len_max: limits.len_max.max(1),
                ..limits
            },
            queue: SlotQueue::new(),
            specs: Specs::default(),
            forming: HashMap::default(),
            in_flight: HashMap::default(),
            batches: 0,
            bytes: 0,
            blocked: false,
            coalesced: 0,
        }
    }

    /// Queues an item of an estimated weight in bytes.
    #[inline]
    pub fn push(&mut self, item: WriteItem, weight: usize, now: Duration) {
        let tag = self.specs.tag(&item);
        if !self.forming.is_empty()
            && let Some(slot) = self.forming.remove(&tag)
            && let Some(replaced) = self.queue.remove(slot)
        {
            self.bytes -= replaced.weight;
            self.coalesced += 1;
        }
        let is_forming = is_forming(&item);
        let slot = self.queue.push(
            item,
            Pending {
                tag,
                weight,
                since: now,
                is_forming,
            },
        );
        if is_forming {
            self.forming.insert(tag, slot);
        }
        self.bytes += weight;
        self.blocked = false;
    }

    /// Items waiting.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Estimated bytes of the items waiting.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.len() == 0
    }

    /// Forming updates replaced by newer ones of the same bar.
    pub fn coalesced(&self) -> u64 {
        self.coalesced
    }

    /// Whether a batch should go out now; `idle` means nothing is in flight, `draining` that no more comes.
    pub fn is_due(&self, now: Duration, idle: bool, draining: bool) -> bool {
        let Some(oldest) = self.queue.first() else {
            return false;
        };
        !self.blocked
            && (draining
                || (idle && self.limits.eager)
                || self.queue.len() >= self.limits.len_max
                || self.bytes >= self.limits.bytes_max
                || now.saturating_sub(oldest.since) >= self.limits.linger)
    }

    /// The instant at which age alone closes the next batch.
    pub fn due_at(&self) -> Option<Duration> {
        if self.blocked {
            return None;
        }
        self.queue
            .first()
            .map(|oldest| oldest.since.saturating_add(self.limits.linger))
    }

    /// Closes a batch: the oldest items that fit and whose bars are not in flight.
    pub fn take(&mut self) -> Option<Vec<WriteItem>> {
        let (mut bytes, mut is_first) = (0, true);
        self.batches += 1;
        let items = self.queue.take(self.limits.len_max, |pending| {
            let is_full = !is_first && bytes + pending.weight > self.limits.bytes_max;
            match self.in_flight.entry(pending.tag) {
                // Those behind it of the same key meet the same entry, so their order stays.
                Entry::Occupied(flying) if flying.get().batch != self.batches => {
                    return ControlFlow::Continue(false);
                }
                Entry::Occupied(_) | Entry::Vacant(_) if is_full => return ControlFlow::Break(()),
                Entry::Occupied(mut flying) => flying.get_mut().count += 1,
                Entry::Vacant(vacant) => {
                    vacant.insert(Flying {
                        batch: self.batches,
                        count: 1,
                    });
                }
            }
            if pending.is_forming {
                self.forming.remove(&pending.tag);
            }
            bytes += pending.weight;
            is_first = false;
            ControlFlow::Continue(true)
        });
        self.blocked = items.is_empty();
        self.bytes -= bytes;
        (!items.is_empty()).then_some(items)
    }

    /// Takes everything that waits, whatever the limits.
    pub fn drain(&mut self) -> Vec<WriteItem> {
        self.forming.clear();
        self.bytes = 0;
        self.queue.drain()
    }

    /// Lets every forming update that waits go, and answers how many.
    pub fn drop_forming(&mut self) -> u64 {
        let slots: Vec<u64> = self.forming.drain().map(|(_, slot)| slot).collect();
        for slot in &slots {
            if let Some(dropped) = self.queue.remove(*slot) {
                self.bytes -= dropped.weight;
            }
        }
        slots.len() as u64
    }

    /// Releases an item whose fate is known, so that newer updates of its bar may go.
    pub fn release(&mut self, item: &WriteItem) {
        if let Entry::Occupied(mut flying) = self.in_flight.entry(self.specs.tag(item)) {
            flying.get_mut().count -= 1;
            if flying.get().count == 0 {
                flying.remove();
            }
        }
        self.blocked = false;
    }
}

pub(super) fn key_of(item: &WriteItem) -> ItemKey {
    match item {
        WriteItem::Bar(update) => ItemKey::Bar(update.bar.key()),
        WriteItem::Manifest(manifest) => {
            ItemKey::Manifest(manifest.spec, manifest.date, manifest.symbol)
        }
    }
}

/// The bar of an item, if it is one.
pub fn bar_of(item: &WriteItem) -> Option<&BarUpdate> {
    match item {
        WriteItem::Bar(update) => Some(update),
        WriteItem::Manifest(_) => None,
    }
}

pub(super) fn is_forming(item: &WriteItem) -> bool {
    bar_of(item).is_some_and(|update| update.state == BarState::Forming)
}

#[cfg(test)]
mod tests {
    use super::{BatchLimits, Batcher};
    use crate::engine::testing::update;
    use crate::model::BarState::{self, Final, Forming, Revised};
    use crate::model::WriteItem;
    use proptest::prelude::*;
    use std::time::Duration;

    const LIMITS: BatchLimits = BatchLimits {
        len_max: 3,
        bytes_max: 100,
        linger: Duration::from_secs(5),
        eager: false,
    };

    fn bar(minute: i64, state: BarState, revision: u32) -> WriteItem {
        WriteItem::Bar(update("AAPL", minute, state, revision))
    }

    fn batcher(items: &[WriteItem], weight: usize) -> Batcher {
        let mut batcher = Batcher::new(LIMITS);
        for item in items {
            batcher.push(item.clone(), weight, Duration::ZERO);
        }
        batcher
    }

    fn items(batch: Option<Vec<WriteItem>>) -> Vec<WriteItem> {
        batch.unwrap_or_default()
    }

    #[test]
    fn batch_closes_by_count_bytes_or_age() {
        let mut batcher = batcher(&[bar(0, Final, 0)], 10);
        assert!(!batcher.is_due(Duration::from_secs(4), true, false));
        assert!(batcher.is_due(Duration::from_secs(5), true, false));
        assert_eq!(batcher.due_at(), Some(Duration::from_secs(5)));
        batcher.push(bar(1, Final, 0), 10, Duration::ZERO);
        batcher.push(bar(2, Final, 0), 10, Duration::ZERO);
        assert!(batcher.is_due(Duration::ZERO, false, false), "three items");
        let heavy = self::batcher(&[bar(0, Final, 0)], 100);
        assert!(
            heavy.is_due(Duration::ZERO, false, false),
            "a hundred bytes"
        );
    }

    #[test]
    fn eager_batch_goes_at_once_when_idle_and_draining_needs_no_reason() {
        let mut batcher = Batcher::new(BatchLimits {
            eager: true,
            ..LIMITS
        });
        batcher.push(bar(0, Final, 0), 10, Duration::ZERO);
        assert!(batcher.is_due(Duration::ZERO, true, false));
        assert!(!batcher.is_due(Duration::ZERO, false, false));
        assert!(batcher.is_due(Duration::ZERO, false, true));
    }

    #[test]
    fn item_that_does_not_fit_waits_for_the_next_batch() {
        let mut batcher = batcher(&[bar(0, Final, 0), bar(1, Final, 0)], 60);
        assert_eq!(items(batcher.take()), [bar(0, Final, 0)]);
        assert_eq!(items(batcher.take()), [bar(1, Final, 0)]);
        let mut oversize = self::batcher(&[bar(0, Final, 0)], 500);
        assert_eq!(items(oversize.take()).len(), 1, "a larger item goes alone");
    }

    #[test]
    fn forming_bar_is_replaced_and_final_never() {
        let updates = [
            bar(0, Forming, 0),
            bar(0, Forming, 0),
            bar(0, Final, 0),
            bar(0, Revised, 1),
        ];
        let mut batcher = batcher(&updates, 10);
        assert_eq!(
            items(batcher.take()),
            [bar(0, Final, 0), bar(0, Revised, 1)]
        );
        assert_eq!(batcher.coalesced(), 2);
    }

    #[test]
    fn revision_waits_for_the_write_in_flight() {
        let mut batcher = batcher(&[bar(0, Final, 0)], 10);
        let first = batcher.take().unwrap();
        batcher.push(bar(0, Revised, 1), 10, Duration::ZERO);
        assert_eq!(batcher.take(), None);
        assert!(
            !batcher.is_due(Duration::MAX, true, true),
            "blocked until it lands"
        );
        batcher.push(bar(1, Final, 0), 10, Duration::ZERO);
        assert_eq!(
            items(batcher.take()),
            [bar(1, Final, 0)],
            "other bars overtake"
        );
        batcher.release(&first[0]);
        assert_eq!(items(batcher.take()), [bar(0, Revised, 1)]);
    }

    #[test]
    fn bar_twice_in_a_batch_is_in_flight_until_both_have_landed() {
        let mut batcher = batcher(&[bar(0, Final, 0), bar(0, Revised, 1)], 10);
        let batch = batcher.take().unwrap();
        assert_eq!(batch.len(), 2);
        batcher.release(&batch[0]);
        batcher.push(bar(0, Revised, 2), 10, Duration::ZERO);
        assert_eq!(batcher.take(), None, "the revision that failed goes first");
        batcher.release(&batch[1]);
        assert_eq!(items(batcher.take()), [bar(0, Revised, 2)]);
    }

    proptest! {
        #[test]
        fn every_final_leaves_once_in_order_per_bar_and_within_limits(
            pushes in proptest::collection::vec((0i64..5, 0u8..3, 1usize..60), 1..60),
        ) {
            let mut batcher = Batcher::new(LIMITS);
            let mut want: Vec<WriteItem> = Vec::new();
            for (revision, (minute, kind, weight)) in (0u32..).zip(pushes) {
                let state = [Forming, Final, Revised][usize::from(kind)];
                let item = bar(minute, state, revision);
                if state != Forming {
                    want.push(item.clone());
                }
                batcher.push(item, weight, Duration::ZERO);
            }
            let mut seen: Vec<WriteItem> = Vec::new();
            while let Some(batch) = batcher.take() {
                prop_assert!(batch.len() <= LIMITS.len_max);
                for item in &batch {
                    batcher.release(item);
                }
                seen.extend(batch);
            }
            prop_assert!(batcher.is_empty());
            seen.retain(|item| !super::is_forming(item));
            prop_assert_eq!(seen, want);
        }
    }
}
