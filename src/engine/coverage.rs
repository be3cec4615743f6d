//! What the manifest says: the bars and trades written per spec, civil date and symbol.
//!
//! Fed with acked updates only, so that a manifest never speaks of a bar that is not in the store.

use super::days::CivilDays;
use crate::model::{BarSpec, BarState, BarUpdate, Manifest, Symbol, Timestamp};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy)]
struct Written {
    from: Timestamp,
    to: Timestamp,
    bars: u64,
    trades: u64,
    revision: u32,
    /// Whether the store refused a bar of it.
    refused: bool,
}

/// Counts acked bars per spec, civil date and symbol; one entry of about 100 bytes each.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Coverage {
    days: CivilDays,
    zone: String,
    written: BTreeMap<(BarSpec, Date, Symbol), Written>,
}

impl Coverage {
    /// Makes an empty count whose dates are in `zone`.
    pub fn new(zone: &TimeZone) -> Coverage {
        let name = zone.iana_name().unwrap_or("UTC").to_owned();
        Coverage { days: CivilDays::new(zone.clone()), zone: name, written: BTreeMap::new() }
    }

    /// Counts an acked update; forming ones do not count.
    pub fn record(&mut self, update: &BarUpdate) {
        if update.state == BarState::Forming {
            return;
        }
        let entry = self.entry(update);
        entry.bars += u64::from(update.state == BarState::Final);
        entry.trades += update.trades_added;
        entry.revision = entry.revision.max(update.revision);
    }

    /// Notes that the store refuses the update, so that no manifest calls its day complete.
    pub fn refuse(&mut self, update: &BarUpdate) {
        if update.state != BarState::Forming {
            self.entry(update).refused = true;
        }
    }

    fn entry(&mut self, update: &BarUpdate) -> &mut Written {
        let bar = &update.bar;
        let key = (bar.spec, self.days.date_of(bar.start), bar.symbol);
        let entry = self.written.entry(key).or_insert(Written {
            from: bar.start,
            to: bar.end,
            bars: 0,
            trades: 0,
            revision: 0,
            refused: false,
        });
        entry.from = entry.from.min(bar.start);
        entry.to = entry.to.max(bar.end);
        entry
    }

    /// Takes the manifests of everything counted, ordered by spec, date and symbol.
    pub fn take(&mut self, complete: bool) -> Vec<Manifest> {
        let written = std::mem::take(&mut self.written);
        let manifest = |((spec, date, symbol), written): ((BarSpec, Date, Symbol), Written)| Manifest {
            spec,
            date,
            symbol,
            zone: self.zone.clone(),
            from: written.from,
            to: written.to,
            complete: complete && !written.refused,
            bars: written.bars,
            trades: written.trades,
            revision: written.revision,
        };
        written.into_iter().map(manifest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Coverage;
    use crate::engine::testing::update;
    use crate::model::BarState::{Final, Forming, Revised};
    use jiff::tz::TimeZone;

    #[test]
    fn manifest_counts_finals_once_and_revisions_as_added_trades() {
        let mut coverage = Coverage::new(&TimeZone::get("America/New_York").unwrap());
        for (minute, state, revision) in [(0, Forming, 0), (0, Final, 0), (2, Final, 0), (0, Revised, 1)] {
            coverage.record(&update("AAPL", minute, state, revision));
        }
        let manifests = coverage.take(true);
        assert_eq!(manifests.len(), 1);
        let manifest = &manifests[0];
        assert_eq!((manifest.bars, manifest.trades, manifest.revision), (2, 3, 1));
        assert_eq!(manifest.from.to_string(), "2025-10-15T13:30:00Z");
        assert_eq!(manifest.to.to_string(), "2025-10-15T13:33:00Z");
        assert_eq!(manifest.zone, "America/New_York");
        assert!(manifest.complete);
    }

    #[test]
    fn day_with_a_refused_bar_is_not_complete() {
        let mut coverage = Coverage::new(&TimeZone::UTC);
        coverage.record(&update("AAPL", 0, Final, 0));
        coverage.refuse(&update("AAPL", 1, Final, 0));
        coverage.record(&update("MSFT", 0, Final, 0));
        let manifests = coverage.take(true);
        assert_eq!(
            manifests.iter().map(|one| (one.bars, one.complete)).collect::<Vec<_>>(),
            [(1, false), (1, true)]
        );
    }
}
