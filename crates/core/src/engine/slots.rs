//! FIFO queue with removal from any position.
//!
//! A ring of items and beside it one of notes: the usual item comes last and leaves first, moved twice in all, and
//! neither costs a search. One that leaves from the middle stays behind until those before it are gone; when these
//! outnumber the items, the rings are closed up, so that memory follows what waits.

use std::collections::VecDeque;

/// Items that have left and are always borne.
const GONE_MAX: usize = 64;

/// Items with their notes, and the numbers of their slots, which only rise.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct SlotQueue<T, N> {
    /// One of each item, sorted by slot; the first one is there.
    marks: VecDeque<Mark<N>>,
    items: VecDeque<T>,
    len: usize,
    next: u64,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
struct Mark<N> {
    slot: u64,
    is_there: bool,
    note: N,
}

impl<T: Clone, N: Copy> SlotQueue<T, N> {
    pub(super) fn new() -> SlotQueue<T, N> {
        SlotQueue {
            marks: VecDeque::new(),
            items: VecDeque::new(),
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
        self.marks.push_back(Mark {
            slot,
            is_there: true,
            note,
        });
        self.items.push_back(item);
        slot
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The note of the first item.
    pub(super) fn first(&self) -> Option<&N> {
        self.marks.front().map(|mark| &mark.note)
    }

    /// Slot numbers and notes, in order.
    pub(super) fn notes(&self) -> impl Iterator<Item = (u64, &N)> {
        self.marks
            .iter()
            .filter(|mark| mark.is_there)
            .map(|mark| (mark.slot, &mark.note))
    }

    /// Lets the item of a slot go, if it is there, and returns its note.
    pub(super) fn remove(&mut self, slot: u64) -> Option<N> {
        let index = self.index(slot)?;
        let note = self.mark_gone(index);
        self.close_up();
        note
    }

    /// Takes out the items of these slots, which rise and are there.
    pub(super) fn take(&mut self, slots: &[u64]) -> Vec<T> {
        let count = slots.len();
        let are_first = count
            .checked_sub(1)
            .and_then(|last| self.marks.get(last))
            .map(|mark| mark.slot);
        // So many slots up to the last one: then there is none between them.
        if are_first == slots.last().copied()
            && self.marks.iter().take(count).all(|mark| mark.is_there)
        {
            self.len -= count;
            self.marks.drain(..count);
            let items = self.items.drain(..count).collect();
            self.close_up();
            return items;
        }
        let mut items = Vec::with_capacity(count);
        for slot in slots {
            if let Some(index) = self.index(*slot) {
                items.extend(self.items.get(index).cloned());
                self.mark_gone(index);
            }
        }
        self.close_up();
        items
    }

    /// Takes out everything, in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T, N> {
        self.len = 0;
        let marks = std::mem::take(&mut self.marks).into_iter();
        marks
            .zip(std::mem::take(&mut self.items))
            .filter_map(|(mark, item)| mark.is_there.then_some(item))
    }

    fn index(&self, slot: u64) -> Option<usize> {
        let is_first = self.marks.front().is_some_and(|first| first.slot == slot);
        let index = if is_first {
            0
        } else {
            self.marks
                .binary_search_by_key(&slot, |mark| mark.slot)
                .ok()?
        };
        self.marks
            .get(index)
            .filter(|mark| mark.is_there)
            .map(|_| index)
    }

    fn mark_gone(&mut self, index: usize) -> Option<N> {
        let mark = self.marks.get_mut(index)?;
        mark.is_there = false;
        self.len -= 1;
        Some(mark.note)
    }

    fn close_up(&mut self) {
        while self.marks.front().is_some_and(|mark| !mark.is_there) {
            self.marks.pop_front();
            self.items.pop_front();
        }
        if self.marks.len() > 2 * self.len + GONE_MAX {
            let mut marks = self.marks.iter();
            self.items
                .retain(|_| marks.next().is_some_and(|mark| mark.is_there));
            self.marks.retain(|mark| mark.is_there);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GONE_MAX, SlotQueue};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone)]
    enum Step {
        Push(u64),
        Remove(u64),
        /// Of those that are there, the ones at these odds, so many at most.
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
                            map.keys().zip(odds).filter(|(_, is_wanted)| *is_wanted).map(|(slot, _)| *slot).collect();
                        let items: Vec<u64> = wanted.iter().filter_map(|slot| map.remove(slot)).collect();
                        prop_assert_eq!(slots.take(&wanted), items);
                    }
                }
                prop_assert_eq!(slots.len(), map.len());
                prop_assert_eq!(slots.first().copied(), map.values().next().map(|item| 2 * item));
                prop_assert!(slots.marks.len() <= 2 * map.len() + GONE_MAX);
                prop_assert_eq!(slots.marks.len(), slots.items.len());
            }
            let found: Vec<(u64, u64)> = slots.notes().map(|(slot, note)| (slot, *note)).collect();
            prop_assert_eq!(found, map.iter().map(|(slot, item)| (*slot, 2 * *item)).collect::<Vec<_>>());
            prop_assert_eq!(slots.drain().collect::<Vec<_>>(), map.into_values().collect::<Vec<_>>());
            prop_assert_eq!((slots.len(), slots.first()), (0, None));
        }
    }
}
