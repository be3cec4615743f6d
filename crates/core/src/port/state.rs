//! The durable state of a run: spool, dead letters, checkpoints, recent bars and the command budget.
//!
//! Owns the shapes and the one primitive, [`StateStore::commit`]: several changes, all or none, durable when
//! it resolves. Deliberately knows no file.

use super::{Position, Remedy};
use crate::engine::budget::BudgetUse;
use crate::model::{BarUpdate, Timestamp, WriteItem};
use futures::future::BoxFuture;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the state could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// The spool's bound would be passed; nothing was changed.
    #[error("spool holds {bytes} bytes, {needed} more would exceed its limit of {bytes_max}")]
    Full {
        /// Bytes of spool and dead letters now.
        bytes: u64,
        /// Bytes of what was to be added.
        needed: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// What was read is not what was written; it is never served.
    #[error("state file {} is damaged: {what}", file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// What is wrong, with its place.
        what: String,
    },
    /// Another process holds the folder.
    #[error("state folder {} is in use by another barmill, stop that one or set another state_dir", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The disk is full; every earlier commit is intact, and commits succeed again when there is space.
    #[error("disk under state file {} is full, free some space", file.display())]
    DiskFull {
        /// The file.
        file: PathBuf,
        /// The system's words.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The disk or the folder failed; what was committed before is on disk, nothing more is taken.
    #[error("state file {} cannot be read or written", file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// The system's words.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The file was written by a newer barmill.
    #[error(
        "state file {} has format {found}, this barmill supports up to {known}; use a newer one or another state_dir",
        file.display()
    )]
    Version {
        /// The file.
        file: PathBuf,
        /// Format of the file.
        found: u32,
        /// Newest known format.
        known: u32,
    },
    /// The file is labelled with another target than its name says.
    #[error(
        "state file {} belongs to `{found}`, not to `{wanted}`; rename it back, or set another state_dir",
        file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// The target that it is labelled with.
        found: String,
        /// The target of the run.
        wanted: String,
    },
    /// The file holds items from before targets were recorded, so that nothing tells which store they are for.
    #[error(
        "state file {} does not name the store of its {items} items and {dead_letters} dead letters; send them with \
         `barmill spool redeliver --from unnamed --to URL`, or move the file away",
        file.display()
    )]
    Unclaimed {
        /// The file.
        file: PathBuf,
        /// Items in its spool.
        items: u64,
        /// Its dead letters.
        dead_letters: u64,
    },
    /// The store was closed before.
    #[error("state store is closed")]
    Closed,
}

impl StateError {
    /// What the failure calls for: waiting when space may come back, the end of the run otherwise.
    pub fn remedy(&self) -> Remedy {
        match self {
            StateError::Full { .. } | StateError::DiskFull { .. } => Remedy::Retry { after: None },
            StateError::Corrupt { .. }
            | StateError::Locked { .. }
            | StateError::Io { .. }
            | StateError::Version { .. }
            | StateError::Foreign { .. }
            | StateError::Unclaimed { .. }
            | StateError::Closed => Remedy::Fatal,
        }
    }
}

/// Places in the spool, both ends included. Places grow with time and are never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolRange {
    /// The first place.
    pub first: u64,
    /// The last place.
    pub last: u64,
}

/// What waits in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpoolStats {
    /// Items.
    pub items: u64,
    /// Bytes of the items as stored; the file is somewhat larger.
    pub bytes: u64,
    /// When the first of them was appended.
    pub oldest: Option<Timestamp>,
    /// Dead letters, which count towards the bound of the spool.
    pub dead_letters: u64,
    /// Bytes of the dead letters as stored.
    pub dead_bytes: u64,
}

/// An item that the store refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The item.
    pub item: WriteItem,
    /// The store's words, without secrets; kept up to 1,024 bytes.
    pub reason: String,
    /// When it was refused.
    pub time: Timestamp,
}

/// A closed bar that the store acked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentBar {
    /// Place in the order of acks, never used twice.
    pub place: u64,
    /// When it was acked; never before that of the place before.
    pub time: Timestamp,
    /// The bar. A bar may come again with another revision; the highest counts.
    pub update: BarUpdate,
}

/// Changes that happen together or not at all; the default changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The time of day, for the age of what is appended.
    pub now: Timestamp,
    /// Items for the end of the spool, in order.
    pub spool_append: Vec<WriteItem>,
    /// Places that leave the spool, because they reached the store or became dead letters.
    pub spool_remove: Vec<SpoolRange>,
    /// Items the store refused.
    pub dead_letters: Vec<DeadLetter>,
    /// The dead letters up to this place, included, are done with.
    pub dead_letters_remove: Option<u64>,
    /// The position of each named feed before which every bar is durable; the last of a name counts.
    pub checkpoints: Vec<(String, Position)>,
    /// Bars that were acked; forming ones are left out.
    pub recent: Vec<BarUpdate>,
    /// The commands counted so far.
    pub budget: Option<BudgetUse>,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed {
    /// Places of the appended items; `None` when none were.
    pub spooled: Option<SpoolRange>,
    /// Items in the spool after it.
    pub spool_items: u64,
    /// Bytes of spool and dead letters after it, as the bound counts them.
    pub spool_bytes: u64,
}

/// The durable state. One process owns it; the calls of one owner are applied in order.
pub trait StateStore: std::fmt::Debug + Send + Sync + 'static {
    /// Applies all changes or none; they survive a crash and a power cut when it resolves.
    ///
    /// # Errors
    /// [`StateError::Full`] changes nothing. After [`StateError::DiskFull`] and [`StateError::Io`] the changes
    /// are there as a whole or not at all; making them again is safe, as an item spooled twice is written twice
    /// with equal content.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo the commit.
    fn commit(&self, changes: Changes) -> BoxFuture<'_, Result<Committed, StateError>>;

    /// The first items at or after place `from`, at most `len_max`, in order.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] names the place that is damaged.
    fn spool_read(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, WriteItem)>, StateError>>;

    /// What waits in the spool.
    ///
    /// # Errors
    /// As for [`StateStore::spool_read`].
    fn spool_stats(&self) -> BoxFuture<'_, Result<SpoolStats, StateError>>;

    /// The first dead letters at or after place `from`, at most `len_max`, in order.
    ///
    /// # Errors
    /// As for [`StateStore::spool_read`].
    fn dead_letters(
        &self,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, DeadLetter)>, StateError>>;

    /// The saved position of a feed.
    ///
    /// # Errors
    /// As for [`StateStore::spool_read`].
    fn checkpoint_load(&self, feed: &str) -> BoxFuture<'_, Result<Option<Position>, StateError>>;

    /// The saved commands.
    ///
    /// # Errors
    /// As for [`StateStore::spool_read`].
    fn budget_load(&self) -> BoxFuture<'_, Result<Option<BudgetUse>, StateError>>;

    /// The first recent bars acked at or after `since` and at or after place `from`, at most `len_max`, in order.
    ///
    /// # Errors
    /// As for [`StateStore::spool_read`].
    fn recent_read(
        &self,
        since: Timestamp,
        from: u64,
        len_max: usize,
    ) -> BoxFuture<'_, Result<Vec<RecentBar>, StateError>>;

    /// Closes the file and gives the folder free; the last call.
    ///
    /// # Errors
    /// [`StateError::Closed`] when it was closed before.
    fn close(&self) -> BoxFuture<'_, Result<(), StateError>>;
}
