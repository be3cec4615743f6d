//! The store in a local folder.

mod store;
mod stream;
mod table;
#[cfg(test)]
mod tests;

pub use store::{EmbeddedError, EmbeddedStore};
