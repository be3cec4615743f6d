//! Redis over RESP: one multiplexed connection, whole pipelines, every reply checked.
//!
//! What gives keys a time to live is one transaction (`MULTI`), so that no key stays without one, wherever the
//! connection or a process ends. Deliberately retries nothing.

use super::connection::{Connector, RespError, RespSettings};
use super::reply::{Executed, convert, remedy_of_error};
use super::url::RedisUrl;
use crate::key_store::command::Command;
use crate::key_store::port::{CommandResult, KeyStore, failed};
use barmill_core::port::{Remedy, SinkError, SinkStats};
use futures::future::BoxFuture;
use std::fmt;
use std::time::Duration;

/// Bytes of `MULTI` and `EXEC` on the wire.
const FRAME_LEN: usize = 15 + 14;

/// A Redis server.
pub struct RespStore {
    connector: Connector,
    idle_max: Option<Duration>,
}

impl fmt::Debug for RespStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RespStore")
            .field("name", &self.connector.name)
            .finish_non_exhaustive()
    }
}

impl RespStore {
    /// Makes the store; nothing is dialled before the first command.
    ///
    /// # Errors
    /// [`RespError`] when the CA file cannot be used.
    pub fn new(url: &RedisUrl, settings: &RespSettings) -> Result<RespStore, RespError> {
        Ok(RespStore {
            connector: Connector::new(url, settings)?,
            idle_max: settings.idle_max,
        })
    }

    async fn send(&self, commands: &[Command]) -> Result<Vec<CommandResult>, SinkError> {
        let is_expiring = |command: &Command| matches!(command, Command::Expire { .. });
        let is_atomic = commands.iter().any(is_expiring);
        let count = commands.len();
        let mut pipeline = redis::Pipeline::with_capacity(count + 2);
        let mut bytes = if is_atomic { FRAME_LEN } else { 0 };
        if is_atomic {
            pipeline.cmd("MULTI");
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
        let mut live = self.connector.connection().await?;
        self.connector.counters.add_request(count, bytes);
        let replies = pipeline.len();
        // Unlike the pipeline's own way to send itself, this one leaves errors in their places among the replies.
        let sending = live.connection.send_packed_commands(&pipeline, 0, replies);
        let answered = sending.await;
        let operation = || format!("send {count} commands to {}", self.connector.name);
        match answered {
            Ok(values) if values.len() == replies && is_atomic => {
                let Executed { results, is_open } = Executed::of(values, count);
                if is_open {
                    self.connector.drop_live(&live);
                }
                Ok(results)
            }
            Ok(values) if values.len() == replies => Ok(values.into_iter().map(convert).collect()),
            Ok(values) => {
                self.connector.drop_live(&live);
                let text = format!("{} replies to {count} commands", values.len());
                Err(failed(operation(), Remedy::Reconnect, text))
            }
            Err(error) => {
                // A reply may still come after a timeout and would be taken for the next one's.
                self.connector.drop_live(&live);
                Err(failed(operation(), remedy_of_error(&error), error))
            }
        }
    }
}

impl KeyStore for RespStore {
    fn name(&self) -> &str {
        &self.connector.name
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
        self.connector.reset();
        Box::pin(async {})
    }

    fn stats(&self) -> SinkStats {
        self.connector.counters.stats()
    }
}
