//! What the Upstash test server counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::flow::Bytes;

/// The counters, moved by the connections.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) connections: AtomicU64,
    pub(super) handshakes: AtomicU64,
    pub(super) requests_http1: AtomicU64,
    pub(super) requests_http2: AtomicU64,
    pub(super) commands: AtomicU64,
    pub(super) applied: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) in_flight_max: AtomicU64,
    pub(super) bytes: Arc<Bytes>,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stats {
    /// TCP connections accepted.
    pub(crate) connections: u64,
    /// TLS handshakes done.
    pub(crate) handshakes: u64,
    /// HTTP requests by version, refused and faulty ones included.
    pub(crate) requests_http1: u64,
    pub(crate) requests_http2: u64,
    /// Commands received in good order: what Upstash bills.
    pub(crate) commands: u64,
    /// Commands that reached Redis.
    pub(crate) applied: u64,
    /// The most requests that were on their way at one moment.
    pub(crate) in_flight_max: u64,
    /// Bytes of HTTP from and to clients, headers included, TLS not.
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
}

impl Stats {
    /// HTTP requests of either version.
    pub(crate) fn requests(&self) -> u64 {
        self.requests_http1 + self.requests_http2
    }
}

impl Counts {
    pub(super) fn read(&self) -> Stats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            connections: of(&self.connections),
            handshakes: of(&self.handshakes),
            requests_http1: of(&self.requests_http1),
            requests_http2: of(&self.requests_http2),
            commands: of(&self.commands),
            applied: of(&self.applied),
            in_flight_max: of(&self.in_flight_max),
            bytes_read: of(&self.bytes.read),
            bytes_written: of(&self.bytes.written),
        }
    }

    /// Counts a request as on its way for the life of what it returns.
    pub(super) fn enter(&self) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.in_flight_max.fetch_max(now, Ordering::Relaxed);
        InFlight(self)
    }
}

/// A request on its way.
pub(super) struct InFlight<'a>(&'a Counts);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Adds one.
pub(super) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
