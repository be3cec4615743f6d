//! Plans the faults of a run: their positions in the recording, chosen before playback.

use super::fault::{Amount, Fault, FaultKind};
use super::recording::Tape;

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// With a goodbye.
    Goodbye,
    /// Without one.
    Abrupt,
    /// Heartbeats only.
    Stall,
    /// Nothing at all.
    Silence,
}

/// The faults of a run.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    faults: Vec<Fault>,
    /// The places before which connections break, ascending.
    breaks: Vec<(usize, Break)>,
}

impl Plan {
    pub(crate) fn new(faults: &[Fault], tape: &Tape) -> Plan {
        let mut breaks = Vec::new();
        for fault in faults {
            let places = match fault.amount {
                Amount::Count(count) => by_count(fault, count, tape.len()),
                Amount::Time(nanos) => by_time(fault, nanos, tape),
            };
            breaks.extend(
                (0u64..)
                    .zip(places)
                    .filter_map(|(number, place)| Some((place, kind(fault, number)?))),
            );
        }
        breaks.sort_by_key(|(place, _)| *place);
        Plan {
            faults: faults.to_vec(),
            breaks,
        }
    }

    /// Whether a fault of this kind strikes the thing with this number.
    pub(crate) fn hits(&self, kind: FaultKind, number: u64) -> bool {
        self.faults
            .iter()
            .any(|fault| fault.kind == kind && fault.hits(number))
    }

    /// Chance for a fault of this kind, from its own seed.
    pub(crate) fn draw(&self, kind: FaultKind, number: u64) -> u64 {
        self.faults
            .iter()
            .find(|fault| fault.kind == kind)
            .map_or(0, |fault| fault.draw(!number))
    }

    /// The smallest count given for a kind.
    pub(crate) fn count(&self, kind: FaultKind) -> Option<u64> {
        let count = |fault: &Fault| match fault.amount {
            Amount::Count(count) if fault.kind == kind => Some(count),
            Amount::Count(_) | Amount::Time(_) => None,
        };
        self.faults.iter().filter_map(count).min()
    }

    /// The largest time given for a kind, nanoseconds.
    pub(crate) fn time(&self, kind: FaultKind) -> Option<i64> {
        let time = |fault: &Fault| match fault.amount {
            Amount::Time(nanos) if fault.kind == kind => Some(nanos),
            Amount::Count(_) | Amount::Time(_) => None,
        };
        self.faults.iter().filter_map(time).max()
    }

    /// The first break after a place.
    pub(crate) fn next_break(&self, place: usize) -> Option<(usize, Break)> {
        self.breaks
            .get(self.breaks.partition_point(|(at, _)| *at <= place))
            .copied()
    }
}

/// How the connection breaks at the n-th place of a fault; `None` for faults that break none.
fn kind(fault: &Fault, number: u64) -> Option<Break> {
    if fault.kind == FaultKind::Disconnect {
        return Some(if fault.draw(!number).is_multiple_of(2) {
            Break::Goodbye
        } else {
            Break::Abrupt
        });
    }
    let quiet = [
        (FaultKind::Stall, Break::Stall),
        (FaultKind::Silence, Break::Silence),
    ];
    quiet
        .into_iter()
        .find(|(kind, _)| *kind == fault.kind)
        .map(|(_, kind)| kind)
}

/// One place in each stretch of so many trades.
fn by_count(fault: &Fault, count: u64, len: usize) -> Vec<usize> {
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    let place = |stretch: u64| stretch * count + fault.draw(stretch) % count;
    (0..len.div_ceil(count))
        .filter_map(|stretch| usize::try_from(place(stretch)).ok())
        .collect()
}

/// One place in each stretch of time that holds a trade after the moment drawn.
fn by_time(fault: &Fault, nanos: i64, tape: &Tape) -> Vec<usize> {
    let (first, last) = tape.span();
    let mut places = Vec::new();
    let mut start = first;
    let mut stretch = 0u64;
    while start < last {
        let draw = i64::try_from(fault.draw(stretch) >> 1).unwrap_or(0) % nanos;
        let place = tape.count_until(start.saturating_add(draw));
        // Stretches without a trade break nothing twice.
        if place < tape.len() && places.last() != Some(&place) {
            places.push(place);
        }
        (start, stretch) = (start.saturating_add(nanos), stretch + 1);
        if places.len() > tape.len() {
            break;
        }
    }
    places
}
