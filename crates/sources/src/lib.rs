//! Sources of trades: recorded files, REST history and live feeds of venues, and simulated venues.
//!
//! Owns formats and protocols. Deliberately knows no bars, no stores and no pipeline.

#[cfg(any(feature = "files", feature = "venues"))]
mod digits;
#[cfg(feature = "files")]
pub mod file;
#[cfg(any(feature = "files", feature = "venues"))]
#[cfg_attr(
    not(feature = "venues"),
    expect(
        dead_code,
        unreachable_pub,
        reason = "files have fewer rows than venues"
    )
)]
mod json;
#[cfg(any(feature = "files", feature = "venues"))]
pub mod venue;

#[cfg(feature = "venues")]
pub use venue::{history, live, simulate};
