//! The writer actor: the one owner of the store's client.

mod budget;
mod checkpoints;
mod keepalive;
mod log;
mod observers;
mod recheck;
mod reconcile;
mod requests;
mod settings;
mod store;
mod writer;

#[cfg(any(feature = "cli", feature = "internals"))]
pub use settings::ResumeSettings;
pub use settings::{ReconcileSettings, WriterCounts, WriterPorts, WriterSettings};
pub use writer::Writer;
