//! The adapters: implementations of the ports. No adapter knows another, nor any actor.

pub mod channel;
pub mod clock;
pub mod file;
pub mod history;
pub mod live;
pub mod paced;
pub mod service;
pub mod state;
pub mod status;
pub mod store;
pub mod stream;
pub mod venue;
