//! The spool side of delivery: items into the spool, items out of it, and the pending commit.

use super::machine::{Delivery, InFlight, is_forming};
use super::work::{StateChange, Work, bar_of};
use crate::engine::circuit::{Sent, Transition};
use crate::model::WriteItem;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// What delivery knows of the spool, and the change that is gathered for it.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Spool {
    /// Items in it after the last commit.
    pub(super) items: u64,
    /// Its first items as far as they were read, without those in flight.
    pub(super) front: VecDeque<(u64, WriteItem)>,
    /// Where reading goes on.
    pub(super) read_from: u64,
    pub(super) loading: bool,
    pub(super) next: StateChange,
    /// The change that is being committed.
    pub(super) committing: Option<StateChange>,
    /// Appending makes no sense before this instant, because there was no room.
    pub(super) append_at: Duration,
    /// Nothing can be committed before this instant, because the disk took not even a removal.
    pub(super) commit_at: Duration,
    pub(super) fulls: u32,
    /// When the first recent bar of the gathered change was acked.
    pub(super) recent_since: Option<Duration>,
}

/// How long acked bars wait for company before they are kept: one commit serves them all, and a crash forgets no more.
const RECENT_WAIT: Duration = Duration::from_secs(10);

impl Delivery {
    pub(super) fn next_commit(&mut self, now: Duration) -> Option<StateChange> {
        let enough = self.recent_enough();
        let spool = self.spool.as_mut()?;
        if spool.committing.is_some() || spool.commit_at(enough).is_none_or(|at| now < at) {
            return None;
        }
        let mut change = std::mem::take(&mut spool.next);
        spool.recent_since = None;
        if now < spool.append_at {
            spool.next.append = std::mem::take(&mut change.append);
        }
        spool.committing = Some(change.clone());
        Some(change)
    }

    /// While the store is out, what is due goes to the end of the spool, one commit at a time; the slower the disk, the
    /// more goes into one.
    pub(super) fn divert(&mut self, now: Duration) -> Option<Work> {
        let is_appending = self.spool.as_ref().is_none_or(Spool::is_appending);
        // What bypasses the spool may come back, and goes first then.
        let is_appending = is_appending || self.flights.values().any(|flight| flight.bypasses);
        if is_appending || !self.batcher.is_due(now, true, self.is_draining()) {
            return None;
        }
        let flying: usize = self.flights.values().map(|flight| flight.items.len()).sum();
        let len_max = self.settings.batch.len_max;
        // With what is still in flight no more than may be in flight at any time.
        let room = (len_max * self.settings.in_flight_max).saturating_sub(flying);
        let mut taken = 0;
        let fits = |taken| taken == 0 || taken + len_max <= room;
        while fits(taken) && self.batcher.is_due(now, true, self.is_draining()) {
            let Some(batch) = self.batcher.take() else {
                break;
            };
            taken += batch.items.len();
            self.spool_items(batch.items);
        }
        if taken == 0 {
            None
        } else {
            self.next_commit(now).map(Work::Commit)
        }
    }

    /// Queues items for the spool; forming bars are let go, since a newer update will follow.
    pub(super) fn spool_items(&mut self, items: Vec<WriteItem>) {
        let Some(spool) = &mut self.spool else { return };
        for item in items {
            if is_forming(&item) {
                self.batcher.release(&item);
            } else {
                spool.next.append.push(item);
            }
        }
    }

    /// The front of the spool as a probe or as the next drain, one flight at a time.
    pub(super) fn next_of_spool(&mut self, sent: Sent) -> Option<Work> {
        let spool = self.spool.as_mut()?;
        if self.flights.values().any(InFlight::drains) {
            return None;
        }
        if !spool.can_drain() {
            return None;
        }
        let len_max = self.settings.batch.len_max;
        if let Some(missing) = spool.missing_front(len_max) {
            spool.loading = true;
            return Some(Work::Load {
                from: spool.read_from,
                len_max: missing,
            });
        }
        let (places, mut items) = spool.take_front(len_max);
        let bypasses = places.is_empty();
        if bypasses {
            // The disk takes nothing and the spool is empty: what waits for it is all there is to probe with.
            // All of it, since a bar that is in it twice must not be in two flights.
            items = std::mem::take(&mut spool.next.append);
        }
        if items.is_empty() {
            return None;
        }
        if sent == Sent::Probe {
            self.circuit.probe_sent();
        }
        let batch = self.take_off(items, 1, sent, places);
        if let Some(flight) = self.flights.get_mut(&batch.flight) {
            flight.bypasses = bypasses;
        }
        Some(Work::Send(batch))
    }

    /// The front of the spool was read.
    pub fn loaded(&mut self, items: Vec<(u64, WriteItem)>) {
        if let Some(spool) = &mut self.spool {
            spool.loading = false;
            spool.read_from = items.last().map_or(spool.read_from, |(place, _)| place + 1);
            spool.front.extend(items);
        }
    }

    /// Recent bars that are worth a commit. Alone they wait for company: they only guard against a store that forgets.
    pub(super) fn recent_enough(&self) -> usize {
        if self.is_draining() {
            1
        } else {
            self.settings.batch.len_max
        }
    }

    /// Whether all that was pushed is in the store or the spool, and the state store knows of it.
    pub fn is_durable(&self) -> bool {
        self.is_settled() && self.spool.as_ref().is_none_or(Spool::is_settled)
    }

    /// Whether the last commit found no room.
    pub fn lacks_room(&self) -> bool {
        self.spool.as_ref().is_some_and(|spool| spool.fulls > 0)
    }

    /// Somebody else has appended to the spool while everything was settled; it drains before anything new.
    pub fn spool_grew(&mut self, spool_items: u64, now: Duration) {
        if let Some(spool) = &mut self.spool
            && spool_items > 0
        {
            spool.items = spool_items;
            self.circuit.drain(now);
        }
    }

    /// The commit under way is durable; the spool now holds `spool_items`. Says when live goes on.
    pub fn committed(&mut self, spool_items: u64, now: Duration) -> Option<Transition> {
        let spool = self.spool.as_mut()?;
        let change = spool.committing.take()?;
        (spool.items, spool.fulls) = (spool_items, 0);
        (spool.append_at, spool.commit_at) = (Duration::ZERO, Duration::ZERO);
        for item in change.append {
            self.batcher.release(&item);
            if let Some(update) = bar_of(&item) {
                self.coverage.record(update);
            }
        }
        for (item, _) in &change.dead {
            self.batcher.release(item);
        }
        spool
            .is_empty()
            .then(|| self.circuit.on_success(Sent::Batch, true, now))
            .flatten()
    }

    /// The commit under way changed nothing for want of room: it is made again, later.
    pub fn commit_failed(&mut self, now: Duration) {
        let Some(spool) = &mut self.spool else { return };
        let Some(mut change) = spool.committing.take() else {
            return;
        };
        spool.fulls += 1;
        spool.append_at = now + self.backoff.delay(spool.fulls.min(6), None);
        if change.append.is_empty() {
            // Not even what frees space was taken.
            spool.commit_at = spool.append_at;
        }
        if !change.recent.is_empty() {
            spool.recent_since = Some(now);
        }
        change.append.append(&mut spool.next.append);
        change.remove.append(&mut spool.next.remove);
        change.dead.append(&mut spool.next.dead);
        change.recent.append(&mut spool.next.recent);
        spool.next = change;
    }

    /// Whether a commit is under way, so that what it holds is in memory and perhaps on disk too.
    pub fn is_committing(&self) -> bool {
        self.spool
            .as_ref()
            .is_some_and(|spool| spool.committing.is_some())
    }
}

impl Spool {
    pub(super) fn is_empty(&self) -> bool {
        self.items == 0 && self.front.is_empty() && !self.is_appending()
    }

    /// Whether items are on their way into it.
    pub(super) fn is_appending(&self) -> bool {
        let committing = self
            .committing
            .as_ref()
            .is_some_and(|change| !change.append.is_empty());
        committing || !self.next.append.is_empty()
    }

    /// Whether items are on their way into the dead letters.
    pub(super) fn is_burying(&self) -> bool {
        let committing = self
            .committing
            .as_ref()
            .is_some_and(|change| !change.dead.is_empty());
        committing || !self.next.dead.is_empty()
    }

    /// When the gathered change is to be committed; `None` when there is nothing worth it, with `enough` recent bars.
    pub(super) fn commit_at(&self, enough: usize) -> Option<Duration> {
        if !self.next.remove.is_empty() || enough <= self.next.recent.len() {
            return Some(self.commit_at);
        }
        let adds = !self.next.append.is_empty() || !self.next.dead.is_empty();
        let recent = self.recent_since.filter(|_| !self.next.recent.is_empty());
        let recent = recent.map(|since| (since + RECENT_WAIT).max(self.commit_at));
        let added = adds.then(|| self.append_at.max(self.commit_at));
        [recent, added].into_iter().flatten().min()
    }

    /// Whether the front may be read and sent: never what was sent already and is still there on disk.
    pub(super) fn can_drain(&self) -> bool {
        !self.loading && self.committing.is_none() && self.next.remove.is_empty()
    }

    /// How many items are to be read before the first ones go out: two parcels are looked at to send one.
    fn missing_front(&self, len_max: usize) -> Option<usize> {
        let known = u64::try_from(self.front.len()).unwrap_or(u64::MAX);
        let missing = (2 * len_max).saturating_sub(self.front.len());
        (known < self.items && 0 < missing).then_some(missing)
    }

    /// The first items, without a manifest behind a bar that may yet fail.
    pub(super) fn take_front(&mut self, len_max: usize) -> (Vec<u64>, Vec<WriteItem>) {
        let is_bar = |item: &WriteItem| bar_of(item).is_some();
        let first = self.front.front().is_some_and(|(_, item)| is_bar(item));
        let len = self
            .front
            .iter()
            .take_while(|(_, item)| is_bar(item) == first)
            .count();
        let len = if first {
            self.cut(len, len_max)
        } else {
            len.min(len_max)
        };
        self.front.drain(..len).unzip()
    }

    /// How many of the first `len` bars go out together: updates of one bar that a batch held do not part. The store may
    /// have taken that batch, and its answer been lost; then an earlier update alone would take the last one back.
    fn cut(&self, len: usize, len_max: usize) -> usize {
        let keys: Vec<_> = self
            .front
            .iter()
            .take(len)
            .filter_map(|(_, item)| bar_of(item))
            .map(|update| update.bar.key())
            .collect();
        let last: HashMap<_, usize> = keys
            .iter()
            .enumerate()
            .map(|(place, key)| (*key, place))
            .collect();
        let parts = |cut: usize| keys[..cut].iter().position(|key| cut <= last[key]);
        let most = len.min(len_max);
        let mut cut = most;
        while let Some(place) = parts(cut) {
            if place == 0 {
                // Nothing fits before the first bar is whole, so what it takes with it comes along.
                let (mut end, mut place) = (0, 0);
                while place <= end && end < most {
                    end = end.max(last[&keys[place]]);
                    place += 1;
                }
                return most.min(end + 1);
            }
            cut = place;
        }
        cut
    }

    /// Whether everything told to the state store is durable.
    pub(super) fn is_settled(&self) -> bool {
        self.committing.is_none() && self.next == StateChange::default()
    }
}
