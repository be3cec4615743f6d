//! The writer actor: the one owner of the store's client.

mod actor;
mod attempt;
mod budget;
mod checkpoints;
mod keepalive;
mod log;
mod recheck;
mod reconcile;
mod repair;
mod reports;
mod resume;
mod settings;
mod shutdown;

pub use actor::{Writer, WriterPorts};
pub use repair::ReconcileSettings;
#[cfg(any(feature = "cli", feature = "internals"))]
pub use settings::ResumeSettings;
pub use settings::{WriterCounts, WriterSettings};
