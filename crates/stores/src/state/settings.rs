//! The settings of the state store: where it lies, which store its items are for, and what it may grow to.
//!
//! A bar that waits for one store must never go to another, and a checkpoint that one store acked says nothing of
//! another. So each target has a state file of its own in the state folder, named by a hash of the target and labelled
//! with its text. The file without a hash, [`STATE_FILE`], belongs to a program that names no target; before targets
//! were recorded it served all of them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the state file of a program that names no target.
pub const STATE_FILE: &str = "barmill.redb";
/// What the names of the other state files begin with; a hash and [`FILE_END`] follow.
const FILE_START: &str = "barmill-";
const FILE_END: &str = ".redb";

/// What the tables may grow to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of spool and dead letters; beyond it, nothing is taken and the sources wait.
    pub spool_bytes_max: u64,
    /// Time for which acked bars are kept; zero keeps none.
    pub recent_age_max: Duration,
    /// Bytes of acked bars; beyond it, the oldest are forgotten.
    pub recent_bytes_max: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            spool_bytes_max: 1 << 30,
            recent_age_max: Duration::from_hours(3),
            recent_bytes_max: 256 << 20,
        }
    }
}

/// Where and how the state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSettings {
    /// The folder, made when it is missing; one process at a time.
    pub folder: PathBuf,
    /// Which store the items are for; its file in the folder is its own. `None` for the file [`STATE_FILE`], which a
    /// program uses that has one target only.
    pub target: Option<Target>,
    /// What the tables may grow to.
    pub bounds: Bounds,
}

impl StateSettings {
    /// The defaults, in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> StateSettings {
        StateSettings {
            folder: folder.into(),
            target: None,
            bounds: Bounds::default(),
        }
    }

    /// The file of the target in the folder.
    pub fn file(&self) -> PathBuf {
        let name = self.target.as_ref().map(Target::file_name);
        self.folder.join(name.as_deref().unwrap_or(STATE_FILE))
    }
}

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

    fn file_name(&self) -> String {
        format!("{FILE_START}{}{FILE_END}", self.id())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
