//! The state file: one thread calls it, and every call is one transaction.
//!
//! Owns the open database and what a fault does to it. After a full disk the file is opened again by the next
//! call, as redb asks for. After any other fault of the disk nothing more is tried: a second fsync can succeed
//! although the first one lost pages. A damaged file answers its damage until it is set aside.

use super::error::{EngineError, corrupt};
use super::row::Held;
use super::settings::{Bounds, Target};
use super::transaction::{Session, Snapshot};
use barmill_core::port::{Changes, Committed, StateError};
use redb::{Builder, Database, DatabaseError, Durability};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread;

/// Bytes of a file that is worth compacting.
const COMPACT_LEN_MIN: u64 = 64 << 20;

/// Bytes of the page cache.
const CACHE_BYTES: usize = 32 << 20;
/// A file of fewer bytes is verified as a whole when it is opened, which takes about a second; a damaged page of a larger
/// one is found when it is read, by the checksum of its values.
pub(super) const VERIFIED_LEN_MAX: u64 = 1 << 30;

/// Opens or makes the database; the argument asks for the check of the whole file.
pub(super) type Opener = Box<dyn Fn(bool) -> Result<Database, DatabaseError> + Send>;

/// The state file.
pub(super) struct Store {
    file: PathBuf,
    opener: Opener,
    bounds: Bounds,
    /// The open database, and what its tables hold.
    open: Option<(Database, Held)>,
    /// The fault after which the file is not touched again.
    broken: Option<StateError>,
}

impl Store {
    /// Opens the file with the check of all of it, if the opener knows one, and makes its tables.
    pub(super) fn open(file: PathBuf, opener: Opener, bounds: Bounds) -> Result<Store, StateError> {
        let mut store = Store {
            file,
            opener,
            bounds,
            open: None,
            broken: None,
        };
        store.reopen(true)?;
        Ok(store)
    }

    /// Opens the file by its name; a file of fewer bytes than `verified_len` is verified as a whole.
    pub(super) fn open_file(
        file: PathBuf,
        verified_len: u64,
        bounds: Bounds,
    ) -> Result<Store, StateError> {
        let path = file.clone();
        let opener = move |check| {
            let len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            let mut builder = Builder::new();
            builder
                .set_cache_size(CACHE_BYTES)
                .set_check_integrity_on_open(check && len < verified_len);
            builder.create(&path)
        };
        Store::open(file, Box::new(opener), bounds)
    }

    /// Applies the changes of several callers in one transaction; each is refused alone or fails with all.
    pub(super) fn commit(&mut self, group: &[Changes]) -> Vec<Result<Committed, StateError>> {
        let apply = |session: &mut Session| group.iter().map(|one| session.apply(one)).collect();
        self.change(apply)
            .unwrap_or_else(|error| vec![Err(error); group.len()])
    }

    /// Reads what is committed.
    pub(super) fn read<T>(
        &mut self,
        work: impl FnOnce(&Snapshot) -> Result<T, EngineError>,
    ) -> Result<T, StateError> {
        self.guarded(|database, held| work(&Snapshot::new(database, *held)?))
    }

    /// Labels a file that has no label yet; refuses one that is labelled with another target.
    pub(super) fn claim(&mut self, target: &Target) -> Result<(), StateError> {
        match self.read(Snapshot::target)? {
            Some(found) if found == target.as_str() => Ok(()),
            Some(found) => Err(StateError::Foreign {
                file: self.file.clone(),
                found,
                wanted: target.to_string(),
            }),
            None => self.change(|session| session.label(target.as_str())),
        }
    }

    /// The file's name in errors.
    pub(super) fn file(&self) -> &PathBuf {
        &self.file
    }

    /// Gives the space of drained items back, if most of the file is such space.
    pub(super) fn compact(&mut self, file_len: u64) -> Result<(), StateError> {
        let Some((database, held)) = &mut self.open else {
            return Ok(());
        };
        let held_bytes = held.spool.bytes + held.dead.bytes + held.recent.bytes;
        if !is_mostly_free(file_len, held_bytes) {
            return Ok(());
        }
        let compacted = catch_unwind(AssertUnwindSafe(|| Ok(database.compact()?)));
        self.settle(compacted).map(drop)
    }

    fn close(&mut self) {
        let open = self.open.take();
        // A damaged file may panic once more as it is closed.
        let _closed = catch_unwind(AssertUnwindSafe(|| drop(open)));
    }

    /// Changes the tables in one transaction, which is durable once it is committed.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T, EngineError>,
    ) -> Result<T, StateError> {
        let bounds = self.bounds;
        self.guarded(|database, held| transact(database, held, bounds, work))
    }

    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&Database, &mut Held) -> Result<T, EngineError>,
    ) -> Result<T, StateError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        if self.open.is_none() {
            self.reopen(false)?;
        }
        let Some((database, held)) = &mut self.open else {
            return Err(StateError::Closed);
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(database, held)));
        self.settle(done)
    }

    fn reopen(&mut self, check: bool) -> Result<(), StateError> {
        let opened = catch_unwind(AssertUnwindSafe(|| open(&self.opener, check, self.bounds)));
        self.open = Some(self.settle(opened)?);
        Ok(())
    }

    /// Closes the file after any fault but that of one row; redb panics on some damaged files.
    fn settle<T>(&mut self, done: thread::Result<Result<T, EngineError>>) -> Result<T, StateError> {
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault @ EngineError::Row { .. })) => Err(fault.at(&self.file)),
            Ok(Err(fault)) => Err(self.fail(fault.at(&self.file))),
            Err(_) => Err(self.fail(corrupt(&self.file, "the engine panicked on it".to_owned()))),
        }
    }

    fn fail(&mut self, error: StateError) -> StateError {
        self.close();
        match &error {
            StateError::DiskFull { .. } | StateError::Full { .. } | StateError::Closed => {}
            StateError::Corrupt { .. }
            | StateError::Io { .. }
            | StateError::Locked { .. }
            | StateError::Foreign { .. }
            | StateError::Unclaimed { .. }
            | StateError::Version { .. } => self.broken = Some(error.clone()),
        }
        error
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

/// Rows take up to twice their bytes, so a file of eight times as many is mostly free; a small one is let be.
fn is_mostly_free(file_len: u64, held_bytes: u64) -> bool {
    COMPACT_LEN_MIN < file_len && held_bytes.saturating_mul(8) < file_len
}

fn open(opener: &Opener, check: bool, bounds: Bounds) -> Result<(Database, Held), EngineError> {
    let database = opener(check)?;
    let stored = Snapshot::stored(&database)?;
    let mut held = stored.unwrap_or_default();
    if stored.is_none() {
        transact(&database, &mut held, bounds, |_| Ok(()))?;
    }
    Ok((database, held))
}

fn transact<T>(
    database: &Database,
    held: &mut Held,
    bounds: Bounds,
    change: impl FnOnce(&mut Session) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    let mut session = Session::open(&transaction, *held, bounds)?;
    let changed = change(&mut session)?;
    let changed_held = session.finish()?;
    transaction.commit()?;
    *held = changed_held;
    Ok(changed)
}
