//! The sink that writes bars through a view into any key store.

use super::cost;
use crate::batch::commands;
use crate::batch::encoded_len::SizeEstimator;
use crate::batch::final_batch;
use crate::batch::groups;
use crate::fence::lease::{Fence, Guard};
use crate::key_store::command::Command;
use crate::key_store::port::{KeyStore, failed, run_scripts};
use crate::layout::view::View;
use crate::owner::Owner;
use crate::owner::claim_tracker::Claim;
use crate::owner::claims::{Claims, is_owned};
use crate::read::diff;
use barmill_core::model::BarUpdate;
use barmill_core::port::{
    BarSink, Clock, Cost, ItemResult, Remedy, SinkError, SinkStats, WriteItem,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::MutexGuard;

/// Longest wait for the claims of a sink that is opened; a store that is out is asked again with the first bars.
const OPEN_WAIT: Duration = Duration::from_secs(1);

/// Writes bars and manifests as a [`View`] lays them out.
#[derive(Clone)]
pub struct ViewSink {
    store: Arc<dyn KeyStore>,
    view: Arc<View>,
    clock: Arc<dyn Clock>,
    fence: Option<Arc<Fence>>,
    claims: Option<Arc<Claims>>,
    sizes: SizeEstimator,
}

impl ViewSink {
    /// Joins a store and a view; the clock stamps `updated_at` of manifests.
    pub fn new(store: Arc<dyn KeyStore>, view: Arc<View>, clock: Arc<dyn Clock>) -> ViewSink {
        ViewSink {
            store,
            sizes: SizeEstimator::new(Arc::clone(&view)),
            view,
            clock,
            fence: None,
            claims: None,
        }
    }

    /// Keeps a second writer of the view's namespace out, in a store that runs scripts.
    #[must_use]
    pub fn guarded(self, guard: Guard) -> ViewSink {
        let fence = guard.fence(&self.view.settings().namespace);
        ViewSink {
            fence: fence.map(Arc::new),
            ..self
        }
    }

    /// Writes no bar where the store has those of another owner.
    #[must_use]
    pub fn owned_by(self, owner: Option<Owner>) -> ViewSink {
        let claims = owner.and_then(|owner| Claims::new(Arc::clone(&self.view), owner));
        ViewSink {
            claims: claims.map(Arc::new),
            ..self
        }
    }

    /// What must be claimed before the items are written.
    fn due(&self, items: &[WriteItem]) -> Vec<Claim> {
        let claims = self.claims.as_ref();
        claims.map_or_else(Vec::new, |claims| {
            claims.tracker.due(items, self.clock.now())
        })
    }

    /// Waits for the batches that are claiming, if this one has something to claim, too.
    async fn turn(&self, items: &[WriteItem]) -> Option<MutexGuard<'_, ()>> {
        let claims = self.claims.as_ref()?;
        if self.due(items).is_empty() {
            return None;
        }
        Some(claims.turn.lock().await)
    }

    async fn claim(&self, due: &[Claim]) -> Result<(), SinkError> {
        match &self.claims {
            Some(claims) => {
                let claimed = claims
                    .claim(self.store.as_ref(), due, self.clock.now())
                    .await;
                claimed.inspect_err(|_| claims.tracker.failed(due))
            }
            None => Ok(()),
        }
    }

    fn plan(&self, items: &[WriteItem]) -> commands::Plan {
        let batch = groups::encode(&self.view, items, self.clock.now(), false);
        commands::plan(&self.view, batch)
    }

    async fn write_plain(&self, items: &[WriteItem]) -> Result<Vec<ItemResult>, SinkError> {
        let turn = self.turn(items).await;
        let due = self.due(items);
        let plan = self.plan(items);
        if let Some(first) = final_batch::manifests(items).filter(|_| self.store.runs_scripts())
            && let Some(call) = final_batch::call(&plan, first, self.arguments(&due))
        {
            return self
                .write_closing(items.split_at(first), &plan, (call, due))
                .await;
        }
        self.claim(&due).await?;
        drop(turn);
        self.write_plan(&plan).await
    }

    fn arguments(&self, due: &[Claim]) -> Vec<(Bytes, Vec<Bytes>)> {
        let claims = self.claims.as_ref();
        claims.map_or_else(Vec::new, |claims| claims.arguments(due))
    }

    /// Claims and writes bars, and the manifests behind them, by one script.
    async fn write_closing(
        &self,
        (bars, manifests): (&[WriteItem], &[WriteItem]),
        plan: &commands::Plan,
        (call, due): (Command, Vec<Claim>),
    ) -> Result<Vec<ItemResult>, SinkError> {
        let answer = self.store.run(&[call]).await?.pop();
        let answer = answer.unwrap_or_else(|| Err(final_batch::unwritten()));
        match (
            final_batch::results(answer, due.len(), plan.commands.len()),
            &self.claims,
        ) {
            (Ok(results), claims) => {
                if let Some(claims) = claims {
                    claims.tracker.granted(&due, self.clock.now());
                }
                Ok(plan.fates(&results))
            }
            (Err(error), Some(claims)) if is_owned(&error) => Err(claims.refused(&due, error)),
            // Another attempt has the script again, if there is one.
            (Err(error), _) if !matches!(error.remedy, Remedy::Refuse | Remedy::Fatal) => {
                Ok(vec![Err(error); plan.items()])
            }
            (Err(error), _) => {
                tracing::debug!(%error, "sending the last bars and their manifests separately");
                self.claim(&due).await?;
                let mut fates = self.write_plan(&self.plan(bars)).await?;
                fates.extend(manifests.iter().map(|_| Err(final_batch::unwritten())));
                Ok(fates)
            }
        }
    }

    async fn write_plan(&self, plan: &commands::Plan) -> Result<Vec<ItemResult>, SinkError> {
        if plan.commands.is_empty() {
            return Ok(vec![Ok(()); plan.items()]);
        }
        let results = run_scripts(self.store.as_ref(), &plan.commands).await?;
        assert!(
            results.len() == plan.commands.len(),
            "a key store answers every command"
        );
        Ok(plan.fates(&results))
    }

    async fn write_guarded(
        &self,
        fence: &Fence,
        items: &[WriteItem],
    ) -> Result<Vec<ItemResult>, SinkError> {
        let turn = self.turn(items).await;
        self.claim(&self.due(items)).await?;
        drop(turn);
        let mut results = Vec::with_capacity(items.len());
        // The next part is the last one. A script that is refused as a whole, for its size, is halved.
        let mut waiting = vec![items];
        while let Some(part) = waiting.pop() {
            let batch = groups::encode(&self.view, part, self.clock.now(), true);
            let (result, answers) = fence
                .send(self.store.as_ref(), self.clock.as_ref(), &self.view, &batch)
                .await?;
            if part.len() > 1 && matches!(&result, Err(error) if error.remedy == Remedy::Refuse) {
                let (first, second) = part.split_at(part.len() / 2);
                waiting.extend([second, first]);
                continue;
            }
            results.extend(batch.homes.iter().map(|home| answers.fate(&result, *home)));
        }
        Ok(results)
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

    fn write<'a>(
        &'a self,
        items: &'a [WriteItem],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>> {
        Box::pin(async move {
            if items.is_empty() {
                return Ok(Vec::new());
            }
            match &self.fence {
                Some(fence) => self.write_guarded(fence, items).await,
                None => self.write_plain(items).await,
            }
        })
    }

    fn cost(&self, items: &[WriteItem]) -> Cost {
        let cost = cost::cost(&self.view, items, self.fence.is_some());
        match &self.claims {
            Some(claims) => {
                let due = claims.tracker.pay(items, self.clock.now());
                cost::with_claims(cost, items, (claims, due), self.joins_manifests())
            }
            None => cost,
        }
    }

    fn joins_manifests(&self) -> bool {
        final_batch::joins(&self.view, self.fence.is_some()) && self.store.runs_scripts()
    }

    fn weight(&self, item: &WriteItem) -> usize {
        if let Some(claims) = &self.claims {
            claims.tracker.note(item);
        }
        self.sizes.weigh(item)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            for result in self.store.run(&[Command::Ping]).await? {
                result.map_err(|error| {
                    failed(format!("PING {}", self.name()), error.remedy, error)
                })?;
            }
            Ok(())
        })
    }

    fn missing_or_stale<'a>(
        &'a self,
        updates: &'a [BarUpdate],
    ) -> BoxFuture<'a, Result<Option<Vec<usize>>, SinkError>> {
        Box::pin(diff::missing_or_stale(
            &self.store,
            &self.view,
            &self.clock,
            updates,
        ))
    }

    fn reconnect(&self) -> BoxFuture<'_, ()> {
        self.store.reconnect()
    }

    fn open(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            if let Some(fence) = &self.fence {
                fence
                    .number(self.store.as_ref(), self.clock.as_ref())
                    .await?;
            }
            let Some(claims) = &self.claims else {
                return Ok(());
            };
            let due = claims.at_open(self.clock.now());
            match tokio::time::timeout(OPEN_WAIT, self.claim(&due)).await {
                Ok(Err(error)) if error.is_owned() => Err(error),
                Ok(_) => Ok(()),
                Err(_) => {
                    self.store.reconnect().await;
                    Ok(())
                }
            }
        })
    }

    fn keepalive_interval(&self) -> Option<Duration> {
        let renewal = self.fence.as_ref().map(|fence| fence.renewal());
        [renewal, self.store.idle_max()].into_iter().flatten().min()
    }

    fn keepalive_cost(&self) -> Cost {
        Cost {
            requests: 1,
            commands: cost::keepalive_commands(self.fence.is_some()),
        }
    }

    fn keepalive(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let has_asked = match &self.fence {
                Some(fence) => {
                    fence
                        .renew(self.store.as_ref(), self.clock.as_ref())
                        .await?
                }
                None => false,
            };
            if has_asked || self.store.idle_max().is_none() {
                Ok(())
            } else {
                self.ping().await
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            if let Some(fence) = &self.fence {
                fence.release(self.store.as_ref()).await;
            }
            self.store.close().await
        })
    }

    fn stats(&self) -> SinkStats {
        self.store.stats()
    }
}
