//! The status of a daemon: pages over HTTP, and notifications to the service manager.

pub mod server;
pub mod service;
