//! The commands that fetch history, run as a user runs them, against local venues and real stores.

mod conditions;
mod faults;
mod headline;
mod memory;
mod origin;
mod program;
mod reads;
mod recorded;
mod refused;
mod sessions;
mod stops;
mod venue_faults;
mod venues;
