//! A Redis for tests with faults: it reads commands and lets a real Redis carry them out.
//!
//! Owns a listening port, the fault plan and its counters. Commands that came together are one request, as a pipeline
//! of one write is. Faults that only HTTP has are refused.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::door::{self, Door, Keeper};
use super::fault::{Choice, ConnectionFault, Fault, Plan, Rule, Stage, StoreError};
use super::host::Host;
use super::redis::RedisServer;
use super::resp::{Command, Reply, RespConnection};

/// What a proxy in front of the wrong port says.
const HTML: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n<html>400</html>\r\n";

/// What the handle and all connections share.
#[derive(Debug)]
struct Shared {
    upstream: u16,
    plan: Plan,
    door: Door,
    requests: AtomicU64,
    connection_faults: Mutex<Vec<ConnectionFault>>,
    recorded: Mutex<Vec<Vec<Command>>>,
}

/// A running server; dropping it ends every connection.
#[derive(Debug)]
pub(crate) struct RespServer {
    door: Door,
    shared: Arc<Shared>,
    _host: Host,
}

impl RespServer {
    /// Starts a server in front of a Redis without a password; the port is open when this returns.
    pub(crate) fn start(redis: &RedisServer) -> Self {
        let (door, keeper) = door::door();
        let shared = Arc::new(Shared {
            upstream: redis.port(),
            plan: Plan::default(),
            door: door.clone(),
            requests: AtomicU64::new(0),
            connection_faults: Mutex::default(),
            recorded: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let host = Host::start(move || run(keeper, served));
        door.open();
        Self {
            door,
            shared,
            _host: host,
        }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Requests so far, faulty ones included.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Takes the commands of each request since this was last called.
    pub(crate) fn take_recorded(&self) -> Vec<Vec<Command>> {
        std::mem::take(
            &mut self
                .shared
                .recorded
                .lock()
                .expect("no panic under the lock"),
        )
    }

    /// Adds a rule behind those that stand.
    pub(crate) fn inject(&self, rule: Rule) {
        self.shared.plan.push(rule);
    }

    /// Spoils so many of the next connections.
    pub(crate) fn inject_connections(&self, fault: ConnectionFault, times: usize) {
        self.shared.spoil_next(fault, times);
    }

    /// Forgets every rule that stands.
    pub(crate) fn clear_faults(&self) {
        self.shared.plan.clear();
        self.shared
            .connection_faults
            .lock()
            .expect("no panic under the lock")
            .clear();
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

impl Shared {
    fn spoil_next(&self, fault: ConnectionFault, times: usize) {
        let mut faults = self
            .connection_faults
            .lock()
            .expect("no panic under the lock");
        faults.extend(std::iter::repeat_n(fault, times));
    }

    fn next_spoil(&self) -> Option<ConnectionFault> {
        let mut faults = self
            .connection_faults
            .lock()
            .expect("no panic under the lock");
        (!faults.is_empty()).then(|| faults.remove(0))
    }
}

async fn run(mut keeper: Keeper, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let mut client = keeper.accept().await;
        while connections.try_join_next().is_some() {}
        let (fault, shared) = (shared.next_spoil(), Arc::clone(&shared));
        connections.spawn(async move {
            match fault {
                None => serve(client, &shared).await,
                Some(ConnectionFault::Reset) => drop(client.set_zero_linger()),
                Some(ConnectionFault::Hang) => {
                    // Whether something came or the client went, the next thing to do is nothing.
                    drop(client.read(&mut [0; 4096]).await);
                    std::future::pending::<()>().await;
                }
            }
        });
    }
}

/// A connection of a client, and the one to the Redis that belongs to it.
struct Session<'a> {
    client: RespConnection,
    store: RespConnection,
    shared: &'a Shared,
}

async fn serve(client: TcpStream, shared: &Shared) {
    // A store that is away shows as a connection that ends at once.
    let Ok(store) = RespConnection::open(shared.upstream).await else {
        return;
    };
    if client.set_nodelay(true).is_err() {
        return;
    }
    let mut session = Session {
        client: RespConnection::of_client(client),
        store,
        shared,
    };
    while let Some(commands) = session.client.request().await {
        shared.requests.fetch_add(1, Ordering::Relaxed);
        shared
            .recorded
            .lock()
            .expect("no panic under the lock")
            .push(commands.clone());
        let left = match shared.plan.take(&commands) {
            None => session.answer(&commands).await,
            Some((fault, stage)) => session.spoil(&commands, fault, stage).await,
        };
        if left.is_none() {
            return;
        }
    }
}

/// Each step answers `None` when the connection is over.
impl Session<'_> {
    async fn answer(&mut self, commands: &[Command]) -> Option<()> {
        let replies = self.run(commands).await?;
        self.send(&encode(&replies)).await
    }

    /// Answers with the fault.
    async fn spoil(&mut self, commands: &[Command], fault: Fault, stage: Stage) -> Option<()> {
        let all = Choice::all;
        match fault {
            Fault::CommandErrors { choice, error } => {
                self.errors(commands, &choice, error, stage).await
            }
            Fault::Unauthorized => {
                self.errors(commands, &all(), StoreError::NoAuth, stage)
                    .await
            }
            Fault::Quota => {
                self.errors(commands, &all(), StoreError::MonthlyQuota, stage)
                    .await
            }
            Fault::Reset => self.reset(commands, stage).await,
            Fault::ResetThen(fault, times) => {
                self.shared.spoil_next(fault, times);
                self.reset(commands, stage).await
            }
            Fault::ResetAndRefuse => {
                self.shared.door.close_soon();
                self.reset(commands, stage).await
            }
            Fault::StallBeforeHeaders | Fault::BlackHole => {
                self.apply(commands, stage).await?;
                std::future::pending().await
            }
            Fault::Drip { pause } => {
                for byte in self.apply(commands, stage).await? {
                    tokio::time::sleep(pause).await;
                    self.send(&[byte]).await?;
                }
                std::future::pending().await
            }
            Fault::ShortArray => {
                let bytes = self.cut(commands, stage).await?;
                self.send(&bytes).await?;
                std::future::pending().await
            }
            Fault::Truncated { .. } => {
                let bytes = self.cut(commands, stage).await?;
                self.send(&bytes).await.and(None)
            }
            Fault::HtmlBadGateway => {
                self.apply(commands, stage).await?;
                self.send(HTML).await.and(None)
            }
            Fault::LongArray
            | Fault::TooManyRequests(_)
            | Fault::Status(_)
            | Fault::GoAwayGraceful
            | Fault::GoAwayAbrupt { .. }
            | Fault::RefusedStream => panic!("{fault:?} is a fault of HTTP"),
        }
    }

    async fn run(&mut self, commands: &[Command]) -> Option<Vec<Reply>> {
        self.store.call(commands).await.ok()
    }

    async fn send(&mut self, bytes: &[u8]) -> Option<()> {
        self.client.socket().write_all(bytes).await.ok()
    }

    /// Carries out as many commands as the stage says; their replies as they go over the wire.
    async fn apply(&mut self, commands: &[Command], stage: Stage) -> Option<Vec<u8>> {
        let replies = self
            .run(&commands[..stage.applied_count(commands.len())])
            .await?;
        Some(encode(&replies))
    }

    /// As `apply`, with an end that is missing. What came together may be two pipelines, so none of the replies is made up.
    async fn cut(&mut self, commands: &[Command], stage: Stage) -> Option<Vec<u8>> {
        let mut bytes = self.apply(commands, stage).await?;
        bytes.pop();
        Some(bytes)
    }

    async fn reset(&mut self, commands: &[Command], stage: Stage) -> Option<()> {
        self.apply(commands, stage).await?;
        // A socket that is gone already needs no reset.
        drop(self.client.socket().set_zero_linger());
        None
    }

    /// The chosen commands answer with the error, and are carried out only where the stage is behind the write.
    async fn errors(
        &mut self,
        commands: &[Command],
        choice: &Choice,
        error: StoreError,
        stage: Stage,
    ) -> Option<()> {
        let is_chosen = |index: usize| choice.picks(index, &commands[index]);
        let is_run = |index: &usize| stage == Stage::AfterApply || !is_chosen(*index);
        let places: Vec<usize> = (0..commands.len()).filter(is_run).collect();
        let run: Vec<Command> = places
            .iter()
            .map(|place| commands[*place].clone())
            .collect();
        let mut replies = vec![Reply::Error(error.text().to_owned()); commands.len()];
        for (place, reply) in places.into_iter().zip(self.run(&run).await?) {
            if !is_chosen(place) {
                replies[place] = reply;
            }
        }
        self.send(&encode(&replies)).await
    }
}

fn encode(replies: &[Reply]) -> Vec<u8> {
    replies.iter().flat_map(Reply::encode).collect()
}
