//! The writer's loop: waits, decides, responds.
//!
//! Delivery says what to do; the writer does it, at the pace the store accepts and with a timeout, and reports
//! what came of it. While Delivery has no room the inbox is not read: that is the backpressure.

mod shutdown;

use super::budget::CommandBudget;
use super::checkpoints::Checkpoints;
use super::keepalive::Keepalive;
use super::log::{self, SpoolFullLog};
use super::observers::Observers;
use super::recheck::Recheck;
use super::reconcile::{Reconciler, RepairError, Repaired, WriterState};
use super::requests::{Outcome, Requests};
use super::settings::{ReconcileSettings, WriterCounts, WriterPorts, WriterSettings};
use crate::engine::budget::BudgetVerdict;
use crate::engine::circuit::CircuitState;
use crate::engine::delivery::{Completion, Delivery, OutgoingBatch, Verdict, Work, bar_of};
use crate::model::{BarState, BarUpdate, WriteItem};
use crate::pipeline::error::{Failure, RunError, may_pass};
use crate::pipeline::message::ShardMessage;
use crate::pipeline::timer::sleep_until;
use crate::port::{Committed, SinkError, StateError};
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
enum Event {
    Abort,
    Outcome(Outcome),
    Deadline,
    Inbox(Option<ShardMessage>),
}

/// The actor around the store.
#[derive(Debug)]
pub struct Writer {
    settings: WriterSettings,
    delivery: Delivery,
    requests: Requests,
    inbox: Inbox,
    abort: CancellationToken,
    origin: Instant,
    /// When the store last took something, since the start.
    progress: Duration,
    budget: CommandBudget,
    keepalive: Keepalive,
    reconciler: Reconciler,
    recheck: Recheck,
    checkpoints: Checkpoints,
    failure: Option<Failure>,
    spool_full: SpoolFullLog,
    observers: Observers,
}

/// What comes from the shards.
#[derive(Debug)]
struct Inbox {
    messages: mpsc::Receiver<ShardMessage>,
    is_open: bool,
    /// Shards whose bars have not all come.
    shards_open: usize,
    /// Set while nothing is taken in.
    blocked_since: Option<Duration>,
}

impl Writer {
    /// Builds the writer of `shards` shards and the view of its counts; spawns nothing.
    ///
    /// Acked updates go to `acked` for whoever listens; a slow listener misses some and never delays the writer.
    pub fn pair(
        ports: WriterPorts,
        settings: WriterSettings,
        (inbox, shards): (mpsc::Receiver<ShardMessage>, usize),
        abort: CancellationToken,
        acked: broadcast::Sender<BarUpdate>,
    ) -> (Writer, watch::Receiver<WriterCounts>) {
        let (observers, view) = Observers::pair(acked);
        let has_state = ports.state.is_some();
        // Without a state there is nothing to save, to repair or to go on from.
        let settings = if has_state {
            settings
        } else {
            WriterSettings {
                checkpoints: Vec::new(),
                reconcile: ReconcileSettings::default(),
                ..settings
            }
        };
        let keepalive = Keepalive::new(ports.sink.keepalive_interval());
        let requests = Requests::new(ports, settings.pace, settings.timeout);
        let writer = Writer {
            delivery: Delivery::new(settings.delivery.clone(), has_state.then_some(0)),
            budget: CommandBudget::new(settings.budget, requests.now()),
            requests,
            inbox: Inbox {
                messages: inbox,
                is_open: true,
                shards_open: shards,
                blocked_since: None,
            },
            abort,
            origin: Instant::now(),
            progress: Duration::ZERO,
            keepalive,
            reconciler: Reconciler::new(settings.reconcile),
            recheck: Recheck::new(settings.delivery.batch.len_max),
            checkpoints: Checkpoints::new(settings.checkpoints.clone(), shards),
            failure: None,
            spool_full: SpoolFullLog::default(),
            observers,
            settings,
        };
        (writer, view)
    }

    /// Writes until the shards have ended and everything is acked, then closes the store.
    ///
    /// When the store stays away at the end, or the run is aborted, the rest is left in the spool.
    ///
    /// # Errors
    /// [`RunError::Unwritten`] when a batch failed for good, [`RunError::State`] when the durable state fails,
    /// [`RunError::Close`] when the store cannot be closed.
    pub async fn run(mut self) -> Result<(), RunError> {
        self.resume().await?;
        let joins = self.requests.sink().joins_manifests();
        self.delivery.set_joins(joins);
        self.launch();
        while !self.is_done() {
            match self.next_event().await {
                Event::Abort => return shutdown::end_spooling(self).await,
                Event::Outcome(outcome) => {
                    if let Err(fault) = self.on_outcome(outcome) {
                        return shutdown::end_failed(self, fault).await;
                    }
                }
                Event::Deadline if self.is_stuck() => return shutdown::end_spooling(self).await,
                Event::Deadline => {}
                Event::Inbox(message) => self.receive(message),
            }
            self.launch();
            self.save_checkpoint().await?;
            self.reconcile();
            self.publish();
        }
        if self.failure.is_some() {
            shutdown::end_spooling(self).await
        } else {
            shutdown::close(self).await
        }
    }

    fn is_done(&self) -> bool {
        let has_ended = self.failure.is_some() || !self.reconciler.is_wanted();
        self.delivery.is_done() && has_ended
    }

    /// Takes up what an earlier run left.
    async fn resume(&mut self) -> Result<(), RunError> {
        let Some(state) = self.requests.state() else {
            return Ok(());
        };
        let held = state.spool_stats().await.map_err(RunError::State)?;
        let used = state.budget_load().await.map_err(RunError::State)?;
        if let Some(settings) = self.settings.resume.clone() {
            let loaded = self.checkpoints.load(settings, state).await;
            loaded.map_err(RunError::State)?;
        }
        let spooled = held.items;
        self.observers
            .count(|counts| counts.spool_bytes = held.bytes + held.dead_bytes);
        if spooled > 0 {
            tracing::info!(
                spooled,
                sink = self.requests.sink().name(),
                "sending the spool of an earlier run first"
            );
        }
        self.delivery = Delivery::new(self.settings.delivery.clone(), Some(spooled));
        self.budget = CommandBudget::resumed(self.settings.budget, used, self.requests.now());
        Ok(())
    }

    async fn next_event(&mut self) -> Event {
        let deadline = [
            self.delivery.deadline(),
            self.stuck_at(),
            self.checkpoints.due_at().filter(|_| self.inbox.is_open),
            self.keepalive_at(),
            self.budget.save_at(),
            self.reconciler.due_at(self.is_closed(), self.inbox.is_open),
        ];
        let deadline = deadline.into_iter().flatten().min();
        let deadline = deadline.map(|due| self.origin + due);
        let has_room = self.inbox.is_open && self.delivery.has_room();
        tokio::select! {
            biased;
            () = self.abort.cancelled() => Event::Abort,
            Some(outcome) = self.requests.next() => Event::Outcome(outcome),
            () = sleep_until(deadline), if deadline.is_some() => Event::Deadline,
            message = self.inbox.messages.recv(), if has_room => Event::Inbox(message),
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn is_closed(&self) -> bool {
        self.delivery.circuit() == CircuitState::Closed
    }

    /// After the end of the input: when the store has been away for too long to wait on.
    fn stuck_at(&self) -> Option<Duration> {
        let is_left = !self.inbox.is_open && !self.is_closed();
        is_left.then(|| self.progress + self.settings.drain_timeout)
    }

    fn is_stuck(&self) -> bool {
        self.stuck_at().is_some_and(|at| at <= self.now())
    }

    /// When the next keepalive is due; `None` while something else shows whether the store lives.
    fn keepalive_at(&self) -> Option<Duration> {
        let is_idle = self.is_closed() && self.delivery.in_flight() == 0;
        self.keepalive.due_at(self.progress).filter(|_| is_idle)
    }
}

/// What comes in.
impl Writer {
    /// Takes in what is there, so that bars which come together go together, and the end of the input with them.
    fn receive(&mut self, message: Option<ShardMessage>) {
        self.on_inbox(message);
        while self.inbox.is_open && self.delivery.has_room() {
            match self.inbox.messages.try_recv() {
                Ok(message) => self.on_inbox(Some(message)),
                Err(TryRecvError::Disconnected) => self.on_inbox(None),
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    fn on_inbox(&mut self, message: Option<ShardMessage>) {
        let is_update = matches!(message, Some(ShardMessage::Updates { .. }));
        if self.recheck.holds_back() || (!is_update && self.recheck.has_claims()) {
            self.recheck.hold(message);
            return self.update_flushing();
        }
        match message {
            Some(ShardMessage::Updates { shard, updates }) => self.on_updates(shard, updates),
            Some(ShardMessage::Previous(manifests)) => self.delivery.resume(manifests),
            Some(ShardMessage::Covered { specs, covered }) => {
                self.delivery.covered(&specs, &covered);
            }
            Some(ShardMessage::Checkpoint { shard, feeds }) => {
                self.checkpoints.report(shard, feeds);
            }
            Some(ShardMessage::Late(late)) => self.delivery.late(&late),
            Some(ShardMessage::End) => self.inbox.shards_open -= 1,
            None => {
                self.inbox.is_open = false;
                self.progress = self.now();
                let is_proved = self.observers.counts().unproved == 0;
                self.delivery
                    .close(self.inbox.shards_open == 0 && is_proved);
            }
        }
    }

    /// Takes in updates of a shard: first those that an earlier run claims to have delivered.
    fn on_updates(&mut self, shard: usize, mut updates: Vec<BarUpdate>) {
        let claimed = self.checkpoints.claimed(shard).min(updates.len());
        if claimed > 0 {
            let rest = updates.split_off(claimed.min(self.recheck.room()));
            self.checkpoints.receive(shard, updates.len());
            let is_forming = |update: &BarUpdate| update.state == BarState::Forming;
            let (forming, closed): (Vec<_>, Vec<_>) = updates.into_iter().partition(is_forming);
            self.skip(&forming);
            let assumed = self.recheck.claim(closed);
            self.assume_written(&assumed);
            updates = rest;
        }
        if self.recheck.has_claims() && !updates.is_empty() {
            // They may be of bars that are still to be compared.
            self.recheck
                .hold(Some(ShardMessage::Updates { shard, updates }));
        } else {
            self.checkpoints.receive(shard, updates.len());
            let now = self.now();
            for update in updates {
                self.push(WriteItem::Bar(update), now);
            }
        }
        self.update_flushing();
    }

    fn push(&mut self, item: WriteItem, now: Duration) {
        let weight = self.requests.sink().weight(&item);
        self.delivery.push(item, weight, now);
    }

    /// Takes nothing in while positions are to be saved, or the store is read.
    fn update_flushing(&mut self) {
        let is_held = self.checkpoints.is_pausing()
            || self.reconciler.holds_back()
            || self.recheck.holds_back();
        self.delivery.set_flushing(is_held);
    }

    /// Holds the inbox back until nothing is outstanding, then saves how far everything is delivered.
    async fn save_checkpoint(&mut self) -> Result<(), RunError> {
        let now = self.now();
        if self.checkpoints.pause_if_due(now, self.inbox.is_open) {
            self.update_flushing();
            self.launch();
        }
        if !self.checkpoints.is_pausing() || !self.delivery.is_settled() {
            return Ok(());
        }
        let saved = self.checkpoints.save(self.requests.state(), now).await;
        self.update_flushing();
        saved.map_err(RunError::State)
    }
}

/// What goes out.
impl Writer {
    /// Starts everything that is to be done now.
    fn launch(&mut self) {
        self.launch_recheck();
        for manifest in self.delivery.manifests() {
            self.push(manifest, self.now());
        }
        while let Some(work) = self.delivery.next_work(self.now()) {
            match work {
                Work::Send(batch) => self.send(batch),
                Work::Commit(change) => self.requests.commit(change, self.budget.used()),
                Work::Load { from, len_max } => self.requests.load(from, len_max),
            }
        }
        let now = self.now();
        if self.keepalive_at().is_some_and(|at| at <= now) {
            let budget = &mut self.budget;
            self.keepalive.launch(&mut self.requests, budget, now);
        }
        self.budget.launch(&mut self.requests, now);
    }

    /// One attempt, unless the budget forbids it.
    fn send(&mut self, batch: OutgoingBatch) {
        let cost = self.requests.sink().cost(&batch.items);
        let commands = u64::from(cost.commands);
        let verdict = self.budget.verdict(commands, self.requests.now());
        self.delivery
            .set_finals_only(verdict != BudgetVerdict::Spend);
        let refusal = match verdict {
            BudgetVerdict::Exhausted(until) => {
                Some(format!("the command budget is spent until {until}"))
            }
            BudgetVerdict::Spend | BudgetVerdict::FinalsOnly => {
                self.spend(commands);
                if batch.attempts > 1 {
                    self.observers.count(|counts| counts.retries += 1);
                }
                None
            }
        };
        self.requests.send(batch, cost, refusal);
    }

    fn spend(&mut self, commands: u64) -> bool {
        let time = self.requests.now();
        self.budget.spend(commands, time, self.now())
    }

    /// Starts to compare the claims when the store can answer for them.
    fn launch_recheck(&mut self) {
        // What was held behind assumed claims may be more of them, and nothing else would come back to those.
        while self.recheck.is_waiting() && self.delivery.circuit().is_away() {
            self.assume_claims_written();
        }
        // What the spool still holds is not in the store yet.
        if self.recheck.is_waiting() && self.delivery.spooled() == 0 {
            let claims = self.recheck.begin();
            self.requests.recheck(claims);
        }
    }

    /// Takes the next step towards a repair of the store.
    fn reconcile(&mut self) {
        let may_begin = self.reconciler.step(WriterState {
            now: self.now(),
            is_circuit_closed: self.is_closed(),
            is_inbox_open: self.inbox.is_open,
            lacks_room: self.delivery.lacks_room(),
        });
        self.update_flushing();
        if may_begin && self.delivery.is_durable() {
            let commands = self.requests.sink().stats().commands;
            let (redeliver, within) = self.reconciler.begin(commands);
            self.requests.repair(redeliver, within);
        }
    }
}

/// What came of it.
impl Writer {
    fn on_outcome(&mut self, outcome: Outcome) -> Result<(), RunError> {
        match outcome {
            Outcome::Completion(batch, completion, error) => {
                self.on_completion(&batch, completion, error.as_ref());
                if let Some(error) = error.filter(SinkError::is_owned) {
                    return Err(RunError::Owned(error));
                }
            }
            Outcome::Committed(result) => return self.on_committed(result),
            Outcome::Loaded(result) => self.delivery.loaded(result.map_err(RunError::State)?),
            Outcome::Keepalive(result) => self.on_keepalive(result),
            Outcome::Rechecked(result) => self.on_rechecked(result),
            Outcome::Repaired(repaired, result) => return self.on_repaired(repaired, result),
            Outcome::BudgetSaved(result) => {
                let saved = self.budget.saved(result, self.now());
                return saved.map_err(RunError::State);
            }
        }
        Ok(())
    }

    fn on_completion(
        &mut self,
        batch: &OutgoingBatch,
        completion: Completion,
        error: Option<&SinkError>,
    ) {
        let (now, time) = (self.now(), self.requests.now());
        let cause = log::cause(&completion, error);
        if let Some(error) = error {
            self.reconciler.note_failure(error.remedy);
        }
        if let Some((remedy, _)) = completion.worst() {
            self.observers.count(|counts| counts.failures.add(*remedy));
        }
        if completion.failures.iter().any(Option::is_none) {
            self.progress = now;
            self.observers.count(|counts| counts.acked_at = Some(time));
        }
        let results = batch.items.iter().zip(&completion.failures);
        let acked = results.filter(|(_, failure)| failure.is_none());
        self.observers
            .on_acked(acked.filter_map(|(item, _)| bar_of(item)));
        let attempts_max = self.settings.delivery.retry.attempts_max;
        for verdict in self.delivery.completed(completion, now) {
            let sink = self.requests.sink().name();
            log::verdict(&verdict, sink, batch.attempts, attempts_max, &cause);
            match verdict {
                Verdict::Dead { items } => {
                    let items = u64::try_from(items).unwrap_or(u64::MAX);
                    self.observers.count(|counts| counts.dead_letters += items);
                }
                Verdict::Halted => {
                    self.failure.get_or_insert(Failure {
                        attempts: batch.attempts,
                        cause: cause.clone(),
                    });
                }
                Verdict::Again { .. } | Verdict::Spooled { .. } => {}
            }
        }
    }

    fn on_committed(&mut self, result: Result<Committed, StateError>) -> Result<(), RunError> {
        let now = self.now();
        match result {
            Ok(committed) => {
                self.observers
                    .count(|counts| counts.spool_bytes = committed.spool_bytes);
                if let Some(transition) = self.delivery.committed(committed.spool_items, now) {
                    log::transition(transition, self.requests.sink().name(), "");
                }
                Ok(())
            }
            Err(error) if may_pass(&error) => {
                self.spool_full.log(&error, now);
                self.delivery.commit_failed(now);
                Ok(())
            }
            Err(error) => Err(RunError::State(error)),
        }
    }

    fn on_keepalive(&mut self, result: Result<(), SinkError>) {
        let (now, sink) = (self.now(), self.requests.sink().name());
        let cause = self.keepalive.answered(result, sink, &self.observers, now);
        if let Some(cause) = cause {
            self.fail(cause);
        }
    }

    /// Ends the run for a cause that no batch has met.
    fn fail(&mut self, cause: String) {
        self.failure.get_or_insert(Failure { attempts: 1, cause });
        self.delivery.stop();
    }

    fn on_rechecked(&mut self, result: Result<Option<Vec<usize>>, SinkError>) {
        let sink = self.requests.sink().name();
        let Some(claims) = self.recheck.answered(result, sink) else {
            return self.assume_claims_written();
        };
        let now = self.now();
        for (update, is_lacking) in claims {
            if is_lacking {
                self.push(WriteItem::Bar(update), now);
            } else {
                self.skip(&[update]);
            }
        }
        self.take_held();
    }

    /// Takes the claims as written without a look, since the store cannot be asked now.
    fn assume_claims_written(&mut self) {
        let claims = self.recheck.end();
        self.assume_written(&claims);
        self.take_held();
    }

    fn assume_written(&mut self, claims: &[BarUpdate]) {
        let count = u64::try_from(claims.len()).unwrap_or(u64::MAX);
        if count > 0 && self.observers.counts().unproved == 0 {
            tracing::warn!(
                sink = self.requests.sink().name(),
                "bars that an earlier run delivered cannot be looked for; run again when the store is back, so that the \
                 day is called complete"
            );
        }
        self.observers.count(|counts| counts.unproved += count);
        self.skip(claims);
    }

    /// Counts updates that an earlier run has delivered.
    fn skip(&mut self, updates: &[BarUpdate]) {
        for update in updates {
            self.delivery.skip(update);
        }
        let resumed = u64::try_from(updates.len()).unwrap_or(u64::MAX);
        self.observers.count(|counts| counts.resumed += resumed);
    }

    /// Takes in what was held behind the claims.
    fn take_held(&mut self) {
        for message in self.recheck.take_held() {
            // There may be more claims in it; then what follows is held again.
            self.on_inbox(message);
        }
        self.update_flushing();
    }

    fn on_repaired(
        &mut self,
        repaired: Repaired,
        result: Result<(), RepairError>,
    ) -> Result<(), RunError> {
        let now = self.now();
        log::repaired(&repaired, self.requests.sink().name());
        self.observers.count(|counts| repaired.add_to(counts));
        if let Some(items) = repaired.spool_items {
            self.delivery.spool_grew(items, now);
        }
        let commands = self.requests.sink().stats().commands;
        let standing = (commands, now, self.inbox.is_open);
        let ended = self.reconciler.end(result, standing);
        let (spent, failure) = ended.map_err(RunError::State)?;
        let _allowed = self.spend(spent);
        if let Some(cause) = failure {
            self.fail(cause);
        }
        self.update_flushing();
        Ok(())
    }

    fn publish(&mut self) {
        let now = self.now();
        let inbox = &mut self.inbox;
        let blocked = inbox.blocked_since.map(|since| now.saturating_sub(since));
        let is_blocked = inbox.is_open && !self.delivery.has_room();
        inbox.blocked_since = is_blocked.then_some(now);
        let used = self.budget.used();
        self.observers.count(|counts| {
            counts.blocked += blocked.unwrap_or_default();
            counts.left_out = self.delivery.left_out();
            counts.circuit = self.delivery.circuit();
            counts.pace_percent = self.requests.store().pace_percent();
            (counts.day_commands, counts.month_commands) = (used.day_commands, used.month_commands);
            counts.queued = self.delivery.queued();
            counts.in_flight = self.delivery.in_flight();
            counts.coalesced = self.delivery.coalesced();
            counts.spooled = self.delivery.spooled();
            counts.sink = self.requests.sink().stats();
        });
    }
}
