//! Which store the items of a state file are for.
//!
//! A bar that waits for one store must never go to another, and a checkpoint that one store acked says nothing of
//! another. So each target has a state file of its own in the state folder, named by a hash of the target and labelled
//! with its text. The file without a hash, [`STATE_FILE`], belongs to a program that names no target; before targets
//! were recorded it served all of them.

use super::db::file_opener;
use super::folder::{Folder, STATE_FILE};
use super::settings::{OpenCheck, StateSettings};
use super::store::Store;
use barmill_core::port::{SpoolStats, StateError};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What the names of state files begin with; a hash and [`FILE_END`] follow.
const FILE_START: &str = "barmill-";
const FILE_END: &str = ".redb";
/// How a target without a name is called on the command line.
const UNNAMED: &str = "unnamed";

/// A store and the keys in it: address, database, view, templates, namespace, zone. Holds no secret.
///
/// Two targets are the same if their texts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// The target that `text` describes; the text begins with the store's address and a blank.
    pub fn new(text: impl Into<String>) -> Target {
        Target(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The store's address: what the text begins with.
    pub fn address(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// Sixteen hexadecimal digits that stand for the text: its FNV-1a hash of 64 bits.
    pub fn id(&self) -> String {
        let hash = self
            .0
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        format!("{hash:016x}")
    }

    pub(super) fn file_name(&self) -> String {
        format!("{FILE_START}{}{FILE_END}", self.id())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

/// The state files of a folder, whatever their target, in order of their names.
pub fn state_files(folder: &Path) -> Vec<PathBuf> {
    let is_state_file = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| {
            name == STATE_FILE || (name.starts_with(FILE_START) && name.ends_with(FILE_END))
        })
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(is_state_file)
        .collect();
    files.sort();
    files
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
    let file = folder.file();
    if file.exists() && look(file.clone(), settings)?.is_empty() {
        fs::remove_file(&file).map_err(|source| super::error::from_io(&file, source))?;
        folder.sync()?;
    }
    Ok(())
}

/// Prepares the folder for a run with a named target: warns of what waits for other targets, and takes over an empty
/// file from before targets were recorded.
pub(super) fn prepare(folder: &Folder, settings: &StateSettings) -> Result<(), StateError> {
    let own = folder.file();
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
                fs::rename(&file, &own).map_err(|source| super::error::from_io(&file, source))?;
                folder.sync()?;
                tracing::info!(
                    from = %file.display(),
                    to = %own.display(),
                    "an older state file becomes that of this store; nothing waited in it"
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
    let quick = StateSettings {
        check: OpenCheck::Never,
        ..settings.clone()
    };
    let mut store = Store::open(file.clone(), file_opener(&file, &quick), settings.bounds)?;
    Ok(TargetState {
        target: store.target()?,
        spool: store.spool_stats()?,
        file,
    })
}

#[cfg(test)]
mod tests {
    use super::{Target, TargetState, forget, targets};
    use crate::state::{STATE_FILE, StateDb, StateSettings};
    use barmill_core::engine::testing::update;
    use barmill_core::model::{BarState, Timestamp, WriteItem};
    use barmill_core::port::{StateError, StateStore};
    use std::path::Path;

    fn settings(folder: &Path, target: Option<&str>) -> StateSettings {
        StateSettings {
            target: target.map(Target::new),
            ..StateSettings::new(folder)
        }
    }

    fn open(settings: &StateSettings) -> Result<StateDb, StateError> {
        StateDb::open(settings, Timestamp::EPOCH).map(|opened| opened.state)
    }

    async fn spool(state: &StateDb, minute: i64) {
        let item = WriteItem::Bar(update("AAPL", minute, BarState::Final, 0));
        state
            .spool_append(vec![item], Timestamp::EPOCH)
            .await
            .unwrap();
    }

    fn listed(settings: &StateSettings) -> Vec<(String, u64)> {
        let text = |state: TargetState| {
            let target = state
                .target
                .map_or("unnamed".to_owned(), |one| one.to_string());
            (target, state.spool.items)
        };
        let mut all: Vec<_> = targets(settings).unwrap().into_iter().map(text).collect();
        all.sort();
        all
    }

    #[tokio::test]
    async fn each_target_sees_its_own_items_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (
            settings(folder.path(), Some("redis://a/0 view=x")),
            settings(folder.path(), Some("redis://a/1 view=x")),
        );
        let state = open(&one).unwrap();
        spool(&state, 0).await;
        state.close().await.unwrap();
        let state = open(&two).unwrap();
        assert_eq!(state.spool_stats().await.unwrap().items, 0);
        spool(&state, 1).await;
        spool(&state, 2).await;
        state.close().await.unwrap();
        assert_eq!(
            listed(&one),
            [
                ("redis://a/0 view=x".to_owned(), 1),
                ("redis://a/1 view=x".to_owned(), 2)
            ]
        );
        forget(&one).unwrap();
        assert_eq!(listed(&one).len(), 2, "what waits is never forgotten");
        let state = open(&one).unwrap();
        state.spool_remove(u64::MAX).await.unwrap();
        state.close().await.unwrap();
        forget(&one).unwrap();
        assert_eq!(listed(&one), [("redis://a/1 view=x".to_owned(), 2)]);
    }

    #[tokio::test]
    async fn file_of_no_target_is_taken_over_empty_and_refused_with_items() {
        let folder = tempfile::tempdir().unwrap();
        let (old, named) = (
            settings(folder.path(), None),
            settings(folder.path(), Some("redis://a/0 view=x")),
        );
        let state = open(&old).unwrap();
        spool(&state, 0).await;
        state
            .checkpoint_save(vec![("feed".to_owned(), barmill_core::port::Position(7))])
            .await
            .unwrap();
        state.close().await.unwrap();
        let refused = open(&named).unwrap_err();
        assert!(
            matches!(&refused, StateError::Unclaimed { items: 1, .. }),
            "{refused}"
        );
        let state = open(&old).unwrap();
        state.spool_remove(u64::MAX).await.unwrap();
        state.close().await.unwrap();
        let state = open(&named).unwrap();
        assert_eq!(
            state.checkpoint_load("feed").await.unwrap().unwrap().0,
            7,
            "its checkpoints stay"
        );
        state.close().await.unwrap();
        assert!(!folder.path().join(STATE_FILE).exists());
    }

    #[tokio::test]
    async fn file_of_another_target_under_this_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (
            settings(folder.path(), Some("redis://a/0 view=x")),
            settings(folder.path(), Some("redis://b/0 view=x")),
        );
        open(&one).unwrap().close().await.unwrap();
        std::fs::rename(one.file(), two.file()).unwrap();
        let refused = open(&two).unwrap_err();
        assert!(
            matches!(&refused, StateError::Foreign { found, .. } if found.starts_with("redis://a/0")),
            "{refused}"
        );
    }
}
