//! Frames to events, one file per venue.
//!
//! Pure: a frame's text in, events out, in the order of the frame. A record that is no trade is one event and does
//! not hide its neighbours; a frame that is no JSON is a fault. Deliberately knows no sockets and no time.

mod alpaca;
mod binance;
mod coinbase;
mod decoder;
mod kraken;
mod massive;

pub use decoder::Decoder;
