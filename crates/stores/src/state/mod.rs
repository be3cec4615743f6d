//! The state store: one redb file with spool, dead letters, checkpoints, recent bars and the command budget.

pub mod codec;
mod db;
#[cfg(test)]
mod db_tests;
mod error;
mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod inspect;
mod lazy;
#[cfg(test)]
mod model_tests;
mod reads;
mod row;
mod session;
mod settings;
#[cfg(any(test, feature = "testing"))]
mod sim;
#[cfg(any(test, feature = "testing"))]
mod sim_state;
mod store;
mod target;
#[cfg(test)]
mod testing;

pub use db::{Opened, StateDb};
pub use folder::STATE_FILE;
pub use inspect::{ExportError, Inspector, StateCheck, StateRow, StateSummary, StateTable};
pub use lazy::LazyState;
pub use settings::{Bounds, OpenCheck, StateSettings};
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub use sim::SimDisk;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub use sim_state::SimState;
pub use target::{Target, TargetState, forget, state_files, targets};
