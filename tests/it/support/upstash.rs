//! An Upstash REST server for tests: the protocol of Upstash in front of a real Redis, with faults.
//!
//! Owns a listening port, TLS with a certificate authority of its own, limits, counters and the fault plan.
//! It does not know TTL, eviction or data types: the commands run in the Redis it stands before.
//! Protocol: <https://upstash.com/docs/redis/features/restapi>. What Upstash does not document (the status
//! when its own store is away, the text after "Command is not available") is marked where it is chosen.

mod accept;
mod answer;
mod body;
mod counts;
mod faulty;
mod request;
mod service;
mod store;
mod tls;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::door::{self, Door};
use super::fault::{ConnectionFault, Plan, Rule};
use super::flow::{Flow, Valve};
use super::host::Host;
use super::redis::RedisServer;
use super::resp::Command;
use counts::Counts;
pub(crate) use counts::Stats;

/// The token that may do everything.
pub(crate) const TOKEN: &str = "barmill-test-token";
/// The token that may only read, and neither SCAN nor KEYS.
pub(crate) const READ_ONLY_TOKEN: &str = "barmill-test-read-only-token";
/// Bytes of one command, as on the smaller plans.
const REQUEST_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Which HTTP versions the server speaks; over TLS by ALPN, else by the connection's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocols {
    Http1AndHttp2,
    Http1,
    Http2,
}

/// How a server starts: plain HTTP of both versions, no delay, no quota, unless told otherwise.
#[derive(Debug)]
pub(crate) struct UpstashOptions {
    protocols: Protocols,
    is_tls: bool,
    request_bytes_max: usize,
}

impl Default for UpstashOptions {
    fn default() -> Self {
        Self {
            protocols: Protocols::Http1AndHttp2,
            is_tls: false,
            request_bytes_max: REQUEST_BYTES_MAX,
        }
    }
}

/// What the handle and all connections share.
#[derive(Debug)]
struct Shared {
    protocols: Protocols,
    request_bytes_max: usize,
    store: store::Store,
    counts: Counts,
    plan: Plan,
    knobs: Mutex<Knobs>,
    valves: Mutex<Vec<Arc<Valve>>>,
    door: Door,
}

/// What a test may turn while the server runs.
#[derive(Debug, Default)]
struct Knobs {
    delay: Duration,
    commands_max: Option<u64>,
    connection_faults: Vec<ConnectionFault>,
    recorded: Option<Vec<Vec<Command>>>,
}

/// A running server; dropping it ends every connection.
#[derive(Debug)]
pub(crate) struct UpstashServer {
    door: Door,
    shared: Arc<Shared>,
    ca_pem: Option<String>,
    _host: Host,
}

impl UpstashOptions {
    pub(crate) fn protocols(mut self, protocols: Protocols) -> Self {
        self.protocols = protocols;
        self
    }

    pub(crate) fn tls(mut self) -> Self {
        self.is_tls = true;
        self
    }

    /// The limit of one command's request and of one command's result, in bytes.
    pub(crate) fn request_bytes_max(mut self, bytes: usize) -> Self {
        self.request_bytes_max = bytes;
        self
    }

    /// Starts the server in front of a Redis; the port is open when this returns.
    pub(crate) fn start(self, redis: &RedisServer) -> UpstashServer {
        let (door, keeper) = door::door();
        let identity = self.is_tls.then(|| tls::identity(self.protocols));
        let (acceptor, ca_pem) = identity.unzip();
        let shared = Arc::new(Shared {
            protocols: self.protocols,
            request_bytes_max: self.request_bytes_max,
            store: store::Store::new(redis),
            counts: Counts::default(),
            plan: Plan::default(),
            knobs: Mutex::default(),
            valves: Mutex::default(),
            door: door.clone(),
        });
        let served = Arc::clone(&shared);
        let host = Host::start(move || accept::run(keeper, served, acceptor));
        door.open();
        UpstashServer {
            door,
            shared,
            ca_pem,
            _host: host,
        }
    }
}

impl UpstashServer {
    /// Starts a server with the default options.
    pub(crate) fn start(redis: &RedisServer) -> Self {
        UpstashOptions::default().start(redis)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// The URL without a slash at the end: `https` with TLS, else `http`.
    pub(crate) fn url(&self) -> String {
        let port = self.door.address().port();
        match self.ca_pem {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        }
    }

    /// The certificate authority that signed the server's certificate, if it speaks TLS.
    pub(crate) fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// What has happened since the start.
    pub(crate) fn stats(&self) -> Stats {
        self.shared.counts.read()
    }

    /// Adds a rule behind those that stand.
    pub(crate) fn inject(&self, rule: Rule) {
        self.shared.plan.push(rule);
    }

    /// Forgets every rule that stands.
    pub(crate) fn clear_faults(&self) {
        self.shared.plan.clear();
        self.knobs(|knobs| knobs.connection_faults.clear());
    }

    /// Spoils so many of the next connections.
    pub(crate) fn inject_connections(&self, fault: ConnectionFault, times: usize) {
        self.knobs(|knobs| {
            knobs
                .connection_faults
                .extend(std::iter::repeat_n(fault, times));
        });
    }

    /// Refuses new connections; those that stand live on.
    pub(crate) fn refuse(&self) {
        self.door.close();
    }

    /// Accepts connections again.
    pub(crate) fn listen(&self) {
        self.door.open();
    }

    /// Does this to every connection that stands, whether or not a request is on it.
    pub(crate) fn turn_connections(&self, flow: Flow) {
        for valve in &*self.shared.valves.lock().expect("no panic under the lock") {
            valve.turn(flow);
        }
    }

    /// Adds this to every request from now on: the round trip of a distant store.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.knobs(|knobs| knobs.delay = delay);
    }

    /// Allows so many commands over the server's life, `None` for any number.
    pub(crate) fn set_commands_max(&self, commands_max: Option<u64>) {
        self.knobs(|knobs| knobs.commands_max = commands_max);
    }

    /// Keeps the commands of every request from now on, for `recorded`.
    pub(crate) fn record(&self) {
        self.knobs(|knobs| knobs.recorded = Some(Vec::new()));
    }

    /// The commands of each request since `record`, in order of arrival, faulty requests included.
    pub(crate) fn recorded(&self) -> Vec<Vec<Command>> {
        self.knobs(|knobs| knobs.recorded.clone().unwrap_or_default())
    }

    fn knobs<T>(&self, turn: impl FnOnce(&mut Knobs) -> T) -> T {
        self.shared.knobs(turn)
    }
}

impl Shared {
    fn knobs<T>(&self, turn: impl FnOnce(&mut Knobs) -> T) -> T {
        turn(&mut self.knobs.lock().expect("no panic under the lock"))
    }

    /// Whether so many more commands are allowed; counts them if so.
    fn bill(&self, count: usize) -> Result<(), u64> {
        let limit = self.knobs(|knobs| knobs.commands_max);
        let billed = &self.counts.commands;
        if let Some(limit) = limit
            && billed.load(Ordering::Relaxed) >= limit
        {
            return Err(limit);
        }
        billed.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(())
    }
}
