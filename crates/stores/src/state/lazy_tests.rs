//! Claims about the file, which is opened at the first need.

use super::testing::Still;
use super::{StateDb, StateSettings};
use barmill_core::engine::testing::{SingleChanges, update};
use barmill_core::model::{BarState, Timestamp, WriteItem};
use barmill_core::port::{Changes, StateStore};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn file_is_made_by_the_first_commit_and_seen_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let state = || {
        StateDb::new(
            StateSettings::new(folder.path().join("state")),
            Arc::new(Still(Timestamp::EPOCH)),
        )
    };
    let first = state();
    assert_eq!(first.spool_stats().await.unwrap().items, 0);
    assert!(
        !folder.path().join("state").exists(),
        "nothing was needed yet"
    );
    let item = WriteItem::Bar(update("AAPL", 0, BarState::Final, 0));
    first
        .spool_append(vec![item.clone()], Timestamp::EPOCH)
        .await
        .unwrap();
    first.close().await.unwrap();
    let second = state();
    assert_eq!(second.spool_front(10).await.unwrap(), [(0, item)]);
    second.close().await.unwrap();
}

#[tokio::test]
async fn a_caller_that_is_not_polled_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDb::new(
        StateSettings::new(folder.path().to_owned()),
        Arc::new(Still(Timestamp::EPOCH)),
    );
    let mut first = state.commit(Changes::default());
    assert!(
        futures::poll!(&mut first).is_pending(),
        "the file is being opened"
    );
    let second =
        tokio::time::timeout(Duration::from_mins(1), state.commit(Changes::default())).await;
    second.expect("the second is served").unwrap();
    first.await.unwrap();
    state.close().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_could_not_be_had_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = || {
        StateDb::new(
            StateSettings::new(folder.path().to_owned()),
            Arc::new(Still(Timestamp::EPOCH)),
        )
    };
    let (holder, waiter) = (state(), state());
    holder.commit(Changes::default()).await.unwrap();
    assert!(
        waiter.commit(Changes::default()).await.is_err(),
        "another has the folder"
    );
    holder.close().await.unwrap();
    waiter.commit(Changes::default()).await.unwrap();
    waiter.close().await.unwrap();
}
