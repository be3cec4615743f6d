//! The supervisor: the only place that spawns. It joins every actor and keeps the first real cause.
//!
//! A fault of one actor cancels `stop`: the sources leave, everything else drains. A panic is a fault.

use super::error::RunError;
use std::collections::HashMap;
use std::future::Future;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// Spawns actors into one set and waits for all of them.
#[derive(Debug)]
pub(crate) struct Supervisor {
    actors: JoinSet<Result<(), RunError>>,
    names: HashMap<Id, String>,
    stop: CancellationToken,
}

impl Supervisor {
    /// Makes a supervisor that cancels `stop` at the first fault.
    pub(crate) fn new(stop: CancellationToken) -> Supervisor {
        Supervisor {
            actors: JoinSet::new(),
            names: HashMap::new(),
            stop,
        }
    }

    /// Starts an actor's life.
    pub(crate) fn spawn(
        &mut self,
        name: &str,
        life: impl Future<Output = Result<(), RunError>> + Send + 'static,
    ) {
        let handle = self.actors.spawn(life);
        self.names.insert(handle.id(), name.to_owned());
    }

    /// Waits until every actor has ended.
    ///
    /// # Errors
    /// The first [`RunError`] that is not a mere consequence of another one.
    pub(crate) async fn join(mut self) -> Result<(), RunError> {
        let mut cause: Option<RunError> = None;
        while let Some(end) = self.actors.join_next_with_id().await {
            let fault = match end {
                Ok((_, Ok(()))) => continue,
                Ok((_, Err(fault))) => fault,
                Err(error) => {
                    let actor = self.names.remove(&error.id()).unwrap_or_default();
                    RunError::Panicked { actor }
                }
            };
            self.stop.cancel();
            tracing::debug!(%fault, "actor failed");
            if cause
                .as_ref()
                .is_none_or(|first| first.is_consequence() && !fault.is_consequence())
            {
                cause = Some(fault);
            }
        }
        cause.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::Supervisor;
    use crate::pipeline::error::RunError;
    use tokio_util::sync::CancellationToken;

    #[tokio::test(start_paused = true)]
    async fn first_real_cause_wins_over_its_consequences() {
        let stop = CancellationToken::new();
        let mut supervisor = Supervisor::new(stop.clone());
        supervisor.spawn("feed", async {
            Err(RunError::Downstream {
                actor: "feed".into(),
            })
        });
        let stopped = stop.clone();
        supervisor.spawn("aggregate", async move {
            stopped.cancelled().await;
            Ok(())
        });
        supervisor.spawn("write", async {
            tokio::task::yield_now().await;
            Err(RunError::Panicked {
                actor: "write".into(),
            })
        });
        let fault = supervisor.join().await.unwrap_err();
        assert_eq!(fault.to_string(), "actor write panicked");
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn panic_is_a_fault_that_names_the_actor() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn("aggregate", async { panic!("defect") });
        assert_eq!(
            supervisor.join().await.unwrap_err().to_string(),
            "actor aggregate panicked"
        );
    }
}
