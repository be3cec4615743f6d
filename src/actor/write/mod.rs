//! The writer actor: the one owner of the store's client.

mod actor;
mod settings;

pub use actor::Writer;
pub use settings::{WriterCounts, WriterSettings};
