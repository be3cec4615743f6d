//! What goes on beside the pipeline: signals, the service manager, the status pages, and other symbols on SIGHUP.

use super::super::signals;
use super::market::Market;
use super::standing::Standing;
use super::{live, symbols};
use crate::Symbol;
use crate::config::{Environment, SourceName};
use crate::pipeline::clock::SystemClock;
use crate::port::Clock;
use crate::status::server::StatusServer;
use crate::status::service::{ServiceManager, Word, watchdog_every};
use barmill_sources::live::Reloader;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Longest time between two looks at the progress.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The service manager, if one started us.
#[derive(Debug)]
pub(super) struct Service {
    manager: Option<ServiceManager>,
    watchdog_every: Option<Duration>,
}

impl Service {
    /// Finds the service manager in the environment.
    pub(super) fn find(environment: &Environment) -> Service {
        let manager = environment.get("NOTIFY_SOCKET").and_then(|address| {
            let found = ServiceManager::at(address);
            if let Err(error) = &found {
                tracing::warn!(%error, "service manager cannot be told anything");
            }
            found.ok()
        });
        Service {
            manager,
            watchdog_every: environment.get("WATCHDOG_USEC").and_then(watchdog_every),
        }
    }

    pub(super) fn tell(&self, word: Word) {
        if let Some(Err(error)) = self.manager.as_ref().map(|manager| manager.tell(word)) {
            tracing::debug!(%error, ?word, "service manager did not hear");
        }
    }
}

/// What the caretaker minds.
pub(super) struct Care<'a> {
    pub(super) market: &'a Market,
    pub(super) reloaders: BTreeMap<SourceName, Reloader>,
    pub(super) standing: Arc<Standing>,
    pub(super) service: Service,
    pub(super) pages: Option<StatusServer>,
}

impl Care<'_> {
    /// Minds the run for as long as it is polled; never ends by itself.
    pub(super) async fn mind(mut self) {
        self.service.tell(Word::Ready);
        let pages = self.pages.take();
        let standing = Arc::clone(&self.standing);
        let serve = async move {
            match pages {
                Some(pages) => pages.run(standing).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(serve, self.stop(), self.reload(), self.feed_watchdog());
    }

    /// The first signal stops and drains, the second aborts.
    async fn stop(&self) {
        let told = async {
            signals::first().await;
            self.service.tell(Word::Stopping);
        };
        tokio::join!(told, signals::watch(self.standing.handle.clone()));
    }

    /// Feeds the watchdog while the run makes progress.
    async fn feed_watchdog(&self) {
        let every = self.service.watchdog_every.unwrap_or(LOOK_EVERY);
        loop {
            tokio::time::sleep(every).await;
            let still = self.standing.stands_still();
            if still < every.saturating_mul(2) {
                self.service.tell(Word::Watchdog);
            } else {
                tracing::error!(
                    for_s = still.as_secs(),
                    "the run stands still although something waits"
                );
            }
        }
    }

    /// Reads the symbols again on SIGHUP; a list that cannot be used changes nothing.
    async fn reload(&self) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::warn!("SIGHUP cannot be handled; other symbols need a restart");
            return;
        };
        while hangup.recv().await.is_some() {
            self.service.tell(Word::Reloading);
            match symbols::read(&self.market.config) {
                Ok(symbols) => self.hand_out(&symbols).await,
                Err(error) => {
                    let cause: &dyn Error = error.as_ref();
                    tracing::error!(cause, "symbols cannot be read again; those of before stay");
                }
            }
            self.service.tell(Word::Ready);
        }
    }

    async fn hand_out(&self, symbols: &BTreeMap<SourceName, Vec<Symbol>>) {
        let start = match self.market.start(SystemClock.now(), None) {
            Ok(start) => start,
            Err(error) => {
                let cause: &dyn Error = error.as_ref();
                return tracing::error!(cause, "symbols of before stay");
            }
        };
        for (name, reloader) in &self.reloaders {
            let symbols = symbols.get(name).map(Vec::as_slice).unwrap_or_default();
            reloader
                .reload(live::starting(symbols, start), start.is_partway)
                .await;
        }
    }
}
