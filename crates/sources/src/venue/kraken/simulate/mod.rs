//! Simulated Kraken spot: the server side of its history and socket.

mod rest;
mod socket;

use crate::venue::simulate::request::Reply;
use crate::venue::simulate::{Example, Numbering, Simulation};

/// The simulated side of the venue.
pub(super) const SIMULATION: Simulation = Simulation {
    numbering: Numbering::Contiguous,
    resolution_ns: 100,
    socket_path: "/v2",
    socket_query: "",
    client_settings: &[],
    example: |example| {
        let Example {
            base_url,
            symbol,
            span,
        } = example;
        let since = span.0.as_nanos().saturating_sub(1);
        format!("curl '{base_url}/0/public/Trades?pair={symbol}&since={since}&count=3'")
    },
    restate: |_| {},
    protocol: |_| Box::new(socket::Kraken::default()),
    answer: rest::answer,
    too_many: || Reply::status(200, r#"{"error":["EGeneral:Too many requests"]}"#),
};
