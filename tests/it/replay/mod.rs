//! The program end to end: recorded trades in, bars in a store, bars read back.

mod day;
mod generated;
mod input;
mod kraken;
mod late;
mod memory;
mod same;
mod signals;
mod sinks;
mod specs;
mod store_faults;
mod symbols;
