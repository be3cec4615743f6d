//! The engines: pure state machines. Time and seeds are arguments; no tokio, no clock, no I/O.
