//! Bars and manifests out of any key store.

pub(crate) mod diff;
mod plan;
pub(crate) mod reader;
#[cfg(test)]
mod tests;

pub use plan::UnlistedError;
pub use reader::{BarReader, ReadError};
