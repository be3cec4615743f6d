//! The embedded store: the same commands on a local file, without a server.
//!
//! Owns the file, its lock and its damage. One batch is one durable commit. A file that is damaged is set aside
//! under another name and an empty one is begun, with an error in the log: wrong bars are never served. The engine
//! is redb; the settings follow its measured behaviour (without the check on opening, a flipped bit is served
//! silently and a zeroed page panics; with it, both are clean errors).

use super::table::{RunError, Tables, fate, is_write};
use crate::key_store::command::Command;
use crate::key_store::counters::{Counters, resp_len};
use crate::key_store::port::{CommandResult, KeyStore, failed};
use barmill_core::port::{Clock, Remedy, SinkError, SinkStats};
use futures::future::BoxFuture;
use redb::{Database, DatabaseError, Durability, ReadableTable, StorageError, TableDefinition};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const FILE_NAME: &str = "bars.redb";
const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
/// Bytes of the page cache.
const CACHE_BYTES: usize = 64 << 20;
/// The record layout of `embedded_table`.
const SCHEMA: u64 = 1;

/// Why the store does not open.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The folder cannot be made or used.
    #[error("folder {} cannot be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// There is no store, and none was to be created.
    #[error("store {} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is open already.
    #[error("store {} is locked by another process, or opened twice in this one", path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a later version.
    #[error("store {} has layout {found}, this version supports up to {SCHEMA}; use a newer barmill", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The layout's number.
        found: u64,
    },
    /// Anything else.
    #[error("store {} does not open", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<redb::Error>,
    },
}

/// What the store holds of its file.
enum State {
    Open(Arc<Database>),
    /// An I/O error, such as a full disk, after which the engine must open the file again.
    Broken,
    Closed,
}

/// A store in a folder, held by this process alone.
pub struct EmbeddedStore {
    name: String,
    path: PathBuf,
    state: Mutex<State>,
    counters: Counters,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the store in a folder, which is made unless it `must_exist`; the clock decides what has expired. Verifies the
    /// whole file, which takes about 1.5 s per GB.
    ///
    /// # Errors
    /// [`EmbeddedError`]; a damaged file is none of them, since it is set aside.
    pub fn open(
        folder: &Path,
        must_exist: bool,
        clock: Arc<dyn Clock>,
    ) -> Result<EmbeddedStore, EmbeddedError> {
        let path = folder.join(FILE_NAME);
        if must_exist {
            if !path.exists() {
                return Err(EmbeddedError::Missing { path });
            }
        } else {
            std::fs::create_dir_all(folder).map_err(|source| EmbeddedError::Folder {
                path: folder.to_owned(),
                source,
            })?;
        }
        let database = open_or_begin(&path, clock.as_ref())?;
        Ok(EmbeddedStore {
            name: format!("embedded:{}", folder.display()),
            path,
            state: Mutex::new(State::Open(Arc::new(database))),
            counters: Counters::default(),
            clock,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open database, opened again if it was broken; `None` after the close.
    async fn database(&self) -> Result<Option<Arc<Database>>, SinkError> {
        match &*self.state() {
            State::Open(database) => return Ok(Some(Arc::clone(database))),
            State::Closed => return Ok(None),
            State::Broken => {}
        }
        let path = self.path.clone();
        let opened = tokio::task::spawn_blocking(move || open_file(&path)).await;
        let operation = || format!("open {} again", self.name);
        let opened = opened.map_err(|error| failed(operation(), Remedy::Fatal, error))?;
        let retry = Remedy::Retry { after: None };
        let database = Arc::new(opened.map_err(|error| failed(operation(), retry, error))?);
        *self.state() = State::Open(Arc::clone(&database));
        Ok(Some(database))
    }

    async fn execute(&self, commands: &[Command]) -> Result<Vec<CommandResult>, SinkError> {
        let operation = || format!("commit {} commands to {}", commands.len(), self.name);
        let Some(database) = self.database().await? else {
            return Err(failed(operation(), Remedy::Fatal, "the store is closed"));
        };
        self.counters
            .add_request(commands.len(), resp_len(commands));
        let now_ms = self.clock.now().as_millis();
        let owned = commands.to_vec();
        let done = tokio::task::spawn_blocking(move || transact(&database, &owned, now_ms)).await;
        match done {
            Ok(Ok(results)) => Ok(results),
            Ok(Err(error)) => {
                *self.state() = State::Broken;
                Err(failed(operation(), remedy_of(&error), error))
            }
            Err(error) => Err(failed(operation(), Remedy::Fatal, error)),
        }
    }
}

/// A full disk may get room again; after any other failure a person must look at the file.
fn remedy_of(error: &redb::Error) -> Remedy {
    let is_full =
        matches!(error, redb::Error::Io(cause) if cause.kind() == io::ErrorKind::StorageFull);
    if is_full {
        Remedy::Retry { after: None }
    } else {
        Remedy::Fatal
    }
}

/// Runs commands in one transaction. Reads alone run in one that is dropped, so that there is one kind of tables; they
/// wait for a commit under way.
fn transact(
    database: &Database,
    commands: &[Command],
    now_ms: i64,
) -> Result<Vec<CommandResult>, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    let mut tables = Tables::open(&transaction, now_ms)?;
    let has_writes = commands.iter().any(is_write);
    if has_writes {
        match tables.sweep() {
            // A damaged key is told to whoever asks for it.
            Ok(()) | Err(RunError::Command(_)) => {}
            Err(RunError::Store(error)) => return Err(error),
        }
    }
    let run = |command: &Command| fate(tables.run(command));
    let results = commands.iter().map(run).collect::<Result<_, _>>()?;
    drop(tables);
    if has_writes {
        transaction.commit()?;
    }
    Ok(results)
}

fn open_file(path: &Path) -> Result<Database, DatabaseError> {
    let mut builder = Database::builder();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    builder.create(path)
}

/// Opens the file, or sets a damaged one aside and begins an empty one.
fn open_or_begin(path: &Path, clock: &dyn Clock) -> Result<Database, EmbeddedError> {
    let database = match open_file(path) {
        Err(damage) if is_damage(&damage) => {
            set_aside(path, &damage, clock)?;
            open_file(path)
        }
        opened => opened,
    };
    let database = database.map_err(|error| explain(path, error))?;
    let path = path.to_owned();
    match prepare(&database) {
        Ok(found) if found <= SCHEMA => Ok(database),
        Ok(found) => Err(EmbeddedError::Newer { path, found }),
        Err(error) => Err(EmbeddedError::Open {
            path,
            source: Box::new(error),
        }),
    }
}

fn is_damage(error: &DatabaseError) -> bool {
    let is_short = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
        )
    };
    matches!(
        error,
        DatabaseError::Storage(StorageError::Corrupted(_)) | DatabaseError::RepairAborted
    ) || matches!(error, DatabaseError::Storage(StorageError::Io(cause)) if is_short(cause))
}

/// Renames a damaged file to `bars.redb.corrupt-<unix seconds>`.
fn set_aside(path: &Path, damage: &DatabaseError, clock: &dyn Clock) -> Result<(), EmbeddedError> {
    let mut seconds = clock.now().as_millis() / 1_000;
    let mut aside = path.with_extension(format!("redb.corrupt-{seconds}"));
    while aside.exists() {
        seconds += 1;
        aside = path.with_extension(format!("redb.corrupt-{seconds}"));
    }
    std::fs::rename(path, &aside).map_err(|source| EmbeddedError::Folder {
        path: path.to_owned(),
        source,
    })?;
    tracing::error!(
        store = %path.display(), aside = %aside.display(), %damage,
        "the store is damaged: moved it aside and started an empty one; write its bars again from their source"
    );
    Ok(())
}

fn explain(path: &Path, error: DatabaseError) -> EmbeddedError {
    let path = path.to_owned();
    if matches!(
        error,
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch
    ) {
        return EmbeddedError::Held { path };
    }
    EmbeddedError::Open {
        path,
        source: Box::new(error.into()),
    }
}

/// Makes the tables of a new file; tells the layout.
fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let known = {
        let mut meta = transaction.open_table(META)?;
        let known = meta.get("schema")?.map(|found| found.value());
        if known.is_none() {
            meta.insert("schema", SCHEMA)?;
        }
        known
    };
    if let Some(found) = known {
        transaction.abort()?;
        return Ok(found);
    }
    drop(Tables::open(&transaction, 0)?);
    transaction.commit()?;
    Ok(SCHEMA)
}

impl KeyStore for EmbeddedStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn run<'a>(
        &'a self,
        commands: &'a [Command],
    ) -> BoxFuture<'a, Result<Vec<CommandResult>, SinkError>> {
        Box::pin(self.execute(commands))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        // Every commit was durable; dropping the last handle releases the lock.
        let database = std::mem::replace(&mut *self.state(), State::Closed);
        Box::pin(async move {
            let closed = tokio::task::spawn_blocking(move || drop(database)).await;
            closed.map_err(|error| failed(format!("close {}", self.name), Remedy::Fatal, error))
        })
    }

    fn stats(&self) -> SinkStats {
        self.counters.stats()
    }
}
