//! Claims about the state files of several stores in one folder.

use super::testing::opened;
use super::{STATE_FILE, StateDb, StateSettings, Target, TargetState, forget, targets};
use barmill_core::engine::testing::{SingleChanges, update};
use barmill_core::model::{BarState, Timestamp, WriteItem};
use barmill_core::port::{StateError, StateStore};
use std::path::Path;

fn settings(folder: &Path, target: Option<&str>) -> StateSettings {
    StateSettings {
        target: target.map(Target::new),
        ..StateSettings::new(folder)
    }
}

async fn open(settings: &StateSettings) -> Result<StateDb, StateError> {
    opened(settings, Timestamp::EPOCH).await
}

async fn spool(state: &StateDb, minute: i64) {
    let item = WriteItem::Bar(update("AAPL", minute, BarState::Final, 0));
    state
        .spool_append(vec![item], Timestamp::EPOCH)
        .await
        .unwrap();
}

fn listed(settings: &StateSettings) -> Vec<(String, u64)> {
    let text = |state: TargetState| {
        let target = state
            .target
            .map_or("unnamed".to_owned(), |one| one.to_string());
        (target, state.spool.items)
    };
    let mut all: Vec<_> = targets(settings).unwrap().into_iter().map(text).collect();
    all.sort();
    all
}

#[tokio::test]
async fn each_target_sees_its_own_items_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (
        settings(folder.path(), Some("redis://a/0 view=x")),
        settings(folder.path(), Some("redis://a/1 view=x")),
    );
    let state = open(&one).await.unwrap();
    spool(&state, 0).await;
    state.close().await.unwrap();
    let state = open(&two).await.unwrap();
    assert_eq!(state.spool_stats().await.unwrap().items, 0);
    spool(&state, 1).await;
    spool(&state, 2).await;
    state.close().await.unwrap();
    assert_eq!(
        listed(&one),
        [
            ("redis://a/0 view=x".to_owned(), 1),
            ("redis://a/1 view=x".to_owned(), 2)
        ]
    );
    forget(&one).unwrap();
    assert_eq!(listed(&one).len(), 2, "what waits is never forgotten");
    let state = open(&one).await.unwrap();
    state.spool_remove(u64::MAX).await.unwrap();
    state.close().await.unwrap();
    forget(&one).unwrap();
    assert_eq!(listed(&one), [("redis://a/1 view=x".to_owned(), 2)]);
}

#[tokio::test]
async fn file_of_no_target_is_taken_over_empty_and_refused_with_items() {
    let folder = tempfile::tempdir().unwrap();
    let (old, named) = (
        settings(folder.path(), None),
        settings(folder.path(), Some("redis://a/0 view=x")),
    );
    let state = open(&old).await.unwrap();
    spool(&state, 0).await;
    state
        .checkpoint_save(vec![("feed".to_owned(), barmill_core::port::Position(7))])
        .await
        .unwrap();
    state.close().await.unwrap();
    let refused = open(&named).await.unwrap_err();
    assert!(
        matches!(&refused, StateError::Unclaimed { items: 1, .. }),
        "{refused}"
    );
    let state = open(&old).await.unwrap();
    state.spool_remove(u64::MAX).await.unwrap();
    state.close().await.unwrap();
    let state = open(&named).await.unwrap();
    assert_eq!(
        state.checkpoint_load("feed").await.unwrap().unwrap().0,
        7,
        "its checkpoints stay"
    );
    state.close().await.unwrap();
    assert!(!folder.path().join(STATE_FILE).exists());
}

#[tokio::test]
async fn file_of_another_target_under_this_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (
        settings(folder.path(), Some("redis://a/0 view=x")),
        settings(folder.path(), Some("redis://b/0 view=x")),
    );
    open(&one).await.unwrap().close().await.unwrap();
    std::fs::rename(one.file(), two.file()).unwrap();
    let refused = open(&two).await.unwrap_err();
    assert!(
        matches!(&refused, StateError::Foreign { found, .. } if found.starts_with("redis://a/0")),
        "{refused}"
    );
}
