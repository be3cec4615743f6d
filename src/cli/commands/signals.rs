//! Signals: the first one stops and drains, the second aborts.

use crate::pipeline::{Finished, Handle, Running};
use std::future::Future;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for the end of a run with an ear for signals, and polls `meanwhile`, which never ends.
pub(super) async fn join(running: Running, meanwhile: impl Future<Output = ()>) -> Finished {
    let handle = running.handle();
    tokio::select! {
        finished = running.join() => finished,
        () = watch(handle) => unreachable!("the watch never ends"),
        () = meanwhile => unreachable!("what is polled meanwhile never ends"),
    }
}

/// Waits for SIGINT and SIGTERM for as long as it is polled; never ends by itself.
pub(super) async fn watch(handle: Handle) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        tracing::warn!("cannot handle signals; only a kill ends the run");
        return std::future::pending().await;
    };
    next(&mut interrupt, &mut terminate).await;
    tracing::info!(
        "stopping: no more trades are read, pending bars are written; a second signal aborts"
    );
    handle.stop();
    next(&mut interrupt, &mut terminate).await;
    tracing::warn!("aborting");
    handle.abort();
    std::future::pending::<()>().await;
}

/// Waits for the first SIGINT or SIGTERM.
pub(super) async fn first() {
    match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        (Ok(mut interrupt), Ok(mut terminate)) => next(&mut interrupt, &mut terminate).await,
        _ => std::future::pending().await,
    }
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
