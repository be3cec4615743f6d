//! The settings of the state store.

use super::folder::STATE_FILE;
use super::target::Target;
use std::path::PathBuf;
use std::time::Duration;

/// When the checksum of every page is verified as the file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpenCheck {
    /// For a file below 1 GiB, which takes about a second.
    #[default]
    Small,
    /// Always.
    Always,
    /// Never: a damaged page is found when it is read, by the checksum of its values.
    Never,
}

impl OpenCheck {
    /// Whether a file of `len` bytes is checked.
    pub(super) const fn applies(self, len: u64) -> bool {
        match self {
            OpenCheck::Small => len < 1 << 30,
            OpenCheck::Always => true,
            OpenCheck::Never => false,
        }
    }
}

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
    /// When the whole file is verified.
    pub check: OpenCheck,
    /// Bytes of the page cache.
    pub cache_bytes: usize,
}

impl StateSettings {
    /// The defaults, in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> StateSettings {
        StateSettings {
            folder: folder.into(),
            target: None,
            bounds: Bounds::default(),
            check: OpenCheck::default(),
            cache_bytes: 32 << 20,
        }
    }

    /// The file of the target in the folder.
    pub fn file(&self) -> PathBuf {
        let name = self.target.as_ref().map(Target::file_name);
        self.folder.join(name.as_deref().unwrap_or(STATE_FILE))
    }
}
