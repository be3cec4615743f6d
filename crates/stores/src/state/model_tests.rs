//! The state store against a model of plain collections, with reopening, power cuts and full disks.

use super::row::Held;
use super::settings::Bounds;
use super::sim::SimDisk;
use super::store::Store;
use super::testing::{bar_items, second, update};
use barmill_core::model::WriteItem;
use barmill_core::port::{Changes, DeadLetter, Position, SpoolRange, StateError};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const BOUNDS: Bounds = Bounds {
    spool_bytes_max: 40_000,
    recent_age_max: Duration::from_mins(1),
    recent_bytes_max: 1 << 20,
};

fn open(disk: &SimDisk, check: bool) -> Result<Store, StateError> {
    Store::on_disk(disk, check, BOUNDS)
}

fn held(store: &mut Store) -> Held {
    store.read(|snapshot| Ok(snapshot.held)).unwrap()
}

/// What the state must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Model {
    spool: BTreeMap<u64, WriteItem>,
    dead: BTreeMap<u64, DeadLetter>,
    checkpoints: BTreeMap<String, Position>,
    spool_next: u64,
    dead_next: u64,
}

impl Model {
    fn apply(&mut self, changes: &Changes) {
        for range in &changes.spool_remove {
            self.spool
                .retain(|place, _| *place < range.first || range.last < *place);
        }
        if let Some(through) = changes.dead_letters_remove {
            self.dead.retain(|place, _| through < *place);
        }
        for item in &changes.spool_append {
            self.spool.insert(self.spool_next, item.clone());
            self.spool_next += 1;
        }
        for letter in &changes.dead_letters {
            self.dead.insert(self.dead_next, letter.clone());
            self.dead_next += 1;
        }
        self.checkpoints.extend(changes.checkpoints.iter().cloned());
    }

    fn with(&self, changes: &Changes) -> Model {
        let mut next = self.clone();
        next.apply(changes);
        next
    }
}

fn read(store: &mut Store) -> Model {
    let (spool, dead, checkpoints) = store
        .read(|snapshot| {
            Ok((
                snapshot.spool(0, 10_000)?,
                snapshot.dead(0, 10_000)?,
                snapshot.checkpoints()?,
            ))
        })
        .unwrap();
    let held = held(store);
    assert_eq!(held.spool.items, u64::try_from(spool.len()).unwrap());
    assert_eq!(held.dead.items, u64::try_from(dead.len()).unwrap());
    Model {
        spool: spool.into_iter().collect(),
        dead: dead.into_iter().collect(),
        checkpoints: checkpoints.into_iter().collect(),
        spool_next: held.spool.next,
        dead_next: held.dead.next,
    }
}

/// Changes of one kind after another, as a writer makes them; `number` makes the bars differ.
fn changes_of(kind: u8, number: u64, model: &Model) -> Changes {
    let now = second(i64::try_from(number).unwrap());
    let base = number * 100;
    let first = model.spool.keys().next().copied().unwrap_or(0);
    let front = vec![SpoolRange {
        first,
        last: first + number % 9,
    }];
    let checkpoints = vec![(format!("feed-{}", number % 2), Position(number))];
    let letter = || DeadLetter {
        item: WriteItem::Bar(update(base)),
        reason: "WRONGTYPE".to_owned(),
        time: now,
    };
    match kind % 6 {
        0 | 1 => Changes {
            now,
            spool_append: bar_items(base..base + 1 + number % 20),
            ..Changes::default()
        },
        2 => Changes {
            now,
            spool_remove: front,
            checkpoints,
            ..Changes::default()
        },
        3 => Changes {
            now,
            spool_remove: front,
            dead_letters: vec![letter()],
            ..Changes::default()
        },
        4 => Changes {
            now,
            spool_append: bar_items(base..base + number % 3),
            recent: (base..base + 5).map(update).collect(),
            checkpoints,
            ..Changes::default()
        },
        _ => Changes {
            now,
            dead_letters_remove: model.dead.keys().next().copied(),
            ..Changes::default()
        },
    }
}

/// One run: commits until the power goes, then what must be there.
fn crash_run(seed: u64) -> (u64, bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let disk = SimDisk::default();
    let mut store = open(&disk, false).unwrap();
    let mut model = Model::default();
    disk.cut_after(random.u64(0..120));
    let mut acked = 0;
    let mut in_flight = None;
    for number in 0..40 {
        let group: Vec<Changes> = (0..random.usize(1..3))
            .map(|_| changes_of(random.u8(..), number, &model))
            .collect();
        let results = store.commit(&group);
        if results
            .iter()
            .any(|result| matches!(result, Err(StateError::Io { .. })))
        {
            in_flight = Some(group);
            break;
        }
        for (changes, result) in group.iter().zip(&results) {
            match result {
                Ok(_) => model.apply(changes),
                Err(error) => assert!(
                    matches!(error, StateError::Full { .. }),
                    "seed {seed}: {error}"
                ),
            }
        }
        acked += 1;
    }
    let mut disk = disk.after_power_cut(&mut random);
    drop(store);
    if random.bool() {
        // The power goes again while the file is repaired.
        disk.cut_after(random.u64(0..12));
        drop(open(&disk, random.bool()));
        disk = disk.after_power_cut(&mut random);
    }
    let mut store =
        open(&disk, random.bool()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let found = read(&mut store);
    let whole = in_flight.is_some_and(|group| {
        let next = group
            .iter()
            .fold(model.clone(), |model, changes| model.with(changes));
        next != model && found == next
    });
    assert!(
        whole || found == model,
        "seed {seed}: neither before nor after the last commit"
    );
    let next = changes_of(0, 1_000, &found);
    assert!(
        store.commit(&[next]).iter().all(Result::is_ok),
        "seed {seed}: no commit after the crash"
    );
    (acked, whole)
}

#[test]
fn power_cut_at_any_operation_loses_no_ack_and_halves_no_commit() {
    let runs: Vec<(u64, bool)> = (0..1_000).map(crash_run).collect();
    assert!(
        runs.iter().map(|(acked, _)| acked).sum::<u64>() > 1_000,
        "the runs commit something"
    );
    assert!(
        runs.iter().any(|(_, whole)| *whole),
        "some power cut comes after the last sync"
    );
}

#[test]
fn full_disk_is_told_and_costs_nothing_that_was_acked() {
    let disk = SimDisk::default();
    let mut store = open(&disk, false).unwrap();
    disk.bound(Some(disk.size() + (1 << 19)));
    let mut model = Model::default();
    let mut number = 0;
    let refused = loop {
        let changes = Changes {
            checkpoints: vec![(format!("feed-{number}"), Position(1))],
            ..Changes::default()
        };
        let filler = Changes {
            recent: (0..100).map(update).collect(),
            now: second(1),
            ..changes
        };
        match store.commit(std::slice::from_ref(&filler)).remove(0) {
            Ok(_) => model.apply(&filler),
            Err(error) => break error,
        }
        number += 1;
    };
    assert!(matches!(refused, StateError::DiskFull { .. }), "{refused}");
    assert!(number > 0);
    assert_eq!(read(&mut store), model, "readable while full");
    disk.bound(None);
    let changes = changes_of(0, 1, &model);
    assert!(
        store.commit(std::slice::from_ref(&changes))[0].is_ok(),
        "works again without a restart"
    );
    model.apply(&changes);
    assert_eq!(read(&mut store), model);
    drop(store);
    assert_eq!(read(&mut open(&disk, true).unwrap()), model);
}

#[test]
fn drained_file_is_compacted_and_keeps_the_rest() {
    let disk = SimDisk::default();
    let mut store = open(&disk, false).unwrap();
    let filler = Changes {
        recent: (0..2_000).map(update).collect(),
        now: second(1),
        ..Changes::default()
    };
    let later = Changes {
        recent: vec![update(1)],
        now: second(1_000),
        ..Changes::default()
    };
    let kept = changes_of(0, 1, &Model::default());
    assert!(store.commit(&[filler, kept]).iter().all(Result::is_ok));
    assert!(store.commit(&[later]).iter().all(Result::is_ok));
    let (before, size) = (read(&mut store), disk.size());
    store.compact(u64::MAX).unwrap();
    assert!(disk.size() < size / 2, "{} of {size}", disk.size());
    assert_eq!(read(&mut store), before);
}

#[test]
fn failed_disk_is_not_tried_again() {
    let disk = SimDisk::default();
    let mut store = open(&disk, false).unwrap();
    disk.cut_after(0);
    let changes = changes_of(0, 1, &Model::default());
    for _ in 0..2 {
        let result = store.commit(std::slice::from_ref(&changes)).remove(0);
        assert!(matches!(result, Err(StateError::Io { .. })), "{result:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_commits_equal_the_model_also_after_reopening(
        steps in proptest::collection::vec((any::<u8>(), 1usize..4, any::<bool>()), 1..40),
    ) {
        let disk = SimDisk::default();
        let mut store = open(&disk, true).unwrap();
        let mut model = Model::default();
        for (number, (kind, len, reopen)) in (0..).zip(steps) {
            let group: Vec<Changes> = (0..len).map(|_| changes_of(kind, number, &model)).collect();
            for (changes, result) in group.iter().zip(store.commit(&group)) {
                match result {
                    Ok(committed) => {
                        let first = model.spool_next;
                        model.apply(changes);
                        let spooled = (first < model.spool_next)
                            .then(|| SpoolRange { first, last: model.spool_next - 1 });
                        prop_assert_eq!(committed.spooled, spooled);
                        prop_assert_eq!(committed.spool_items, u64::try_from(model.spool.len()).unwrap());
                    }
                    Err(error) => {
                        let full = matches!(error, StateError::Full { .. });
                        prop_assert!(full, "{}", error);
                    }
                }
            }
            let held = held(&mut store);
            // A drain that makes dead letters may pass the bound by their reasons.
            prop_assert!(held.spool.bytes + held.dead.bytes <= BOUNDS.spool_bytes_max + 1_000);
            if reopen {
                drop(store);
                store = open(&disk, true).unwrap();
            }
            prop_assert_eq!(read(&mut store), model.clone());
        }
    }
}
