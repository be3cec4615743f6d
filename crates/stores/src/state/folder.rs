//! The folder of the state files, held by one process, and what waits in it for which store.
//!
//! The lock lies in a file of its own, so that it also holds while the state file is closed, renamed or opened
//! again after a full disk.

use super::error::from_io;
use super::settings::{StateSettings, Target, state_files};
use super::store::Store;
use super::transaction::Snapshot;
use barmill_core::model::Timestamp;
use barmill_core::port::{SpoolStats, StateError};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const LOCK_FILE: &str = "barmill.lock";
/// How a target without a name is called on the command line.
const UNNAMED: &str = "unnamed";

/// A locked folder; dropping it gives it free.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is missing, and locks it.
    pub(super) fn lock(settings: &StateSettings) -> Result<Folder, StateError> {
        let path: &Path = &settings.folder;
        fs::create_dir_all(path).map_err(|source| from_io(path, source))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|source| from_io(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked {
                folder: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(from_io(&lock_path, source)),
        }
    }

    /// Makes new names in the folder durable.
    pub(super) fn sync(&self) -> Result<(), StateError> {
        File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| from_io(&self.path, source))
    }

    /// Renames a state file, which must be closed, to a name that says when it was found damaged.
    pub(super) fn set_aside(&self, file: &Path, now: Timestamp) -> Result<PathBuf, StateError> {
        let seconds = now.as_millis() / 1_000;
        let own = file.file_name().unwrap_or_default().to_string_lossy();
        let name = |suffix: &str| self.path.join(format!("{own}.corrupt-{seconds}{suffix}"));
        let mut target = name("");
        let mut copies = 1;
        while target.exists() {
            copies += 1;
            target = name(&format!(".{copies}"));
        }
        rename(file, &target).map_err(|source| from_io(file, source))?;
        self.sync()?;
        Ok(target)
    }
}

/// A file that is already gone is as good as set aside.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// What a state folder holds for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetState {
    /// The target; `None` for the file of programs that name none.
    pub target: Option<Target>,
    /// The file.
    pub file: PathBuf,
    /// What waits in it.
    pub spool: SpoolStats,
}

impl TargetState {
    /// The name by which the command line knows the target.
    pub fn id(&self) -> String {
        self.target
            .as_ref()
            .map_or_else(|| UNNAMED.to_owned(), Target::id)
    }

    /// Whether anything waits or was refused.
    pub fn is_empty(&self) -> bool {
        self.spool.items == 0 && self.spool.dead_letters == 0
    }
}

/// What each state file of the folder holds.
///
/// # Errors
/// [`StateError::Locked`] while a barmill runs on the folder, and what is wrong with a file.
pub fn targets(settings: &StateSettings) -> Result<Vec<TargetState>, StateError> {
    if state_files(&settings.folder).is_empty() {
        return Ok(Vec::new());
    }
    let _folder = Folder::lock(settings)?;
    state_files(&settings.folder)
        .into_iter()
        .map(|file| look(file, settings))
        .collect()
}

/// Removes the state file of the settings' target if nothing waits in it: a later run for that target begins anew.
///
/// # Errors
/// As for [`targets`].
pub fn forget(settings: &StateSettings) -> Result<(), StateError> {
    let folder = Folder::lock(settings)?;
    let file = settings.file();
    if file.exists() && look(file.clone(), settings)?.is_empty() {
        fs::remove_file(&file).map_err(|source| from_io(&file, source))?;
        folder.sync()?;
    }
    Ok(())
}

/// Prepares the folder for a run with a named target: warns of what waits for other targets, and takes over an empty
/// file from before targets were recorded.
pub(super) fn prepare(folder: &Folder, settings: &StateSettings) -> Result<(), StateError> {
    let own = settings.file();
    for file in state_files(&settings.folder) {
        if file == own {
            continue;
        }
        let state = match look(file.clone(), settings) {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "state file of another store cannot be read");
                continue;
            }
        };
        match (&state.target, state.is_empty()) {
            (None, true) if settings.target.is_some() && !own.exists() => {
                fs::rename(&file, &own).map_err(|source| from_io(&file, source))?;
                folder.sync()?;
                tracing::info!(
                    from = %file.display(),
                    to = %own.display(),
                    "using an older state file without waiting items for this store"
                );
            }
            (None, false) if settings.target.is_some() => {
                return Err(StateError::Unclaimed {
                    file,
                    items: state.spool.items,
                    dead_letters: state.spool.dead_letters,
                });
            }
            (_, true) => {}
            (target, false) => {
                let address = target.as_ref().map_or("URL", Target::address);
                tracing::warn!(
                    items = state.spool.items,
                    dead_letters = state.spool.dead_letters,
                    target_store = target.as_ref().map_or(UNNAMED, Target::as_str),
                    id = state.id(),
                    "the state folder holds items for another store; they stay there until \
                     `barmill spool redeliver --to {address}` with that store's view, or a run of its own, sends them"
                );
            }
        }
    }
    Ok(())
}

/// Opens a state file whose folder is locked, and counts what waits in it.
fn look(file: PathBuf, settings: &StateSettings) -> Result<TargetState, StateError> {
    let mut store = Store::open_file(file.clone(), 0, settings.bounds)?;
    Ok(TargetState {
        target: store.read(Snapshot::target)?.map(Target::new),
        spool: store.read(Snapshot::spool_stats)?,
        file,
    })
}
