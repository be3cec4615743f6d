//! The sink that writes bars through a view into any key store.

use super::batch;
use super::command::Command;
use super::key_store::{KeyStore, failed};
use super::plain;
use super::script;
use super::view::View;
use crate::port::{BarSink, Clock, Cost, ItemResult, SinkError, SinkStats, WriteItem};
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// Writes bars and manifests as a [`View`] lays them out.
#[derive(Clone)]
pub struct ViewSink {
    store: Arc<dyn KeyStore>,
    view: Arc<View>,
    clock: Arc<dyn Clock>,
}

impl ViewSink {
    /// Joins a store and a view; the clock stamps `updated_at` of manifests.
    pub fn new(store: Arc<dyn KeyStore>, view: Arc<View>, clock: Arc<dyn Clock>) -> ViewSink {
        ViewSink { store, view, clock }
    }
}

impl fmt::Debug for ViewSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewSink")
            .field("store", &self.store.name())
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

impl BarSink for ViewSink {
    fn name(&self) -> &str {
        self.store.name()
    }

    fn write<'a>(&'a self, items: &'a [WriteItem]) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>> {
        Box::pin(async move {
            if items.is_empty() {
                return Ok(Vec::new());
            }
            let batch = batch::encode(&self.view, items, self.clock.now());
            let plan = plain::plan(&self.view, batch);
            if plan.commands.is_empty() {
                return Ok(vec![Ok(()); items.len()]);
            }
            let results = script::run(self.store.as_ref(), &plan.commands).await?;
            assert!(results.len() == plan.commands.len(), "a key store answers every command");
            Ok(plan.carriers.iter().map(|carriers| plain::fate(&results, carriers)).collect())
        })
    }

    fn cost(&self, items: &[WriteItem]) -> Cost {
        let commands = u32::try_from(batch::count_commands(&self.view, items)).unwrap_or(u32::MAX);
        Cost { requests: u32::from(commands > 0), commands }
    }

    fn weight(&self, item: &WriteItem) -> usize {
        batch::weigh(&self.view, item)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            for result in self.store.run(&[Command::Ping]).await? {
                result.map_err(|error| failed(format!("PING {}", self.name()), error.remedy, error))?;
            }
            Ok(())
        })
    }

    fn reconnect(&self) -> BoxFuture<'_, ()> {
        self.store.reconnect()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.store.close()
    }

    fn stats(&self) -> SinkStats {
        self.store.stats()
    }
}
