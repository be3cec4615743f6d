//! One writer per namespace: the lease, and the script that refuses the writers before.

pub(crate) mod guard;
pub(crate) mod lease;
#[cfg(test)]
mod tests;

pub use lease::{FenceError, FenceSettings, Guard};
