//! What the simulated store holds: the bars of a hash per symbol and day, the entries of a stream, the manifests.
//!
//! A bar of a hash is replaced by what is written last; behind a fence, by a newer version only. A stream takes each
//! closed update once: one behind the newest entry goes in after it, one that an entry covers counts as written.

use super::scenario::{UpdateId, id_of};
use crate::model::{BarKey, BarSpec, BarState, BarUpdate, Manifest, Symbol, WriteItem};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The store.
#[derive(Debug, Default)]
pub(super) struct SimulatedStore {
    pub(super) is_fenced: bool,
    pub(super) bars: BTreeMap<BarKey, BarUpdate>,
    pub(super) manifests: BTreeMap<(BarSpec, jiff::civil::Date, Symbol), Manifest>,
    /// The closed updates in the streams.
    pub(super) entries: HashSet<UpdateId>,
    streams: HashMap<(Symbol, BarSpec), Stream>,
    /// How often each bar may go back to an older version: once for each run whose updates are sent again.
    steps_back: HashMap<BarKey, u32>,
    runs: u32,
}

#[derive(Debug, Default)]
struct Stream {
    /// Start and revision of the newest id.
    top: Option<(i64, u32)>,
    newest: HashMap<BarKey, u32>,
}

impl SimulatedStore {
    /// A run begins that may send bars again, after those in the spool.
    pub(super) fn begin_run(&mut self, spool: &[BarUpdate]) {
        self.steps_back.clear();
        self.runs += 1;
        let mut last: HashMap<BarKey, u32> = HashMap::new();
        for update in spool {
            let before = last.insert(update.bar.key(), update.revision);
            if before.is_none_or(|before| update.revision < before) {
                *self.steps_back.entry(update.bar.key()).or_insert(1) += 1;
            }
        }
    }

    /// Writes items that came together. Of several updates of one bar the last counts in a hash.
    pub(super) fn apply<'a>(&mut self, items: impl Iterator<Item = &'a WriteItem>) {
        let mut together: BTreeMap<BarKey, BarUpdate> = BTreeMap::new();
        for item in items {
            match item {
                WriteItem::Bar(update) => {
                    together.insert(update.bar.key(), *update);
                    self.append(update);
                }
                WriteItem::Manifest(manifest) => {
                    let key = (manifest.spec, manifest.date, manifest.symbol);
                    self.manifests.insert(key, manifest.clone());
                }
            }
        }
        for (key, update) in together {
            self.put(key, update);
        }
    }

    /// Whether the bar is not there, or in an older version.
    pub(super) fn lacks(&self, update: &BarUpdate) -> bool {
        let stored = self.bars.get(&update.bar.key());
        stored.is_none_or(|stored| version(stored) < version(update))
    }

    fn put(&mut self, key: BarKey, update: BarUpdate) {
        if let Some(stored) = self.bars.get(&key)
            && version(&update) < version(stored)
        {
            if self.is_fenced {
                return;
            }
            let left = self
                .steps_back
                .entry(key)
                .or_insert(u32::from(self.runs > 1));
            assert!(*left > 0, "an older {update:?} over the newer {stored:?}");
            *left -= 1;
        }
        self.bars.insert(key, update);
    }

    fn append(&mut self, update: &BarUpdate) {
        if update.state == BarState::Forming {
            return;
        }
        let key = update.bar.key();
        let stream = self.streams.entry((key.symbol, key.spec)).or_default();
        let own = (key.start.as_nanos(), update.revision);
        let is_new = match stream.top {
            Some(top) if own <= top => stream
                .newest
                .get(&key)
                .is_none_or(|held| *held < update.revision),
            Some(_) | None => true,
        };
        if is_new {
            stream.top = stream.top.max(Some(own));
            stream.newest.insert(key, update.revision);
            let is_first = self.entries.insert(id_of(update));
            assert!(is_first, "{update:?} is twice in its stream");
        } else {
            // An entry that covers it holds the same bar in this or a newer version.
            assert!(
                self.entries.contains(&id_of(update)),
                "{update:?} is passed over in its stream"
            );
        }
    }
}

fn version(update: &BarUpdate) -> (u32, bool, u64, u64) {
    let is_closed = update.state != BarState::Forming;
    (
        update.revision,
        is_closed,
        update.bar.trades,
        update.bar.last_sequence,
    )
}
