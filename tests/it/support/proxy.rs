//! A TCP proxy with faults, for stores that speak RESP.
//!
//! It knows bytes and connections, not commands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::door::{self, Door, Keeper};
use super::host::Host;

/// What the proxy does to its connections, those that stand and those to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyFault {
    None,
    /// Each piece of bytes waits so long before it goes on.
    Delay {
        to_server: Duration,
        to_client: Duration,
    },
    /// So many more bytes pass in this direction on each connection, then the connection ends. Bytes past
    /// the limit are lost: with `ToClient` and 0 a write is applied and its answer lost.
    CutAfter {
        direction: Direction,
        bytes: usize,
        cut: Cut,
    },
    /// Connections stand, nothing passes.
    BlackHole,
    /// New connections are accepted and never carried on.
    HangAtConnect,
    /// New connections are reset at once.
    ResetAtConnect,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Close,
    Reset,
}

/// A running proxy; dropping it ends every connection.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    door: Door,
    fault: watch::Sender<ProxyFault>,
    connections: Arc<AtomicU64>,
    _host: Host,
}

impl FaultProxy {
    /// Starts a proxy on a free loopback port in front of a loopback port.
    pub(crate) fn start(upstream: u16) -> Self {
        let (door, keeper) = door::door();
        let (fault, faults) = watch::channel(ProxyFault::None);
        let connections = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&connections);
        let host = Host::start(move || run(keeper, upstream, faults, count));
        door.open();
        Self {
            door,
            fault,
            connections,
            _host: host,
        }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Puts this fault in the place of the one before.
    pub(crate) fn set(&self, fault: ProxyFault) {
        self.fault.send_replace(fault);
    }

    /// Refuses new connections; those that stand live on.
    pub(crate) fn refuse(&self) {
        self.door.close();
    }

    /// Accepts connections again.
    pub(crate) fn listen(&self) {
        self.door.open();
    }
}

async fn run(
    mut keeper: Keeper,
    upstream: u16,
    faults: watch::Receiver<ProxyFault>,
    count: Arc<AtomicU64>,
) {
    let mut connections = JoinSet::new();
    loop {
        let client = keeper.accept().await;
        while connections.try_join_next().is_some() {}
        count.fetch_add(1, Ordering::Relaxed);
        let fault = *faults.borrow();
        match fault {
            // The reset comes with the drop.
            ProxyFault::ResetAtConnect => drop(client.set_zero_linger()),
            ProxyFault::HangAtConnect => {
                connections.spawn(async move {
                    let _held = client;
                    std::future::pending::<()>().await;
                });
            }
            ProxyFault::None
            | ProxyFault::Delay { .. }
            | ProxyFault::CutAfter { .. }
            | ProxyFault::BlackHole => {
                connections.spawn(carry(client, upstream, faults.clone()));
            }
        }
    }
}

async fn carry(client: TcpStream, upstream: u16, faults: watch::Receiver<ProxyFault>) {
    // A store that is away shows as a connection that ends at once.
    let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else {
        return;
    };
    if client
        .set_nodelay(true)
        .and(server.set_nodelay(true))
        .is_err()
    {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut up = Pump {
        from: from_client,
        to: to_server,
        direction: Direction::ToServer,
        passed: 0,
    };
    let mut down = Pump {
        from: from_server,
        to: to_client,
        direction: Direction::ToClient,
        passed: 0,
    };
    let cut = tokio::select! {
        cut = up.run(faults.clone()) => cut,
        cut = down.run(faults) => cut,
    };
    if cut == Cut::Reset {
        // A socket that is gone already needs no reset.
        drop(up.from.as_ref().set_zero_linger());
    }
}

/// One direction of a connection.
struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    direction: Direction,
    /// Bytes since the fault was set.
    passed: usize,
}

impl Pump {
    /// Carries bytes until either side ends or the fault does, and says how the other side is to learn.
    async fn run(&mut self, mut faults: watch::Receiver<ProxyFault>) -> Cut {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let fault = *faults.borrow_and_update();
            let read = tokio::select! {
                biased;
                changed = faults.changed() => {
                    if changed.is_err() {
                        return Cut::Close;
                    }
                    self.passed = 0;
                    continue;
                }
                read = self.from.read(&mut buffer), if fault != ProxyFault::BlackHole => read,
            };
            let len = match read {
                Ok(0) => return Cut::Close,
                Ok(len) => len,
                Err(_) => return Cut::Reset,
            };
            let (allowed, cut) = self.allow(fault, len).await;
            if self.to.write_all(&buffer[..allowed]).await.is_err() {
                return Cut::Reset;
            }
            self.passed += allowed;
            if let Some(cut) = cut {
                return cut;
            }
        }
    }

    /// How many of the bytes at hand may pass, and whether the connection ends then.
    async fn allow(&self, fault: ProxyFault, len: usize) -> (usize, Option<Cut>) {
        match fault {
            ProxyFault::Delay {
                to_server,
                to_client,
            } => {
                let delay = match self.direction {
                    Direction::ToServer => to_server,
                    Direction::ToClient => to_client,
                };
                tokio::time::sleep(delay).await;
                (len, None)
            }
            ProxyFault::CutAfter {
                direction,
                bytes,
                cut,
            } if direction == self.direction => {
                let left = bytes.saturating_sub(self.passed);
                if len > left || (len == left && direction == Direction::ToServer) {
                    (left.min(len), Some(cut))
                } else {
                    (len, None)
                }
            }
            ProxyFault::None
            | ProxyFault::CutAfter { .. }
            | ProxyFault::BlackHole
            | ProxyFault::HangAtConnect
            | ProxyFault::ResetAtConnect => (len, None),
        }
    }
}
