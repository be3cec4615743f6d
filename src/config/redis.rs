//! `[redis]`: the client of the store, over RESP or REST.
//!
//! The figures are those of the client that replaced one connection per bar: 20 connections, 10 of them kept,
//! 10 s to connect, 30 s in all.

use super::section::section;
use super::value::VariableName;
use std::path::PathBuf;

section! {
    /// The one client of the store.
    Redis, "redis" {
        /// Milliseconds to connect, TLS included, 1 to 10 minutes.
        connect_timeout_ms: u64 = 10_000, 1..=600_000;
        /// Milliseconds for one request from start to end, 1 to 10 minutes.
        timeout_ms: u64 = 30_000, 1..=600_000;
        /// Milliseconds without a byte of the answer, 1 to 10 minutes; at most `timeout_ms`.
        read_timeout_ms: u64 = 10_000, 1..=600_000;
        /// Connections open at once, 1 to 1,000.
        connections_max: usize = 20, 1..=1_000;
        /// Idle connections kept open, 0 to 1,000; at most `connections_max`.
        connections_idle_max: usize = 10, 0..=1_000;
        /// Milliseconds between signs of life of an idle connection: HTTP/2 pings, or PING over RESP; 0 sends none.
        ping_interval_ms: u64 = 15_000, 0..=600_000;
        /// Milliseconds a ping may stay unanswered before the connection is given up, 1 to 10 minutes.
        ping_timeout_ms: u64 = 5_000, 1..=600_000;
        /// A PEM file with the certificate authorities to trust; none means the public ones.
        ca_file: Option<PathBuf> = None;
        /// The variable that holds the `redis://` URL of the sink `redis`.
        url_env: VariableName = VariableName::known("REDIS_URL");
        /// The variable that holds the `https://` URL of the sink `upstash`.
        rest_url_env: VariableName = VariableName::known("UPSTASH_REDIS_REST_URL");
        /// The variable that holds the REST token.
        rest_token_env: VariableName = VariableName::known("UPSTASH_REDIS_REST_TOKEN");
    }
}
