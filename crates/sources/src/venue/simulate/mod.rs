//! A simulated venue on loopback: serves a recording as the venue's REST history and WebSocket feed.
//!
//! Owns the venues' side of their wire formats, the simulated clock and the faults. What was sent on the socket is in
//! the history as soon as the clock has passed it. Deliberately knows nothing of barmill's own feeds, so that a mistake
//! shared by both sides cannot hide; trades come as a plain list, from whatever file.

mod connection;
pub(crate) mod descriptor;
mod fault;
mod plan;
mod playback;
pub(crate) mod protocol;
pub(crate) mod recording;
pub(crate) mod request;
mod server;
mod session;

pub use descriptor::{Example, Numbering, Simulation};
pub use fault::{Fault, FaultError, FaultKind};
pub use playback::{Played, SimulatorSettings};
pub use recording::{Tape, TapeError};
pub use server::{Simulator, SimulatorError, View};
