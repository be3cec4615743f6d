//! The state file: one thread calls it, and every call is one transaction.
//!
//! Owns the open database and what a fault does to it. After a full disk the file is opened again by the next
//! call, as redb asks for. After any other fault of the disk nothing more is tried: a second fsync can succeed
//! although the first one lost pages. A damaged file answers its damage until it is set aside.

use super::error::{EngineError, corrupt, engine};
use super::row::Held;
use super::settings::{Bounds, StateSettings, Target};
use super::transaction::{Session, Snapshot};
use barmill_core::port::{Changes, Committed, SpoolStats, StateError};
use redb::{Builder, Database, DatabaseError, Durability};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

/// Bytes of a file that is worth compacting.
const COMPACT_LEN_MIN: u64 = 64 << 20;

/// Opens or makes the database; the argument asks for the check of the whole file.
pub(super) type Opener = Box<dyn Fn(bool) -> Result<Database, DatabaseError> + Send>;

/// The state file.
pub(super) struct Store {
    file: PathBuf,
    opener: Opener,
    bounds: Bounds,
    database: Option<Database>,
    held: Held,
    /// The fault after which the file is not touched again.
    broken: Option<StateError>,
}

impl Store {
    /// Opens the file with the check of all of it, if the settings ask for one, and makes its tables.
    pub(super) fn open(file: PathBuf, opener: Opener, bounds: Bounds) -> Result<Store, StateError> {
        let mut store = Store {
            file,
            opener,
            bounds,
            database: None,
            held: Held::default(),
            broken: None,
        };
        store.reopen(true)?;
        Ok(store)
    }

    /// Opens the file by its name.
    pub(super) fn open_file(file: PathBuf, settings: &StateSettings) -> Result<Store, StateError> {
        let opener = file_opener(&file, settings);
        Store::open(file, opener, settings.bounds)
    }

    /// Applies the changes of several callers in one transaction; each is refused alone or fails with all.
    pub(super) fn commit(&mut self, group: &[Changes]) -> Vec<Result<Committed, StateError>> {
        let (held, bounds) = (self.held, self.bounds);
        let change = |session: &mut Session| apply(session, group);
        match self.guarded(|database| transact(database, held, bounds, change)) {
            Ok((results, held)) => {
                self.held = held;
                results
                    .into_iter()
                    .map(|result| result.map_err(|fault| fault.at(&self.file)))
                    .collect()
            }
            Err(error) => group.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// Reads what is committed.
    pub(super) fn read<T>(
        &mut self,
        work: impl FnOnce(&Snapshot) -> Result<T, EngineError>,
    ) -> Result<T, StateError> {
        self.guarded(|database| work(&Snapshot::new(database)?))
    }

    /// What waits in the spool.
    pub(super) fn spool_stats(&mut self) -> Result<SpoolStats, StateError> {
        let oldest = self.read(Snapshot::spool_oldest)?;
        let Held { spool, dead, .. } = self.held;
        Ok(SpoolStats {
            items: spool.items,
            bytes: spool.bytes,
            oldest,
            dead_letters: dead.items,
            dead_bytes: dead.bytes,
        })
    }

    /// The target that the file is labelled with.
    pub(super) fn target(&mut self) -> Result<Option<Target>, StateError> {
        Ok(self.read(Snapshot::target)?.map(Target::new))
    }

    /// Labels a file that has no label yet; refuses one that is labelled with another target.
    pub(super) fn claim(&mut self, target: &Target) -> Result<(), StateError> {
        match self.target()? {
            Some(found) if found == *target => Ok(()),
            Some(found) => Err(StateError::Foreign {
                file: self.file.clone(),
                found: found.to_string(),
                wanted: target.to_string(),
            }),
            None => {
                let (held, bounds) = (self.held, self.bounds);
                let label = |session: &mut Session| session.label(target.as_str());
                self.guarded(|database| transact(database, held, bounds, label))?;
                Ok(())
            }
        }
    }

    /// What the tables of places hold.
    pub(super) fn held(&self) -> Held {
        self.held
    }

    /// The file's name in errors.
    pub(super) fn file(&self) -> &PathBuf {
        &self.file
    }

    /// Gives the space of drained items back, if most of the file is such space.
    pub(super) fn compact(&mut self, file_len: u64) -> Result<(), StateError> {
        let Held {
            spool,
            dead,
            recent,
        } = self.held;
        if !is_mostly_free(file_len, spool.bytes + dead.bytes + recent.bytes) {
            return Ok(());
        }
        let Some(database) = &mut self.database else {
            return Ok(());
        };
        let compacted = catch_unwind(AssertUnwindSafe(|| database.compact().map_err(engine)));
        self.settle(compacted).map(drop)
    }

    /// Closes the file, lets `rename` set it aside, and goes on with an empty one.
    pub(super) fn replace(
        &mut self,
        rename: impl FnOnce() -> Result<PathBuf, StateError>,
    ) -> Result<PathBuf, StateError> {
        self.close();
        let aside = rename()?;
        self.broken = None;
        self.reopen(false)?;
        Ok(aside)
    }

    /// Closes the file.
    pub(super) fn close(&mut self) {
        let database = self.database.take();
        // A damaged file may panic once more as it is closed.
        let _closed = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }

    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&Database) -> Result<T, EngineError>,
    ) -> Result<T, StateError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        if self.database.is_none() {
            self.reopen(false)?;
        }
        let Some(database) = &self.database else {
            return Err(StateError::Closed);
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(database)));
        self.settle(done)
    }

    fn reopen(&mut self, check: bool) -> Result<(), StateError> {
        let opened = catch_unwind(AssertUnwindSafe(|| open(&self.opener, check, self.bounds)));
        let (database, held) = self.settle(opened)?;
        (self.database, self.held) = (Some(database), held);
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

/// Opens the state file by its name.
fn file_opener(file: &Path, settings: &StateSettings) -> Opener {
    let (file, check, cache_bytes) = (file.to_owned(), settings.check, settings.cache_bytes);
    Box::new(move |wanted| {
        let len = fs::metadata(&file).map_or(0, |metadata| metadata.len());
        let mut builder = Builder::new();
        builder
            .set_cache_size(cache_bytes)
            .set_check_integrity_on_open(wanted && check.applies(len));
        builder.create(&file)
    })
}

fn open(opener: &Opener, check: bool, bounds: Bounds) -> Result<(Database, Held), EngineError> {
    let database = opener(check).map_err(engine)?;
    let held = match Snapshot::new(&database)?.held()? {
        Some(held) => held,
        None => transact(&database, Held::default(), bounds, |_| Ok(()))?.1,
    };
    Ok((database, held))
}

/// Changes the tables in one transaction, which is durable once it is committed.
fn transact<T>(
    database: &Database,
    held: Held,
    bounds: Bounds,
    change: impl FnOnce(&mut Session) -> Result<T, EngineError>,
) -> Result<(T, Held), EngineError> {
    let mut transaction = database.begin_write().map_err(engine)?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(engine)?;
    transaction.set_quick_repair(true);
    let mut session = Session::open(&transaction, held, bounds)?;
    let changed = change(&mut session)?;
    let held = session.finish()?;
    transaction.commit().map_err(engine)?;
    Ok((changed, held))
}

/// Applies the changes of each caller; one that finds no room is refused alone.
fn apply(
    session: &mut Session,
    group: &[Changes],
) -> Result<Vec<Result<Committed, EngineError>>, EngineError> {
    let mut results = Vec::with_capacity(group.len());
    for changes in group {
        match session.apply(changes) {
            Err(fault) if !matches!(fault, EngineError::Full { .. }) => return Err(fault),
            result => results.push(result),
        }
    }
    Ok(results)
}
