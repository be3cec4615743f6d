//! Test harness of the simulation: a store, a state store and a source in memory, each with faults.
//!
//! A bar of the simulation carries its place in the source as its first sequence and the order of its push as its
//! last one, so that the store can tell older from newer.

use super::StateChange;
use crate::engine::batch::key_of;
use crate::engine::retry::Remedy;
use crate::engine::testing::update;
use crate::model::{BarKey, BarState, WriteItem};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// How the store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fair,
    /// Nothing is applied, every attempt fails.
    Out,
    /// Every item has a fate of its own, and answers get lost.
    Flaky,
    Quota,
    Fatal,
}

/// How the disk under the state store does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    Roomy,
    /// The bound of the spool is reached: only removals are taken.
    Bounded,
    /// Nothing is taken.
    Full,
}

/// The failures of a flight, one entry per item.
pub(super) type Answer = Vec<Option<(Remedy, String)>>;

#[derive(Debug)]
pub(super) struct World {
    pub(super) random: fastrand::Rng,
    pub(super) weather: Weather,
    pub(super) disk: Disk,
    /// What the store holds: the place in the source and the push of each bar's update.
    pub(super) bars: HashMap<BarKey, (u64, u64)>,
    pub(super) manifests: HashSet<String>,
    /// Manifests written so far.
    pub(super) told: u64,
    /// The newest push acked per bar since the last start.
    newest: HashMap<BarKey, u64>,
    /// Pushes that the store has applied, itself or with a newer one, over all lives.
    pub(super) settled: HashSet<u64>,
    pub(super) spool: BTreeMap<u64, WriteItem>,
    next_place: u64,
    pub(super) dead: Vec<WriteItem>,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        World {
            random: fastrand::Rng::with_seed(seed),
            weather: Weather::Fair,
            disk: Disk::Roomy,
            bars: HashMap::new(),
            manifests: HashSet::new(),
            told: 0,
            newest: HashMap::new(),
            settled: HashSet::new(),
            spool: BTreeMap::new(),
            next_place: 0,
            dead: Vec::new(),
        }
    }

    /// The updates of a few bars in the order of their making: forming ones, a final one, revisions.
    pub(super) fn source(&mut self) -> Vec<WriteItem> {
        let mut items = Vec::new();
        for minute in 0..self.random.i64(2..8) {
            for symbol in ["AAPL", "MSFT"] {
                let revisions = self.random.u32(0..4).saturating_sub(1);
                let forming =
                    std::iter::repeat_n((minute, BarState::Forming, 0), self.random.usize(0..3));
                let revised = (1..=revisions).map(|revision| (minute, BarState::Revised, revision));
                let of_bar = forming.chain([(minute, BarState::Final, 0)]).chain(revised);
                let mut at = items.len() - self.random.usize(0..=items.len().min(6));
                for item in of_bar {
                    items.insert(at, (symbol, item));
                    at = self.random.usize(at + 1..=items.len());
                }
            }
        }
        let item = |(index, (symbol, (minute, state, revision))): (
            usize,
            (&str, (i64, BarState, u32)),
        )| {
            let mut update = update(symbol, minute, state, revision);
            update.bar.first_sequence = u64::try_from(index).unwrap();
            WriteItem::Bar(update)
        };
        items.into_iter().enumerate().map(item).collect()
    }

    /// Starts another life: what a crash left may be older than what the store holds.
    pub(super) fn restart(&mut self) {
        self.newest.clear();
    }

    /// Applies what the weather lets through, and answers.
    pub(super) fn write(&mut self, items: &[WriteItem]) -> Answer {
        match self.weather {
            Weather::Fair => {
                self.apply_first(items, items.len(), true);
                vec![None; items.len()]
            }
            Weather::Out => {
                let after =
                    (self.random.u8(..4) == 0).then(|| Duration::from_secs(self.random.u64(..9)));
                let remedy = if self.random.bool() {
                    Remedy::Reconnect
                } else {
                    Remedy::Retry { after }
                };
                vec![Some((remedy, "out".to_owned())); items.len()]
            }
            Weather::Quota => vec![Some((Remedy::Pause, "quota".to_owned())); items.len()],
            Weather::Fatal => vec![Some((Remedy::Fatal, "NOAUTH".to_owned())); items.len()],
            Weather::Flaky if self.random.bool() => {
                // A batch with manifests behind its bars is written as a whole or not at all.
                let whole = if self.random.bool() { items.len() } else { 0 };
                let applied = if is_joined(items) {
                    whole
                } else {
                    self.random.usize(0..=items.len())
                };
                self.apply_first(items, applied, false);
                vec![Some((Remedy::Reconnect, "lost".to_owned())); items.len()]
            }
            Weather::Flaky => {
                let mut fates: Answer = items.iter().map(|_| self.fate()).collect();
                if is_joined(items)
                    && items
                        .iter()
                        .zip(&fates)
                        .any(|(item, fate)| push_of(item).is_some() && fate.is_some())
                {
                    let manifests = fates
                        .iter_mut()
                        .zip(items)
                        .filter(|(_, item)| push_of(item).is_none());
                    let skipped = || Some((Remedy::Retry { after: None }, "SKIPPED".to_owned()));
                    manifests.for_each(|(fate, _)| *fate = skipped());
                }
                for (index, item) in items.iter().enumerate() {
                    if fates[index].is_none() && is_last(items, index) {
                        self.apply(item, true);
                        self.settle(items, item);
                    }
                }
                fates
            }
        }
    }

    fn fate(&mut self) -> Option<(Remedy, String)> {
        match self.random.u8(..20) {
            0 => Some((Remedy::Refuse, "WRONGTYPE".to_owned())),
            1..4 => Some((Remedy::Retry { after: None }, "LOADING".to_owned())),
            _ => None,
        }
    }

    /// Writes the first items of a batch as a sink does: of a bar that occurs twice only the later one.
    fn apply_first(&mut self, items: &[WriteItem], count: usize, is_acked: bool) {
        for (index, item) in items.iter().enumerate().take(count) {
            if is_last(items, index) {
                self.apply(item, is_acked);
                self.settle(items, item);
            }
        }
    }

    /// Older updates of a bar in the same batch are settled with it.
    fn settle(&mut self, items: &[WriteItem], item: &WriteItem) {
        let same = items.iter().filter(|other| key_of(other) == key_of(item));
        self.settled.extend(same.filter_map(push_of));
    }

    /// Writes one item, which must not be older than what was acked since the last start.
    ///
    /// A write whose answer is lost may be written again after an older update of the same batch, and is then
    /// followed by itself.
    fn apply(&mut self, item: &WriteItem, is_acked: bool) {
        match item {
            WriteItem::Bar(update) => {
                let (key, push) = (update.bar.key(), update.bar.last_sequence);
                let newest = self.newest.entry(key).or_default();
                assert!(
                    *newest <= push,
                    "push {push} of {key:?} is older than {newest}"
                );
                if is_acked {
                    *newest = push;
                }
                self.bars.insert(key, (update.bar.first_sequence, push));
                self.settled.insert(push);
            }
            WriteItem::Manifest(manifest) => {
                self.manifests.insert(manifest.symbol.to_string());
                self.told += 1;
            }
        }
    }

    /// Applies a change as a whole, or nothing of it.
    pub(super) fn commit(&mut self, change: &StateChange) -> Option<u64> {
        let drains = change.append.is_empty() && !change.remove.is_empty();
        let adds = !change.append.is_empty() || !change.dead.is_empty();
        if self.disk == Disk::Full || (self.disk == Disk::Bounded && adds && !drains) {
            return None;
        }
        for &(first, last) in &change.remove {
            self.spool
                .retain(|place, _| !(first..=last).contains(place));
        }
        for item in &change.append {
            self.spool.insert(self.next_place, item.clone());
            self.next_place += 1;
        }
        self.dead
            .extend(change.dead.iter().map(|(item, _)| item.clone()));
        u64::try_from(self.spool.len()).ok()
    }

    /// Whether the state store holds the update of a push.
    pub(super) fn holds(&self, push: u64) -> bool {
        self.spool
            .values()
            .chain(&self.dead)
            .any(|item| push_of(item) == Some(push))
    }
}

/// Whether manifests stand behind bars.
pub(super) fn is_joined(items: &[WriteItem]) -> bool {
    let bars = items.iter().filter(|item| push_of(item).is_some()).count();
    0 < bars && bars < items.len()
}

fn is_last(items: &[WriteItem], index: usize) -> bool {
    items[index + 1..]
        .iter()
        .all(|later| key_of(later) != key_of(&items[index]))
}

/// The push of a bar's update.
pub(super) fn push_of(item: &WriteItem) -> Option<u64> {
    super::bar_of(item).map(|update| update.bar.last_sequence)
}

/// The place in the source of a bar's update.
pub(super) fn place_of(item: &WriteItem) -> Option<u64> {
    super::bar_of(item).map(|update| update.bar.first_sequence)
}

/// Whether the update must never disappear.
pub(super) fn is_closed(item: &WriteItem) -> bool {
    super::bar_of(item).is_some_and(|update| update.state != BarState::Forming)
}
