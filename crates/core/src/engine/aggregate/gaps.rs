//! Gaps: spans of event time in which trades are known to be missing.
//!
//! Every bar that overlaps one says so, whenever it is published. Deliberately does not know why trades are
//! missing, nor fills anything.

use super::zone_cache::Span;
use std::collections::BTreeMap;

/// Spans kept of one symbol; beyond them the two oldest become one.
const SPANS_LEN_MAX: usize = 256;

/// The gaps of all symbols, by their place in the tables.
#[derive(Debug, Default)]
pub(super) struct Gaps(BTreeMap<usize, Vec<Span>>);

impl Gaps {
    /// Adds a gap of one symbol.
    pub(super) fn mark(&mut self, place: usize, span: Span) {
        let spans = self.0.entry(place).or_default();
        spans.push(span);
        spans.sort_unstable_by_key(|span| span.start);
        spans.dedup_by(|next, last| {
            let joined = next.start <= last.end;
            if joined {
                last.end = last.end.max(next.end);
            }
            joined
        });
        if spans.len() > SPANS_LEN_MAX {
            spans[1].start = spans[0].start;
            spans.remove(0);
        }
    }

    /// The gaps of one symbol, in order and apart.
    pub(super) fn of(&self, place: usize) -> &[Span] {
        self.0.get(&place).map_or(&[], Vec::as_slice)
    }
}

/// Whether a span shares an instant with one of `gaps`.
pub(super) fn meets(gaps: &[Span], span: Span) -> bool {
    gaps.iter().any(|gap| gap.overlaps(span))
}

#[cfg(test)]
mod tests {
    use super::{Gaps, SPANS_LEN_MAX, meets};
    use crate::engine::aggregate::zone_cache::Span;

    fn span(start: i64, end: i64) -> Span {
        Span { start, end }
    }

    #[test]
    fn overlapping_gaps_are_one() {
        let mut gaps = Gaps::default();
        for (start, end) in [(10, 20), (30, 40), (18, 25), (25, 26), (35, 36)] {
            gaps.mark(0, span(start, end));
        }
        assert_eq!(gaps.of(0), [span(10, 26), span(30, 40)]);
        assert!(gaps.of(1).is_empty());
    }

    #[test]
    fn ends_are_excluded() {
        let gaps = [span(10, 20)];
        for (start, end, expected) in [
            (0, 10, false),
            (0, 11, true),
            (19, 30, true),
            (20, 30, false),
        ] {
            assert_eq!(meets(&gaps, span(start, end)), expected, "{start}-{end}");
        }
    }

    #[test]
    fn too_many_gaps_are_joined_and_none_is_forgotten() {
        let mut gaps = Gaps::default();
        let count = i64::try_from(2 * SPANS_LEN_MAX).unwrap();
        for index in 0..count {
            gaps.mark(7, span(10 * index, 10 * index + 1));
        }
        assert_eq!(gaps.of(7).len(), SPANS_LEN_MAX);
        assert!((0..count).all(|index| meets(gaps.of(7), span(10 * index, 10 * index + 1))));
    }
}
