//! The writer actor: the one owner of the store's client.

mod actor;
mod attempt;
mod beat;
mod log;
mod mend;
mod mending;
mod places;
mod recheck;
mod reports;
mod rest;
mod resume;
mod settings;
mod spending;

pub use actor::{Writer, WriterPorts};
pub use mend::MendingSettings;
#[cfg(any(feature = "cli", feature = "internals"))]
pub use settings::ResumeSettings;
pub use settings::{WriterCounts, WriterSettings};
