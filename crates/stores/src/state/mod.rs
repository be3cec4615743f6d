//! The state store: one redb file with spool, dead letters, checkpoints, recent bars and the command budget.

pub mod codec;
mod db;
#[cfg(test)]
mod db_tests;
mod error;
mod folder;
#[cfg(test)]
mod folder_tests;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod inspect;
#[cfg(test)]
mod lazy_tests;
#[cfg(test)]
mod model_tests;
mod row;
mod settings;
#[cfg(any(test, feature = "testing"))]
mod sim;
mod store;
#[cfg(test)]
mod testing;
mod transaction;

pub use db::StateDb;
pub use folder::{TargetState, forget, targets};
pub use inspect::{ExportError, Inspector, StateCheck, StateSummary, StateTable};
pub use settings::{Bounds, STATE_FILE, StateSettings, Target, state_files};
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub use sim::SimDisk;
