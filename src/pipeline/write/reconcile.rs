//! When and how the writer reconciles the store: lost bars are written back, dead letters are tried again.
//!
//! At the start if asked, and after a failure that may have been a failover. The inbox is held back until nothing is on
//! its way, so that what is compared stands still. Both passes append to the spool, whose drain is the one way into the
//! store that keeps the order of updates.

use super::settings::{ReconcileSettings, WriterCounts};
use super::store::PacedStore;
use crate::engine::delivery::bar_of;
use crate::model::{BarKey, BarUpdate, Timestamp, WriteItem};
use crate::pipeline::error::{chain, may_pass};
use crate::port::{
    Changes, Committed, DeadLetter, RecentBar, Remedy, SinkError, StateError, StateStore,
};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Shortest time between two comparisons, so that a store that fails again and again is not also read again and again.
const PAUSE: Duration = Duration::from_mins(1);
/// Bars or letters taken at a time: bounds the memory.
const PAGE_LEN: usize = 1_000;

/// What is still to be repaired.
#[derive(Debug)]
pub(super) struct Reconciler {
    settings: ReconcileSettings,
    redeliver: bool,
    reconcile: bool,
    not_before: Duration,
    phase: Phase,
    commands_before: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// The inbox is held back until nothing is on its way.
    Waiting,
    Working,
}

/// How the writer stands, as far as it decides whether a pass may begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriterState {
    pub(super) now: Duration,
    pub(super) is_circuit_closed: bool,
    pub(super) is_inbox_open: bool,
    pub(super) lacks_room: bool,
}

impl Reconciler {
    pub(super) fn new(settings: ReconcileSettings) -> Reconciler {
        Reconciler {
            redeliver: settings.redeliver,
            reconcile: settings.on_start,
            settings,
            not_before: Duration::ZERO,
            phase: Phase::Idle,
            commands_before: 0,
        }
    }

    /// Whether something is to be done before the run may end.
    pub(super) fn is_wanted(&self) -> bool {
        self.redeliver || self.reconcile
    }

    /// Whether nothing may be taken in.
    pub(super) fn holds_back(&self) -> bool {
        self.phase != Phase::Idle
    }

    /// Notes a failure after which the store may hold less than it has acked.
    pub(super) fn note_failure(&mut self, remedy: Remedy) {
        let may_be_failover = matches!(remedy, Remedy::Reconnect | Remedy::Retry { after: None });
        self.reconcile |= may_be_failover && self.settings.on_reconnect;
    }

    /// When there is something to repair that waits for time alone.
    pub(super) fn due_at(&self, is_circuit_closed: bool, is_inbox_open: bool) -> Option<Duration> {
        let is_due = self.phase == Phase::Idle && is_circuit_closed && self.is_wanted();
        // After the end of the input there is nothing else to wait for.
        let not_before = if is_inbox_open {
            self.not_before
        } else {
            Duration::ZERO
        };
        is_due.then_some(not_before)
    }

    /// Takes the next step towards a pass; answers whether one may begin as soon as nothing is on its way.
    pub(super) fn step(&mut self, state: WriterState) -> bool {
        let WriterState {
            now,
            is_circuit_closed,
            is_inbox_open,
            lacks_room,
        } = state;
        match self.phase {
            Phase::Idle => {
                let due_at = self.due_at(is_circuit_closed, is_inbox_open);
                if due_at.is_some_and(|at| at <= now) {
                    self.phase = Phase::Waiting;
                }
            }
            // The store went away again; the spool comes first.
            Phase::Waiting if !is_circuit_closed => self.phase = Phase::Idle,
            // Bars matter more than what may be missing.
            Phase::Waiting if lacks_room && is_inbox_open => {
                (self.phase, self.not_before) = (Phase::Idle, now + PAUSE);
            }
            Phase::Waiting | Phase::Working => {}
        }
        self.phase == Phase::Waiting
    }

    /// Begins a pass: whether it is over dead letters, and how recent the bars of the other one are.
    pub(super) fn begin(&mut self, commands: u64) -> (bool, Duration) {
        (self.phase, self.commands_before) = (Phase::Working, commands);
        (self.redeliver, self.settings.within)
    }

    /// The pass has ended, or failed; answers how many commands it took, and the cause when its failure is the run's own,
    /// since the pass is what the run is for.
    ///
    /// # Errors
    /// The state's own, when it takes no more.
    pub(super) fn end(
        &mut self,
        result: Result<(), RepairError>,
        (commands, now, is_inbox_open): (u64, Duration, bool),
    ) -> Result<(u64, Option<String>), StateError> {
        self.phase = Phase::Idle;
        let spent = commands.saturating_sub(self.commands_before);
        let Err(error) = result else {
            if self.redeliver {
                self.redeliver = false;
            } else {
                (self.reconcile, self.not_before) = (false, now + PAUSE);
            }
            return Ok((spent, None));
        };
        self.not_before = now + PAUSE;
        let cause = chain(&error);
        match error {
            RepairError::State(error) if !may_pass(&error) => return Err(error),
            RepairError::Unreadable { .. } => (self.redeliver, self.reconcile) = (false, false),
            RepairError::State(_) | RepairError::Sink(_) => {
                let may_go_on = is_inbox_open;
                self.redeliver &= may_go_on;
                self.reconcile &= may_go_on;
            }
        }
        tracing::error!(cause, "reconciliation failed");
        let is_purpose = self.settings.redeliver || self.settings.on_start;
        Ok((spent, is_purpose.then_some(cause)))
    }
}

/// What a pass found and appended to the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Repaired {
    /// Bars compared with the store.
    pub(super) compared: u64,
    /// Of these, bars that it lacked or held in an older version.
    pub(super) missing_or_stale: u64,
    /// Dead letters appended.
    pub(super) redelivered: u64,
    /// Dead letters dropped because the store has the bar in this or a newer version.
    pub(super) outdated: u64,
    /// Items in the spool after the last commit; `None` when nothing was committed.
    pub(super) spool_items: Option<u64>,
}

impl Repaired {
    pub(super) fn add_to(&self, counts: &mut WriterCounts) {
        counts.compared += self.compared;
        counts.written_back += self.missing_or_stale;
        counts.redelivered += self.redelivered;
        counts.outdated += self.outdated;
    }
}

/// Why a pass ended early; what it has appended stays.
#[derive(Debug, thiserror::Error)]
pub(super) enum RepairError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Nothing can be read back from this store.
    #[error("{sink} cannot be read back")]
    Unreadable { sink: String },
}

/// The two passes over the state store.
#[derive(Debug)]
pub(super) struct Repairer {
    pub(super) store: PacedStore,
    pub(super) state: Arc<dyn StateStore>,
    pub(super) now: Timestamp,
}

impl Repairer {
    /// Compares the newest state of every bar acked since then, and appends what the store lacks.
    ///
    /// # Errors
    /// [`RepairError`]; what was appended before is counted all the same.
    pub(super) async fn reconcile(
        &self,
        since: Timestamp,
        repaired: &mut Repaired,
    ) -> Result<(), RepairError> {
        // The place of the newest state of each bar; one entry of about 50 bytes each.
        let (mut newest, mut from) = (HashMap::<BarKey, u64, FixedState>::default(), 0);
        while let Some(page) = self.page(since, &mut from).await? {
            newest.extend(page.iter().map(|one| (one.update.bar.key(), one.place)));
        }
        from = 0;
        while let Some(page) = self.page(since, &mut from).await? {
            let is_newest =
                |one: &&RecentBar| newest.get(&one.update.bar.key()) == Some(&one.place);
            let updates = page
                .iter()
                .filter(is_newest)
                .map(|one| one.update)
                .collect();
            let (compared, lacking) = self.lacking(updates).await?;
            repaired.compared += compared;
            repaired.missing_or_stale += count(lacking.len());
            if !lacking.is_empty() {
                let items = lacking.into_iter().map(WriteItem::Bar).collect();
                repaired.spool_items = Some(self.append(items, None).await?.spool_items);
            }
        }
        Ok(())
    }

    /// The next recent bars; `None` at their end.
    async fn page(
        &self,
        since: Timestamp,
        from: &mut u64,
    ) -> Result<Option<Vec<RecentBar>>, StateError> {
        let page = self.state.recent_read(since, *from, PAGE_LEN).await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        *from = last.place + 1;
        Ok(Some(page))
    }

    /// Appends the dead letters in order and removes them, but for bars that the store holds in a newer version.
    ///
    /// # Errors
    /// [`RepairError`]; what was appended before is counted all the same.
    pub(super) async fn redeliver(&self, repaired: &mut Repaired) -> Result<(), RepairError> {
        loop {
            let letters = self.state.dead_letters(0, PAGE_LEN).await?;
            let Some((last, _)) = letters.last() else {
                return Ok(());
            };
            let (last, all) = (*last, letters.len());
            let wanted = self.still_wanted(letters).await?;
            repaired.redelivered += count(wanted.len());
            repaired.outdated += count(all - wanted.len());
            repaired.spool_items = Some(self.append(wanted, Some(last)).await?.spool_items);
        }
    }

    async fn still_wanted(
        &self,
        letters: Vec<(u64, DeadLetter)>,
    ) -> Result<Vec<WriteItem>, RepairError> {
        let items = letters.into_iter().map(|(_, letter)| letter.item);
        let mut items: Vec<WriteItem> = items.collect();
        let bar = |item: &WriteItem| bar_of(item).copied();
        let (_, wanted) = self.lacking(items.iter().filter_map(bar).collect()).await?;
        items.retain(|item| bar(item).is_none_or(|update| wanted.contains(&update)));
        Ok(items)
    }

    /// How many bars were compared, and those of them that the store lacks.
    async fn lacking(&self, updates: Vec<BarUpdate>) -> Result<(u64, Vec<BarUpdate>), RepairError> {
        if updates.is_empty() {
            return Ok((0, Vec::new()));
        }
        let sink = self.store.sink();
        let items: Vec<WriteItem> = updates.iter().copied().map(WriteItem::Bar).collect();
        // Reading a bar back costs no more than writing it.
        let cost = sink.cost(&items);
        let answer = self.store.missing_or_stale(&updates, cost).await?;
        let indexes = answer.ok_or_else(|| RepairError::Unreadable {
            sink: sink.name().to_owned(),
        })?;
        let lacking = indexes.into_iter().map(|index| updates[index]).collect();
        Ok((count(updates.len()), lacking))
    }

    async fn append(
        &self,
        spool_append: Vec<WriteItem>,
        dead_letters_remove: Option<u64>,
    ) -> Result<Committed, StateError> {
        let changes = Changes {
            now: self.now,
            spool_append,
            dead_letters_remove,
            ..Changes::default()
        };
        self.state.commit(changes).await
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
