//! Simulated Coinbase: the server side of its history and sockets (Exchange, and Advanced Trade for live trades).

mod rest;
mod socket;

use crate::venue::simulate::request::Reply;
use crate::venue::simulate::{Example, Numbering, Simulation};

/// The simulated side of the venue.
pub(super) const SIMULATION: Simulation = Simulation {
    numbering: Numbering::Contiguous,
    resolution_ns: 1_000,
    socket_path: "/",
    socket_query: "",
    client_settings: &[],
    example: |example| {
        let Example {
            base_url, symbol, ..
        } = example;
        format!("curl '{base_url}/products/{symbol}/trades?limit=3'")
    },
    restate: |_| {},
    protocol: |_| Box::new(socket::Coinbase::default()),
    answer: rest::answer,
    too_many: || Reply::status(429, r#"{"message":"Public rate limit exceeded"}"#),
};
