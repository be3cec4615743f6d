//! What the tests of several crates share: recorded market data where it is there, and made data that any clone has.
//!
//! Depends on nothing of barmill, so that its model of trades and bars is another one.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot make its data or write its note has to end"
)]

mod made;
mod recorded;

pub use made::{MadeBar, MadeTrade, Tape};
pub use recorded::{recorded, skipped};
