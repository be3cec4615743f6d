//! The commands that fetch history, run as a user runs them, against local venues and real stores.

mod faults;
mod headline;
mod program;
mod recorded;
mod sessions;
mod stops;
mod venues;
