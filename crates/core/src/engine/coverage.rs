//! Coverage for manifests: the bars and trades written per spec, date and symbol.
//!
//! Fed with acked updates only, so that a manifest never speaks of a bar that is not in the store. Where a feed
//! vouches for an interval, the manifest speaks of that interval, bars in it or not; elsewhere of the bars'. What
//! earlier runs wrote is added, so that a run that goes on from there counts nothing twice.

use super::prefetch::fetch;
use super::zone_cache::LocalDates;
use crate::model::{
    BarSpec, BarState, BarUpdate, Covered, Manifest, Origin, Symbol, Timestamp, WriteItem,
};
use foldhash::fast::FixedState;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet, HashMap};

type Key = (BarSpec, Date, Symbol);

#[derive(Debug, Clone, Copy)]
struct Written {
    key: Key,
    from: Timestamp,
    to: Timestamp,
    bars: u64,
    trades: u64,
    revision: u32,
    /// Whether the store refused a bar of it.
    refused: bool,
}

/// What was written, by key.
#[derive(Debug, Default, Clone)]
struct WrittenDays {
    entries: Vec<Written>,
    indexes: HashMap<Key, usize, FixedState>,
    /// For each symbol, by its number, the index after that of its last bar: the next bar mostly has the same key, and
    /// costs no hash then. Zero for none.
    last: Vec<u32>,
}

impl WrittenDays {
    /// The entry of a bar that spans `[from, to)`.
    #[inline]
    fn entry(&mut self, key: Key, from: Timestamp, to: Timestamp) -> &mut Written {
        let index = match self.last(key.2) {
            Some(index) if self.entries[index].key == key => index,
            Some(_) | None => self.look_up(key, from, to),
        };
        &mut self.entries[index]
    }

    /// The entry of a symbol's last bar.
    #[inline]
    fn last(&self, symbol: Symbol) -> Option<usize> {
        let last = self.last.get(symbol.index())?;
        (*last as usize).checked_sub(1)
    }

    #[cold]
    fn look_up(&mut self, key: Key, from: Timestamp, to: Timestamp) -> usize {
        let index = *self.indexes.entry(key).or_insert(self.entries.len());
        if index == self.entries.len() {
            self.entries.push(Written {
                key,
                from,
                to,
                bars: 0,
                trades: 0,
                revision: 0,
                refused: false,
            });
        }
        let symbol = key.2.index();
        if self.last.len() <= symbol {
            self.last.resize(symbol + 1, 0);
        }
        self.last[symbol] = u32::try_from(index + 1).unwrap_or(0);
        index
    }

    fn get(&self, key: &Key) -> Option<&Written> {
        self.indexes.get(key).map(|index| &self.entries[*index])
    }
}

/// Counts acked bars per spec, civil date and symbol; one entry of about 100 bytes each.
#[derive(Debug, Clone)]
pub struct Coverage {
    days: LocalDates,
    zone: String,
    origin: Option<Origin>,
    /// Asked for every bar, so not sorted; the other two are as good as empty.
    written: WrittenDays,
    earlier: BTreeMap<Key, Manifest>,
    covered: BTreeMap<Key, Covered>,
    /// Days of which trades came too late for any bar.
    late: BTreeSet<(Date, Symbol)>,
}

impl Coverage {
    /// Makes an empty count whose dates are in `zone`, of bars of this origin.
    pub fn new(zone: &TimeZone, origin: Option<Origin>) -> Coverage {
        let name = zone.iana_name().unwrap_or("UTC").to_owned();
        Coverage {
            days: LocalDates::new(zone.clone()),
            zone: name,
            origin,
            written: WrittenDays::default(),
            earlier: BTreeMap::new(),
            covered: BTreeMap::new(),
            late: BTreeSet::new(),
        }
    }

    /// Takes what earlier runs wrote; bars that start before the end of such a manifest are not counted again.
    pub fn resume(&mut self, earlier: Vec<Manifest>) {
        let keyed = earlier
            .into_iter()
            .map(|one| ((one.spec, one.date, one.symbol), one));
        self.earlier.extend(keyed);
    }

    /// Takes intervals that a feed vouches for, cut at the midnights of the zone.
    pub fn cover(&mut self, specs: &[BarSpec], covered: &[Covered]) {
        for one in covered {
            let mut from = one.from;
            loop {
                let date = self.days.date_of(from);
                let to = self.days.end_of(from).min(one.to);
                for spec in specs {
                    self.vouch((*spec, date, one.symbol), Covered { from, to, ..*one });
                }
                if one.to <= to {
                    break;
                }
                from = to;
            }
        }
    }

    /// Two intervals of one day make a whole only where they meet.
    fn vouch(&mut self, key: Key, new: Covered) {
        let joined = match self.covered.get(&key) {
            Some(old) if old.to == new.from && old.complete => Covered {
                from: old.from,
                ..new
            },
            Some(old) => Covered {
                complete: false,
                ..*old
            },
            None => new,
        };
        self.covered.insert(key, joined);
    }

    /// Counts an acked update; forming ones do not count.
    pub fn record(&mut self, update: &BarUpdate) {
        if update.state == BarState::Forming {
            return;
        }
        let Some(entry) = self.entry(update) else {
            return;
        };
        entry.bars += u64::from(update.state == BarState::Final);
        entry.trades += update.trades_added;
        entry.revision = entry.revision.max(update.revision);
    }

    /// Fetches what [`Coverage::record`] will need for a bar of this symbol.
    #[inline]
    pub(super) fn fetch(&self, symbol: Symbol) {
        if let Some(index) = self.written.last(symbol) {
            fetch(&self.written.entries[index], 2);
        }
    }

    /// Notes that the store refuses the update, so that no manifest calls its day complete.
    pub fn refuse(&mut self, update: &BarUpdate) {
        if update.state != BarState::Forming
            && let Some(entry) = self.entry(update)
        {
            entry.refused = true;
        }
    }

    /// Notes that a trade came too late for any bar, so that no manifest calls its day complete.
    pub fn late(&mut self, symbol: Symbol, time: Timestamp) {
        self.late.insert((self.days.date_of(time), symbol));
    }

    /// The count of the bar's day; `None` when an earlier run has counted the bar.
    fn entry(&mut self, update: &BarUpdate) -> Option<&mut Written> {
        let bar = &update.bar;
        let key = (bar.spec, self.days.date_of(bar.start), bar.symbol);
        if self
            .earlier
            .get(&key)
            .is_some_and(|earlier| bar.start < earlier.to)
        {
            return None;
        }
        let entry = self.written.entry(key, bar.start, bar.end);
        entry.from = entry.from.min(bar.start);
        entry.to = entry.to.max(bar.end);
        Some(entry)
    }

    /// How many manifests it is at least.
    pub fn manifest_count(&self) -> usize {
        self.written.entries.len().max(self.covered.len())
    }

    /// The manifests as they will be when these items are acked too; `None` when they are more than `len_max`.
    pub fn with(
        &self,
        items: &[WriteItem],
        complete: bool,
        len_max: usize,
    ) -> Option<Vec<Manifest>> {
        if len_max < self.manifest_count() {
            return None;
        }
        let mut after = self.clone();
        for item in items {
            match item {
                WriteItem::Bar(update) => after.record(update),
                WriteItem::Manifest(_) => return None,
            }
        }
        Some(after.take(complete)).filter(|manifests| manifests.len() <= len_max)
    }

    /// Takes the manifests of everything counted and vouched for, ordered by spec, date and symbol.
    ///
    /// `complete` holds for the days that no feed vouches for.
    pub fn take(&mut self, complete: bool) -> Vec<Manifest> {
        let written = self.written.entries.iter().map(|entry| entry.key);
        let keys: BTreeSet<Key> = written.chain(self.covered.keys().copied()).collect();
        let manifest = |key| self.manifest(key, complete);
        let manifests = keys.into_iter().filter_map(manifest).collect();
        (self.written, self.covered) = (WrittenDays::default(), BTreeMap::new());
        (self.earlier, self.late) = (BTreeMap::new(), BTreeSet::new());
        manifests
    }

    /// The manifest of a day: of the interval that a feed vouches for, or else of its bars.
    fn manifest(&self, key: Key, complete: bool) -> Option<Manifest> {
        let (spec, date, symbol) = key;
        let (written, earlier) = (self.written.get(&key), self.earlier.get(&key));
        let is_refused = written.is_some_and(|written| written.refused);
        let (from, to, joined, is_whole, is_vouched) = match self.covered.get(&key) {
            Some(covered) => {
                // Bars are closed in order, so every trade before the end of the last one is in one of them.
                let closed = written.map_or(covered.from, |written| written.to.min(covered.to));
                let end = if covered.complete {
                    covered.to
                } else {
                    closed.max(covered.from)
                };
                let joined = earlier.filter(|earlier| covered.from <= earlier.to);
                let is_vouched = joined.is_some() == earlier.is_some();
                (
                    covered.from,
                    end,
                    joined,
                    covered.complete && is_vouched,
                    is_vouched,
                )
            }
            None => (written?.from, written?.to, earlier, complete, false),
        };
        let holds = !is_refused && !self.late.contains(&(date, symbol));
        let (bars, trades, revision) = written.map_or((0, 0, 0), |written| {
            (written.bars, written.trades, written.revision)
        });
        Some(Manifest {
            spec,
            date,
            symbol,
            zone: self.zone.clone(),
            from: joined.map_or(from, |earlier| earlier.from.min(from)),
            to: joined.map_or(to, |earlier| earlier.to.max(to)),
            complete: is_whole && holds,
            gapless: is_vouched && holds,
            bars: bars + earlier.map_or(0, |earlier| earlier.bars),
            trades: trades + earlier.map_or(0, |earlier| earlier.trades),
            revision: revision.max(earlier.map_or(0, |earlier| earlier.revision)),
            origin: self.origin.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Coverage;
    use crate::engine::testing::update;
    use crate::model::BarState::{Final, Forming, Revised};
    use crate::model::{BarSpec, Covered, Timestamp};
    use jiff::tz::TimeZone;

    #[test]
    fn manifest_counts_finals_once_and_revisions_as_added_trades() {
        let mut coverage = Coverage::new(&TimeZone::get("America/New_York").unwrap(), None);
        for (minute, state, revision) in [
            (0, Forming, 0),
            (0, Final, 0),
            (2, Final, 0),
            (0, Revised, 1),
        ] {
            coverage.record(&update("AAPL", minute, state, revision));
        }
        let manifests = coverage.take(true);
        assert_eq!(manifests.len(), 1);
        let manifest = &manifests[0];
        assert_eq!(
            (manifest.bars, manifest.trades, manifest.revision),
            (2, 3, 1)
        );
        assert_eq!(manifest.from.to_string(), "2025-10-15T13:30:00Z");
        assert_eq!(manifest.to.to_string(), "2025-10-15T13:33:00Z");
        assert_eq!(manifest.zone, "America/New_York");
        assert!(manifest.complete);
    }

    fn new_york() -> Coverage {
        Coverage::new(&TimeZone::get("America/New_York").unwrap(), None)
    }

    fn instant(text: &str) -> Timestamp {
        format!("2025-10-15T{text}Z").parse().unwrap()
    }

    fn word(from: &str, to: &str, complete: bool) -> Covered {
        Covered {
            symbol: "AAPL".parse().unwrap(),
            from: instant(from),
            to: instant(to),
            complete,
        }
    }

    fn minutes(coverage: &mut Coverage, minutes: std::ops::Range<i64>) {
        for minute in minutes {
            coverage.record(&update("AAPL", minute, Final, 0));
        }
    }

    #[test]
    fn vouched_day_is_the_interval_asked_for_with_or_without_bars() {
        let mut coverage = new_york();
        minutes(&mut coverage, 5..7);
        let specs = [BarSpec::MINUTE, "5m".parse().unwrap()];
        coverage.cover(&specs, &[word("13:30:00", "20:00:00", true)]);
        let manifests = coverage.take(false);
        assert_eq!(
            manifests.iter().map(|one| one.bars).collect::<Vec<_>>(),
            [2, 0]
        );
        for manifest in manifests {
            assert_eq!(
                (manifest.from, manifest.to),
                (instant("13:30:00"), instant("20:00:00"))
            );
            assert!(manifest.complete && manifest.gapless);
        }
    }

    #[test]
    fn part_of_a_day_ends_with_its_last_closed_bar() {
        for (bars, to) in [(0..3, "13:33:00"), (0..0, "13:30:00")] {
            let mut coverage = new_york();
            minutes(&mut coverage, bars);
            coverage.cover(&[BarSpec::MINUTE], &[word("13:30:00", "13:34:30", false)]);
            let manifest = coverage.take(true).remove(0);
            assert_eq!(
                (manifest.to, manifest.complete, manifest.gapless),
                (instant(to), false, true)
            );
        }
    }

    #[test]
    fn second_run_adds_to_the_first_and_counts_nothing_twice() {
        let mut first = new_york();
        minutes(&mut first, 0..3);
        first.cover(&[BarSpec::MINUTE], &[word("13:30:00", "13:34:30", false)]);
        let mut second = new_york();
        second.resume(first.take(true));
        minutes(&mut second, 2..10);
        second.cover(&[BarSpec::MINUTE], &[word("13:32:00", "20:00:00", true)]);
        let manifest = second.take(false).remove(0);
        assert_eq!((manifest.bars, manifest.trades), (10, 10));
        assert_eq!(
            (manifest.from, manifest.to),
            (instant("13:30:00"), instant("20:00:00"))
        );
        assert!(manifest.complete && manifest.gapless);
    }

    #[test]
    fn hole_between_two_runs_is_never_called_whole() {
        let mut first = new_york();
        minutes(&mut first, 0..3);
        first.cover(&[BarSpec::MINUTE], &[word("13:30:00", "13:33:00", true)]);
        let mut second = new_york();
        second.resume(first.take(true));
        second.cover(&[BarSpec::MINUTE], &[word("14:00:00", "20:00:00", true)]);
        let manifest = second.take(true).remove(0);
        assert!(!manifest.complete && !manifest.gapless);
    }

    #[test]
    fn interval_of_several_days_is_a_manifest_for_each() {
        let mut coverage = new_york();
        let to = "2025-10-17T20:00:00Z".parse().unwrap();
        coverage.cover(
            &[BarSpec::MINUTE],
            &[Covered {
                to,
                ..word("13:30:00", "20:00:00", true)
            }],
        );
        let manifests = coverage.take(true);
        let days: Vec<String> = manifests
            .iter()
            .map(|one| format!("{} {}", one.date, one.from))
            .collect();
        assert_eq!(
            days,
            [
                "2025-10-15 2025-10-15T13:30:00Z",
                "2025-10-16 2025-10-16T04:00:00Z",
                "2025-10-17 2025-10-17T04:00:00Z"
            ]
        );
        assert!(
            manifests
                .windows(2)
                .all(|pair| pair[0].to == pair[1].from && pair[0].complete)
        );
    }

    #[test]
    fn day_with_a_refused_bar_is_not_complete() {
        let mut coverage = Coverage::new(&TimeZone::UTC, None);
        coverage.record(&update("AAPL", 0, Final, 0));
        coverage.refuse(&update("AAPL", 1, Final, 0));
        coverage.record(&update("MSFT", 0, Final, 0));
        let manifests = coverage.take(true);
        assert_eq!(
            manifests
                .iter()
                .map(|one| (one.bars, one.complete))
                .collect::<Vec<_>>(),
            [(1, false), (1, true)]
        );
    }
}
