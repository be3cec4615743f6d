//! The writer actor: the one owner of the store's client.

mod actor;
mod attempt;
mod log;
mod rest;
mod resume;
mod settings;

pub use actor::{Writer, WriterPorts};
pub use settings::{ResumeSettings, WriterCounts, WriterSettings};
