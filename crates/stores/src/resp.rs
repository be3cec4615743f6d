//! Redis over RESP: one multiplexed connection, opened when it is first needed.
//!
//! Owns the connection's life: dialled once for all waiting callers, dropped after any I/O error or timeout, never
//! repaired behind the caller's back. What gives keys a time to live is one transaction (`MULTI`), so that no key stays
//! without one, wherever the connection or a process ends. Deliberately retries nothing. The library's own defaults are not used: 500 ms
//! response timeout, no nodelay, and a reconnect loop that blocked one query for 9 s (redis 1.8, measured).

use crate::key_store::command::Command;
use crate::key_store::counters::Counters;
use crate::key_store::port::{CommandResult, KeyStore, Reply, failed};
use crate::key_store::remedy::{item_error, remedy_of_text, shorten};
use crate::key_store::tls::{CaFileError, choose_provider, read_ca_file};
use crate::url::SinkUrlError;
use barmill_core::port::{ItemError, Remedy, SinkError, SinkStats};
use bytes::Bytes;
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, TlsCertificates, Value,
};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Bytes of `MULTI` on the wire.
const MULTI_LEN: usize = 15;
/// Bytes of `EXEC` on the wire.
const EXEC_LEN: usize = 14;

/// A checked `redis://` or `rediss://` URL.
#[derive(Clone)]
pub struct RedisUrl(ConnectionInfo);

impl RedisUrl {
    /// Parses a URL of either scheme.
    pub(crate) fn parse(text: &str) -> Result<RedisUrl, SinkUrlError> {
        let info = text
            .into_connection_info()
            .map_err(|_| SinkUrlError::Redis)?;
        let is_tcp = matches!(
            info.addr(),
            ConnectionAddr::Tcp(_, _) | ConnectionAddr::TcpTls { .. }
        );
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(SinkUrlError::Insecure);
        }
        if is_tcp {
            Ok(RedisUrl(info))
        } else {
            Err(SinkUrlError::Redis)
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.0.redis_settings();
        let scheme = if matches!(self.0.addr(), ConnectionAddr::TcpTls { .. }) {
            "rediss"
        } else {
            "redis"
        };
        let hidden = if settings.password().is_some() || settings.username().is_some() {
            "***@"
        } else {
            ""
        };
        // The own colons of an IPv6 address would hide where the port begins.
        let address = if let ConnectionAddr::Tcp(host, port)
        | ConnectionAddr::TcpTls { host, port, .. } = self.0.addr()
            && host.contains(':')
        {
            format!("[{host}]:{port}")
        } else {
            self.0.addr().to_string()
        };
        write!(f, "{scheme}://{hidden}{address}/{}", settings.db())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

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
struct Live {
    number: u64,
    connection: MultiplexedConnection,
}

/// A Redis server.
pub struct RespStore {
    name: String,
    client: Client,
    /// AUTH and SELECT, as far as the URL asks for them.
    login: redis::Pipeline,
    config: AsyncConnectionConfig,
    connect_timeout: Duration,
    idle_max: Option<Duration>,
    live: Mutex<Option<Live>>,
    /// One permit: whoever holds it dials.
    dialling: Semaphore,
    counters: Counters,
}

impl fmt::Debug for RespStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RespStore")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The commands that open a session.
fn login(settings: &RedisConnectionInfo) -> redis::Pipeline {
    let mut login = redis::Pipeline::new();
    login.ignore_errors();
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

impl RespStore {
    /// Makes the store; nothing is dialled before the first command.
    ///
    /// # Errors
    /// [`RespError`] when the CA file cannot be used.
    pub fn new(url: &RedisUrl, settings: &RespSettings) -> Result<RespStore, RespError> {
        choose_provider();
        let tcp = url.0.tcp_settings().clone().set_nodelay(true);
        let tcp = tcp.set_user_timeout(settings.user_timeout);
        // AUTH and SELECT are sent here and not by the library, which loses the server's words about them.
        let info = url.0.clone().set_tcp_settings(tcp);
        let info = info.set_redis_settings(RedisConnectionInfo::default().set_skip_set_lib_name());
        let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let client = match settings.ca_file.as_ref().filter(|_| is_tls) {
            Some(path) => {
                let root_cert = Some(read_ca_file(path)?);
                Client::build_with_tls(
                    info,
                    TlsCertificates {
                        client_tls: None,
                        root_cert,
                    },
                )
            }
            None => Client::open(info),
        };
        let client = client.map_err(|source| RespError::Client {
            url: url.to_string(),
            source,
        })?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.connect_timeout))
            .set_response_timeout(Some(settings.response_timeout));
        Ok(RespStore {
            name: url.to_string(),
            client,
            login: login(url.0.redis_settings()),
            config,
            connect_timeout: settings.connect_timeout,
            idle_max: settings.idle_max,
            live: Mutex::new(None),
            dialling: Semaphore::new(1),
            counters: Counters::default(),
        })
    }

    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_connection(&self, number: u64) {
        self.live().take_if(|live| live.number == number);
    }

    async fn connection(&self) -> Result<Live, SinkError> {
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
            let answers = self.login.query_async(&mut connection).await;
            let answers: Vec<Value> = answers.map_err(refused)?;
            for answer in answers {
                convert(answer).map_err(|error| (error.remedy, Cause::from(error)))?;
            }
        }
        Ok(connection)
    }

    async fn send(&self, commands: &[Command]) -> Result<Vec<CommandResult>, SinkError> {
        let is_expiring = |command: &Command| matches!(command, Command::Expire { .. });
        let is_atomic = commands.iter().any(is_expiring);
        let count = commands.len();
        let mut pipeline = redis::Pipeline::with_capacity(count + 2);
        let mut bytes = 0;
        if is_atomic {
            pipeline.cmd("MULTI");
            bytes += MULTI_LEN + EXEC_LEN;
        }
        for command in commands {
            let (command, len) = command.to_resp();
            pipeline.add_command(command);
            bytes += len;
        }
        if is_atomic {
            // The client's own transactions lose the words of the server, and a wrong password makes them panic.
            pipeline.cmd("EXEC");
        }
        let replies = pipeline.len();
        // Errors stay in their places among the replies.
        pipeline.ignore_errors();
        let mut live = self.connection().await?;
        self.counters.add_request(count, bytes);
        let operation = || format!("send {count} commands to {}", self.name);
        match pipeline
            .query_async::<Vec<Value>>(&mut live.connection)
            .await
        {
            Ok(values) if values.len() == replies && is_atomic => {
                let Executed { results, is_open } = Executed::of(values, count);
                if is_open {
                    self.drop_connection(live.number);
                }
                Ok(results)
            }
            Ok(values) if values.len() == replies => Ok(values.into_iter().map(convert).collect()),
            Ok(values) => {
                self.drop_connection(live.number);
                let text = format!("{} replies to {count} commands", values.len());
                Err(failed(operation(), Remedy::Reconnect, text))
            }
            Err(error) => {
                // A reply may still come after a timeout and would be taken for the next one's.
                self.drop_connection(live.number);
                Err(failed(operation(), remedy_of_error(&error), error))
            }
        }
    }
}

/// What a failure of the client calls for; its connection is dropped already, so a retry dials anew.
fn remedy_of_error(error: &RedisError) -> Remedy {
    let kind = error.kind();
    if matches!(kind, ErrorKind::Server(_) | ErrorKind::Extension) {
        let detail = error.detail().unwrap_or_default();
        return remedy_of_text(&format!("{} {detail}", error.code().unwrap_or("ERR")));
    }
    if kind == ErrorKind::InvalidClientConfig {
        Remedy::Fatal
    } else {
        Remedy::Retry { after: None }
    }
}

/// What came of a transaction.
struct Executed {
    results: Vec<CommandResult>,
    /// Whether the server may still wait for its end, so that the connection is good for nothing else.
    is_open: bool,
}

impl Executed {
    /// Reads the replies to `MULTI`, `count` commands and `EXEC`: each command has the result that `EXEC` gives it, or the
    /// words with which it was not queued; where there is neither, those of `EXEC` or `MULTI`.
    fn of(mut values: Vec<Value>, count: usize) -> Executed {
        let (exec, multi) = (values.pop().unwrap_or(Value::Nil), values.remove(0));
        let is_begun = !matches!(multi, Value::ServerError(_));
        let is_done = matches!(&exec, Value::Array(results) if results.len() == count);
        let (results, fault) = match (is_done, exec) {
            (true, Value::Array(results)) => (results, None),
            (_, exec) => {
                let fault = convert(if is_begun { exec } else { multi }).err();
                let unread = || item_error("answer of EXEC is no list of the commands");
                (Vec::new(), Some(fault.unwrap_or_else(unread)))
            }
        };
        let is_open = is_begun
            && fault
                .as_ref()
                .is_some_and(|fault| !fault.reason.starts_with("EXECABORT"));
        let mut results = results.into_iter();
        let result = |queued: Value| {
            let own = results.next();
            if matches!(queued, Value::ServerError(_)) {
                return convert(queued);
            }
            match (own, &fault) {
                (Some(result), _) => convert(result),
                (None, Some(fault)) => Err(again_where_broken(fault)),
                (None, None) => convert(Value::Nil),
            }
        };
        let results = values.into_iter().map(result).collect();
        Executed { results, is_open }
    }
}

/// That a transaction has no beginning, or two, says nothing against its commands.
fn again_where_broken(fault: &ItemError) -> ItemError {
    if fault.reason.contains(" MULTI") {
        return ItemError {
            remedy: Remedy::Reconnect,
            reason: fault.reason.clone(),
        };
    }
    fault.clone()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the client's enum may grow")]
fn convert(value: Value) -> CommandResult {
    Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Integer(number),
        Value::Okay => Reply::Text(Bytes::from_static(b"OK")),
        Value::BulkString(bytes) => Reply::Text(Bytes::from(bytes)),
        Value::SimpleString(text) => Reply::Text(Bytes::from(text)),
        Value::Array(values) | Value::Set(values) => {
            Reply::Array(values.into_iter().map(convert).collect::<Result<_, _>>()?)
        }
        Value::Map(pairs) => {
            let flat = pairs.into_iter().flat_map(|(field, value)| [field, value]);
            Reply::Array(flat.map(convert).collect::<Result<_, _>>()?)
        }
        Value::ServerError(error) => {
            return Err(item_error(&format!(
                "{} {}",
                error.code(),
                error.details().unwrap_or_default()
            )));
        }
        other => return Err(item_error(&shorten(&format!("unexpected reply {other:?}")))),
    })
}

impl KeyStore for RespStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn run<'a>(
        &'a self,
        commands: &'a [Command],
    ) -> BoxFuture<'a, Result<Vec<CommandResult>, SinkError>> {
        Box::pin(self.send(commands))
    }

    fn idle_max(&self) -> Option<Duration> {
        self.idle_max
    }

    fn runs_scripts(&self) -> bool {
        true
    }

    fn reconnect(&self) -> BoxFuture<'_, ()> {
        *self.live() = None;
        Box::pin(async {})
    }

    fn stats(&self) -> SinkStats {
        self.counters.stats()
    }
}
