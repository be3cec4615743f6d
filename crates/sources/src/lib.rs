//! Sources of trades: recorded files, REST history and live feeds of venues, and simulated venues.
//!
//! Owns formats and protocols. Deliberately knows no bars, no stores and no pipeline.

#[cfg(feature = "files")]
pub mod file;
#[cfg(feature = "venues")]
pub mod venue;

#[cfg(feature = "venues")]
pub use venue::{history, live, simulate};
