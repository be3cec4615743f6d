//! The conversation with a venue, without a socket: frames and time in, messages and events out.

mod machine;
pub(crate) mod script;

pub(super) use machine::{Outbound, Session};
pub(super) use script::Script;
