//! The adapters: implementations of the ports. No adapter knows another, nor any actor.

pub mod file;
pub mod history;

pub mod store;

