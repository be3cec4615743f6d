//! The sink that writes bars through a view into any key store.

use super::cost::WriteRules;
use crate::batch::commands;
use crate::batch::final_batch;
use crate::batch::groups;
use crate::fence::lease::{Fence, Guard};
use crate::key_store::command::Command;
use crate::key_store::port::{KeyStore, failed, run_scripts};
use crate::layout::view::View;
use crate::owner::Owner;
use crate::owner::claim_tracker::Claim;
use crate::owner::claims::is_owned;
use crate::read::diff;
use barmill_core::model::BarUpdate;
use barmill_core::port::{
    BarSink, Clock, Cost, ItemResult, Remedy, SinkError, SinkStats, WriteItem,
};
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
    clock: Arc<dyn Clock>,
    rules: WriteRules,
}

impl ViewSink {
    /// Joins a store and a view; the clock stamps `updated_at` of manifests.
    pub fn new(store: Arc<dyn KeyStore>, view: Arc<View>, clock: Arc<dyn Clock>) -> ViewSink {
        let rules = WriteRules::new(view, store.runs_scripts());
        ViewSink {
            store,
            clock,
            rules,
        }
    }

    /// Keeps a second writer of the view's namespace out, in a store that runs scripts.
    #[must_use]
    pub fn guarded(mut self, guard: Guard) -> ViewSink {
        self.rules.guard(guard);
        self
    }

    /// Writes no bar where the store has those of another owner.
    #[must_use]
    pub fn owned_by(mut self, owner: Option<Owner>) -> ViewSink {
        if let Some(owner) = owner {
            self.rules.own(owner);
        }
        self
    }

    /// What must be claimed before the items are written, and the turn to do so after the batches that are claiming.
    async fn due(&self, items: &[WriteItem]) -> (Option<MutexGuard<'_, ()>>, Vec<Claim>) {
        let Some(claims) = &self.rules.claims else {
            return (None, Vec::new());
        };
        let due = || claims.tracker.due(items, self.clock.now());
        if due().is_empty() {
            return (None, Vec::new());
        }
        let turn = claims.turn.lock().await;
        (Some(turn), due())
    }

    async fn claim(&self, due: &[Claim]) -> Result<(), SinkError> {
        match &self.rules.claims {
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
        let batch = groups::encode(&self.rules.view, items, self.clock.now(), false);
        commands::plan(&self.rules.view, batch)
    }

    async fn write_plain(&self, items: &[WriteItem]) -> Result<Vec<ItemResult>, SinkError> {
        let (turn, due) = self.due(items).await;
        let plan = self.plan(items);
        if let Some(first) = final_batch::manifests(items).filter(|_| self.store.runs_scripts())
            && let Some(call) = final_batch::call(&plan, first, self.rules.arguments(&due))
        {
            return self
                .write_closing(items.split_at(first), &plan, (call, due))
                .await;
        }
        self.claim(&due).await?;
        drop(turn);
        self.write_plan(&plan).await
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
            &self.rules.claims,
        ) {
            (Ok(results), claims) => {
                if let Some(claims) = claims {
                    claims.tracker.granted(&due, self.clock.now());
                }
                Ok(plan.item_results(&results))
            }
            (Err(error), Some(claims)) if is_owned(&error) => Err(claims.refused(&due, error)),
            // Another attempt has the script again, if there is one.
            (Err(error), _) if !matches!(error.remedy, Remedy::Refuse | Remedy::Fatal) => {
                Ok(vec![Err(error); plan.items()])
            }
            (Err(error), _) => {
                tracing::debug!(%error, "sending the last bars and their manifests separately");
                self.claim(&due).await?;
                let mut item_results = self.write_plan(&self.plan(bars)).await?;
                item_results.extend(manifests.iter().map(|_| Err(final_batch::unwritten())));
                Ok(item_results)
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
        Ok(plan.item_results(&results))
    }

    async fn write_guarded(
        &self,
        fence: &Fence,
        items: &[WriteItem],
    ) -> Result<Vec<ItemResult>, SinkError> {
        let (turn, due) = self.due(items).await;
        self.claim(&due).await?;
        drop(turn);
        let mut results = Vec::with_capacity(items.len());
        // The next part is the last one. A script that is refused as a whole, for its size, is halved.
        let mut waiting = vec![items];
        while let Some(part) = waiting.pop() {
            let batch = groups::encode(&self.rules.view, part, self.clock.now(), true);
            let (result, answers) = fence
                .send(
                    self.store.as_ref(),
                    self.clock.as_ref(),
                    &self.rules.view,
                    &batch,
                )
                .await?;
            if part.len() > 1 && matches!(&result, Err(error) if error.remedy == Remedy::Refuse) {
                let (first, second) = part.split_at(part.len() / 2);
                waiting.extend([second, first]);
                continue;
            }
            results.extend(
                batch
                    .groups_of_items
                    .iter()
                    .map(|groups| answers.fate(&result, *groups)),
            );
        }
        Ok(results)
    }
}

impl fmt::Debug for ViewSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewSink")
            .field("store", &self.store.name())
            .field("view", &self.rules.view)
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
            match &self.rules.fence {
                Some(fence) => self.write_guarded(fence, items).await,
                None => self.write_plain(items).await,
            }
        })
    }

    fn cost(&self, items: &[WriteItem]) -> Cost {
        self.rules.cost(items, self.clock.now()).0
    }

    fn joins_manifests(&self) -> bool {
        self.rules.joins_manifests()
    }

    fn weight(&self, item: &WriteItem) -> usize {
        self.rules.weight(item)
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
            &self.rules.view,
            &self.clock,
            updates,
        ))
    }

    fn reconnect(&self) -> BoxFuture<'_, ()> {
        self.store.reconnect()
    }

    fn open(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            if let Some(fence) = &self.rules.fence {
                fence
                    .number(self.store.as_ref(), self.clock.as_ref())
                    .await?;
            }
            let Some(claims) = &self.rules.claims else {
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
        self.rules.keepalive_interval(self.store.idle_max())
    }

    fn keepalive_cost(&self) -> Cost {
        Cost {
            requests: 1,
            commands: self.rules.keepalive_commands(),
        }
    }

    fn keepalive(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let has_asked = match &self.rules.fence {
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
            if let Some(fence) = &self.rules.fence {
                fence.release(self.store.as_ref()).await;
            }
            self.store.close().await
        })
    }

    fn stats(&self) -> SinkStats {
        self.store.stats()
    }
}
