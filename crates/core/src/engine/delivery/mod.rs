//! Delivery: decides which batch goes where and when, and handles its outcome.
//!
//! Owns everything between the shards and the store: what waits, what is in flight, what waits for its next attempt,
//! what goes to the spool and out of it, and what was given up. Pure: the actor does the work it is told to do and
//! reports the time and the fate of each piece. The rules:
//!
//! - While the circuit is closed, batches go to the store. A batch that failed its last attempt opens it.
//! - While it is not closed, batches go to the end of the spool, and the front of the spool is what probes and drains.
//!   So the order of the updates of one bar is the same whichever way they take.
//! - A final or revised update leaves memory when the store has acked it or a commit of the state store holds it, never
//!   before.

#[cfg(test)]
mod harness;
mod machine;
#[cfg(test)]
mod simulation;
mod spool;
#[cfg(test)]
mod tests;
mod work;

pub use super::batch::bar_of;
pub use machine::Delivery;
pub use work::{
    Completion, DeliverySettings, OutgoingBatch, StateChange, Verdict, Work, count_bars,
};
