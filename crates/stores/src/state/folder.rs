//! The folder of the state file, held by one process.
//!
//! The lock lies in a file of its own, so that it also holds while the state file is closed, renamed or opened
//! again after a full disk.

use super::error::from_io;
use super::settings::StateSettings;
use barmill_core::model::Timestamp;
use barmill_core::port::StateError;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the state file of a program that names no target.
pub const STATE_FILE: &str = "barmill.redb";
const LOCK_FILE: &str = "barmill.lock";

/// A locked folder; dropping it gives it free.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    file: PathBuf,
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
                file: settings.file(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked {
                folder: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(from_io(&lock_path, source)),
        }
    }

    /// The state file.
    pub(super) fn file(&self) -> PathBuf {
        self.file.clone()
    }

    /// Makes new names in the folder durable.
    pub(super) fn sync(&self) -> Result<(), StateError> {
        File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| from_io(&self.path, source))
    }

    /// Renames the state file, which must be closed, to a name that says when it was found damaged.
    pub(super) fn set_aside(&self, now: Timestamp) -> Result<PathBuf, StateError> {
        let seconds = now.as_millis() / 1_000;
        let own = self.file.file_name().unwrap_or_default().to_string_lossy();
        let name = |suffix: &str| self.path.join(format!("{own}.corrupt-{seconds}{suffix}"));
        let mut target = name("");
        let mut copies = 1;
        while target.exists() {
            copies += 1;
            target = name(&format!(".{copies}"));
        }
        rename(&self.file(), &target).map_err(|source| from_io(&self.file(), source))?;
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
