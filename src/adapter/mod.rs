//! The sources and stores of the other crates.

pub use barmill_sources::{file, history, live, venue};
pub use barmill_stores::{state, store};
