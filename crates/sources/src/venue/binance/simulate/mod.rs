//! Simulated Binance spot: the server side of its history and socket.

mod rest;
mod socket;

use crate::venue::simulate::request::Reply;
use crate::venue::simulate::{Example, Numbering, Simulation};

/// The simulated side of the venue.
pub(super) const SIMULATION: Simulation = Simulation {
    numbering: Numbering::Contiguous,
    resolution_ns: 1_000,
    socket_path: "/stream",
    socket_query: "?timeUnit=MICROSECOND",
    client_settings: &[("trades", "single")],
    example: |example| {
        let Example {
            base_url,
            symbol,
            span,
        } = example;
        let from = span.0.as_millis();
        format!("curl '{base_url}/api/v3/aggTrades?symbol={symbol}&startTime={from}&limit=3'")
    },
    restate: |_| {},
    protocol: |call| Box::new(socket::Binance::new(call)),
    answer: rest::answer,
    too_many: || Reply {
        headers: vec![("retry-after", "1".to_owned())],
        ..Reply::status(
            429,
            r#"{"code":-1003,"msg":"Too many requests; please use WebSocket Streams for live updates."}"#,
        )
    },
};
