//! The connection to a Redis server: dialled once for all waiting callers, dropped after any I/O error or timeout, never
//! repaired behind the caller's back.
//!
//! The library's own defaults are not used: 500 ms response timeout, no nodelay, and a reconnect loop that blocked one
//! query for 9 s (redis 1.8, measured).

use super::reply::{convert, remedy_of_error};
use super::url::RedisUrl;
use crate::key_store::counters::Counters;
use crate::key_store::port::failed;
use crate::key_store::tls::{CaFileError, choose_provider, read_ca_file};
use barmill_core::port::{Remedy, SinkError};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, RedisConnectionInfo, RedisError, TlsCertificates,
};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How to reach a Redis server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RespSettings {
    /// Longest time for name, TCP, TLS, AUTH and SELECT together; default 10 s, above zero.
    pub connect_timeout: Duration,
    /// Longest time from sending a pipeline to its last reply; default 10 s, above zero.
    pub response_timeout: Duration,
    /// Longest time that sent bytes may stay unacknowledged before the connection is given up; default 30 s.
    pub user_timeout: Duration,
    /// How long the connection may be idle before it is asked for a sign of life; default 15 s, `None` never asks.
    pub idle_max: Option<Duration>,
    /// PEM file with the certificates that are trusted instead of the system's, for TLS only; default none.
    pub ca_file: Option<PathBuf>,
}

impl Default for RespSettings {
    fn default() -> RespSettings {
        RespSettings {
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(10),
            user_timeout: Duration::from_secs(30),
            idle_max: Some(Duration::from_secs(15)),
            ca_file: None,
        }
    }
}

/// Why no RESP store could be made.
#[derive(Debug, thiserror::Error)]
pub enum RespError {
    /// The CA file cannot be read.
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    /// The CA file holds no usable certificate.
    #[error("client for {url} cannot be made")]
    Client {
        /// The address, without credentials.
        url: String,
        /// The cause.
        #[source]
        source: RedisError,
    },
}

/// A connection and its number, so that a late failure does not drop its successor.
#[derive(Clone)]
pub(super) struct Live {
    number: u64,
    pub(super) connection: MultiplexedConnection,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Holds the connection of a store, and dials it when it is first needed.
pub(super) struct Connector {
    pub(super) name: String,
    client: Client,
    /// AUTH and SELECT, as far as the URL asks for them.
    login: redis::Pipeline,
    config: AsyncConnectionConfig,
    connect_timeout: Duration,
    live: Mutex<Option<Live>>,
    /// One permit: whoever holds it dials.
    dialling: Semaphore,
    pub(super) counters: Counters,
}

/// The commands that open a session.
fn login(settings: &RedisConnectionInfo) -> redis::Pipeline {
    let mut login = redis::Pipeline::new();
    if let Some(password) = settings.password() {
        let command = login.cmd("AUTH");
        // Servers before Redis 6 know no user names; `default` is the one they mean.
        if let Some(user) = settings.username().filter(|user| *user != "default") {
            command.arg(user);
        }
        command.arg(password);
    }
    if settings.db() != 0 {
        login.cmd("SELECT").arg(settings.db());
    }
    login
}

impl Connector {
    pub(super) fn new(url: &RedisUrl, settings: &RespSettings) -> Result<Connector, RespError> {
        choose_provider();
        let tcp = url.0.tcp_settings().clone().set_nodelay(true);
        let tcp = tcp.set_user_timeout(settings.user_timeout);
        // AUTH and SELECT are sent here and not by the library, which loses the server's words about them.
        let info = url.0.clone().set_tcp_settings(tcp);
        let info = info.set_redis_settings(RedisConnectionInfo::default().set_skip_set_lib_name());
        let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let client = match settings.ca_file.as_ref().filter(|_| is_tls) {
            Some(path) => {
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(read_ca_file(path)?),
                };
                Client::build_with_tls(info, certificates)
            }
            None => Client::open(info),
        };
        let client = client.map_err(|source| RespError::Client {
            url: url.to_string(),
            source,
        })?;
        Ok(Connector {
            name: url.to_string(),
            client,
            login: login(url.0.redis_settings()),
            config: AsyncConnectionConfig::new()
                .set_connection_timeout(Some(settings.connect_timeout))
                .set_response_timeout(Some(settings.response_timeout)),
            connect_timeout: settings.connect_timeout,
            live: Mutex::new(None),
            dialling: Semaphore::new(1),
            counters: Counters::default(),
        })
    }

    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the connection, unless it has been replaced.
    pub(super) fn drop_live(&self, live: &Live) {
        self.live().take_if(|now| now.number == live.number);
    }

    /// Forgets any connection.
    pub(super) fn reset(&self) {
        *self.live() = None;
    }

    pub(super) async fn connection(&self) -> Result<Live, SinkError> {
        let current = || self.live().clone();
        if let Some(live) = current() {
            return Ok(live);
        }
        let failed =
            |remedy, error: Cause| failed(format!("connect to {}", self.name), remedy, error);
        let permit = self.dialling.acquire().await;
        let permit = permit.map_err(|closed| failed(Remedy::Fatal, closed.into()))?;
        if let Some(live) = current() {
            return Ok(live);
        }
        // The library's own timeout does not cover the login.
        let dialled = tokio::time::timeout(self.connect_timeout, self.dial()).await;
        let connection = match dialled {
            Ok(Ok(connection)) => connection,
            Ok(Err((remedy, error))) => return Err(failed(remedy, error)),
            Err(elapsed) => return Err(failed(Remedy::Retry { after: None }, elapsed.into())),
        };
        let live = Live {
            number: self.counters.stats().connections,
            connection,
        };
        *self.live() = Some(live.clone());
        drop(permit);
        Ok(live)
    }

    async fn dial(&self) -> Result<MultiplexedConnection, (Remedy, Cause)> {
        let refused = |error: RedisError| (remedy_of_error(&error), Cause::from(error));
        let config = &self.config;
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(config);
        let mut connection = connecting.await.map_err(refused)?;
        self.counters.add_connection();
        if !self.login.is_empty() {
            let count = self.login.len();
            let answers = connection.send_packed_commands(&self.login, 0, count).await;
            for answer in answers.map_err(refused)? {
                convert(answer).map_err(|error| (error.remedy, Cause::from(error)))?;
            }
        }
        Ok(connection)
    }
}
