//! The end of the writer: in order with everything written, or leaving the rest in the spool.

use super::actor::Writer;
use super::attempt::changes;
use super::resume::Resume;
use crate::actor::fault::{Fault, chain};
use crate::engine::delivery::count_bars;
use crate::port::{BarSink, Changes, StateStore};
use std::time::Duration;

/// Closes the store after the last ack.
pub(super) async fn close(writer: Writer) -> Result<(), Fault> {
    let closed = writer.ports.sink.close().await;
    writer.publish();
    let counts = *writer.counts.borrow();
    tracing::info!(
        sink = writer.ports.sink.name(),
        written = counts.bars + counts.revised,
        resumed = counts.resumed,
        refused = counts.dead_letters,
        "store closed"
    );
    if let Some(state) = &writer.ports.state {
        let (now, budget) = (writer.ports.clock.now(), Some(writer.budget.used()));
        let checkpoints = writer.resume.as_ref().map(Resume::forgotten).unwrap_or_default();
        if !checkpoints.is_empty() || (writer.has_budget() && counts.sink.commands > 0) {
            state
                .commit(Changes { now, checkpoints, budget, ..Changes::default() })
                .await
                .map_err(Fault::State)?;
        }
        state.close().await.map_err(Fault::State)?;
    }
    closed.map_err(Fault::Close)
}

/// Puts what is not known to be in the store into the spool, and closes without waiting for the store.
pub(super) async fn leave(mut writer: Writer) -> Result<(), Fault> {
    writer.inbox.close();
    while let Ok(message) = writer.inbox.try_recv() {
        writer.on_inbox(Some(message));
    }
    let rescued = writer.delivery.rescue();
    let at_risk = count_bars(&rescued.append);
    let (now, budget) = (writer.ports.clock.now(), writer.budget.used());
    let before = writer.delivery.spooled();
    let checkpoints = writer.resume.as_mut().map(|resume| resume.places(Duration::ZERO)).unwrap_or_default();
    let rest = Changes { checkpoints, ..changes(rescued, now, Some(budget)) };
    let (unwritten, spooled) = match writer.ports.state.clone() {
        Some(state) => spool(state.as_ref(), rest, before).await,
        None => (at_risk, 0),
    };
    writer.publish();
    writer.counts.send_modify(|counts| (counts.unwritten, counts.spooled) = (unwritten, spooled));
    let counts = *writer.counts.borrow();
    tracing::warn!(
        written = counts.bars + counts.revised,
        spooled,
        refused = counts.dead_letters,
        unwritten,
        "ended before everything was written"
    );
    close_quietly(writer.ports.sink.as_ref(), writer.timeout()).await;
    match writer.failure.take() {
        Some(failure) => Err(Fault::Unwritten { bars: unwritten, spooled, failure }),
        None => Ok(()),
    }
}

/// Answers how many bars are neither in the store nor in the spool, and how many items the spool holds.
async fn spool(state: &dyn StateStore, rest: Changes, before: u64) -> (u64, u64) {
    let bars = count_bars(&rest.spool_append);
    let outcome = match state.commit(rest).await {
        Ok(committed) => (0, committed.spool_items),
        Err(error) => {
            tracing::error!(cause = %chain(&error), bars, "the rest cannot be spooled");
            (bars, before)
        }
    };
    if let Err(error) = state.close().await {
        tracing::debug!(cause = %chain(&error), "state did not close in order");
    }
    outcome
}

/// Closing after a failure may fail for the same reason; the first cause is the one to report.
async fn close_quietly(sink: &dyn BarSink, timeout: Duration) {
    match tokio::time::timeout(timeout, sink.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(cause = %chain(&error), "store did not close in order"),
        Err(_) => tracing::debug!("store did not close in time"),
    }
}
