//! The state store of a run: a handle, and the one thread that owns the file.
//!
//! Calls that wait together are committed together, so that one fsync serves them all. The thread is the
//! store's own, as every commit blocks it for the time of an fsync.

use super::error::from_io;
use super::folder::{Folder, prepare};
use super::settings::{Bounds, StateSettings};
use super::store::{Opener, Store};
use super::transaction::Snapshot;
use barmill_core::engine::budget::BudgetUse;
use barmill_core::model::{Timestamp, WriteItem};
use barmill_core::port::{
    Changes, Committed, DeadLetter, Position, RecentBar, SpoolStats, StateError, StateStore,
};
use futures::future::BoxFuture;
use redb::Builder;
use redb::backends::InMemoryBackend;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot};

/// Calls that wait; more than the writer ever has under way.
const CALLS_MAX: usize = 64;

/// An opened state store, and what was found as it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub state: StateDb,
    /// Where the damaged file of the last run now lies; its bars are to be fetched again from the sources.
    pub set_aside: Option<PathBuf>,
}

/// The state store of a run. Dropping it waits for the calls under way and closes the file.
#[derive(Debug)]
pub struct StateDb {
    calls: Option<mpsc::Sender<Call>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Call {
    Commit(Changes, oneshot::Sender<Result<Committed, StateError>>),
    /// Anything but a commit, which answers by itself.
    Other(Box<dyn FnOnce(&mut Owner) + Send>),
    Close(oneshot::Sender<()>),
}

/// What the thread owns. The store is closed before the folder is given free.
struct Owner {
    store: Store,
    folder: Option<Folder>,
}

impl StateDb {
    /// Opens or makes the state in its folder. A damaged file is set aside and an empty one begun. Blocks.
    ///
    /// # Errors
    /// [`StateError::Locked`] when another process has the folder, [`StateError::Version`] when a newer barmill
    /// wrote the file, [`StateError::DiskFull`] and [`StateError::Io`] when the disk does not play along.
    pub fn open(settings: &StateSettings, now: Timestamp) -> Result<Opened, StateError> {
        let folder = Folder::lock(settings)?;
        prepare(&folder, settings)?;
        let file = folder.file();
        let open = || {
            let mut store = Store::open_file(file.clone(), settings)?;
            if let Some(target) = &settings.target {
                store.claim(target)?;
            }
            Ok(store)
        };
        let (mut store, set_aside) = match open() {
            Err(StateError::Corrupt { file, what }) => {
                let aside = folder.set_aside(now)?;
                tracing::error!(
                    file = %file.display(), %what, set_aside = %aside.display(),
                    "the state file is damaged: moved it aside; its bars are fetched again from the sources"
                );
                (open()?, Some(aside))
            }
            result => (result?, None),
        };
        folder.sync()?;
        store.compact(fs::metadata(&file).map_or(0, |metadata| metadata.len()))?;
        let state = StateDb::spawn(Owner {
            store,
            folder: Some(folder),
        })?;
        Ok(Opened { state, set_aside })
    }

    /// Makes a state that lives as long as the process: for runs that need not outlive it, and for tests.
    ///
    /// # Errors
    /// [`StateError::Io`] when no thread can be started.
    pub fn in_memory(bounds: Bounds) -> Result<StateDb, StateError> {
        let opener: Opener =
            Box::new(|_| Builder::new().create_with_backend(InMemoryBackend::new()));
        let store = Store::open(PathBuf::from("(memory)"), opener, bounds)?;
        StateDb::spawn(Owner {
            store,
            folder: None,
        })
    }

    fn spawn(owner: Owner) -> Result<StateDb, StateError> {
        let (calls, inbox) = mpsc::channel(CALLS_MAX);
        let file = owner.store.file().clone();
        let thread = thread::Builder::new()
            .name("barmill-state".to_owned())
            .spawn(move || serve(owner, inbox))
            .map_err(|source| from_io(&file, source))?;
        Ok(StateDb {
            calls: Some(calls),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Sends a call, and waits for what the thread answers.
    async fn call<T>(
        &self,
        call: impl FnOnce(oneshot::Sender<T>) -> Call,
    ) -> Result<T, StateError> {
        let calls = self.calls.as_ref().ok_or(StateError::Closed)?;
        let (reply, answer) = oneshot::channel();
        calls
            .send(call(reply))
            .await
            .map_err(|_| StateError::Closed)?;
        answer.await.map_err(|_| StateError::Closed)
    }

    /// Has the thread do something, and waits for what it answers.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Owner) -> Result<T, StateError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StateError>> {
        Box::pin(async move {
            let call = |reply: oneshot::Sender<_>| {
                Call::Other(Box::new(move |owner| {
                    // Whoever stopped waiting does not want the answer.
                    let _unheard = reply.send(work(owner));
                }))
            };
            self.call(call).await?
        })
    }

    fn join(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Its panic, if any, was answered to every caller as a closed store.
        let _ended = thread.map(JoinHandle::join);
    }
}

impl Drop for StateDb {
    fn drop(&mut self) {
        self.calls = None;
        self.join();
    }
}

impl StateStore for StateDb {
    fn commit(&self, changes: Changes) -> BoxFuture<'_, Result<Committed, StateError>> {
        Box::pin(async move { self.call(|reply| Call::Commit(changes, reply)).await? })
    }

    fn spool_read(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, WriteItem)>, StateError>> {
        self.ask(move |owner| owner.store.read(|snapshot| snapshot.spool(from, len_max)))
    }

    fn spool_stats(&self) -> BoxFuture<'_, Result<SpoolStats, StateError>> {
        self.ask(|owner| owner.store.spool_stats())
    }

    fn dead_letters(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, DeadLetter)>, StateError>> {
        self.ask(move |owner| owner.store.read(|snapshot| snapshot.dead(from, len_max)))
    }

    fn checkpoint_load(&self, feed: &str) -> BoxFuture<'_, Result<Option<Position>, StateError>> {
        let feed = feed.to_owned();
        self.ask(move |owner| owner.store.read(|snapshot| snapshot.checkpoint(&feed)))
    }

    fn budget_load(&self) -> BoxFuture<'_, Result<Option<BudgetUse>, StateError>> {
        self.ask(|owner| owner.store.read(Snapshot::budget))
    }

    fn recent_read(
        &self,
        since: Timestamp,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<RecentBar>, StateError>> {
        self.ask(move |owner| {
            let held = owner.store.held().recent;
            owner
                .store
                .read(|snapshot| snapshot.recent(since, from, len_max, held))
        })
    }

    fn set_aside(&self, now: Timestamp) -> BoxFuture<'_, Result<PathBuf, StateError>> {
        self.ask(move |owner| {
            let Owner { store, folder } = owner;
            let file = store.file().clone();
            store.replace(|| {
                folder
                    .as_ref()
                    .map_or(Ok(file), |folder| folder.set_aside(now))
            })
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StateError>> {
        Box::pin(async move {
            self.call(Call::Close).await?;
            self.join();
            Ok(())
        })
    }
}

/// The life of the thread: serves calls in order until the last handle is gone.
fn serve(mut owner: Owner, mut inbox: mpsc::Receiver<Call>) {
    let mut changes = Vec::new();
    let mut replies = Vec::new();
    let mut held_back = None;
    while let Some(call) = held_back.take().or_else(|| inbox.blocking_recv()) {
        match call {
            Call::Commit(change, reply) => {
                changes.push(change);
                replies.push(reply);
                while changes.len() < CALLS_MAX && held_back.is_none() {
                    match inbox.try_recv() {
                        Ok(Call::Commit(change, reply)) => {
                            changes.push(change);
                            replies.push(reply);
                        }
                        Ok(other) => held_back = Some(other),
                        Err(_) => break,
                    }
                }
                for (reply, result) in replies.drain(..).zip(owner.store.commit(&changes)) {
                    // The commit stands, whether its caller still waits or not.
                    let _unheard = reply.send(result);
                }
                changes.clear();
            }
            Call::Other(work) => work(&mut owner),
            Call::Close(reply) => {
                drop(owner);
                let _unheard = reply.send(());
                return;
            }
        }
    }
}
