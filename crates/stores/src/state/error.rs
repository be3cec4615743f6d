//! Converts errors of redb and the disk into errors of the state store.

use super::row::{RowError, SCHEMA};
use barmill_core::port::StateError;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// Why a transaction cannot go on.
#[derive(Debug)]
pub(super) enum EngineError {
    Row { place: String, source: RowError },
    Engine(redb::Error),
    Version(u32),
}

/// What redb says, whatever its many error types.
impl<E: Into<redb::Error>> From<E> for EngineError {
    fn from(error: E) -> EngineError {
        EngineError::Engine(error.into())
    }
}

impl EngineError {
    /// The error that names the file.
    pub(super) fn at(self, file: &Path) -> StateError {
        match self {
            EngineError::Row { place, source } => corrupt(file, format!("{place}: {source}")),
            EngineError::Version(found) => StateError::Version {
                file: file.to_owned(),
                found,
                known: SCHEMA,
            },
            EngineError::Engine(error) => from_engine(file, error),
        }
    }
}

pub(super) fn corrupt(file: &Path, what: String) -> StateError {
    StateError::Corrupt {
        file: file.to_owned(),
        what,
    }
}

/// What the system says about a file or folder.
pub(super) fn from_io(file: &Path, source: io::Error) -> StateError {
    let full = matches!(
        source.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    );
    let (file, source) = (file.to_owned(), Arc::new(source));
    if full {
        StateError::DiskFull { file, source }
    } else {
        StateError::Io { file, source }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "redb's error is non-exhaustive and mostly about misuse"
)]
fn from_engine(file: &Path, error: redb::Error) -> StateError {
    match error {
        redb::Error::Io(source) if tells_damage(source.kind()) => corrupt(file, source.to_string()),
        redb::Error::Io(source) => from_io(file, source),
        redb::Error::Corrupted(what) => corrupt(file, what),
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            StateError::Locked {
                folder: file.parent().unwrap_or(file).to_owned(),
            }
        }
        redb::Error::UpgradeRequired(found) => StateError::Version {
            file: file.to_owned(),
            found: found.into(),
            known: SCHEMA,
        },
        redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableDoesNotExist(_) => corrupt(file, error.to_string()),
        other => StateError::Io {
            file: file.to_owned(),
            source: Arc::new(other),
        },
    }
}

/// redb reports a file that is none of its own, or that ends too early, by these kinds.
fn tells_damage(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::InvalidInput
    )
}
