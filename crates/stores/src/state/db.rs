//! The state store of a run: a handle, and the one thread that owns the file.
//!
//! Calls that wait together are committed together, so that one fsync serves them all. The thread is the
//! store's own, as every commit blocks it for the time of an fsync. It opens the file at the first need, so that a run
//! that needs no spool pays for none. A file that an earlier run left is opened by the first read: its spool is seen,
//! and what waits for other stores is told. A damaged file is set aside and an empty one begun.

use super::error::{EngineError, from_io};
use super::folder::{Folder, prepare};
use super::settings::{StateSettings, state_files};
use super::store::{Store, VERIFIED_LEN_MAX};
use super::transaction::Snapshot;
use barmill_core::engine::budget::BudgetUse;
use barmill_core::model::{Timestamp, WriteItem};
use barmill_core::port::{
    Changes, Clock, Committed, DeadLetter, Position, RecentBar, SpoolStats, StateError, StateStore,
};
use futures::future::BoxFuture;
use std::fmt;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// None: every call is served on its caller's thread, so that a simulation decides the order.
    #[cfg(any(test, feature = "testing"))]
    Absent(Box<Owner>),
    Ended,
}

type Reply<T> = oneshot::Sender<Result<T, StateError>>;

enum Call {
    Commit(Changes, Reply<Committed>),
    /// Anything but a commit, which answers by itself.
    Other(Box<dyn FnOnce(&mut Owner) + Send>),
}

/// What the thread owns; nothing of it is left after the close.
#[derive(Default)]
struct Owner {
    /// How the file is opened when it is first needed.
    lazily: Option<(StateSettings, Arc<dyn Clock>)>,
    /// The open file. It is closed before the folder is given free.
    store: Option<Store>,
    folder: Option<Folder>,
}

/// Opens or makes the file in its folder.
fn open(settings: &StateSettings, now: Timestamp) -> Result<(Store, Folder), StateError> {
    let folder = Folder::lock(settings)?;
    prepare(&folder, settings)?;
    let file = settings.file();
    let open = || {
        let mut store = Store::open_file(file.clone(), VERIFIED_LEN_MAX, settings.bounds)?;
        if let Some(target) = &settings.target {
            store.claim(target)?;
        }
        Ok(store)
    };
    let mut store = match open() {
        Err(StateError::Corrupt { file, what }) => {
            let aside = folder.set_aside(&file, now)?;
            tracing::error!(
                file = %file.display(), %what, set_aside = %aside.display(),
                "the state file is damaged: moved it aside; its bars are fetched again from the sources"
            );
            open()?
        }
        result => result?,
    };
    folder.sync()?;
    store.compact(fs::metadata(&file).map_or(0, |metadata| metadata.len()))?;
    Ok((store, folder))
}

impl Owner {
    /// The file, opened if it is not; the next call tries again what failed.
    fn store(&mut self) -> Result<&mut Store, StateError> {
        if let (None, Some((settings, clock))) = (&self.store, &self.lazily) {
            let mut tries = 1;
            let (store, folder) = loop {
                match open(settings, clock.now()) {
                    Err(StateError::Locked { .. }) if tries < LOCK_TRIES => {
                        tries += 1;
                        thread::park_timeout(LOCK_PAUSE);
                    }
                    opened => break opened?,
                }
            };
            (self.store, self.folder) = (Some(store), Some(folder));
        }
        self.store.as_mut().ok_or(StateError::Closed)
    }

    /// Reads from the file, if there is anything that could be read.
    fn read<T: Default>(
        &mut self,
        work: impl FnOnce(&Snapshot) -> Result<T, EngineError>,
    ) -> Result<T, StateError> {
        // A file of another target is a reason to open as well: what waits in it is told.
        if let (None, Some((settings, _))) = (&self.store, &self.lazily)
            && state_files(&settings.folder).is_empty()
        {
            return Ok(T::default());
        }
        self.store()?.read(work)
    }

    /// Serves calls in order; commits that follow each other are one.
    fn serve(&mut self, calls: impl IntoIterator<Item = Call>) {
        let mut waiting = Vec::new();
        for call in calls {
            match call {
                Call::Commit(changes, reply) => waiting.push((changes, reply)),
                Call::Other(work) => {
                    self.commit(std::mem::take(&mut waiting));
                    work(self);
                }
            }
        }
        self.commit(waiting);
    }

    fn commit(&mut self, waiting: Vec<(Changes, Reply<Committed>)>) {
        if waiting.is_empty() {
            return;
        }
        let (changes, replies): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let results = match self.store() {
            Ok(store) => store.commit(&changes),
            Err(error) => vec![Err(error); changes.len()],
        };
        for (reply, result) in replies.into_iter().zip(results) {
            // The commit stands, whether its caller still waits or not.
            let _unheard = reply.send(result);
        }
    }
}

impl StateDb {
    /// Makes the store; touches no file.
    pub fn new(settings: StateSettings, clock: Arc<dyn Clock>) -> StateDb {
        StateDb(Mutex::new(Thread::Waiting(Box::new(Owner {
            lazily: Some((settings, clock)),
            ..Owner::default()
        }))))
    }

    /// Makes a store without a thread from an open file.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn without_thread(store: Store) -> StateDb {
        StateDb(Mutex::new(Thread::Absent(Box::new(Owner {
            store: Some(store),
            ..Owner::default()
        }))))
    }

    fn thread(&self) -> MutexGuard<'_, Thread> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to the thread, which is started by the first call.
    fn calls(&self) -> Result<mpsc::Sender<Call>, StateError> {
        let mut thread = self.thread();
        if let Thread::Running(calls, _) = &*thread {
            return Ok(calls.clone());
        }
        let Thread::Waiting(mut owner) = std::mem::replace(&mut *thread, Thread::Ended) else {
            return Err(StateError::Closed);
        };
        let (calls, mut inbox) = mpsc::channel(CALLS_MAX);
        let started = thread::Builder::new()
            .name("barmill-state".to_owned())
            .spawn(move || {
                let mut found = Vec::new();
                while inbox.blocking_recv_many(&mut found, CALLS_MAX) > 0 {
                    owner.serve(found.drain(..));
                }
            });
        let started = started.map_err(|source| from_io("state thread".as_ref(), source))?;
        *thread = Thread::Running(calls.clone(), started);
        Ok(calls)
    }

    /// Sends a call, and waits for what the thread answers.
    async fn call<T>(&self, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, StateError> {
        let (reply, answer) = oneshot::channel();
        self.send(call(reply)).await?;
        answer.await.map_err(|_| StateError::Closed)?
    }

    async fn send(&self, call: Call) -> Result<(), StateError> {
        #[cfg(any(test, feature = "testing"))]
        if let Thread::Absent(owner) = &mut *self.thread() {
            owner.serve([call]);
            return Ok(());
        }
        let calls = self.calls()?;
        calls.send(call).await.map_err(|_| StateError::Closed)
    }

    /// Has the thread read something from the file, if there is one.
    fn read<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&Snapshot) -> Result<T, EngineError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StateError>> {
        Box::pin(self.call(|reply| {
            Call::Other(Box::new(move |owner| {
                // Whoever stopped waiting does not want the answer.
                let _unheard = reply.send(owner.read(work));
            }))
        }))
    }
}

impl Drop for StateDb {
    fn drop(&mut self) {
        let thread = std::mem::replace(&mut *self.thread(), Thread::Ended);
        if let Thread::Running(calls, thread) = thread {
            drop(calls);
            // Its panic, if any, was answered to every caller as a closed store.
            let _ended = thread.join();
        }
    }
}

impl StateStore for StateDb {
    fn commit(&self, changes: Changes) -> BoxFuture<'_, Result<Committed, StateError>> {
        Box::pin(self.call(|reply| Call::Commit(changes, reply)))
    }

    fn spool_read(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, WriteItem)>, StateError>> {
        self.read(move |snapshot| snapshot.spool(from, len_max))
    }

    fn spool_stats(&self) -> BoxFuture<'_, Result<SpoolStats, StateError>> {
        self.read(Snapshot::spool_stats)
    }

    fn dead_letters(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, DeadLetter)>, StateError>> {
        self.read(move |snapshot| snapshot.dead(from, len_max))
    }

    fn checkpoint_load(&self, feed: &str) -> BoxFuture<'_, Result<Option<Position>, StateError>> {
        let feed = feed.to_owned();
        self.read(move |snapshot| snapshot.checkpoint(&feed))
    }

    fn budget_load(&self) -> BoxFuture<'_, Result<Option<BudgetUse>, StateError>> {
        self.read(Snapshot::budget)
    }

    fn recent_read(
        &self,
        since: Timestamp,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<RecentBar>, StateError>> {
        self.read(move |snapshot| snapshot.recent(since, from, len_max))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StateError>> {
        Box::pin(async move {
            if !matches!(*self.thread(), Thread::Waiting(_) | Thread::Ended) {
                self.call(|reply| {
                    Call::Other(Box::new(move |owner| {
                        *owner = Owner::default();
                        let _unheard = reply.send(Ok(()));
                    }))
                })
                .await?;
            }
            *self.thread() = Thread::Ended;
            Ok(())
        })
    }
}
