//! Items in the order of their arrival, which may leave from anywhere.
//!
//! A ring of slots: the usual item comes last and leaves first, and neither costs a search. One that leaves from the
//! middle leaves an empty slot behind; when these outnumber the items, the ring is closed up, so that memory follows
//! what waits.

use std::collections::VecDeque;

/// Empty slots that are always borne.
const EMPTY_MAX: usize = 64;

/// Items and the places they were given, which only rise.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Places<T> {
    /// Sorted by place; the first one is never empty.
    slots: VecDeque<(u64, Option<T>)>,
    len: usize,
    next: u64,
}

impl<T> Places<T> {
    pub(super) fn new() -> Places<T> {
        Places { slots: VecDeque::new(), len: 0, next: 0 }
    }

    /// Adds an item behind the others and returns its place.
    pub(super) fn push(&mut self, item: T) -> u64 {
        let place = self.next;
        self.next += 1;
        self.len += 1;
        self.slots.push_back((place, Some(item)));
        place
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.slots.front().and_then(|(_, item)| item.as_ref())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.slots.iter().filter_map(|(place, item)| Some((*place, item.as_ref()?)))
    }

    /// Takes out the item of a place, if it is there.
    pub(super) fn remove(&mut self, place: u64) -> Option<T> {
        let is_first = self.slots.front().is_some_and(|(first, _)| *first == place);
        let index = if is_first { 0 } else { self.slots.binary_search_by_key(&place, |slot| slot.0).ok()? };
        let item = self.slots.get_mut(index)?.1.take()?;
        self.len -= 1;
        while self.slots.front().is_some_and(|(_, item)| item.is_none()) {
            self.slots.pop_front();
        }
        if self.slots.len() > 2 * self.len + EMPTY_MAX {
            self.slots.retain(|(_, item)| item.is_some());
        }
        Some(item)
    }

    /// Takes out everything, in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.len = 0;
        std::mem::take(&mut self.slots).into_iter().filter_map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::{EMPTY_MAX, Places};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn places_equal_a_sorted_map(steps in proptest::collection::vec((any::<bool>(), 0u64..400), 0..800)) {
            let (mut places, mut map, mut next) = (Places::new(), BTreeMap::new(), 0u64);
            for (is_push, place) in steps {
                if is_push {
                    prop_assert_eq!(places.push(place), next);
                    map.insert(next, place);
                    next += 1;
                } else {
                    prop_assert_eq!(places.remove(place), map.remove(&place));
                }
                prop_assert_eq!(places.len(), map.len());
                prop_assert_eq!(places.first(), map.values().next());
                prop_assert!(places.slots.len() <= 2 * map.len() + EMPTY_MAX);
            }
            let found: Vec<(u64, u64)> = places.iter().map(|(place, item)| (place, *item)).collect();
            prop_assert_eq!(found, map.iter().map(|(place, item)| (*place, *item)).collect::<Vec<_>>());
            prop_assert_eq!(places.drain().collect::<Vec<_>>(), map.into_values().collect::<Vec<_>>());
            prop_assert_eq!((places.len(), places.first()), (0, None));
        }
    }
}
