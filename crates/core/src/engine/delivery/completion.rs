//! Handles a completed batch: the fate of each of its items.

use super::machine::{Delivery, InFlight};
use super::spool::Spool;
use super::work::{Completion, Verdict, bar_of};
use crate::engine::batch::{Batch, ItemKey, key_of};
use crate::engine::circuit::{CircuitState, Failure, Sent};
use crate::engine::retry::Remedy;
use crate::model::{BarState, WriteItem};
use foldhash::fast::FixedState;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How many items before its turn what an item needs is fetched.
const FETCHED_AHEAD: usize = 8;

impl Delivery {
    /// A flight has come back: settles every item, and says what becomes of those that failed.
    pub fn completed(&mut self, completion: Completion, now: Duration) -> Vec<Verdict> {
        let at_limit = !self.has_slot();
        let Some(flight) = self.flights.remove(&completion.flight) else {
            return Vec::new();
        };
        let is_spooled = !flight.places.is_empty();
        let (mut failed, mut dead, mut gravest) = (Vec::new(), Vec::new(), None::<Remedy>);
        let (mut settled, mut left) = (Vec::new(), VecDeque::new());
        let failures = fates(&flight.items, completion.failures);
        for (index, (item, failure)) in flight.items.iter().zip(failures).enumerate() {
            if let Some(update) = flight.items.get(index + FETCHED_AHEAD).and_then(bar_of) {
                self.coverage.fetch(update.bar.symbol);
            }
            if flight.closes && bar_of(item).is_none() {
                self.joined(item, failure.is_none());
                continue;
            }
            let place = flight.places.get(index).copied();
            match failure {
                None => {
                    settled.extend(place);
                    self.acked(item, is_spooled, now);
                }
                Some((Remedy::Refuse, reason)) if self.spool.is_some() => {
                    settled.extend(place);
                    if let Some(update) = bar_of(item) {
                        self.coverage.refuse(update);
                    }
                    dead.push((item.clone(), reason));
                }
                Some((remedy, _)) => {
                    gravest = gravest
                        .filter(|known| known.gravity() >= remedy.gravity())
                        .or(Some(remedy));
                    left.extend(place.map(|place| (place, item.clone())));
                    failed.push(item.clone());
                }
            }
        }
        let mut verdicts = Vec::new();
        if let Some(spool) = &mut self.spool {
            spool.next.remove.extend(ranges(&settled));
            for entry in left.into_iter().rev() {
                spool.front.push_front(entry);
            }
            if !dead.is_empty() {
                verdicts.push(Verdict::Dead { items: dead.len() });
                spool.next.dead.extend(dead);
            }
        }
        match gravest {
            None => {
                self.concurrency.on_answer(completion.took, at_limit);
                verdicts.extend(self.succeeded(flight.sent, now));
            }
            Some(remedy) => {
                self.concurrency.on_trouble();
                verdicts.push(self.failed(&flight, failed, remedy, now));
            }
        }
        verdicts
    }

    /// A manifest behind the last bars has come back; one that failed is made anew.
    fn joined(&mut self, manifest: &WriteItem, is_written: bool) {
        if let Some(closing) = self.closing.as_mut().filter(|_| is_written) {
            closing.written.push(manifest.clone());
        }
    }

    fn acked(&mut self, item: &WriteItem, is_spooled: bool, now: Duration) {
        if !is_spooled {
            self.batcher.release(item);
            if let Some(update) = bar_of(item) {
                self.coverage.record(update);
            }
        }
        if let (Some(spool), Some(update)) = (&mut self.spool, bar_of(item))
            && self.settings.keeps_recent
            && update.state != BarState::Forming
        {
            let recent = &mut spool.next.recent;
            if self.settings.queue_len_max <= recent.len() {
                // The disk takes nothing: the guard against a forgetful store must not cost the memory.
                recent.drain(..recent.len().div_ceil(2));
            }
            recent.push(*update);
            spool.recent_since.get_or_insert(now);
        }
    }

    fn succeeded(&mut self, sent: Sent, now: Duration) -> Option<Verdict> {
        let is_empty = self.spool.as_ref().is_none_or(Spool::is_empty);
        let transition = self.circuit.on_success(sent, is_empty, now)?;
        Some(Verdict::Spooled {
            items: 0,
            transition: Some(transition),
        })
    }

    fn failed(
        &mut self,
        flight: &InFlight,
        items: Vec<WriteItem>,
        remedy: Remedy,
        now: Duration,
    ) -> Verdict {
        let is_spooled = !flight.places.is_empty();
        let failure = match remedy {
            Remedy::Retry { after } => Failure::Outage { after },
            Remedy::Reconnect => Failure::Outage { after: None },
            Remedy::Pause => Failure::Quota,
            Remedy::Refuse | Remedy::Fatal => {
                return self.halt(is_spooled, flight.attempts, items, now);
            }
        };
        let is_closed = self.circuit.state() == CircuitState::Closed;
        let after = match failure {
            Failure::Outage { after } => Some(after),
            Failure::Quota => None,
        };
        // A store that wants to be left alone for longer than any backoff is out: batches go to the spool meanwhile.
        let is_long = after
            .flatten()
            .is_some_and(|wish| self.settings.retry.backoff_max < wish);
        if !is_spooled
            && is_closed
            && !(is_long && self.spool.is_some())
            && let Some(delay) = after.and_then(|after| self.backoff.next(flight.attempts, after))
        {
            let count = items.len();
            let batch = Batch {
                items,
                attempts: flight.attempts,
            };
            self.waiting.insert((now + delay, self.next_flight), batch);
            self.next_flight += 1;
            return Verdict::Again {
                items: count,
                delay,
            };
        }
        if self.spool.is_none() {
            return self.halt(is_spooled, flight.attempts, items, now);
        }
        let transition = self.circuit.on_failure(flight.sent, failure, now);
        let count = if is_spooled { 0 } else { items.len() };
        if !is_spooled {
            self.spool_items(items);
        }
        // What waits for another attempt would overtake the spool.
        for (_, batch) in std::mem::take(&mut self.waiting) {
            self.spool_items(batch.items);
        }
        Verdict::Spooled {
            items: count,
            transition,
        }
    }

    /// Ends sending; the items stay in memory until [`Delivery::rescue`].
    fn halt(
        &mut self,
        is_spooled: bool,
        attempts: u32,
        items: Vec<WriteItem>,
        now: Duration,
    ) -> Verdict {
        self.halted = true;
        if !is_spooled {
            self.waiting
                .insert((now, self.next_flight), Batch { items, attempts });
            self.next_flight += 1;
        }
        Verdict::Halted
    }
}

/// The failure of each item; a bar that occurs twice has the fate of its last occurrence, which is the one that counts.
fn fates(
    items: &[WriteItem],
    failures: Vec<Option<(Remedy, String)>>,
) -> Vec<Option<(Remedy, String)>> {
    if failures.iter().all(Option::is_none) {
        return failures;
    }
    let mut fates = failures;
    let mut last: HashMap<ItemKey, usize, FixedState> = HashMap::default();
    for (index, item) in items.iter().enumerate().rev() {
        let newest = *last.entry(key_of(item)).or_insert(index);
        if newest != index {
            let fate = fates[newest].clone();
            fates[index] = fate;
        }
    }
    fates
}

/// The ranges of ascending places, as first and last.
fn ranges(places: &[u64]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &place in places {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == place => *last = place,
            Some(_) | None => ranges.push((place, place)),
        }
    }
    ranges
}
