//! What joins the pipeline to the world: the sources and stores of the other crates, and small adapters of the caller's types.

pub mod channel;
pub mod clock;
pub mod paced;
pub mod service;
pub mod status;
pub mod stream;

pub use barmill_sources::{file, history, live, venue};
pub use barmill_stores::{state, store};
