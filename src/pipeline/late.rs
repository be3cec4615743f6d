//! The actor of late trades: receives them from every shard and writes them to the late file.
//!
//! A store that fails costs the trades' place in the file, not their count, and never the run.

use super::error::RunError;
use crate::model::Trade;
use crate::port::LateStore;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Messages of late trades that wait; each is of one batch of a feed.
const LATE_QUEUE_LEN: usize = 4;

/// The actor around one store of late trades.
#[derive(Debug)]
pub(crate) struct LateActor {
    store: Arc<dyn LateStore>,
    inbox: mpsc::Receiver<Vec<Trade>>,
    is_logged: bool,
    is_failing: bool,
}

impl LateActor {
    /// Builds the actor and the way to it; spawns nothing.
    pub(crate) fn pair(store: Arc<dyn LateStore>) -> (LateActor, mpsc::Sender<Vec<Trade>>) {
        let (to_late, inbox) = mpsc::channel(LATE_QUEUE_LEN);
        (
            LateActor {
                store,
                inbox,
                is_logged: false,
                is_failing: false,
            },
            to_late,
        )
    }

    /// Keeps late trades until every shard has dropped its sender.
    ///
    /// # Errors
    /// None; the type is that of every actor.
    pub(crate) async fn run(mut self) -> Result<(), RunError> {
        while let Some(trades) = self.inbox.recv().await {
            self.on_trades(trades).await;
        }
        Ok(())
    }

    async fn on_trades(&mut self, trades: Vec<Trade>) {
        let Some(first) = trades.first().copied() else {
            return;
        };
        match self.store.write(trades).await {
            Ok(()) => {
                self.is_failing = false;
                if !std::mem::replace(&mut self.is_logged, true) {
                    let (symbol, time, file) = (first.symbol, first.time, self.store.location());
                    tracing::warn!(%symbol, %time, file, "trades came too late for their bars; saved in the late file");
                }
            }
            Err(error) if !std::mem::replace(&mut self.is_failing, true) => {
                tracing::warn!(%error, "the late file cannot be written; late trades are only counted");
            }
            Err(_) => {}
        }
    }
}
