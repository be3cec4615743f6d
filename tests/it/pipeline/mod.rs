//! The pipeline inside a program: own feeds, own sinks, own streams, on paused time.

mod backpressure;
mod budget;
mod delivery;
mod fakes;
mod faults;
mod idle;
mod library;
