//! The state store as its owner sees it, on real files.

use super::folder::Folder;
use super::row::{META, seal};
use super::store::Store;
use super::testing::{bar_item, bar_items, opened, second, update};
use super::{Bounds, Inspector, STATE_FILE, SimDisk, StateDb, StateSettings, StateTable};
use barmill_core::engine::budget::BudgetUse;
use barmill_core::engine::testing::SingleChanges;
use barmill_core::model::{BarState, BarUpdate};
use barmill_core::port::{Changes, DeadLetter, Position, SpoolRange, StateError, StateStore};
use redb::{Database, TableHandle};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

fn settings(folder: &TempDir) -> StateSettings {
    StateSettings::new(folder.path())
}

async fn open(settings: &StateSettings) -> StateDb {
    let state = opened(settings, second(1)).await.unwrap();
    assert!(!aside(settings, 1).exists());
    state
}

/// Where a damaged file is put that is found `seconds` after the epoch.
fn aside(settings: &StateSettings, seconds: i64) -> PathBuf {
    settings
        .folder
        .join(format!("{STATE_FILE}.corrupt-{seconds}"))
}

fn letter(number: u64) -> DeadLetter {
    DeadLetter {
        item: bar_item(number),
        reason: "WRONGTYPE".to_owned(),
        time: second(9),
    }
}

/// A closed file with twenty items in the spool, and its bytes.
async fn filled(settings: &StateSettings) -> Vec<u8> {
    let state = open(settings).await;
    state
        .spool_append(bar_items(0..20), second(2))
        .await
        .unwrap();
    state.close().await.unwrap();
    fs::read(settings.folder.join(STATE_FILE)).unwrap()
}

#[tokio::test]
async fn everything_committed_is_there_after_reopening() {
    let folder = TempDir::new().unwrap();
    let used = BudgetUse {
        day: "2025-10-15".parse().unwrap(),
        day_commands: 3,
        month_commands: 70,
    };
    let state = open(&settings(&folder)).await;
    let committed = state
        .commit(Changes {
            now: second(5),
            spool_append: bar_items(0..3),
            dead_letters: vec![letter(7)],
            checkpoints: vec![("massive".to_owned(), Position(42))],
            recent: vec![update(8)],
            budget: Some(used),
            ..Changes::default()
        })
        .await
        .unwrap();
    assert_eq!(committed.spooled, Some(SpoolRange { first: 0, last: 2 }));
    drop(state);
    let state = open(&settings(&folder)).await;
    let spooled = state.spool_front(10).await.unwrap();
    assert_eq!(spooled, (0..).zip(bar_items(0..3)).collect::<Vec<_>>());
    let spool = state.spool_stats().await.unwrap();
    assert_eq!(
        (spool.items, spool.oldest, spool.dead_letters),
        (3, Some(second(5)), 1)
    );
    assert_eq!(state.dead_letters(0, 10).await.unwrap(), [(0, letter(7))]);
    assert_eq!(
        state.checkpoint_load("massive").await.unwrap(),
        Some(Position(42))
    );
    assert_eq!(state.checkpoint_load("alpaca").await.unwrap(), None);
    assert_eq!(state.budget_load().await.unwrap(), Some(used));
    assert_eq!(
        state.recent_read(second(0), 0, 10).await.unwrap()[0].update,
        update(8)
    );
}

#[tokio::test]
async fn places_are_not_used_twice_after_a_drain() {
    let folder = TempDir::new().unwrap();
    let state = open(&settings(&folder)).await;
    state
        .spool_append(bar_items(0..3), second(1))
        .await
        .unwrap();
    state.spool_remove(1).await.unwrap();
    assert_eq!(state.spool_front(10).await.unwrap(), [(2, bar_item(2))]);
    state.spool_remove(2).await.unwrap();
    drop(state);
    let state = open(&settings(&folder)).await;
    let committed = state
        .spool_append(bar_items(3..4), second(1))
        .await
        .unwrap();
    assert_eq!(committed.spooled, Some(SpoolRange { first: 3, last: 3 }));
}

#[tokio::test]
async fn batch_that_passes_the_bound_is_refused_whole_and_draining_is_not() {
    let bounds = Bounds {
        spool_bytes_max: 3_000,
        ..Bounds::default()
    };
    let state = StateDb::on_disk(&SimDisk::default(), bounds).unwrap();
    state
        .spool_append(bar_items(0..10), second(1))
        .await
        .unwrap();
    let before = state.spool_stats().await.unwrap();
    let refused = state
        .spool_append(bar_items(10..20), second(1))
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            StateError::Full {
                bytes_max: 3_000,
                ..
            }
        ),
        "{refused}"
    );
    assert_eq!(state.spool_stats().await.unwrap(), before);
    let spool_remove = vec![SpoolRange { first: 0, last: 0 }];
    let moved = Changes {
        spool_remove,
        dead_letters: vec![letter(0)],
        ..Changes::default()
    };
    state.commit(moved).await.unwrap();
    let after = state.spool_stats().await.unwrap();
    assert_eq!((after.items, after.dead_letters), (9, 1));
}

#[tokio::test]
async fn refused_call_does_not_touch_the_others_of_its_commit() {
    let bounds = Bounds {
        spool_bytes_max: 3_000,
        ..Bounds::default()
    };
    let state = StateDb::on_disk(&SimDisk::default(), bounds).unwrap();
    let calls =
        [0..4u64, 4..40, 40..44].map(|range| state.spool_append(bar_items(range), second(1)));
    let results = futures::future::join_all(calls).await;
    assert_eq!(
        results.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false, true]
    );
    let places: Vec<u64> = state
        .spool_front(100)
        .await
        .unwrap()
        .into_iter()
        .map(|(place, _)| place)
        .collect();
    assert_eq!(places, (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn recent_bars_are_closed_ones_within_their_age() {
    let bounds = Bounds {
        recent_age_max: Duration::from_secs(10),
        ..Bounds::default()
    };
    let state = StateDb::on_disk(&SimDisk::default(), bounds).unwrap();
    let put = |now: i64, number: u64| {
        let forming = BarUpdate {
            state: BarState::Forming,
            ..update(number)
        };
        state.commit(Changes {
            now: second(now),
            recent: vec![update(number), forming],
            ..Changes::default()
        })
    };
    for (now, number) in [(1, 1), (5, 2), (8, 3), (7, 4), (12, 5)] {
        put(now, number).await.unwrap();
    }
    let bars = state.recent_read(second(0), 0, 10).await.unwrap();
    let found: Vec<(u64, u64)> = bars
        .iter()
        .map(|bar| (bar.place, bar.update.trades_added))
        .collect();
    assert_eq!(
        found,
        [(1, 2), (2, 3), (3, 4), (4, 5)],
        "the first is older than ten seconds"
    );
    assert_eq!(
        bars[2].time,
        second(8),
        "a clock that steps back does not disorder them"
    );
}

#[tokio::test]
async fn recent_bars_are_found_by_time_and_place() {
    let state = StateDb::on_disk(&SimDisk::default(), Bounds::default()).unwrap();
    for now in 0..50u64 {
        let recent = vec![update(now)];
        let now = second(i64::try_from(now).unwrap());
        state
            .commit(Changes {
                now,
                recent,
                ..Changes::default()
            })
            .await
            .unwrap();
    }
    for (since, from, want) in [
        (0, 0, Some(0)),
        (20, 0, Some(20)),
        (20, 30, Some(30)),
        (49, 0, Some(49)),
        (50, 0, None),
    ] {
        let found = state.recent_read(second(since), from, 1).await.unwrap();
        assert_eq!(
            found.first().map(|bar| bar.place),
            want,
            "since {since} from {from}"
        );
    }
}

#[tokio::test]
async fn second_owner_is_refused_with_the_folder() {
    let folder = TempDir::new().unwrap();
    let state = open(&settings(&folder)).await;
    let refused = opened(&settings(&folder), second(1)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "state folder {} is in use by another barmill, stop that one or set another state_dir",
            folder.path().display()
        )
    );
    assert!(matches!(
        Inspector::open(&settings(&folder), None),
        Err(StateError::Locked { .. })
    ));
    state.close().await.unwrap();
    assert!(matches!(
        state.spool_front(1).await,
        Err(StateError::Closed)
    ));
    open(&settings(&folder)).await;
}

#[tokio::test]
async fn damaged_file_is_set_aside_and_never_served() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let file = settings.folder.join(STATE_FILE);
    let intact = filled(&settings).await;
    let mut random = fastrand::Rng::with_seed(1);
    let mut found_aside = 0;
    for round in 0..60 {
        let mut damaged = intact.clone();
        match round % 3 {
            0 => damaged[random.usize(..intact.len())] ^= 1 << random.u32(0..8),
            1 => damaged[random.usize(..intact.len() / 4_096) * 4_096..][..4_096].fill(0),
            _ => damaged.truncate(random.usize(1..intact.len())),
        }
        fs::write(&file, &damaged).unwrap();
        let state = opened(&settings, second(round)).await.unwrap();
        let found = state.spool_front(100).await.unwrap();
        match fs::read(aside(&settings, round)) {
            Ok(kept) => {
                found_aside += 1;
                assert_eq!(found, []);
                assert_eq!(kept.len(), damaged.len(), "the damaged file is kept");
            }
            Err(_) => assert_eq!(
                found,
                (0..).zip(bar_items(0..20)).collect::<Vec<_>>(),
                "round {round}"
            ),
        }
        state.close().await.unwrap();
    }
    assert!(found_aside > 20, "{found_aside} of 60 found");
}

#[tokio::test]
async fn damaged_value_is_an_error_with_its_place_and_the_rest_is_exported() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let mut bytes = filled(&settings).await;
    let needle = update(3).bar.start.as_nanos().to_le_bytes();
    let at = bytes
        .windows(8)
        .rposition(|window| window == needle)
        .unwrap();
    bytes[at] ^= 1;
    fs::write(settings.folder.join(STATE_FILE), &bytes).unwrap();
    let mut store = Store::open_file(settings.file(), 0, settings.bounds).unwrap();
    let error = store.read(|snapshot| snapshot.spool(0, 100)).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("spool place 3: checksum does not match"),
        "{error}"
    );
    let before = store.read(|snapshot| snapshot.spool(0, 3)).unwrap();
    assert_eq!(before.len(), 3);
    drop(store);
    let aside = aside(&settings, 77);
    fs::rename(settings.file(), &aside).unwrap();

    let mut inspector = Inspector::open(&settings, Some(&aside)).unwrap();
    let check = inspector.check().unwrap();
    assert_eq!((check.intact, check.faults), (19, 1));
    assert_eq!(check.shown, ["spool place 3: checksum does not match"]);
    let mut out = Vec::new();
    assert_eq!(
        inspector.export(StateTable::Spool, &mut out).unwrap(),
        19,
        "what is whole can be saved"
    );
}

#[tokio::test]
async fn file_of_a_newer_barmill_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    filled(&settings).await;
    let file = settings.folder.join(STATE_FILE);
    write_schema(&file, 2);
    let refused = opened(&settings, second(1)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "state file {} has format 2, this barmill supports up to 1; use a newer one or another state_dir",
            file.display()
        )
    );
    assert!(file.exists());
    assert!(!aside(&settings, 1).exists());
}

fn write_schema(file: &Path, schema: u32) {
    let database = Database::open(file).unwrap();
    let transaction = database.begin_write().unwrap();
    let value = seal(META.name(), b"schema", |out| {
        out.extend_from_slice(&schema.to_le_bytes());
    });
    transaction
        .open_table(META)
        .unwrap()
        .insert("schema", value.as_slice())
        .unwrap();
    transaction.commit().unwrap();
}

#[tokio::test]
async fn inspector_lists_and_exports() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let state = open(&settings).await;
    let checkpoints = vec![("massive".to_owned(), Position(42))];
    let dead_letters = (10..13).map(letter).collect();
    let changes = Changes {
        spool_append: bar_items(0..2),
        dead_letters,
        checkpoints,
        ..Changes::default()
    };
    state.commit(changes).await.unwrap();
    drop(state);

    let mut inspector = Inspector::open(&settings, None).unwrap();
    let summary = inspector.summary().unwrap();
    assert_eq!((summary.spool.items, summary.spool.dead_letters), (2, 3));
    assert_eq!(summary.checkpoints, [("massive".to_owned(), Position(42))]);
    assert_eq!(inspector.check().unwrap().faults, 0);
    let mut out = Vec::new();
    assert_eq!(
        inspector.export(StateTable::DeadLetters, &mut out).unwrap(),
        3
    );
    let lines: Vec<serde_json::Value> = out
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["reason"], "WRONGTYPE");
    assert_eq!(lines[0]["open"], "10.00000001");
    assert_eq!(lines[0]["start"], "1970-01-01T00:10:00Z");
}

#[test]
fn inspector_makes_no_file() {
    let folder = TempDir::new().unwrap();
    assert!(matches!(
        Inspector::open(&settings(&folder), None),
        Err(StateError::Io { .. })
    ));
    assert!(!folder.path().join(STATE_FILE).exists());
    assert!(
        Folder::lock(&StateSettings::new(folder.path())).is_ok(),
        "the folder is free again"
    );
}
