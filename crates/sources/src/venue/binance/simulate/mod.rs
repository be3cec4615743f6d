//! Binance spot: the venue's side of its history and its socket.

pub(crate) mod rest;
pub(crate) mod socket;
