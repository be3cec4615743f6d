//! The pure core of barmill: exact numbers, trades and bars, the engines, and the traits of sources and stores.
//!
//! Owns what a bar is and how it is made and delivered. Deliberately knows no runtime, no clock, no I/O and no
//! vendor: time and seeds are arguments, and `Cargo.toml` names nothing that could bring them.

pub mod engine;
pub mod model;
pub mod port;
