//! Delivery: which batch goes out when, and what becomes of it.
//!
//! Owns everything between the shards and the store: what waits, what is in flight, what waits for its next
//! attempt, and what was given up. Pure: the actor tells it the time and the fate of each batch.

use super::batch::{Batch, BatchLimits, Batcher};
use super::coverage::Coverage;
use super::retry::{Backoff, Remedy, RetryPolicy};
use crate::model::{BarSpec, BarUpdate, Covered, Manifest, WriteItem};
use std::collections::BTreeMap;
use std::time::Duration;

/// The bounds of delivery.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// When a batch is closed.
    pub batch: BatchLimits,
    /// Batches under way or waiting for their next attempt at most, 1 and up.
    pub in_flight_max: usize,
    /// Items waiting before no more is taken in.
    pub queue_len_max: usize,
    /// How often and how fast to try again.
    pub retry: RetryPolicy,
    /// Zone of the manifest's dates.
    pub zone: jiff::tz::TimeZone,
    /// Seed of the jitter.
    pub seed: u64,
}

/// What becomes of a failed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes again after this delay.
    Again(Duration),
    /// No attempt is left or none would help: the run ends.
    GivenUp,
}

/// The state of everything between the shards and the store.
#[derive(Debug)]
pub struct Delivery {
    settings: DeliverySettings,
    batcher: Batcher,
    backoff: Backoff,
    coverage: Coverage,
    flying: usize,
    /// Batches between two attempts, by the instant of the next one.
    waiting: BTreeMap<(Duration, u64), Batch>,
    waits: u64,
    given_up: u64,
    halted: bool,
    closing: Option<Closing>,
}

/// The end of the input, told once.
#[derive(Debug, Clone, Copy)]
struct Closing {
    complete: bool,
    manifests_queued: bool,
}

impl Delivery {
    /// Makes an empty state.
    pub fn new(settings: DeliverySettings) -> Delivery {
        Delivery {
            batcher: Batcher::new(settings.batch),
            backoff: Backoff::new(settings.retry, settings.seed),
            coverage: Coverage::new(&settings.zone),
            flying: 0,
            waiting: BTreeMap::new(),
            waits: 0,
            given_up: 0,
            halted: false,
            closing: None,
            settings,
        }
    }

    /// Whether more may be pushed.
    pub fn has_room(&self) -> bool {
        !self.halted && self.batcher.len() < self.settings.queue_len_max
    }

    /// Takes in an item of an estimated weight in bytes.
    pub fn push(&mut self, item: WriteItem, weight: usize, now: Duration) {
        self.batcher.push(item, weight, now);
    }

    /// Takes what earlier runs wrote: the manifests of this run add to it. Called before the first bar.
    pub fn resume(&mut self, earlier: Vec<Manifest>) {
        self.coverage.resume(earlier);
    }

    /// Takes a feed's word for intervals whose bars, of these specs, were all pushed.
    pub fn covered(&mut self, specs: &[BarSpec], covered: &[Covered]) {
        self.coverage.cover(specs, covered);
    }

    /// Says that no more bars come; `complete` when every trade of the input is in them.
    pub fn close(&mut self, complete: bool) {
        self.closing = Some(Closing { complete, manifests_queued: false });
    }

    /// The manifests to push, once: when the input is closed and every bar is acked.
    pub fn manifests(&mut self) -> Vec<WriteItem> {
        let settled = self.batcher.is_empty() && self.flying == 0 && self.waiting.is_empty();
        match &mut self.closing {
            Some(closing) if settled && !self.halted && !closing.manifests_queued => {
                closing.manifests_queued = true;
                self.coverage.take(closing.complete).into_iter().map(WriteItem::Manifest).collect()
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// The next batch to attempt now, if one is due and a slot is free.
    pub fn next_batch(&mut self, now: Duration) -> Option<Batch> {
        if self.halted {
            return None;
        }
        let mut batch = self.take_waiting(now).or_else(|| self.take_queued(now))?;
        batch.attempts += 1;
        self.flying += 1;
        Some(batch)
    }

    fn take_waiting(&mut self, now: Duration) -> Option<Batch> {
        let first = self.waiting.first_entry()?;
        if first.key().0 <= now { Some(first.remove()) } else { None }
    }

    fn take_queued(&mut self, now: Duration) -> Option<Batch> {
        let idle = self.flying == 0 && self.waiting.is_empty();
        if self.has_slot() && self.batcher.is_due(now, idle, self.closing.is_some()) {
            self.batcher.take()
        } else {
            None
        }
    }

    fn has_slot(&self) -> bool {
        self.flying + self.waiting.len() < self.settings.in_flight_max.max(1)
    }

    /// The next instant at which time alone makes a batch due.
    pub fn deadline(&self) -> Option<Duration> {
        if self.halted {
            return None;
        }
        let attempt = self.waiting.keys().next().map(|(due, _)| *due);
        let batch = if self.has_slot() { self.batcher.due_at() } else { None };
        [attempt, batch].into_iter().flatten().min()
    }

    /// A batch has come back, whatever its fate; called before its items are settled.
    pub fn landed(&mut self) {
        self.flying -= 1;
    }

    /// An item is in the store.
    pub fn acked(&mut self, item: &WriteItem) {
        self.batcher.landed(item);
        match item {
            WriteItem::Bar(update) => self.coverage.record(update),
            WriteItem::Manifest(_) => {}
        }
    }

    /// The rest of a batch is not in the store.
    pub fn failed(&mut self, batch: Batch, remedy: Remedy, now: Duration) -> Verdict {
        let after = match remedy {
            Remedy::Retry { after } => Some(after),
            Remedy::Reconnect => Some(None),
            Remedy::Pause | Remedy::Refuse | Remedy::Fatal => None,
        };
        if let Some(delay) = after.and_then(|after| self.backoff.next(batch.attempts, after)) {
            self.waits += 1;
            self.waiting.insert((now + delay, self.waits), batch);
            Verdict::Again(delay)
        } else {
            self.halted = true;
            self.given_up += count_bars(&batch.items);
            Verdict::GivenUp
        }
    }

    /// Whether nothing is left to do: all acked and the manifests too, or halted with nothing under way.
    pub fn is_done(&self) -> bool {
        let finished = self.closing.is_some_and(|closing| closing.manifests_queued)
            && self.batcher.is_empty()
            && self.waiting.is_empty();
        self.flying == 0 && (self.halted || finished)
    }

    /// Gives up everything not under way and counts the bars that are not in the store.
    pub fn give_up(&mut self) -> u64 {
        self.halted = true;
        let waiting = std::mem::take(&mut self.waiting);
        self.given_up += waiting.values().map(|batch| count_bars(&batch.items)).sum::<u64>();
        self.given_up += count_bars(&self.batcher.drain());
        self.given_up
    }

    /// Items waiting.
    pub fn queued(&self) -> usize {
        self.batcher.len()
    }

    /// Batches under way or waiting for their next attempt.
    pub fn in_flight(&self) -> usize {
        self.flying + self.waiting.len()
    }

    /// Forming updates replaced by newer ones before they were sent.
    pub fn coalesced(&self) -> u64 {
        self.batcher.coalesced()
    }
}

/// Bars among the items.
pub fn count_bars(items: &[WriteItem]) -> u64 {
    items.iter().map(|item| u64::from(bar_of(item).is_some())).sum()
}

/// The bar of an item, if it is one.
pub fn bar_of(item: &WriteItem) -> Option<&BarUpdate> {
    match item {
        WriteItem::Bar(update) => Some(update),
        WriteItem::Manifest(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Delivery, DeliverySettings, Verdict};
    use crate::engine::batch::BatchLimits;
    use crate::engine::retry::{Remedy, RetryPolicy};
    use crate::engine::testing::update;
    use crate::model::{BarState, WriteItem};
    use jiff::tz::TimeZone;
    use std::time::Duration;

    fn delivery() -> Delivery {
        Delivery::new(DeliverySettings {
            batch: BatchLimits { len_max: 2, bytes_max: 1_000, linger: Duration::from_secs(5), eager: false },
            in_flight_max: 2,
            queue_len_max: 4,
            retry: RetryPolicy {
                attempts_max: 2,
                backoff: Duration::from_secs(1),
                backoff_max: Duration::from_secs(1),
            },
            zone: TimeZone::UTC,
            seed: 7,
        })
    }

    fn filled(minutes: std::ops::Range<i64>) -> Delivery {
        let mut delivery = delivery();
        for minute in minutes {
            delivery.push(WriteItem::Bar(update("AAPL", minute, BarState::Final, 0)), 10, Duration::ZERO);
        }
        delivery
    }

    #[test]
    fn full_queue_and_full_flight_hold_back() {
        let mut delivery = filled(0..6);
        assert!(!delivery.has_room());
        assert!(delivery.next_batch(Duration::ZERO).is_some());
        assert!(delivery.next_batch(Duration::ZERO).is_some());
        assert!(delivery.next_batch(Duration::ZERO).is_none(), "two in flight at most");
        assert!(delivery.has_room());
    }

    #[test]
    fn manifest_comes_once_after_the_last_ack() {
        let mut delivery = filled(0..1);
        delivery.close(true);
        let batch = delivery.next_batch(Duration::ZERO).unwrap();
        assert!(delivery.manifests().is_empty());
        delivery.landed();
        delivery.acked(&batch.items[0]);
        assert!(!delivery.is_done());
        let manifests = delivery.manifests();
        assert_eq!(manifests.len(), 1);
        for manifest in manifests {
            delivery.push(manifest, 10, Duration::ZERO);
        }
        let batch = delivery.next_batch(Duration::ZERO).unwrap();
        delivery.landed();
        delivery.acked(&batch.items[0]);
        assert!(delivery.is_done());
    }

    #[test]
    fn failed_batch_goes_again_and_then_ends_the_run_with_its_count() {
        let mut delivery = filled(0..3);
        let batch = delivery.next_batch(Duration::ZERO).unwrap();
        delivery.landed();
        let Verdict::Again(delay) = delivery.failed(batch, Remedy::Reconnect, Duration::ZERO) else {
            panic!("first failure is retried");
        };
        assert_eq!(delivery.deadline(), Some(delay));
        let batch = delivery.next_batch(delay).unwrap();
        assert_eq!(batch.attempts, 2);
        delivery.landed();
        assert_eq!(delivery.failed(batch, Remedy::Reconnect, delay), Verdict::GivenUp);
        assert_eq!(delivery.next_batch(Duration::MAX), None);
        assert!(delivery.is_done());
        assert_eq!(delivery.give_up(), 3);
    }

    #[test]
    fn fatal_failure_is_not_tried_again() {
        let mut delivery = filled(0..2);
        let batch = delivery.next_batch(Duration::ZERO).unwrap();
        delivery.landed();
        assert_eq!(delivery.failed(batch, Remedy::Fatal, Duration::ZERO), Verdict::GivenUp);
    }
}
