//! The trait of stores below a view: they answer commands on keys.
//!
//! Owns the trait that the RESP, REST and embedded stores share, so that views and the reader are written once.

use super::command::Command;
use super::script::{APPEND, Script};
use barmill_core::port::{ItemError, Remedy, SinkError, SinkStats};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;

/// What a store answers to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// No such key or field.
    Nil,
    /// A number.
    Integer(i64),
    /// A string or a status such as `OK`.
    Text(Bytes),
    /// Several replies; a hash is flat, field before value.
    Array(Vec<Reply>),
}

/// The fate of one command.
pub type CommandResult = Result<Reply, ItemError>;

/// A store of keys.
pub trait KeyStore: Send + Sync + 'static {
    /// The name of the store in logs and errors; it must not contain a secret.
    fn name(&self) -> &str;

    /// Runs the commands in order and answers one result per command, in the same order; not atomic.
    ///
    /// # Errors
    /// [`SinkError`] when the fate of all commands is unknown or the same. With [`Remedy::Refuse`] the store
    /// takes no request with these commands: a part of them may still succeed.
    fn run<'a>(
        &'a self,
        commands: &'a [Command],
    ) -> BoxFuture<'a, Result<Vec<CommandResult>, SinkError>>;

    /// Whether it runs scripts, each as a whole.
    fn runs_scripts(&self) -> bool {
        false
    }

    /// How long its connection may be idle before it is asked for a sign of life; `None` where the protocol below
    /// does so by itself, or nothing can be lost.
    fn idle_max(&self) -> Option<Duration> {
        None
    }

    /// Forgets its connections.
    fn reconnect(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Makes everything durable and forgets the connections; the last call.
    ///
    /// # Errors
    /// [`SinkError`] when something written may be lost.
    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            self.reconnect().await;
            Ok(())
        })
    }

    /// The counts so far.
    fn stats(&self) -> SinkStats;
}

/// Makes the error of a whole batch.
pub(crate) fn failed(
    operation: impl Into<String>,
    remedy: Remedy,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> SinkError {
    SinkError {
        operation: operation.into(),
        remedy,
        source: source.into(),
    }
}

/// Runs commands and answers one result each, in the same order; a script the store does not know goes again, after
/// the others, with its text.
pub(crate) async fn run_scripts(
    store: &dyn KeyStore,
    commands: &[Command],
) -> Result<Vec<CommandResult>, SinkError> {
    let mut results = store.run(commands).await?;
    let is_lost = |result: &CommandResult| matches!(result, Err(error) if error.reason.starts_with("NOSCRIPT"));
    let lost: Vec<usize> = (0..results.len())
        .filter(|&index| is_lost(&results[index]))
        .collect();
    if lost.is_empty() {
        return Ok(results);
    }
    let again = lost.iter().map(|&index| commands[index].clone()).collect();
    for (index, result) in lost.into_iter().zip(store.run(&with_text(again)).await?) {
        results[index] = result;
    }
    Ok(results)
}

/// Puts the text into the first call of each script; the store knows it from then on.
fn with_text(mut commands: Vec<Command>) -> Vec<Command> {
    let mut told = HashSet::new();
    for command in &mut commands {
        if let Command::Script {
            script: Script { sha, .. },
            has_text,
            ..
        } = command
        {
            *has_text = told.insert(*sha);
        } else if let Command::StreamAdd { has_text, .. } = command {
            *has_text = told.insert(APPEND.sha);
        }
    }
    commands
}
