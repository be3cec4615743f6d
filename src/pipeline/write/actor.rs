//! The writer actor: waits, decides, responds.
//!
//! Delivery says what to do; the shell does it, at the pace the store accepts and with a timeout, and tells Delivery
//! what came of it. While Delivery has no room the inbox is not read: that is the backpressure.

use super::attempt::{self, Report};
use super::budget::BudgetSaver;
use super::checkpoints::Checkpoints;
use super::keepalive::Keepalive;
use super::log::FullTold;
use super::recheck::Recheck;
use super::reconcile::Reconciler;
use super::resume::Resume;
use super::settings::{WriterCounts, WriterSettings};
use super::shutdown;
use crate::engine::budget::{Budget, BudgetLimits};
use crate::engine::circuit::CircuitState;
use crate::engine::delivery::{Delivery, Work};
use crate::model::{BarUpdate, WriteItem};
use crate::pipeline::error::{Failure, RunError};
use crate::pipeline::message::ShardMessage;
use crate::pipeline::pace::Pace;
use crate::port::{BarSink, Clock, StateStore};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
enum Event {
    Abort,
    Report(Report),
    Deadline,
    Inbox(Option<ShardMessage>),
}

/// What the writer talks to.
#[derive(Debug, Clone)]
pub struct WriterPorts {
    /// The store of bars.
    pub sink: Arc<dyn BarSink>,
    /// The durable state; without it an outage ends the run after the last attempt.
    pub state: Option<Arc<dyn StateStore>>,
    /// The time of day, for what is stamped.
    pub clock: Arc<dyn Clock>,
}

/// The actor around the store.
#[derive(Debug)]
pub struct Writer {
    pub(super) ports: WriterPorts,
    pub(super) settings: WriterSettings,
    pub(super) delivery: Delivery,
    pub(super) pace: Arc<Pace>,
    pub(super) budget: Budget,
    pub(super) inbox: mpsc::Receiver<ShardMessage>,
    pub(super) inbox_open: bool,
    shards_open: usize,
    abort: CancellationToken,
    pub(super) work: FuturesUnordered<BoxFuture<'static, Report>>,
    pub(super) origin: Instant,
    /// When the store last took something, since the start.
    pub(super) progress: Duration,
    pub(super) keepalive: Keepalive,
    pub(super) savings: BudgetSaver,
    pub(super) reconcile: Reconciler,
    /// Set while nothing is taken in.
    blocked_since: Option<Duration>,
    pub(super) resume: Option<Resume>,
    pub(super) recheck: Recheck,
    places: Checkpoints,
    /// Set while a place is to be saved: nothing is taken in until nothing is outstanding.
    pausing: bool,
    pub(super) failure: Option<Failure>,
    pub(super) full_told: FullTold,
    pub(super) counts: watch::Sender<WriterCounts>,
    pub(super) acked: broadcast::Sender<BarUpdate>,
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
        let (counts, view) = watch::channel(WriterCounts::default());
        let writer = Writer {
            pace: Arc::new(Pace::new(settings.pace)),
            delivery: Delivery::new(settings.delivery.clone(), ports.state.as_ref().map(|_| 0)),
            budget: Budget::new(settings.budget, None, ports.clock.now()),
            inbox_open: true,
            shards_open: shards,
            work: FuturesUnordered::new(),
            origin: Instant::now(),
            progress: Duration::ZERO,
            keepalive: Keepalive::new(ports.sink.keepalive_interval()),
            savings: BudgetSaver::default(),
            reconcile: Reconciler::new(settings.reconcile.redeliver, settings.reconcile.on_start),
            blocked_since: None,
            resume: None,
            recheck: Recheck::new(settings.delivery.batch.len_max),
            places: Checkpoints::new(settings.places.clone(), shards),
            pausing: false,
            failure: None,
            full_told: FullTold::default(),
            ports,
            settings,
            inbox,
            abort,
            counts,
            acked,
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
        self.delivery.set_joins(self.ports.sink.joins_manifests());
        self.launch();
        while !self.is_done() {
            match self.next_event().await {
                Event::Abort => return shutdown::leave(self).await,
                Event::Report(report) => {
                    if let Err(fault) = self.on_report(report) {
                        return shutdown::abandon(self, fault).await;
                    }
                }
                Event::Deadline if self.is_stuck() => return shutdown::leave(self).await,
                Event::Deadline => {}
                Event::Inbox(message) => self.take_in(message),
            }
            self.launch();
            self.save_place().await?;
            self.mend();
            self.publish();
        }
        if self.failure.is_some() {
            shutdown::leave(self).await
        } else {
            shutdown::close(self).await
        }
    }

    fn is_done(&self) -> bool {
        let has_ended = self.failure.is_some() || !self.reconcile.is_wanted();
        self.delivery.is_done() && has_ended
    }

    /// Takes up what an earlier run left.
    async fn resume(&mut self) -> Result<(), RunError> {
        let Some(state) = &self.ports.state else {
            return Ok(());
        };
        let held = state.spool_stats().await.map_err(RunError::State)?;
        let spooled = held.items;
        self.counts
            .send_modify(|counts| counts.spool_bytes = held.bytes + held.dead_bytes);
        let used = state.budget_load().await.map_err(RunError::State)?;
        if spooled > 0 {
            tracing::info!(
                spooled,
                sink = self.ports.sink.name(),
                "sending the spool of an earlier run first"
            );
        }
        self.delivery = Delivery::new(self.settings.delivery.clone(), Some(spooled));
        self.budget = Budget::new(self.settings.budget, used, self.ports.clock.now());
        if let Some(settings) = self.settings.resume.clone() {
            let resume = Resume::load(settings, self.shards_open, state.as_ref()).await;
            self.resume = Some(resume.map_err(RunError::State)?);
        }
        Ok(())
    }

    async fn next_event(&mut self) -> Event {
        let deadline = [
            self.delivery.deadline(),
            self.stuck_at(),
            self.pause_at(),
            self.beat_at(),
            self.saving_at(),
            self.mend_at(),
        ];
        let deadline = deadline.into_iter().flatten().min();
        let deadline = deadline.map(|due| self.origin + due);
        let has_room = self.inbox_open && self.delivery.has_room();
        tokio::select! {
            biased;
            () = self.abort.cancelled() => Event::Abort,
            Some(report) = self.work.next() => Event::Report(report),
            () = sleep_until(deadline), if deadline.is_some() => Event::Deadline,
            message = self.inbox.recv(), if has_room => Event::Inbox(message),
        }
    }

    /// After the end of the input: when the store has been away for too long to wait on.
    fn stuck_at(&self) -> Option<Duration> {
        let is_out = self.delivery.circuit() != CircuitState::Closed;
        (!self.inbox_open && is_out).then(|| self.progress + self.settings.drain_timeout)
    }

    fn is_stuck(&self) -> bool {
        self.stuck_at()
            .is_some_and(|at| at <= self.origin.elapsed())
    }

    /// Takes in what is there, so that bars which come together go together, and the end of the input with them.
    fn take_in(&mut self, message: Option<ShardMessage>) {
        self.on_inbox(message);
        while self.inbox_open && self.delivery.has_room() {
            match self.inbox.try_recv() {
                Ok(message) => self.on_inbox(Some(message)),
                Err(TryRecvError::Disconnected) => self.on_inbox(None),
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    pub(super) fn on_inbox(&mut self, message: Option<ShardMessage>) {
        let is_update = matches!(message, Some(ShardMessage::Updates { .. }));
        if self.recheck.holds_back() || (!is_update && self.recheck.has_claims()) {
            self.recheck.hold(message);
            self.hold_back();
            return;
        }
        match message {
            Some(ShardMessage::Updates { shard, updates }) => self.on_updates(shard, updates),
            Some(ShardMessage::Earlier(manifests)) => self.delivery.resume(manifests),
            Some(ShardMessage::Covered { specs, covered }) => {
                self.delivery.covered(&specs, &covered);
            }
            Some(ShardMessage::Place { shard, feeds }) => self.places.receive(shard, feeds),
            Some(ShardMessage::Late(late)) => self.delivery.late(&late),
            Some(ShardMessage::End) => self.shards_open -= 1,
            None => {
                self.inbox_open = false;
                self.progress = self.origin.elapsed();
                let is_proved = self.counts.borrow().unproved == 0;
                self.delivery.close(self.shards_open == 0 && is_proved);
            }
        }
    }

    fn on_updates(&mut self, shard: usize, updates: Vec<BarUpdate>) {
        let now = self.origin.elapsed();
        let mut updates = updates.into_iter();
        while !self.recheck.holds_back()
            && let Some(update) = updates.next()
        {
            let is_claimed = self
                .resume
                .as_ref()
                .is_some_and(|resume| resume.is_claimed(shard));
            if !is_claimed && self.recheck.has_claims() {
                // It may be of a bar that is still to be compared.
                let rest = std::iter::once(update).chain(updates).collect();
                self.recheck.hold(Some(ShardMessage::Updates {
                    shard,
                    updates: rest,
                }));
                self.hold_back();
                return;
            }
            if let Some(resume) = &mut self.resume {
                resume.receive(shard);
            }
            if is_claimed && self.recheck.is_leaving() {
                self.believe(&update);
            } else if is_claimed {
                self.recheck.claim(update);
            } else {
                self.push(WriteItem::Bar(update), now);
            }
        }
        if self.recheck.holds_back() {
            self.recheck.hold(Some(ShardMessage::Updates {
                shard,
                updates: updates.collect(),
            }));
            self.hold_back();
        }
    }

    /// When the next place is to be saved; the last one is not worth it.
    fn pause_at(&self) -> Option<Duration> {
        self.resume
            .as_ref()
            .filter(|_| self.inbox_open && !self.pausing)?
            .next_at()
    }

    /// Holds the inbox back until nothing is outstanding, then saves how far each shard is delivered.
    async fn save_place(&mut self) -> Result<(), RunError> {
        let now = self.origin.elapsed();
        let is_told = !self.pausing && self.places.are_told() && self.ports.state.is_some();
        if is_told || self.pause_at().is_some_and(|at| at <= now) {
            self.pausing = true;
            self.hold_back();
            self.launch();
        }
        if !self.pausing || !self.delivery.is_settled() {
            return Ok(());
        }
        self.pausing = false;
        self.hold_back();
        let mut places = self.places.take();
        places.extend(
            self.resume
                .as_mut()
                .map(|resume| resume.places(now))
                .unwrap_or_default(),
        );
        if let Some(state) = self.ports.state.as_ref().filter(|_| !places.is_empty()) {
            state
                .checkpoint_save(places)
                .await
                .map_err(RunError::State)?;
        }
        Ok(())
    }

    /// Takes nothing in while a place is to be saved or the store is put right.
    pub(super) fn hold_back(&mut self) {
        self.delivery
            .set_flushing(self.pausing || self.reconcile.holds_back() || self.recheck.holds_back());
    }

    pub(super) fn push(&mut self, item: WriteItem, now: Duration) {
        let weight = self.ports.sink.weight(&item);
        self.delivery.push(item, weight, now);
    }

    /// Starts everything that is to be done now.
    fn launch(&mut self) {
        self.launch_recheck();
        for manifest in self.delivery.manifests() {
            self.push(manifest, self.origin.elapsed());
        }
        while let Some(work) = self.delivery.next_work(self.origin.elapsed()) {
            match work {
                Work::Send(batch) => self.send(batch),
                Work::Commit(change) => {
                    if let Some(state) = self.ports.state.clone() {
                        let budget = Some(self.budget.used());
                        self.work.push(attempt::commit(
                            change,
                            state,
                            self.ports.clock.now(),
                            budget,
                        ));
                    }
                }
                Work::Load { from, len_max } => {
                    if let Some(state) = self.ports.state.clone() {
                        let load =
                            async move { Report::Loaded(state.spool_read(from, len_max).await) };
                        self.work.push(Box::pin(load));
                    }
                }
            }
        }
        self.launch_beat();
        self.save_budget();
    }

    pub(super) fn publish(&mut self) {
        let now = self.origin.elapsed();
        let blocked = self
            .blocked_since
            .map_or(Duration::ZERO, |since| now.saturating_sub(since));
        self.blocked_since = (self.inbox_open && !self.delivery.has_room()).then_some(now);
        let used = self.budget.used();
        self.counts.send_modify(|counts| {
            counts.blocked += blocked;
            counts.left_out = self.delivery.left_out();
            counts.circuit = self.delivery.circuit();
            counts.pace_percent = self.pace.share();
            (counts.day_commands, counts.month_commands) = (used.day_commands, used.month_commands);
            counts.queued = self.delivery.queued();
            counts.in_flight = self.delivery.in_flight();
            counts.coalesced = self.delivery.coalesced();
            counts.spooled = self.delivery.spooled();
            counts.sink = self.ports.sink.stats();
        });
    }

    /// Whether commands are counted over restarts.
    pub(super) fn has_budget(&self) -> bool {
        self.settings.budget != BudgetLimits::default()
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.abort.is_cancelled()
    }

    pub(super) fn timeout(&self) -> Duration {
        self.settings.timeout
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline).await;
    }
}
