//! Recheck after a resume: compares the bars of an earlier run with the store before they count as done.
//!
//! A checkpoint says that a store acked some updates; it does not say that the store still has them (a flush, an
//! eviction, the end of their TTL). A manifest must speak of bars that are there. So updates that the checkpoint claims
//! are compared with the store by version, a bounded number at a time, and those it lacks are sent again. Until that is
//! known nothing behind them is taken in, so that updates of one bar keep their order. Where nothing can be read back
//! (see [`BarSink::missing_or_stale`]) the claim is believed. While the store is out it is believed too, since what was not acked
//! waits in the spool; but then no manifest of the run says that its day is complete, and the next run looks again.

use super::actor::Writer;
use super::attempt::Report;
use crate::model::{BarState, BarUpdate, WriteItem};
use crate::pipeline::error::chain;
use crate::pipeline::message::ShardMessage;
use crate::pipeline::pace::Pace;
use crate::port::{BarSink, Cost, Remedy, SinkError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Updates whose delivery is claimed, and what waits behind them.
#[derive(Debug)]
pub(super) struct Recheck {
    /// Updates compared at a time: bounds the memory.
    len_max: usize,
    claims: Vec<BarUpdate>,
    /// Messages of the shards that came behind the claims, the end of the input included.
    held: VecDeque<Option<ShardMessage>>,
    /// Whether the claims are to be compared before anything else is taken in.
    is_due: bool,
    is_under_way: bool,
    /// Whether the run ends, so that nothing is compared any more.
    is_leaving: bool,
}

impl Recheck {
    pub(super) fn new(len_max: usize) -> Recheck {
        Recheck {
            len_max,
            claims: Vec::new(),
            held: VecDeque::new(),
            is_due: false,
            is_under_way: false,
            is_leaving: false,
        }
    }

    /// Takes a claim.
    pub(super) fn claim(&mut self, update: BarUpdate) {
        self.claims.push(update);
        self.is_due = self.len_max <= self.claims.len();
    }

    /// Whether claims are believed without a look, since the run ends.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Keeps a message until the claims before it are compared.
    pub(super) fn hold(&mut self, message: Option<ShardMessage>) {
        self.held.push_back(message);
        self.is_due = true;
    }

    /// Whether nothing may be taken in.
    pub(super) fn holds_back(&self) -> bool {
        self.is_due
    }

    /// Whether there are claims that nothing was compared with yet.
    pub(super) fn has_claims(&self) -> bool {
        !self.claims.is_empty()
    }
}

impl Writer {
    /// Starts to compare the claims when the store can answer for them.
    pub(super) fn launch_recheck(&mut self) {
        // What was held behind believed claims may be more of them, and nothing else would come back to those.
        while self.recheck.is_due && !self.recheck.is_under_way && self.delivery.circuit().is_away()
        {
            self.believe_claims();
        }
        if !self.recheck.is_due || self.recheck.is_under_way {
            return;
        }
        // What the spool still holds is not in the store yet.
        if 0 < self.delivery.spooled() {
            return;
        }
        self.recheck.is_under_way = true;
        let updates = self.recheck.claims.clone();
        self.work.push(Box::pin(compare(
            updates,
            Arc::clone(&self.ports.sink),
            Arc::clone(&self.pace),
            self.settings.timeout,
        )));
    }

    /// Believes the claims without a look, since the store cannot be asked now.
    pub(super) fn believe_claims(&mut self) {
        let claims = std::mem::take(&mut self.recheck.claims);
        self.add_unproved(claims.len());
        self.on_compared(claims, |_| false);
    }

    /// Believes the claims and all that follow, since the run ends.
    pub(super) fn stop_comparing(&mut self) {
        self.recheck.is_leaving = true;
        self.believe_claims();
    }

    fn add_unproved(&mut self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        if count > 0 && self.counts.borrow().unproved == 0 {
            tracing::warn!(
                sink = self.ports.sink.name(),
                "bars that an earlier run delivered cannot be looked for; run again when the store is back, so that the \
                 day is called complete"
            );
        }
        self.counts.send_modify(|counts| counts.unproved += count);
    }

    /// Believes one claim.
    pub(super) fn believe(&mut self, update: &BarUpdate) {
        self.add_unproved(1);
        self.delivery.skip(update);
        self.counts.send_modify(|counts| counts.resumed += 1);
    }

    pub(super) fn on_rechecked(&mut self, result: Result<Option<Vec<usize>>, SinkError>) {
        self.recheck.is_under_way = false;
        match result {
            Ok(Some(missing_or_stale)) => {
                if !missing_or_stale.is_empty() {
                    tracing::warn!(
                        sink = self.ports.sink.name(),
                        lacking = missing_or_stale.len(),
                        "the store lacks bars that an earlier run delivered; they are written again"
                    );
                }
                let claims = std::mem::take(&mut self.recheck.claims);
                self.on_compared(claims, |index| {
                    missing_or_stale.binary_search(&index).is_ok()
                });
            }
            Ok(None) => {
                let claims = std::mem::take(&mut self.recheck.claims);
                self.on_compared(claims, |_| false);
            }
            Err(error) => {
                tracing::warn!(
                    cause = %chain(&error),
                    "bars that an earlier run delivered cannot be read back; the day is not called complete"
                );
                self.believe_claims();
            }
        }
    }

    /// Sends the closed updates that `is_lacking` names, counts the others, and goes on behind them.
    fn on_compared(&mut self, updates: Vec<BarUpdate>, is_lacking: impl Fn(usize) -> bool) {
        let now = self.origin.elapsed();
        let mut resumed = 0;
        for (index, update) in updates.into_iter().enumerate() {
            if update.state != BarState::Forming && is_lacking(index) {
                self.push(WriteItem::Bar(update), now);
            } else {
                self.delivery.skip(&update);
                resumed += 1;
            }
        }
        self.counts.send_modify(|counts| counts.resumed += resumed);
        self.recheck.is_due = false;
        while !self.recheck.is_due
            && let Some(message) = self.recheck.held.pop_front()
        {
            self.on_inbox(message);
        }
        self.recheck.is_due |= !self.recheck.held.is_empty();
        self.hold_back();
    }
}

async fn compare(
    updates: Vec<BarUpdate>,
    sink: Arc<dyn BarSink>,
    pace: Arc<Pace>,
    timeout: Duration,
) -> Report {
    pace.permit(Cost {
        requests: 1,
        commands: 1,
    })
    .await;
    let closed: Vec<usize> = (0..updates.len())
        .filter(|&index| updates[index].state != BarState::Forming)
        .collect();
    let asked: Vec<BarUpdate> = closed.iter().map(|&index| updates[index]).collect();
    let result = match tokio::time::timeout(timeout, sink.missing_or_stale(&asked)).await {
        Ok(result) => result,
        Err(elapsed) => Err(SinkError {
            operation: format!("read bars back from {}", sink.name()),
            remedy: Remedy::Reconnect,
            source: Box::new(elapsed),
        }),
    };
    // The places are those of `updates` again, in order.
    let result = result.map(|missing_or_stale| {
        missing_or_stale.map(|mut places| {
            places.sort_unstable();
            places.iter().map(|&place| closed[place]).collect()
        })
    });
    Report::Rechecked(result)
}
