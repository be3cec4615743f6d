//! Fuzz targets for every decoder of bytes that come from outside.
//!
//! A target is a function of bytes that panics where barmill breaks a promise. Two drivers run the same functions:
//! the binary `all`, a seeded mutator that needs nothing but a stable compiler, and `cargo fuzz`, which is guided by
//! coverage. Beyond "no panic" the targets claim what a decoder promises: the same answer however the bytes arrive,
//! round trips, bounded output, errors that name their place, and the same trades as a plain decoder gives.

pub mod driver;
pub mod entropy;
pub mod mutate;
pub mod plain;
pub mod targets;
pub mod tree;
