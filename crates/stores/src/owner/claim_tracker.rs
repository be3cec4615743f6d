//! What a writer has claimed, what it has paid for, and what it must still claim.
//!
//! A record is the hash of one spec and date. A claim is due when nobody has claimed the symbol, and again when half the
//! life of a key is over, so that the record outlives the bars.

use crate::layout::key_time::KeyTimes;
use barmill_core::model::{BarKey, BarSpec, Symbol, Timestamp};
use barmill_core::port::WriteItem;
use foldhash::fast::FixedState;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Symbols of one call at most: some 200 kB.
pub(super) const CALL_LEN: usize = 1_000;
/// Records that are remembered however old they are.
const RECORDS_LEN: usize = 64;
/// Nanoseconds for which any record is remembered: two days.
const KEPT_NS: i64 = 172_800_000_000_000;

/// The bars of some symbols, one spec and one date, which are to be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(super) spec: BarSpec,
    pub(super) date: Date,
    pub(super) symbols: Vec<Symbol>,
}

/// The claims of one writer.
#[derive(Debug)]
pub(crate) struct ClaimTracker {
    zone: TimeZone,
    /// Nanoseconds after which a claim is made again.
    half_life_ns: i64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    records: HashMap<(BarSpec, Date), Record, FixedState>,
    /// Bars that were noted since the last batch.
    noted: Vec<BarKey>,
}

/// What is known of one record.
#[derive(Debug)]
struct Record {
    /// When its life last began anew.
    at: Timestamp,
    /// Whether each symbol is claimed, or a batch that will claim it is paid for.
    symbols: HashMap<Symbol, bool, FixedState>,
}

impl ClaimTracker {
    pub(super) fn new(zone: TimeZone, ttl_s: Option<u64>) -> ClaimTracker {
        let half = ttl_s.map_or(i64::MAX, |ttl_s| {
            i64::try_from(ttl_s.saturating_mul(500_000_000)).unwrap_or(i64::MAX)
        });
        ClaimTracker {
            zone,
            half_life_ns: half,
            known: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an item that is to be written soon: what it needs is claimed together with what is needed before.
    pub(crate) fn note(&self, item: &WriteItem) {
        let WriteItem::Bar(update) = item else { return };
        let bar = update.bar.key();
        let noted = &mut self.lock().noted;
        let is_same = noted
            .last()
            .is_some_and(|last| (last.spec, last.symbol) == (bar.spec, bar.symbol));
        if !is_same && noted.len() < CALL_LEN {
            noted.push(bar);
        }
    }

    /// What a batch of these items, which is about to be sent, will be made to pay for: what they need and nobody has
    /// claimed or paid for, and then what was noted as well.
    pub(crate) fn pay(&self, items: &[WriteItem], now: Timestamp) -> Vec<Claim> {
        let mut known = self.lock();
        let noted = std::mem::take(&mut known.noted);
        let mut due = self.gather(&known, now, true);
        due.add_items(items);
        if !due.claims.is_empty() {
            for bar in &noted {
                due.add_bar(bar);
            }
        }
        let claims = due.claims;
        known.remember(&claims, now, false);
        claims
    }

    /// What must be claimed before the items are written, with all that is paid for; nothing where they need nothing.
    pub(crate) fn due(&self, items: &[WriteItem], now: Timestamp) -> Vec<Claim> {
        let known = self.lock();
        let mut due = self.gather(&known, now, false);
        due.add_items(items);
        if !due.claims.is_empty() {
            for ((spec, date), record) in &known.records {
                for (symbol, is_granted) in &record.symbols {
                    if !is_granted {
                        due.add(*spec, *date, *symbol);
                    }
                }
            }
        }
        due.claims
    }

    /// What can be claimed before there is a bar.
    pub(super) fn at_open(
        &self,
        specs: &[BarSpec],
        symbols: &[Symbol],
        now: Timestamp,
    ) -> Vec<Claim> {
        let known = self.lock();
        let mut due = self.gather(&known, now, false);
        for &spec in specs {
            let date = due.key_times.of(now, spec).date();
            for &symbol in symbols {
                due.add(spec, date, symbol);
            }
        }
        due.claims
    }

    /// Remembers what the store has granted.
    pub(crate) fn granted(&self, claims: &[Claim], now: Timestamp) {
        self.lock().remember(claims, now, true);
    }

    /// Forgets claims that came to nothing.
    pub(crate) fn failed(&self, claims: &[Claim]) {
        let mut known = self.lock();
        for claim in claims {
            if let Some(record) = known.records.get_mut(&(claim.spec, claim.date)) {
                record
                    .symbols
                    .retain(|symbol, _| !claim.symbols.contains(symbol));
            }
        }
    }

    fn gather<'a>(&'a self, known: &'a Known, now: Timestamp, pays: bool) -> Due<'a> {
        Due {
            known,
            key_times: KeyTimes::new(&self.zone),
            since: now.saturating_sub(self.half_life_ns),
            pays,
            claims: Vec::new(),
            last: None,
        }
    }
}

impl Known {
    fn remember(&mut self, claims: &[Claim], now: Timestamp, is_granted: bool) {
        if RECORDS_LEN < self.records.len() {
            // A daemon runs for years; what it has not written for days is claimed anew if it comes again.
            let since = now.saturating_sub(KEPT_NS);
            self.records.retain(|_, record| since <= record.at);
        }
        for claim in claims {
            let record = self.records.entry((claim.spec, claim.date));
            let record = record.or_insert_with(|| Record {
                at: now,
                symbols: HashMap::default(),
            });
            if is_granted {
                record.at = now;
            }
            let symbols = claim.symbols.iter().map(|&symbol| (symbol, is_granted));
            record.symbols.extend(symbols);
        }
    }
}

/// Gathers claims that are due.
struct Due<'a> {
    known: &'a Known,
    key_times: KeyTimes<'a>,
    /// Records whose life last began before this instant are claimed again.
    since: Timestamp,
    pays: bool,
    claims: Vec<Claim>,
    /// What was last found to need no claim, or one that is made already.
    last: Option<(BarSpec, Date, Symbol)>,
}

impl Due<'_> {
    fn add(&mut self, spec: BarSpec, date: Date, symbol: Symbol) {
        if self.last == Some((spec, date, symbol)) {
            return;
        }
        self.last = Some((spec, date, symbol));
        let record = self.known.records.get(&(spec, date));
        let is_claimed = |record: &&Record| {
            let known = record.symbols.get(&symbol);
            self.since <= record.at && known.is_some_and(|is_granted| *is_granted || self.pays)
        };
        if record.as_ref().is_some_and(is_claimed) {
            return;
        }
        let is_own = |claim: &&mut Claim| (claim.spec, claim.date) == (spec, date);
        let mut unfilled = None;
        for claim in self.claims.iter_mut().filter(is_own) {
            if claim.symbols.contains(&symbol) {
                return;
            }
            unfilled = Some(claim).filter(|claim| claim.symbols.len() < CALL_LEN);
        }
        match unfilled {
            Some(claim) => claim.symbols.push(symbol),
            None => self.claims.push(Claim {
                spec,
                date,
                symbols: vec![symbol],
            }),
        }
    }

    fn add_bar(&mut self, bar: &BarKey) {
        let date = self.key_times.of(bar.start, bar.spec).date();
        self.add(bar.spec, date, bar.symbol);
    }

    fn add_items(&mut self, items: &[WriteItem]) {
        for item in items {
            if let WriteItem::Bar(update) = item {
                self.add_bar(&update.bar.key());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, ClaimTracker, RECORDS_LEN};
    use crate::testing::update;
    use barmill_core::model::Timestamp;
    use barmill_core::port::WriteItem;
    use jiff::tz::TimeZone;

    const START: &str = "2025-10-15T13:30:00Z";

    fn claims() -> ClaimTracker {
        ClaimTracker::new(TimeZone::UTC, Some(7_200))
    }

    fn bar(symbol: &str) -> WriteItem {
        WriteItem::Bar(update(symbol, "1m", START))
    }

    fn names(claims: &[Claim]) -> Vec<&str> {
        let symbols = claims.iter().flat_map(|claim| &claim.symbols);
        symbols.map(|symbol| symbol.as_str()).collect()
    }

    fn at(hour: i64) -> Timestamp {
        let start: Timestamp = START.parse().unwrap();
        start.saturating_add(hour * 3_600_000_000_000)
    }

    #[test]
    fn batch_pays_for_what_is_noted_and_the_next_one_for_nothing() {
        let claims = claims();
        for symbol in ["A", "A", "B", "C"] {
            claims.note(&bar(symbol));
        }
        assert_eq!(names(&claims.pay(&[bar("A")], at(0))), ["A", "B", "C"]);
        assert!(claims.pay(&[bar("B")], at(0)).is_empty());
        // Nothing is granted yet, so whoever writes first claims it all.
        let mut due = claims.due(&[bar("B")], at(0));
        due[0].symbols.sort();
        assert_eq!(names(&due), ["A", "B", "C"]);
        claims.granted(&due, at(0));
        assert!(claims.due(&[bar("C")], at(0)).is_empty());
        claims.failed(&due);
        assert_eq!(names(&claims.due(&[bar("C")], at(0))), ["C"]);
    }

    #[test]
    fn claim_grows_old_with_half_the_life_of_a_key_and_is_forgotten_after_days() {
        let claims = claims();
        let day = claims.due(&[bar("A")], at(0));
        claims.granted(&day, at(0));
        assert!(claims.due(&[bar("A")], at(1)).is_empty());
        assert_eq!(names(&claims.due(&[bar("A")], at(2))), ["A"]);
        for days in 0..100 {
            let mut other = day.clone();
            other[0].date = other[0]
                .date
                .checked_add(jiff::Span::new().days(days))
                .unwrap();
            claims.granted(&other, at(24 * days));
        }
        let kept = claims.lock().records.len();
        assert!(kept <= RECORDS_LEN + 1, "{kept}");
    }
}
