//! The real state store on a simulated disk, as a port.
//!
//! Every call is answered at once on the caller's thread, so that paused time and one seed decide everything.
#![expect(
    clippy::unwrap_used,
    clippy::missing_errors_doc,
    reason = "a fixture of tests"
)]

use super::reads::Snapshot;
use super::settings::Bounds;
use super::sim::SimDisk;
use super::store::Store;
use barmill_core::engine::budget::BudgetUse;
use barmill_core::model::{Timestamp, WriteItem};
use barmill_core::port::{
    Changes, Committed, DeadLetter, Position, RecentBar, SpoolStats, StateError, StateStore,
};
use futures::future::BoxFuture;
use redb::Builder;
use std::path::PathBuf;
use std::sync::Mutex;

/// A state store whose file lies on a [`SimDisk`].
pub struct SimState(Mutex<Option<Store>>);

impl std::fmt::Debug for SimState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimState")
    }
}

impl SimState {
    /// Opens or makes the state on the disk, with the check of all of it.
    pub fn open(disk: &SimDisk, bounds: Bounds) -> Result<SimState, StateError> {
        let disk = disk.clone();
        let opener = Box::new(move |check: bool| {
            let mut builder = Builder::new();
            builder
                .set_cache_size(1 << 18)
                .set_check_integrity_on_open(check);
            builder.create_with_backend(disk.clone())
        });
        let store = Store::open(PathBuf::from("sim.redb"), opener, bounds)?;
        Ok(SimState(Mutex::new(Some(store))))
    }

    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StateError>,
    ) -> BoxFuture<'_, Result<T, StateError>> {
        let mut store = self.0.lock().unwrap();
        let result = store.as_mut().ok_or(StateError::Closed).and_then(work);
        Box::pin(std::future::ready(result))
    }
}

impl StateStore for SimState {
    fn commit(&self, changes: Changes) -> BoxFuture<'_, Result<Committed, StateError>> {
        self.with(|store| store.commit(&[changes]).remove(0))
    }

    fn spool_read(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, WriteItem)>, StateError>> {
        self.with(|store| store.read(|snapshot| snapshot.spool(from, len_max)))
    }

    fn spool_stats(&self) -> BoxFuture<'_, Result<SpoolStats, StateError>> {
        self.with(Store::spool_stats)
    }

    fn dead_letters(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, DeadLetter)>, StateError>> {
        self.with(|store| store.read(|snapshot| snapshot.dead(from, len_max)))
    }

    fn checkpoint_load(&self, feed: &str) -> BoxFuture<'_, Result<Option<Position>, StateError>> {
        self.with(|store| store.read(|snapshot| snapshot.checkpoint(feed)))
    }

    fn budget_load(&self) -> BoxFuture<'_, Result<Option<BudgetUse>, StateError>> {
        self.with(|store| store.read(Snapshot::budget))
    }

    fn recent_read(
        &self,
        since: Timestamp,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<RecentBar>, StateError>> {
        self.with(|store| {
            let held = store.held().recent;
            store.read(|snapshot| snapshot.recent(since, from, len_max, held))
        })
    }

    fn set_aside(&self, _: Timestamp) -> BoxFuture<'_, Result<PathBuf, StateError>> {
        self.with(|store| {
            let file = store.file().clone();
            store.replace(|| Ok(file))
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StateError>> {
        let closed = self
            .0
            .lock()
            .unwrap()
            .take()
            .map(drop)
            .ok_or(StateError::Closed);
        Box::pin(std::future::ready(closed))
    }
}
