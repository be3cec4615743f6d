//! The running counts of a store.

#[cfg(any(feature = "upstash", feature = "embedded"))]
use super::command::Command;
use barmill_core::port::SinkStats;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts that only grow; read together they may be a request apart.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    commands: AtomicU64,
    connections: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn add_request(&self, commands: usize, bytes: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.commands.fetch_add(commands as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    #[cfg(any(feature = "redis", feature = "upstash"))]
    pub(crate) fn add_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> SinkStats {
        SinkStats {
            requests: self.requests.load(Ordering::Relaxed),
            commands: self.commands.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// Bytes of the commands on a RESP connection, also the measure of the embedded store.
#[cfg(any(feature = "upstash", feature = "embedded"))]
pub(crate) fn resp_len(commands: &[Command]) -> usize {
    commands.iter().map(Command::resp_len).sum()
}
