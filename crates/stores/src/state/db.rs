//! The state store of a run: a handle, and the one thread that owns the file.
//!
//! Calls that wait together are committed together, so that one fsync serves them all. The thread is the
//! store's own, as every commit blocks it for the time of an fsync. It opens the file at the first need, so that a run
//! that needs no spool pays for none. A file that an earlier run left is opened by the first read: its spool is seen,
//! and what waits for other stores is told.

use super::error::from_io;
use super::folder::{Folder, prepare};
use super::settings::{Bounds, StateSettings, state_files};
use super::store::{Opener, Store};
use super::transaction::Snapshot;
use barmill_core::engine::budget::BudgetUse;
use barmill_core::model::{Timestamp, WriteItem};
use barmill_core::port::{
    Changes, Clock, Committed, DeadLetter, Position, RecentBar, SpoolStats, StateError, StateStore,
};
use futures::future::BoxFuture;
use redb::Builder;
use redb::backends::InMemoryBackend;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Calls that wait; more than the writer ever has under way.
const CALLS_MAX: usize = 64;
/// Tries to lock the folder. A process that this one starts holds copies of its files, locks among them, until it runs a
/// program of its own; and a barmill that ends may take a moment to do so.
const LOCK_TRIES: u32 = 10;
/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// An opened state store, and what was found as it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub state: StateDb,
    /// Where the damaged file of the last run now lies; its bars are to be fetched again from the sources.
    pub set_aside: Option<PathBuf>,
}

/// The state store of a run. Dropping it waits for the calls under way and closes the file.
pub struct StateDb(Mutex<Thread>);

impl fmt::Debug for StateDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateDb")
    }
}

enum Thread {
    /// Started by the first call.
    Waiting(Box<Owner>),
    Running(mpsc::Sender<Call>, JoinHandle<()>),
    Ended,
}

enum Call {
    Commit(Changes, oneshot::Sender<Result<Committed, StateError>>),
    /// Anything but a commit, which answers by itself.
    Other(Box<dyn FnOnce(&mut Owner) + Send>),
    Close(oneshot::Sender<()>),
}

/// What the thread owns.
struct Owner {
    /// How the file is opened when it is first needed.
    lazily: Option<(StateSettings, Arc<dyn Clock>)>,
    file: Option<StateFile>,
}

/// The open file. It is closed before the folder is given free.
struct StateFile {
    store: Store,
    folder: Option<Folder>,
}

impl StateFile {
    /// Opens or makes the file, and tells where a damaged one was put.
    fn open(
        settings: &StateSettings,
        now: Timestamp,
    ) -> Result<(StateFile, Option<PathBuf>), StateError> {
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
        let folder = Some(folder);
        Ok((StateFile { store, folder }, set_aside))
    }
}

impl Owner {
    fn of(file: StateFile) -> Owner {
        Owner {
            lazily: None,
            file: Some(file),
        }
    }

    /// The file, opened if it is not; the next call tries again what failed.
    fn file(&mut self) -> Result<&mut StateFile, StateError> {
        if let (None, Some((settings, clock))) = (&self.file, &self.lazily) {
            let mut tries = 1;
            let opened = loop {
                match StateFile::open(settings, clock.now()) {
                    Err(StateError::Locked { .. }) if tries < LOCK_TRIES => {
                        tries += 1;
                        thread::park_timeout(LOCK_PAUSE);
                    }
                    opened => break opened?,
                }
            };
            self.file = Some(opened.0);
        }
        self.file.as_mut().ok_or(StateError::Closed)
    }

    /// Reads from the file, if there is anything that could be read.
    fn read<T: Default>(
        &mut self,
        work: impl FnOnce(&mut Store) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        // A file of another target is a reason to open as well: what waits in it is told.
        if let (None, Some((settings, _))) = (&self.file, &self.lazily)
            && state_files(&settings.folder).is_empty()
        {
            return Ok(T::default());
        }
        work(&mut self.file()?.store)
    }
}

impl StateDb {
    /// Makes the store; touches no file.
    pub fn new(settings: StateSettings, clock: Arc<dyn Clock>) -> StateDb {
        StateDb::of(Owner {
            lazily: Some((settings, clock)),
            file: None,
        })
    }

    /// Opens or makes the state in its folder at once. A damaged file is set aside and an empty one begun. Blocks.
    ///
    /// # Errors
    /// [`StateError::Locked`] when another process has the folder, [`StateError::Version`] when a newer barmill
    /// wrote the file, [`StateError::DiskFull`] and [`StateError::Io`] when the disk does not play along.
    pub fn open(settings: &StateSettings, now: Timestamp) -> Result<Opened, StateError> {
        let (file, set_aside) = StateFile::open(settings, now)?;
        let state = StateDb::of(Owner::of(file));
        Ok(Opened { state, set_aside })
    }

    /// Makes a state that lives as long as the process: for runs that need not outlive it, and for tests.
    ///
    /// # Errors
    /// [`StateError::Io`] when it cannot be made.
    pub fn in_memory(bounds: Bounds) -> Result<StateDb, StateError> {
        let opener: Opener =
            Box::new(|_| Builder::new().create_with_backend(InMemoryBackend::new()));
        let store = Store::open(PathBuf::from("(memory)"), opener, bounds)?;
        Ok(StateDb::of(Owner::of(StateFile {
            store,
            folder: None,
        })))
    }

    fn of(owner: Owner) -> StateDb {
        StateDb(Mutex::new(Thread::Waiting(Box::new(owner))))
    }

    fn take(&self) -> Thread {
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut thread, Thread::Ended)
    }

    /// The way to the thread, which is started by the first call.
    fn calls(&self) -> Result<mpsc::Sender<Call>, StateError> {
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Thread::Running(calls, _) = &*thread {
            return Ok(calls.clone());
        }
        let Thread::Waiting(owner) = std::mem::replace(&mut *thread, Thread::Ended) else {
            return Err(StateError::Closed);
        };
        let (calls, inbox) = mpsc::channel(CALLS_MAX);
        let started = thread::Builder::new()
            .name("barmill-state".to_owned())
            .spawn(move || serve(*owner, inbox));
        let started = started.map_err(|source| from_io("state thread".as_ref(), source))?;
        *thread = Thread::Running(calls.clone(), started);
        Ok(calls)
    }

    /// Sends a call, and waits for what the thread answers.
    async fn call<T>(
        &self,
        call: impl FnOnce(oneshot::Sender<T>) -> Call,
    ) -> Result<T, StateError> {
        let calls = self.calls()?;
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

    /// Has the thread read something from the file, if there is one.
    fn read<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StateError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StateError>> {
        self.ask(|owner| owner.read(work))
    }
}

/// Waits for the end of the thread; its panic, if any, was answered to every caller as a closed store.
fn join(thread: JoinHandle<()>) {
    let _ended = thread.join();
}

impl Drop for StateDb {
    fn drop(&mut self) {
        if let Thread::Running(calls, thread) = self.take() {
            drop(calls);
            join(thread);
        }
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
        self.read(move |store| store.read(|snapshot| snapshot.spool(from, len_max)))
    }

    fn spool_stats(&self) -> BoxFuture<'_, Result<SpoolStats, StateError>> {
        self.read(Store::spool_stats)
    }

    fn dead_letters(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, DeadLetter)>, StateError>> {
        self.read(move |store| store.read(|snapshot| snapshot.dead(from, len_max)))
    }

    fn checkpoint_load(&self, feed: &str) -> BoxFuture<'_, Result<Option<Position>, StateError>> {
        let feed = feed.to_owned();
        self.read(move |store| store.read(|snapshot| snapshot.checkpoint(&feed)))
    }

    fn budget_load(&self) -> BoxFuture<'_, Result<Option<BudgetUse>, StateError>> {
        self.read(|store| store.read(Snapshot::budget))
    }

    fn recent_read(
        &self,
        since: Timestamp,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<RecentBar>, StateError>> {
        self.read(move |store| {
            let held = store.held().recent;
            store.read(|snapshot| snapshot.recent(since, from, len_max, held))
        })
    }

    fn set_aside(&self, now: Timestamp) -> BoxFuture<'_, Result<PathBuf, StateError>> {
        self.ask(move |owner| {
            let StateFile { store, folder } = owner.file()?;
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
            let Thread::Running(calls, thread) = self.take() else {
                return Ok(());
            };
            let (reply, closed) = oneshot::channel();
            let asked = calls.send(Call::Close(reply)).await;
            asked.map_err(|_| StateError::Closed)?;
            closed.await.map_err(|_| StateError::Closed)?;
            join(thread);
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
                let results = match owner.file() {
                    Ok(file) => file.store.commit(&changes),
                    Err(error) => vec![Err(error); changes.len()],
                };
                for (reply, result) in replies.drain(..).zip(results) {
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
