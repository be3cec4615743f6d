//! A state store that creates its file on first use.
//!
//! A run that needs no spool then pays for none. A file that an earlier run left is opened by the first read, so that
//! its spool is seen, and what waits for other stores is told.

use super::db::StateDb;
use super::settings::{StateSettings, state_files};
use barmill_core::engine::budget::BudgetUse;
use barmill_core::model::{Timestamp, WriteItem};
use barmill_core::port::{
    Changes, Clock, Committed, DeadLetter, Position, RecentBar, SpoolStats, StateError, StateStore,
};
use futures::future::{BoxFuture, FutureExt, Shared};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Tries to lock the folder. A process that this one starts holds copies of its files, locks among them, until it runs a
/// program of its own; and a barmill that ends may take a moment to do so.
const LOCK_TRIES: u32 = 10;
/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The file as it is opened. Whoever waits for it drives it on: a caller that is not polled holds up no other.
type Opening = Shared<BoxFuture<'static, Result<Arc<StateDb>, StateError>>>;

/// A [`StateDb`] that is opened when it is first needed.
#[derive(Debug)]
pub struct LazyState {
    settings: StateSettings,
    clock: Arc<dyn Clock>,
    opening: Mutex<Option<Opening>>,
}

impl LazyState {
    /// Makes the store; touches no file.
    pub fn new(settings: StateSettings, clock: Arc<dyn Clock>) -> LazyState {
        LazyState {
            settings,
            clock,
            opening: Mutex::new(None),
        }
    }

    async fn open(&self) -> Result<Arc<StateDb>, StateError> {
        let opening = self.with(|opening| opening.get_or_insert_with(|| self.begin()).clone());
        let opened = opening.clone().await;
        if opened.is_err() {
            // The next call tries again, unless another has begun already.
            self.with(|current| current.take_if(|current| current.ptr_eq(&opening)));
        }
        opened
    }

    fn begin(&self) -> Opening {
        let (settings, now, file) = (
            self.settings.clone(),
            self.clock.now(),
            self.settings.file(),
        );
        let opening = async move {
            let mut tries = 1;
            loop {
                let settings = settings.clone();
                let opened =
                    tokio::task::spawn_blocking(move || StateDb::open(&settings, now)).await;
                let lost = |error| StateError::Io {
                    file: file.clone(),
                    source: Arc::new(io::Error::other(error)),
                };
                match opened.map_err(lost)? {
                    Err(StateError::Locked { .. }) if tries < LOCK_TRIES => {
                        tries += 1;
                        tokio::time::sleep(LOCK_PAUSE).await;
                    }
                    opened => return Ok(Arc::new(opened?.state)),
                }
            }
        };
        opening.boxed().shared()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Option<Opening>) -> T) -> T {
        act(&mut self.opening.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_begun(&self) -> bool {
        self.with(|opening| opening.is_some())
    }

    /// Reads from the store, if there is anything that could be read.
    fn read<T: Default + 'static>(
        &self,
        ask: impl for<'d> FnOnce(&'d StateDb) -> BoxFuture<'d, Result<T, StateError>> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StateError>> {
        async move {
            // A file of another target is a reason to open as well: what waits in it is told.
            if !self.is_begun() && state_files(&self.settings.folder).is_empty() {
                return Ok(T::default());
            }
            ask(self.open().await?.as_ref()).await
        }
        .boxed()
    }
}

impl StateStore for LazyState {
    fn commit(&self, changes: Changes) -> BoxFuture<'_, Result<Committed, StateError>> {
        async move { self.open().await?.commit(changes).await }.boxed()
    }

    fn spool_read(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, WriteItem)>, StateError>> {
        self.read(move |db| db.spool_read(from, len_max))
    }

    fn spool_stats(&self) -> BoxFuture<'_, Result<SpoolStats, StateError>> {
        self.read(|db| db.spool_stats())
    }

    fn dead_letters(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, DeadLetter)>, StateError>> {
        self.read(move |db| db.dead_letters(from, len_max))
    }

    fn checkpoint_load(&self, feed: &str) -> BoxFuture<'_, Result<Option<Position>, StateError>> {
        let feed = feed.to_owned();
        self.read(move |db| db.checkpoint_load(&feed))
    }

    fn budget_load(&self) -> BoxFuture<'_, Result<Option<BudgetUse>, StateError>> {
        self.read(|db| db.budget_load())
    }

    fn recent_read(
        &self,
        since: Timestamp,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<RecentBar>, StateError>> {
        self.read(move |db| db.recent_read(since, from, len_max))
    }

    fn set_aside(&self, now: Timestamp) -> BoxFuture<'_, Result<PathBuf, StateError>> {
        async move { self.open().await?.set_aside(now).await }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StateError>> {
        async move {
            if self.is_begun() {
                self.open().await?.close().await
            } else {
                Ok(())
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::LazyState;
    use crate::state::StateSettings;
    use barmill_core::engine::testing::{SingleChanges, update};
    use barmill_core::model::{BarState, Timestamp, WriteItem};
    use barmill_core::port::{Changes, Clock, StateStore};
    use std::sync::Arc;
    use std::time::Duration;

    #[derive(Debug)]
    struct Epoch;

    impl Clock for Epoch {
        fn now(&self) -> Timestamp {
            Timestamp::EPOCH
        }
    }

    #[tokio::test]
    async fn file_is_made_by_the_first_commit_and_seen_by_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let state = || {
            LazyState::new(
                StateSettings::new(folder.path().join("state")),
                Arc::new(Epoch),
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
        let state = LazyState::new(
            StateSettings::new(folder.path().to_owned()),
            Arc::new(Epoch),
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
            LazyState::new(
                StateSettings::new(folder.path().to_owned()),
                Arc::new(Epoch),
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
}
