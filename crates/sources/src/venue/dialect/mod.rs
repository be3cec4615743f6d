//! The venues' side of their WebSocket conversations: what a client's text means, and how trades are told.

mod alpaca;
mod binance;
mod coinbase;
mod kraken;
mod massive;
mod speak;

pub(super) use alpaca::{conditions, exchange};
pub(super) use speak::{Act, Call, Dialect, Refusal, of};
