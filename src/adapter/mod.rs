//! The adapters: implementations of the ports. No adapter knows another, nor any actor.

pub mod live;
