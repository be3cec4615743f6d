//! Alpaca: US equities: the venue's side of its history and its socket.

pub(crate) mod rest;
pub(crate) mod socket;
