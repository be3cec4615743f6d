//! Shutdown of the writer: after a complete drain, or with the remaining items in the spool.

use super::super::requests::changes;
use super::Writer;
use crate::engine::delivery::count_bars;
use crate::pipeline::error::{RunError, chain};
use crate::port::{Changes, StateError, StateStore};
use std::time::Duration;

/// Longest wait for the shards of an aborted run.
const SHARDS_END: Duration = Duration::from_secs(5);

/// Longest wait for the commit under way.
const COMMIT_END: Duration = Duration::from_secs(10);

/// Closes the store after the last ack.
pub(super) async fn close(mut writer: Writer) -> Result<(), RunError> {
    let closed = writer.requests.store().close().await;
    writer.publish();
    let counts = writer.observers.counts();
    tracing::info!(
        sink = writer.requests.sink().name(),
        written = counts.bars + counts.revised,
        resumed = counts.resumed,
        refused = counts.dead_letters,
        "store closed"
    );
    if let Some(state) = writer.requests.state() {
        let checkpoints = writer.checkpoints.reset_positions();
        if !checkpoints.is_empty() || writer.budget.is_unsaved() {
            let changes = Changes {
                now: writer.requests.now(),
                checkpoints,
                budget: Some(writer.budget.used()),
                ..Changes::default()
            };
            state.commit(changes).await.map_err(RunError::State)?;
        }
        state.close().await.map_err(RunError::State)?;
    }
    closed.map_err(RunError::Close)
}

/// Puts what is not known to be in the store into the spool, and closes without waiting for the store.
pub(super) async fn end_spooling(mut writer: Writer) -> Result<(), RunError> {
    collect(&mut writer).await;
    settle(&mut writer).await;
    let rescued = writer.delivery.rescue();
    // What a lost rest would cost: acked bars and removals are made up for by the next run.
    let dead = u64::try_from(rescued.dead.len()).unwrap_or(u64::MAX);
    let bars = count_bars(&rescued.append).saturating_add(dead);
    let is_needed = !rescued.append.is_empty() || dead > 0;
    let before = writer.delivery.spooled();
    let checkpoints = writer.checkpoints.counts(Duration::ZERO);
    let rest = Changes {
        checkpoints,
        ..changes(rescued, writer.requests.now(), Some(writer.budget.used()))
    };
    let (unwritten, spooled, lost) = match writer.requests.state() {
        Some(state) => match spool(state, rest).await {
            Ok(spooled) => (0, spooled, None),
            Err(error) => (bars, before, Some(error)),
        },
        None => (bars, 0, None),
    };
    end(&mut writer, unwritten, spooled).await;
    match (writer.failure.take(), lost) {
        (Some(failure), _) => Err(RunError::Unwritten {
            bars: unwritten,
            spooled,
            failure,
        }),
        (None, Some(error)) if is_needed => Err(RunError::State(error)),
        (None, _) => Ok(()),
    }
}

/// Ends without a spool to write to: what is not in the store is counted, and read again by the next run.
pub(super) async fn end_failed(mut writer: Writer, fault: RunError) -> Result<(), RunError> {
    writer.inbox.messages.close();
    collect(&mut writer).await;
    let unwritten = count_bars(&writer.delivery.rescue().append);
    let spooled = writer.delivery.spooled();
    end(&mut writer, unwritten, spooled).await;
    if let Some(state) = writer.requests.state() {
        close_state(state).await;
    }
    Err(fault)
}

/// Waits for the commit under way: what it has made durable must not be spooled again behind what is newer.
async fn settle(writer: &mut Writer) {
    let settled = async {
        while writer.delivery.is_committing()
            && let Some(report) = writer.requests.next().await
        {
            if let Err(fault) = writer.on_outcome(report) {
                tracing::error!(cause = %chain(&fault), "the pending commit of the state failed");
            }
        }
    };
    if tokio::time::timeout(COMMIT_END, settled).await.is_err() {
        tracing::warn!("the pending commit of the state takes too long");
    }
}

/// Takes in what the shards have sent. Of an aborted run the sources have left, so the shards come to their end
/// at once, with all they hold; else they may go on for ever.
async fn collect(writer: &mut Writer) {
    writer.recheck.leave();
    writer.assume_claims_written();
    if writer.abort.is_cancelled() {
        let drained = async {
            while let Some(message) = writer.inbox.messages.recv().await {
                writer.on_inbox(Some(message));
            }
            writer.on_inbox(None);
        };
        if tokio::time::timeout(SHARDS_END, drained).await.is_ok() {
            return;
        }
    }
    writer.inbox.messages.close();
    while let Ok(message) = writer.inbox.messages.try_recv() {
        writer.on_inbox(Some(message));
    }
}

async fn end(writer: &mut Writer, unwritten: u64, spooled: u64) {
    writer.publish();
    writer
        .observers
        .count(|counts| (counts.unwritten, counts.spooled) = (unwritten, spooled));
    let counts = writer.observers.counts();
    tracing::warn!(
        written = counts.bars + counts.revised,
        spooled,
        refused = counts.dead_letters,
        unwritten,
        "ended before everything was written"
    );
    // Closing after a failure may fail for the same reason; the first cause is the one to report.
    if let Err(error) = writer.requests.store().close().await {
        tracing::debug!(cause = %chain(&error), "store did not close cleanly");
    }
}

/// Makes the rest durable and answers how many items the spool then holds.
async fn spool(state: &dyn StateStore, rest: Changes) -> Result<u64, StateError> {
    let bars = count_bars(&rest.spool_append);
    let outcome = state.commit(rest).await;
    if let Err(error) = &outcome {
        tracing::error!(cause = %chain(error), bars, "remaining bars cannot be written to the spool");
    }
    close_state(state).await;
    Ok(outcome?.spool_items)
}

async fn close_state(state: &dyn StateStore) {
    if let Err(error) = state.close().await {
        tracing::debug!(cause = %chain(&error), "state did not close cleanly");
    }
}
