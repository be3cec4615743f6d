//! Simulated Alpaca: the server side of its history and socket.

mod rest;
mod socket;

use crate::venue::simulate::request::Reply;
use crate::venue::simulate::{Example, Numbering, Simulation};

/// The simulated side of the venue.
pub(super) const SIMULATION: Simulation = Simulation {
    numbering: Numbering::None,
    resolution_ns: 1,
    socket_path: "/v2/sip",
    socket_query: "",
    client_settings: &[],
    example: |example| {
        let Example {
            base_url,
            symbol,
            span,
        } = example;
        let (from, to) = span;
        format!(
            "curl -H 'APCA-API-KEY-ID: any' -H 'APCA-API-SECRET-KEY: any' \
             '{base_url}/v2/stocks/trades?symbols={symbol}&start={from}&end={to}&limit=3'"
        )
    },
    restate: |trade| {
        trade.sequence = 0;
        let is_letter = (0x20..0x7f).contains(&trade.venue);
        trade.venue = if is_letter {
            trade.venue
        } else {
            u16::from(b'V')
        };
    },
    protocol: |_| Box::new(socket::Alpaca::default()),
    answer: rest::answer,
    too_many: || Reply::status(429, r#"{"message":"too many requests."}"#),
};
