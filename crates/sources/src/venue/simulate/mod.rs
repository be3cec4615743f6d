//! A simulated venue on loopback: serves a recording as the venue's REST history and WebSocket feed.
//!
//! Owns the venues' side of their wire formats, the simulated clock and the faults. What was sent on the socket is in
//! the history as soon as the clock has passed it. Deliberately knows nothing of barmill's own feeds, so that a mistake
//! shared by both sides cannot hide; trades come as a plain list, from whatever file.

mod fault;
mod playback;
mod protocol;
mod recording;
mod server;
mod session;

pub use fault::{Fault, FaultError, FaultKind};
pub use playback::{SimulatorSettings, SimulatorStats};
pub(crate) use protocol::{
    Action, Refusal, Reply, Request, VenueProtocol, bits, joined, ok, reply, send, strings,
};
pub use protocol::{Example, Simulation};
pub(crate) use recording::Published;
pub use recording::{Numbering, Recording, RecordingError};
pub use server::{Simulator, SimulatorError, SimulatorView};
