//! Delivery, one rule at a time; the simulation runs them together.

use super::{
    Completion, Delivery, DeliverySettings, OutgoingBatch, StateChange, Verdict, Work, count_bars,
};
use crate::engine::batch::BatchLimits;
use crate::engine::circuit::{CircuitState, ProbePolicy};
use crate::engine::retry::{Remedy, RetryPolicy};
use crate::engine::testing::update;
use crate::model::{BarState, WriteItem};
use jiff::tz::TimeZone;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn settings() -> DeliverySettings {
    DeliverySettings {
        batch: BatchLimits {
            len_max: 2,
            bytes_max: 1_000,
            linger: 5 * SECOND,
            eager: false,
        },
        in_flight_max: 2,
        queue_len_max: 4,
        retry: RetryPolicy {
            attempts_max: 2,
            backoff: SECOND,
            backoff_max: SECOND,
        },
        keeps_recent: false,
        probes: ProbePolicy::default(),
        zone: TimeZone::UTC,
        origin: None,
        seed: 7,
    }
}

fn bar(minute: i64) -> WriteItem {
    WriteItem::Bar(update("AAPL", minute, BarState::Final, 0))
}

fn filled(minutes: std::ops::Range<i64>, spooled: Option<u64>) -> Delivery {
    let mut delivery = Delivery::new(settings(), spooled);
    for minute in minutes {
        delivery.push(bar(minute), 10, Duration::ZERO);
    }
    delivery
}

fn sent(work: Option<Work>) -> OutgoingBatch {
    match work {
        Some(Work::Send(batch)) => batch,
        other => panic!("a batch was expected, not {other:?}"),
    }
}

fn change(work: Option<Work>) -> StateChange {
    match work {
        Some(Work::Commit(change)) => change,
        other => panic!("a commit was expected, not {other:?}"),
    }
}

fn answer(batch: &OutgoingBatch, remedy: Option<Remedy>) -> Completion {
    let failure = remedy.map(|remedy| (remedy, "no".to_owned()));
    Completion {
        flight: batch.flight,
        failures: vec![failure; batch.items.len()],
        took: Duration::ZERO,
    }
}

/// Fails the next batch as often as it is tried, so that the circuit opens.
fn open(delivery: &mut Delivery, now: Duration) -> Vec<Verdict> {
    let first = sent(delivery.next_work(now));
    let verdicts = delivery.completed(answer(&first, Some(Remedy::Reconnect)), now);
    let [Verdict::Again { delay, .. }] = verdicts[..] else {
        panic!("the first failure is retried")
    };
    let second = sent(delivery.next_work(now + delay));
    assert_eq!(second.attempts, 2);
    delivery.completed(answer(&second, Some(Remedy::Reconnect)), now + delay)
}

#[test]
fn full_queue_and_full_flight_hold_back() {
    let mut delivery = filled(0..6, None);
    assert!(!delivery.has_room());
    sent(delivery.next_work(Duration::ZERO));
    sent(delivery.next_work(Duration::ZERO));
    assert!(
        delivery.next_work(Duration::ZERO).is_none(),
        "two in flight at most"
    );
    assert!(delivery.has_room());
}

#[test]
fn manifest_comes_once_after_the_last_ack() {
    let mut delivery = filled(0..1, None);
    delivery.close(true);
    let batch = sent(delivery.next_work(Duration::ZERO));
    assert!(delivery.manifests().is_empty());
    delivery.completed(answer(&batch, None), Duration::ZERO);
    assert!(!delivery.is_done());
    for manifest in delivery.manifests() {
        delivery.push(manifest, 10, Duration::ZERO);
    }
    assert!(delivery.manifests().is_empty(), "once");
    let batch = sent(delivery.next_work(Duration::ZERO));
    assert!(matches!(batch.items[..], [WriteItem::Manifest(_)]));
    delivery.completed(answer(&batch, None), Duration::ZERO);
    assert!(delivery.is_done());
}

/// A delivery to a store that takes manifests behind the bars, with two bars of a batch of four and no more to come.
fn joining() -> Delivery {
    let mut settings = settings();
    (settings.batch.len_max, settings.batch.bytes_max) = (4, 10_000);
    let mut delivery = Delivery::new(settings, Some(0));
    delivery.set_joins(true);
    delivery.push(bar(0), 10, Duration::ZERO);
    delivery.push(bar(1), 10, Duration::ZERO);
    delivery.close(true);
    delivery
}

#[test]
fn manifest_goes_with_the_last_bars_and_is_not_sent_again() {
    let mut delivery = joining();
    let batch = sent(delivery.next_work(Duration::ZERO));
    let [first, second, WriteItem::Manifest(manifest)] = &batch.items[..] else {
        panic!("{batch:?}")
    };
    assert_eq!(
        (first, second, manifest.bars, manifest.complete),
        (&bar(0), &bar(1), 2, true)
    );
    delivery.completed(answer(&batch, None), Duration::ZERO);
    assert!(delivery.manifests().is_empty() && delivery.is_done());
}

#[test]
fn manifest_behind_bars_that_fail_is_made_anew_and_never_kept() {
    for (remedy, is_complete) in [
        (Remedy::Retry { after: None }, true),
        (Remedy::Refuse, false),
    ] {
        let mut delivery = joining();
        let batch = sent(delivery.next_work(Duration::ZERO));
        let failed = Some((remedy, "no".to_owned()));
        let failures = vec![None, failed.clone(), failed];
        delivery.completed(
            Completion {
                flight: batch.flight,
                failures,
                took: Duration::ZERO,
            },
            Duration::ZERO,
        );
        while let Some(work) = delivery.next_work(SECOND) {
            match work {
                Work::Send(batch) => {
                    assert_eq!(
                        *batch.items,
                        [bar(1)],
                        "the manifest does not go again with it"
                    );
                    delivery.completed(answer(&batch, None), SECOND);
                }
                Work::Commit(change) => {
                    assert_eq!(change.dead.len(), 1, "no manifest is a dead letter");
                    delivery.committed(0, SECOND);
                }
                Work::Load { .. } => panic!("the spool is empty"),
            }
        }
        let manifests = delivery.manifests();
        let [WriteItem::Manifest(manifest)] = &manifests[..] else {
            panic!("{manifests:?}")
        };
        assert_eq!(manifest.complete, is_complete);
    }
}

#[test]
fn last_bars_wait_for_those_in_flight_and_take_the_manifest_along() {
    let mut delivery = joining();
    delivery.push(bar(2), 10, Duration::ZERO);
    delivery.push(bar(3), 10, Duration::ZERO);
    delivery.push(bar(4), 10, Duration::ZERO);
    let full = sent(delivery.next_work(Duration::ZERO));
    assert_eq!(full.items.len(), 4, "no room for a manifest");
    assert!(delivery.next_work(Duration::ZERO).is_none() && delivery.deadline().is_none());
    delivery.completed(answer(&full, None), Duration::ZERO);
    let last = sent(delivery.next_work(Duration::ZERO));
    assert!(
        matches!(last.items[..], [WriteItem::Bar(_), WriteItem::Manifest(_)]),
        "{last:?}"
    );
    let mut delivery = joining();
    sent(delivery.next_work(Duration::ZERO));
    let kept = delivery.rescue().append;
    assert_eq!(
        kept.iter()
            .filter(|item| matches!(item, WriteItem::Manifest(_)))
            .count(),
        1
    );
    assert_eq!(count_bars(&kept), 2);
}

#[test]
fn without_a_state_store_the_last_failure_ends_the_run_with_everything_counted() {
    let mut delivery = filled(0..3, None);
    assert_eq!(open(&mut delivery, Duration::ZERO), [Verdict::Halted]);
    assert!(delivery.next_work(Duration::MAX).is_none());
    assert!(delivery.is_done());
    assert_eq!(count_bars(&delivery.rescue().append), 3);
}

#[test]
fn only_the_failed_items_go_again() {
    let mut delivery = filled(0..2, None);
    let batch = sent(delivery.next_work(Duration::ZERO));
    let failures = vec![
        None,
        Some((
            Remedy::Retry {
                after: Some(3 * SECOND),
            },
            "LOADING".to_owned(),
        )),
    ];
    let completion = Completion {
        flight: batch.flight,
        failures,
        took: Duration::ZERO,
    };
    assert_eq!(
        delivery.completed(completion, Duration::ZERO),
        [Verdict::Again {
            items: 1,
            delay: 3 * SECOND
        }]
    );
    assert_eq!(*sent(delivery.next_work(3 * SECOND)).items, [bar(1)]);
}

#[test]
fn refused_item_becomes_a_dead_letter_and_the_rest_is_acked() {
    let mut delivery = filled(0..2, Some(0));
    let batch = sent(delivery.next_work(Duration::ZERO));
    let failures = vec![None, Some((Remedy::Refuse, "WRONGTYPE".to_owned()))];
    let completion = Completion {
        flight: batch.flight,
        failures,
        took: Duration::ZERO,
    };
    assert_eq!(
        delivery.completed(completion, Duration::ZERO),
        [Verdict::Dead { items: 1 }]
    );
    assert_eq!(
        change(delivery.next_work(Duration::ZERO)).dead,
        [(bar(1), "WRONGTYPE".to_owned())]
    );
}

#[test]
fn outage_goes_through_the_spool_in_order_and_back() {
    let mut delivery = filled(0..4, Some(0));
    let opened = open(&mut delivery, Duration::ZERO);
    assert!(
        matches!(
            opened[..],
            [Verdict::Spooled {
                items: 2,
                transition: Some(_)
            }]
        ),
        "{opened:?}"
    );
    let mut now = 5 * SECOND;
    let first = change(delivery.next_work(now));
    assert_eq!(first.append, [bar(0), bar(1)]);
    assert_eq!(delivery.committed(2, now), None);
    assert!(
        matches!(
            delivery.next_work(now),
            Some(Work::Load {
                from: 0,
                len_max: 4
            })
        ),
        "the probe is due"
    );
    let second = change(delivery.next_work(now));
    assert_eq!(second.append, [bar(2), bar(3)], "what came later follows");
    delivery.loaded((0..2).zip((0..2).map(bar)).collect());
    delivery.committed(4, now);
    assert!(
        matches!(
            delivery.next_work(now),
            Some(Work::Load {
                from: 2,
                len_max: 2
            })
        ),
        "and is looked at"
    );
    delivery.loaded((2..4).zip((2..4).map(bar)).collect());
    let probe = sent(delivery.next_work(now));
    delivery.completed(answer(&probe, Some(Remedy::Reconnect)), now);
    assert!(delivery.next_work(now).is_none(), "no storm");
    now = delivery.deadline().unwrap();
    let probe = sent(delivery.next_work(now));
    assert_eq!(*probe.items, [bar(0), bar(1)]);
    delivery.completed(answer(&probe, None), now);
    assert_eq!(change(delivery.next_work(now)).remove, [(0, 1)]);
    delivery.committed(2, now);
    let drain = sent(delivery.next_work(now));
    delivery.completed(answer(&drain, None), now);
    assert_eq!(change(delivery.next_work(now)).remove, [(2, 3)]);
    assert!(delivery.committed(0, now).is_some(), "closed");
    assert_eq!(delivery.circuit(), CircuitState::Closed);
}

#[test]
fn full_spool_keeps_everything_and_holds_back_until_there_is_room() {
    let mut delivery = filled(0..4, Some(0));
    open(&mut delivery, Duration::ZERO);
    // Before the first probe is due.
    let now = Duration::ZERO;
    let append = change(delivery.next_work(now)).append;
    delivery.commit_failed(now);
    assert!(delivery.next_work(now).is_none());
    let later = delivery.deadline().unwrap();
    assert!(now < later);
    assert_eq!(
        change(delivery.next_work(later)).append,
        append,
        "the same again"
    );
}

#[test]
fn spool_of_an_earlier_run_goes_out_before_anything_new() {
    let mut delivery = filled(2..4, Some(2));
    assert!(matches!(
        delivery.next_work(Duration::ZERO),
        Some(Work::Load { from: 0, .. })
    ));
    delivery.loaded((0..2).zip((0..2).map(bar)).collect());
    assert_eq!(
        *sent(delivery.next_work(Duration::ZERO)).items,
        [bar(0), bar(1)]
    );
    assert_eq!(
        change(delivery.next_work(Duration::ZERO)).append,
        [bar(2), bar(3)]
    );
}

/// What the spool gives out, batch by batch, when these updates of bars (minute, revision) lie in it.
fn parcels(updates: &[(i64, u32)]) -> Vec<Vec<(i64, u32)>> {
    let states = |revision| {
        if revision == 0 {
            BarState::Final
        } else {
            BarState::Revised
        }
    };
    let item =
        |(minute, revision)| WriteItem::Bar(update("AAPL", minute, states(revision), revision));
    let rows: Vec<(u64, WriteItem)> = (0..).zip(updates.iter().copied().map(item)).collect();
    let small = settings();
    let batch = BatchLimits {
        len_max: 4,
        ..small.batch
    };
    let mut delivery = Delivery::new(DeliverySettings { batch, ..small }, Some(rows.len() as u64));
    let mut given = Vec::new();
    while given.len() < rows.len() {
        match delivery.next_work(Duration::ZERO) {
            Some(Work::Load { from, len_max }) => {
                let from = usize::try_from(from).unwrap();
                delivery.loaded(rows[from..rows.len().min(from + len_max)].to_vec());
            }
            Some(Work::Send(batch)) => {
                delivery.completed(answer(&batch, None), Duration::ZERO);
                given.push(batch.items.len());
            }
            Some(Work::Commit(change)) => {
                let left = rows.len() as u64 - 1 - change.remove.last().unwrap().1;
                delivery.committed(left, Duration::ZERO);
                if left == 0 {
                    break;
                }
            }
            other => panic!("{other:?} while the spool drains"),
        }
    }
    let mut rest = updates.iter().copied();
    given
        .into_iter()
        .map(|len| rest.by_ref().take(len).collect())
        .collect()
}

#[test]
fn updates_of_a_bar_that_a_lost_batch_may_have_held_leave_the_spool_together() {
    let plain = [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)];
    assert_eq!(parcels(&plain), [&plain[..4], &plain[4..]]);
    let behind = [(0, 0), (1, 0), (2, 0), (3, 0), (2, 1), (4, 0)];
    assert_eq!(parcels(&behind), [&behind[..2], &behind[2..]]);
    let chained = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (1, 2)];
    assert_eq!(
        parcels(&chained),
        [&chained[..4], &chained[4..]],
        "no more than a batch"
    );
    let first = [
        (0, 0),
        (1, 0),
        (2, 0),
        (0, 1),
        (3, 0),
        (4, 0),
        (3, 1),
        (2, 1),
    ];
    assert_eq!(
        parcels(&first),
        [&first[..4], &first[4..]],
        "the first bar is whole"
    );
}

#[test]
fn all_that_waits_goes_into_the_spool_with_one_commit() {
    let mut delivery = filled(0..4, Some(0));
    open(&mut delivery, Duration::ZERO);
    let now = Duration::ZERO;
    change(delivery.next_work(now));
    for minute in 4..8 {
        delivery.push(bar(minute), 10, now);
    }
    delivery.committed(2, now);
    let waiting = change(delivery.next_work(now)).append;
    assert!(2 < waiting.len(), "{waiting:?}");
}

#[test]
fn fatal_failure_halts_and_everything_is_rescued_in_order() {
    let mut delivery = filled(0..5, Some(0));
    let first = sent(delivery.next_work(Duration::ZERO));
    sent(delivery.next_work(Duration::ZERO));
    assert_eq!(
        delivery.completed(answer(&first, Some(Remedy::Fatal)), Duration::ZERO),
        [Verdict::Halted]
    );
    let rescued = delivery.rescue().append;
    assert_eq!(count_bars(&rescued), 5);
    assert!(delivery.is_done());
}

#[test]
fn quota_pauses_without_another_attempt() {
    let mut delivery = filled(0..2, Some(0));
    let batch = sent(delivery.next_work(Duration::ZERO));
    delivery.completed(answer(&batch, Some(Remedy::Pause)), Duration::ZERO);
    assert_eq!(delivery.circuit(), CircuitState::Paused);
    change(delivery.next_work(Duration::ZERO));
    delivery.committed(2, Duration::ZERO);
    assert!(delivery.next_work(SECOND).is_none());
    assert!(Some(30 * SECOND) <= delivery.deadline());
}
