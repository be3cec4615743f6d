//! Where a restart must begin so that no bar differs.

use super::testing::{at, trade};
use super::{Aggregator, AggregatorSettings};
use crate::model::Timestamp;

const MINUTE: i64 = 60_000_000_000;

fn restart(specs: &[&str], revise_minutes: i64, position: i64) -> Option<Timestamp> {
    let specs = specs.iter().map(|spec| spec.parse().unwrap()).collect();
    let settings = AggregatorSettings {
        revise_within_ns: revise_minutes * MINUTE,
        ..AggregatorSettings::new(specs)
    };
    let mut aggregator = Aggregator::new(settings);
    let trades: Vec<_> = (0..60)
        .map(|minute| trade("RS.A", minute * MINUTE + 1, "1", "1"))
        .collect();
    aggregator.push(&trades, &mut Vec::new());
    aggregator.restart_at(at(position))
}

#[test]
fn no_window_lies_across_the_restart() {
    assert_eq!(restart(&["1m"], 0, 59 * MINUTE + 30), Some(at(59 * MINUTE)));
    assert_eq!(
        restart(&["1m"], 0, 30 * MINUTE + 30),
        Some(at(30 * MINUTE)),
        "position is behind"
    );
    assert_eq!(
        restart(&["1m", "5m"], 0, 59 * MINUTE),
        Some(at(55 * MINUTE))
    );
    assert_eq!(
        restart(&["1m"], 10, 59 * MINUTE),
        Some(at(49 * MINUTE)),
        "what may be revised is read again"
    );
    assert_eq!(restart(&["1m", "1d"], 0, 59 * MINUTE), Some(at(0)));
    assert_eq!(restart(&["1m", "tick:9"], 0, 59 * MINUTE), None);
}

#[test]
fn open_bars_are_those_not_yet_published() {
    let specs = ["1m", "5m", "tick:9"]
        .map(|spec| spec.parse().unwrap())
        .to_vec();
    let mut aggregator = Aggregator::new(AggregatorSettings::new(specs));
    assert_eq!(aggregator.open_len(), 0);
    aggregator.push(&[trade("RS.B", 1, "1", "1")], &mut Vec::new());
    aggregator.push(&[trade("RS.B", MINUTE, "1", "1")], &mut Vec::new());
    assert_eq!(aggregator.open_len(), 3);
    aggregator.close_before("RS.B".parse().unwrap(), at(2 * MINUTE), &mut Vec::new());
    assert_eq!(aggregator.open_len(), 2);
}
