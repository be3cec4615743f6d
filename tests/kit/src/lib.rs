//! What the tests of several crates share: recorded market data where it is there, and made data that any clone has.
//!
//! Depends on nothing of barmill, so that its model of trades and bars is another one.

mod made;
mod recorded;

pub use made::{MadeBar, MadeTrade, Tape};
pub use recorded::{recorded, skipped};
