//! Side tasks of a run: signals, the service manager, the status pages, and symbol reload on SIGHUP.

use super::super::{signals, source};
use super::market::Market;
use super::pages::RunPages;
use super::symbols;
use crate::Symbol;
use crate::config::{Environment, SourceName};
use crate::daemon::{HealthStatus, SymbolReloader};
use crate::pipeline::clock::SystemClock;
use crate::port::Clock;
use crate::status::server::StatusServer;
use crate::status::service::{Notification, ServiceManager, watchdog_every};
use barmill_stores::SymbolSources;
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
                tracing::warn!(%error, "cannot notify the service manager");
            }
            found.ok()
        });
        Service {
            manager,
            watchdog_every: environment.get("WATCHDOG_USEC").and_then(watchdog_every),
        }
    }

    pub(super) fn notify(&self, notification: Notification) {
        let manager = self.manager.as_ref();
        if let Some(Err(error)) = manager.map(|manager| manager.notify(notification)) {
            tracing::debug!(%error, word = ?notification, "service manager notification failed");
        }
    }
}

/// What the caretaker minds.
pub(super) struct SideTasks<'a> {
    pub(super) market: &'a Market,
    pub(super) reloader: SymbolReloader,
    pub(super) sources: SymbolSources,
    pub(super) health: Arc<HealthStatus>,
    pub(super) pages: Arc<RunPages>,
    pub(super) service: Service,
    pub(super) server: Option<StatusServer>,
}

impl SideTasks<'_> {
    /// Minds the run for as long as it is polled; never ends by itself.
    pub(super) async fn mind(mut self) {
        self.service.notify(Notification::Ready);
        let server = self.server.take();
        let pages = Arc::clone(&self.pages);
        let serve = async move {
            match server {
                Some(server) => server.run(pages).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(serve, self.stop(), self.reload(), self.feed_watchdog());
    }

    /// The first signal stops and drains, the second aborts.
    async fn stop(&self) {
        let told = async {
            signals::first().await;
            self.service.notify(Notification::Stopping);
        };
        tokio::join!(told, signals::watch(self.health.handle().clone()));
    }

    /// Feeds the watchdog while the run makes progress.
    async fn feed_watchdog(&self) {
        let every = self.service.watchdog_every.unwrap_or(LOOK_EVERY);
        loop {
            tokio::time::sleep(every).await;
            let still = self.health.stalled_for();
            if still < every.saturating_mul(2) {
                self.service.notify(Notification::Watchdog);
            } else {
                tracing::error!(
                    for_s = still.as_secs(),
                    "pipeline stalled: pending work but no progress"
                );
            }
        }
    }

    /// Reads the symbols again on SIGHUP; a list that cannot be used changes nothing.
    async fn reload(&self) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::warn!("cannot handle SIGHUP; a change of symbols needs a restart");
            return;
        };
        while hangup.recv().await.is_some() {
            self.service.notify(Notification::Reloading);
            match symbols::read(&self.market.config) {
                Ok(symbols) => self.hand_out(&symbols).await,
                Err(error) => {
                    let cause: &dyn Error = error.as_ref();
                    tracing::error!(cause, "symbol reload failed; keeping the previous set");
                }
            }
            self.service.notify(Notification::Ready);
        }
    }

    async fn hand_out(&self, symbols: &BTreeMap<SourceName, Vec<Symbol>>) {
        let now = SystemClock.now();
        for (name, symbols) in symbols {
            let origin = source::origin(&self.market.config, name);
            self.sources.add(&origin.source, symbols);
        }
        for source in self.reloader.sources() {
            let symbols = symbols.iter().find(|(name, _)| name.name == source);
            let symbols = symbols.map(|(_, symbols)| symbols.as_slice());
            let symbols = symbols.unwrap_or_default();
            if let Err(error) = self.reloader.reload(source, symbols, now).await {
                let cause: &dyn Error = error.as_ref();
                return tracing::error!(cause, "symbol reload failed; keeping the previous set");
            }
        }
    }
}
