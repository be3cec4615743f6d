//! Where trades come from: recorded files, REST history and live feeds of venues, and simulated venues.
//!
//! Owns formats and protocols. Deliberately knows no bars, no stores and no pipeline.

pub mod file;
pub mod venue;

pub use venue::{history, live, simulate};
