//! Simulated Massive (formerly Polygon): the server side of its history and socket.

mod rest;
mod socket;

use crate::venue::simulate::request::Reply;
use crate::venue::simulate::{Example, Numbering, Simulation};

/// The simulated side of the venue.
pub(super) const SIMULATION: Simulation = Simulation {
    numbering: Numbering::Ascending,
    resolution_ns: 1,
    socket_path: "/stocks",
    socket_query: "",
    client_settings: &[],
    example: |example| {
        let Example {
            base_url,
            symbol,
            span,
        } = example;
        let from = span.0.as_nanos();
        format!(
            "curl -H 'Authorization: Bearer any' '{base_url}/v3/trades/{symbol}?timestamp.gte={from}&order=asc&limit=3'"
        )
    },
    restate: |_| {},
    protocol: |_| Box::new(socket::Massive::default()),
    answer: rest::answer,
    too_many: || {
        Reply::status(
            429,
            r#"{"status":"ERROR","request_id":"simulated","error":"You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue."}"#,
        )
    },
};
