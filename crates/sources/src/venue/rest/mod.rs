//! The venues' histories: what a request is answered, from as much of the tape as has happened.

mod alpaca;
mod ask;
mod binance;
mod coinbase;
mod kraken;
mod massive;

pub(super) use ask::{Ask, Reply, answer, too_many};
