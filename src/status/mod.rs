//! What a daemon shows of itself: the status pages over HTTP, and its state to the service manager.

pub mod server;
pub mod service;
