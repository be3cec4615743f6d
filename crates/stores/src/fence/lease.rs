//! The fence: one writer per namespace, by a number that only increases.
//!
//! Owns the lease, one hash `fence:{namespace}` of `number`, `holder` and `until` (milliseconds of the store's clock).
//! A writer takes the lease with its first write, or when it is opened; it is refused while another holder's lease
//! lives, unless it takes over. Taking it raises the number. Every batch then carries the number, and a store that has
//! seen a greater one refuses it (`FENCED`), so a writer that slept through its lease can change nothing. The lease
//! itself is no lock: it keeps a second writer from starting, the number and the versions keep the bars right. The
//! hash never expires, since the number must not fall; when it is lost (FLUSHALL, eviction), the next batch puts it
//! back. The keys of a script would have to share a slot: the fence is not for a cluster.

use super::guard::{self, Answers};
use crate::batch::groups::Batch;
use crate::key_store::command::Command;
use crate::key_store::port::{CommandResult, KeyStore, Reply, failed, run_scripts};
use crate::key_store::script::LEASE;
use crate::layout::view::View;
use barmill_core::model::Timestamp;
use barmill_core::port::{Clock, Remedy, SinkError};
use bytes::Bytes;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Commands that a renewal is billed as where those inside a script count: EVALSHA, HMGET, TIME, HSET.
pub(crate) const RENEWAL_COMMANDS: u32 = 4;

/// Whether a second writer of a namespace is kept out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Guard {
    /// Nobody looks; nothing more is sent.
    #[default]
    Off,
    /// By a lease with a fencing number, and by versions.
    Fence(FenceSettings),
}

impl Guard {
    /// The fence of a writer of the namespace.
    pub(crate) fn fence(self, namespace: &str) -> Option<Fence> {
        match self {
            Guard::Off => None,
            Guard::Fence(settings) => Some(Fence::new(settings, namespace)),
        }
    }
}

/// Who holds the lease, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceSettings {
    /// Names this writer in messages; no two writers share it.
    pub holder: String,
    /// How long the lease lives after its last renewal, above zero; renewed after a quarter of it.
    pub ttl: Duration,
    /// Whether a living lease of another holder is taken.
    pub take_over: bool,
}

/// Why no lease was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    /// Another writer is alive.
    #[error(
        "{key} is held by {holder} until {until}; stop that writer, wait until then, or take over with --take-over"
    )]
    Held {
        /// The fence's key.
        key: String,
        /// The other writer.
        holder: String,
        /// When its lease ends unless it is renewed, by the store's clock.
        until: Timestamp,
    },
    /// An answer of another shape.
    #[error("answer about the lease {key} cannot be read")]
    Answer {
        /// The fence's key.
        key: String,
    },
}

/// The lease of one writer.
#[derive(Debug)]
pub(crate) struct Fence {
    settings: FenceSettings,
    key: Bytes,
    number: OnceCell<u64>,
    /// Nanoseconds since the epoch, by this writer's clock.
    renewed_at: AtomicI64,
}

impl Fence {
    pub(crate) fn new(settings: FenceSettings, namespace: &str) -> Fence {
        let key = Bytes::from(format!("fence:{namespace}"));
        Fence {
            settings,
            key,
            number: OnceCell::new(),
            renewed_at: AtomicI64::new(i64::MIN),
        }
    }

    fn ttl_ms(&self) -> u64 {
        u64::try_from(self.settings.ttl.as_millis()).unwrap_or(u64::MAX)
    }

    /// How long a lease goes without renewal.
    pub(crate) fn renewal(&self) -> Duration {
        self.settings.ttl / 4
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let age = now
            .as_nanos()
            .saturating_sub(self.renewed_at.load(Ordering::Relaxed));
        // A clock that was set back counts as a long time.
        u128::from(age.unsigned_abs()) >= self.renewal().as_nanos()
    }

    fn renewed(&self, now: Timestamp) {
        self.renewed_at.store(now.as_nanos(), Ordering::Relaxed);
    }

    fn failed(
        &self,
        remedy: Remedy,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> SinkError {
        failed(
            format!("hold {}", String::from_utf8_lossy(&self.key)),
            remedy,
            error,
        )
    }

    /// The fencing number; takes the lease when there is none yet.
    pub(crate) async fn number(
        &self,
        store: &dyn KeyStore,
        clock: &dyn Clock,
    ) -> Result<u64, SinkError> {
        let number = self.number.get_or_try_init(|| async {
            let now = clock.now();
            let number = self.acquired(self.call(store, "acquire", 0).await?)?;
            self.renewed(now);
            tracing::info!(number, holder = self.settings.holder, "fence taken");
            Ok(number)
        });
        number.await.copied()
    }

    fn acquired(&self, result: CommandResult) -> Result<u64, SinkError> {
        let reply = result.map_err(|error| self.failed(error.remedy, error))?;
        let key = String::from_utf8_lossy(&self.key).into_owned();
        let Reply::Array(parts) = reply else {
            return Err(self.failed(Remedy::Fatal, FenceError::Answer { key }));
        };
        let texts: Vec<String> = parts.iter().map(text).collect();
        let error = match texts.as_slice() {
            [number] if let Ok(number) = number.parse() => return Ok(number),
            [_, holder, until] => {
                let until = until.parse().ok().and_then(Timestamp::from_millis);
                FenceError::Held {
                    key,
                    holder: holder.clone(),
                    until: until.unwrap_or(Timestamp::MAX),
                }
            }
            _ => FenceError::Answer { key },
        };
        Err(self.failed(Remedy::Fatal, error))
    }

    async fn call(
        &self,
        store: &dyn KeyStore,
        what: &'static str,
        number: u64,
    ) -> Result<CommandResult, SinkError> {
        let take_over = if self.settings.take_over { "1" } else { "0" };
        let arguments = vec![
            Bytes::from_static(what.as_bytes()),
            Bytes::from(self.settings.holder.clone()),
            Bytes::from(self.ttl_ms().to_string()),
            Bytes::from(number.to_string()),
            Bytes::from_static(take_over.as_bytes()),
        ];
        let keys = vec![self.key.clone()];
        let command = Command::Script {
            script: &LEASE,
            has_text: false,
            keys,
            arguments,
        };
        run_script(store, command).await
    }

    /// Renews the lease if it is due; answers whether the store was asked.
    pub(crate) async fn renew(
        &self,
        store: &dyn KeyStore,
        clock: &dyn Clock,
    ) -> Result<bool, SinkError> {
        let number = self.number(store, clock).await?;
        let now = clock.now();
        let is_due = self.is_due(now);
        if is_due {
            self.acquired(self.call(store, "renew", number).await?)?;
            self.renewed(now);
        }
        Ok(is_due)
    }

    /// Ends the lease, so that the next writer need not wait.
    pub(crate) async fn release(&self, store: &dyn KeyStore) {
        let Some(&number) = self.number.get() else {
            return;
        };
        match self.call(store, "release", number).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "fence not released"),
            Err(error) => tracing::warn!(%error, "fence not released; its lease will expire"),
        }
    }

    /// The script call of a batch.
    pub(crate) fn call_of(
        &self,
        number: u64,
        is_renewal: bool,
        view: &View,
        batch: &Batch,
    ) -> (Command, Answers) {
        let head = [
            Bytes::from(number.to_string()),
            Bytes::from(self.settings.holder.clone()),
            Bytes::from(self.ttl_ms().to_string()),
            Bytes::from_static(if is_renewal { b"1" } else { b"0" }),
        ];
        guard::call(self.key.clone(), head, view, batch)
    }

    /// Sends a batch as one script and answers the fate of each of its groups.
    pub(crate) async fn send(
        &self,
        store: &dyn KeyStore,
        clock: &dyn Clock,
        view: &View,
        batch: &Batch,
    ) -> Result<(CommandResult, Answers), SinkError> {
        let number = self.number(store, clock).await?;
        let now = clock.now();
        let is_due = self.is_due(now);
        let (command, answers) = self.call_of(number, is_due, view, batch);
        let result = run_script(store, command).await?;
        if is_due && result.is_ok() {
            self.renewed(now);
        }
        Ok((result, answers))
    }
}

async fn run_script(store: &dyn KeyStore, command: Command) -> Result<CommandResult, SinkError> {
    let mut results = run_scripts(store, &[command]).await?;
    assert!(results.len() == 1, "a key store answers every command");
    Ok(results.swap_remove(0))
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Reply::Integer(number) => number.to_string(),
        Reply::Nil | Reply::Array(_) => String::new(),
    }
}
