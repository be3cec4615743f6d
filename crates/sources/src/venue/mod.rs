//! Venues: all that is known of one lies in its folder; what venues share lies in `history`, `live` and `simulate`.
//!
//! A venue knows no other venue.

mod alpaca;
mod binance;
mod coinbase;
pub mod history;
mod kraken;
pub mod live;
mod massive;
pub mod simulate;
