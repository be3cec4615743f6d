//! Late trades: what a shard must report of them, and the actor that receives them from every shard and writes them to the
//! late file.
//!
//! A store that fails costs the trades' place in the file, not their count, and never the run.

use super::error::RunError;
use super::message::ShardMessage;
use crate::engine::aggregate::Aggregator;
use crate::model::{Symbol, Timestamp, Trade};
use crate::port::LateStore;
use std::collections::BTreeMap;
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

const HOUR_NS: i64 = 3_600_000_000_000;

/// Late trades of a shard, as far as they must be reported.
#[derive(Debug, Default)]
pub(crate) struct LateReport {
    /// The first one, and the time that had been seen of its symbol.
    first: Option<(Trade, Timestamp)>,
    /// One of each symbol and hour, which is enough to know the days in any zone.
    days: BTreeMap<(Symbol, i64), (Symbol, Timestamp)>,
}

impl LateReport {
    pub(crate) fn add(&mut self, trades: &[Trade], aggregator: &Aggregator) {
        for trade in trades {
            if self.first.is_none() {
                let seen = aggregator.seen(trade.symbol).unwrap_or(trade.time);
                self.first = Some((*trade, seen));
            }
            let hour = (trade.symbol, trade.time.as_nanos() / HOUR_NS);
            self.days.insert(hour, (trade.symbol, trade.time));
        }
    }

    /// Says in the log which trades are in no bar, and gives the writer's message, so that no manifest calls their days
    /// complete; `None` without such trades.
    pub(crate) fn tell(&mut self, late: u64) -> Option<ShardMessage> {
        let (first, seen) = self.first?;
        tracing::warn!(
            late,
            symbol = %first.symbol,
            time = %first.time,
            behind = %seen,
            "trades came too late for their bars and are in none; the first of them came behind trades up to the time \
             that is named, and their days are not called complete"
        );
        let days = std::mem::take(&mut self.days);
        Some(ShardMessage::Late(days.into_values().collect()))
    }
}
