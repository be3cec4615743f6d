//! FIFO queue with removal from any position.
//!
//! A ring of items with their notes: the usual item comes last and leaves first, and costs no search. One that leaves
//! from the middle leaves its entry behind until those before it are gone; when such entries outnumber the items, the
//! ring is closed up, so that memory follows what waits.

use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Entries without an item that are always borne.
const GONE_MAX: usize = 64;

/// Items with their notes, and the numbers of their slots, which only rise.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct SlotQueue<T, N> {
    /// Sorted by slot; the first one has its item.
    entries: VecDeque<Entry<T, N>>,
    len: usize,
    next: u64,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
struct Entry<T, N> {
    slot: u64,
    note: N,
    item: Option<T>,
}

impl<T, N: Copy> SlotQueue<T, N> {
    pub(super) fn new() -> SlotQueue<T, N> {
        SlotQueue {
            entries: VecDeque::new(),
            len: 0,
            next: 0,
        }
    }

    /// Adds an item behind the others and returns its slot.
    #[inline]
    pub(super) fn push(&mut self, item: T, note: N) -> u64 {
        let slot = self.next;
        self.next += 1;
        self.len += 1;
        let item = Some(item);
        self.entries.push_back(Entry { slot, note, item });
        slot
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The note of the first item.
    pub(super) fn first(&self) -> Option<&N> {
        self.entries.front().map(|entry| &entry.note)
    }

    /// Lets the item of a slot go, if it is there, and returns its note.
    pub(super) fn remove(&mut self, slot: u64) -> Option<N> {
        let index = self.entries.binary_search_by_key(&slot, |entry| entry.slot);
        let entry = self.entries.get_mut(index.ok()?)?;
        let note = entry.note;
        entry.item.take()?;
        self.len -= 1;
        self.close_up();
        Some(note)
    }

    /// Takes out the items that are wanted, in order, `len_max` at most; a break ends the search.
    pub(super) fn take(
        &mut self,
        len_max: usize,
        mut is_wanted: impl FnMut(&N) -> ControlFlow<(), bool>,
    ) -> Vec<T> {
        let mut items = Vec::with_capacity(self.len.min(len_max));
        for entry in &mut self.entries {
            if items.len() == len_max {
                break;
            }
            if entry.item.is_some() {
                match is_wanted(&entry.note) {
                    ControlFlow::Break(()) => break,
                    ControlFlow::Continue(true) => items.extend(entry.item.take()),
                    ControlFlow::Continue(false) => {}
                }
            }
        }
        self.len -= items.len();
        self.close_up();
        items
    }

    /// Takes out everything, in order.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.len = 0;
        let entries = std::mem::take(&mut self.entries).into_iter();
        entries.filter_map(|entry| entry.item).collect()
    }

    fn close_up(&mut self) {
        let is_gone = |entry: &&Entry<T, N>| entry.item.is_none();
        let gone = self.entries.iter().take_while(is_gone).count();
        self.entries.drain(..gone);
        if self.entries.len() > 2 * self.len + GONE_MAX {
            self.entries.retain(|entry| entry.item.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GONE_MAX, SlotQueue};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::ops::ControlFlow;

    #[derive(Debug, Clone)]
    enum Step {
        Push(u64),
        Remove(u64),
        /// Of those that are there, the ones at these odds, four at most.
        Take(Vec<bool>),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let take =
            proptest::collection::vec(prop::sample::select(vec![true, true, true, false]), 0..9);
        prop_oneof![
            4 => (0u64..400).prop_map(Step::Push),
            2 => (0u64..400).prop_map(Step::Remove),
            1 => take.prop_map(Step::Take),
        ]
    }

    proptest! {
        #[test]
        fn places_equal_a_sorted_map(steps in proptest::collection::vec(any_step(), 0..800)) {
            let (mut slots, mut map, mut next) = (SlotQueue::new(), BTreeMap::new(), 0u64);
            for step in steps {
                match step {
                    Step::Push(item) => {
                        prop_assert_eq!(slots.push(item, 2 * item), next);
                        map.insert(next, item);
                        next += 1;
                    }
                    Step::Remove(slot) => {
                        prop_assert_eq!(slots.remove(slot), map.remove(&slot).map(|item| 2 * item));
                    }
                    Step::Take(odds) => {
                        let wanted: Vec<u64> =
                            map.keys().zip(&odds).filter(|(_, is_wanted)| **is_wanted).map(|(slot, _)| *slot).collect();
                        let items: Vec<u64> = wanted.iter().take(4).filter_map(|slot| map.remove(slot)).collect();
                        let mut odds = odds.into_iter();
                        let taken = slots.take(4, |_| odds.next().map_or(ControlFlow::Break(()), ControlFlow::Continue));
                        prop_assert_eq!(taken, items);
                    }
                }
                prop_assert_eq!(slots.len(), map.len());
                prop_assert_eq!(slots.first().copied(), map.values().next().map(|item| 2 * item));
                prop_assert!(slots.entries.len() <= 2 * map.len() + GONE_MAX);
            }
            let found: Vec<(u64, u64)> = slots.entries.iter().filter(|entry| entry.item.is_some()).map(|entry| (entry.slot, entry.note)).collect();
            prop_assert_eq!(found, map.iter().map(|(slot, item)| (*slot, 2 * *item)).collect::<Vec<_>>());
            prop_assert_eq!(slots.drain(), map.into_values().collect::<Vec<_>>());
            prop_assert_eq!((slots.len(), slots.first()), (0, None));
        }
    }
}
