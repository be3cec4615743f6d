//! The state machine of delivery.

use super::settings::DeliverySettings;
use super::work::{Landed, Parcel, StateChange, Verdict, Work, bar_of, count_bars};
use crate::engine::batch::{Batch, Batcher, ItemKey, key_of};
use crate::engine::circuit::{Circuit, CircuitState, Failure, Sending, Sent, Transition};
use crate::engine::concurrency::Concurrency;
use crate::engine::coverage::Coverage;
use crate::engine::retry::{Backoff, Remedy};
use crate::model::{BarSpec, BarState, BarUpdate, Covered, Manifest, WriteItem};
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The state of everything between the shards and the store.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Delivery {
    settings: DeliverySettings,
    batcher: Batcher,
    backoff: Backoff,
    coverage: Coverage,
    circuit: Circuit,
    concurrency: Concurrency,
    flights: BTreeMap<u64, Flight>,
    next_flight: u64,
    /// Batches between two attempts, by the instant of the next one.
    waiting: BTreeMap<(Duration, u64), Batch>,
    spool: Option<Spool>,
    finals_only: bool,
    /// Set while everything is to leave memory as soon as it can.
    flushing: bool,
    halted: bool,
    closing: Option<Closing>,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
struct Flight {
    items: Arc<Vec<WriteItem>>,
    attempts: u32,
    sent: Sent,
    /// The places of the items in the spool; empty for items that come from the queue.
    places: Vec<u64>,
    /// Whether the items were on their way into the spool, which took nothing.
    bypasses: bool,
}

impl Flight {
    /// Whether it goes before anything that comes from the queue.
    fn drains(&self) -> bool {
        self.bypasses || !self.places.is_empty()
    }
}

/// The end of the input, told once.
#[derive(Debug, Clone, Copy)]
struct Closing {
    complete: bool,
    manifests_queued: bool,
}

/// What delivery knows of the spool, and the change that is gathered for it.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
struct Spool {
    /// Items in it after the last commit.
    items: u64,
    /// Its first items as far as they were read, without those in flight.
    front: VecDeque<(u64, WriteItem)>,
    /// Where reading goes on.
    read_from: u64,
    loading: bool,
    next: StateChange,
    /// The change that is being committed.
    committing: Option<StateChange>,
    /// Appending makes no sense before this instant, because there was no room.
    append_at: Duration,
    /// Nothing can be committed before this instant, because the disk took not even a removal.
    commit_at: Duration,
    fulls: u32,
}

impl Delivery {
    /// Makes an empty state; `spooled` is what an earlier run left in the spool, `None` when there is no state store.
    pub fn new(settings: DeliverySettings, spooled: Option<u64>) -> Delivery {
        let is_empty = spooled.unwrap_or(0) == 0;
        Delivery {
            batcher: Batcher::new(settings.batch),
            backoff: Backoff::new(settings.retry, settings.seed),
            coverage: Coverage::new(&settings.zone),
            circuit: Circuit::new(settings.probes, settings.seed, is_empty, Duration::ZERO),
            concurrency: Concurrency::new(settings.in_flight_max),
            flights: BTreeMap::new(),
            next_flight: 0,
            waiting: BTreeMap::new(),
            spool: spooled.map(|items| Spool { items, ..Spool::default() }),
            finals_only: false,
            flushing: false,
            halted: false,
            closing: None,
            settings,
        }
    }

    /// Whether more may be pushed.
    pub fn has_room(&self) -> bool {
        let spooling = self.spool.as_ref().map_or(0, |spool| spool.next.append.len() + spool.next.dead.len());
        !self.halted && !self.flushing && self.batcher.len() + spooling < self.settings.queue_len_max
    }

    /// Takes in an item of an estimated weight in bytes.
    pub fn push(&mut self, item: WriteItem, weight: usize, now: Duration) {
        if self.finals_only && is_forming(&item) {
            return;
        }
        self.batcher.push(item, weight, now);
    }

    /// Lets forming updates go from now on, or no longer, so that what is left of a budget goes to final bars.
    pub fn set_finals_only(&mut self, finals_only: bool) {
        self.finals_only = finals_only;
    }

    /// Takes in an update that an earlier run left in the store or the spool: it counts, and is not sent again.
    pub fn skip(&mut self, update: &BarUpdate) {
        self.coverage.record(update);
    }

    /// Takes nothing more in and closes every batch at once, until called with `false`.
    pub fn set_flushing(&mut self, flushing: bool) {
        self.flushing = flushing;
    }

    /// Whether everything pushed so far is in the store or the spool.
    pub fn is_settled(&self) -> bool {
        let from_queue = self.flights.values().any(|flight| flight.places.is_empty());
        let spooling = self.spool.as_ref().is_some_and(Spool::is_appending);
        self.batcher.is_empty() && !from_queue && self.waiting.is_empty() && !spooling
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

    /// The manifests to push, once: when the input is closed and every bar is in the store or the spool.
    pub fn manifests(&mut self) -> Vec<WriteItem> {
        let settled = self.is_settled();
        match &mut self.closing {
            Some(closing) if settled && !self.halted && !closing.manifests_queued => {
                closing.manifests_queued = true;
                self.coverage.take(closing.complete).into_iter().map(WriteItem::Manifest).collect()
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// The next thing to do now; `None` when only time or a report changes anything.
    pub fn next_work(&mut self, now: Duration) -> Option<Work> {
        if let Some(change) = self.next_commit(now) {
            return Some(Work::Commit(change));
        }
        if self.halted {
            return None;
        }
        match self.circuit.may_send(now) {
            Sending::Yes if self.circuit.state() == CircuitState::Closed => {
                self.next_batch(now).map(Work::Send)
            }
            Sending::Yes => self.divert(now).or_else(|| self.next_of_spool(Sent::Batch)),
            Sending::Probe => self.divert(now).or_else(|| self.next_of_spool(Sent::Probe)),
            Sending::No => self.divert(now),
        }
    }

    fn next_commit(&mut self, now: Duration) -> Option<StateChange> {
        let spool = self.spool.as_mut()?;
        // Recent bars alone wait for company: they only guard against a store that forgets.
        let enough = if self.closing.is_some() { 1 } else { self.settings.batch.len_max };
        if spool.committing.is_some() || spool.commit_at(enough).is_none_or(|at| now < at) {
            return None;
        }
        let mut change = std::mem::take(&mut spool.next);
        if now < spool.append_at {
            spool.next.append = std::mem::take(&mut change.append);
        }
        spool.committing = Some(change.clone());
        Some(change)
    }

    fn next_batch(&mut self, now: Duration) -> Option<Parcel> {
        let mut batch = self.take_waiting(now).or_else(|| self.take_queued(now))?;
        batch.attempts += 1;
        Some(self.take_off(batch.items, batch.attempts, Sent::Batch, Vec::new()))
    }

    fn take_off(&mut self, items: Vec<WriteItem>, attempts: u32, sent: Sent, places: Vec<u64>) -> Parcel {
        let (flight, items) = (self.next_flight, Arc::new(items));
        self.next_flight += 1;
        self.flights
            .insert(flight, Flight { items: Arc::clone(&items), attempts, sent, places, bypasses: false });
        Parcel { flight, items, attempts }
    }

    fn take_waiting(&mut self, now: Duration) -> Option<Batch> {
        let first = self.waiting.first_entry()?;
        if first.key().0 <= now { Some(first.remove()) } else { None }
    }

    fn take_queued(&mut self, now: Duration) -> Option<Batch> {
        let idle = self.flights.is_empty() && self.waiting.is_empty();
        if self.has_slot() && self.batcher.is_due(now, idle, self.is_draining()) {
            self.batcher.take()
        } else {
            None
        }
    }

    fn is_draining(&self) -> bool {
        self.flushing || self.closing.is_some()
    }

    fn has_slot(&self) -> bool {
        self.flights.len() + self.waiting.len() < self.concurrency.limit()
    }

    /// While the store is out, what is due goes to the end of the spool, one commit at a time.
    fn divert(&mut self, now: Duration) -> Option<Work> {
        let is_appending = self.spool.as_ref().is_none_or(Spool::is_appending);
        // What bypasses the spool may come back, and goes first then.
        let is_appending = is_appending || self.flights.values().any(|flight| flight.bypasses);
        if is_appending || !self.batcher.is_due(now, true, self.is_draining()) {
            return None;
        }
        let items = self.batcher.take()?.items;
        self.spool_items(items);
        self.next_commit(now).map(Work::Commit)
    }

    /// Queues items for the spool; forming bars are let go, since a newer update will follow.
    fn spool_items(&mut self, items: Vec<WriteItem>) {
        let Some(spool) = &mut self.spool else { return };
        for item in items {
            if is_forming(&item) {
                self.batcher.landed(&item);
            } else {
                spool.next.append.push(item);
            }
        }
    }

    /// The front of the spool as a probe or as the next drain, one flight at a time.
    fn next_of_spool(&mut self, sent: Sent) -> Option<Work> {
        let spool = self.spool.as_mut()?;
        if self.flights.values().any(Flight::drains) {
            return None;
        }
        if !spool.can_drain() {
            return None;
        }
        if spool.front.is_empty() && spool.items > 0 {
            spool.loading = true;
            return Some(Work::Load { from: spool.read_from, len_max: self.settings.batch.len_max });
        }
        let (places, mut items) = spool.take_front();
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
        let parcel = self.take_off(items, 1, sent, places);
        if let Some(flight) = self.flights.get_mut(&parcel.flight) {
            flight.bypasses = bypasses;
        }
        Some(Work::Send(parcel))
    }

    /// The front of the spool was read.
    pub fn loaded(&mut self, items: Vec<(u64, WriteItem)>) {
        if let Some(spool) = &mut self.spool {
            spool.loading = false;
            spool.read_from = items.last().map_or(spool.read_from, |(place, _)| place + 1);
            spool.front.extend(items);
        }
    }

    /// The next instant at which time alone makes something due.
    pub fn deadline(&self) -> Option<Duration> {
        let enough = if self.closing.is_some() { 1 } else { self.settings.batch.len_max };
        let idle = self.spool.as_ref().filter(|spool| spool.committing.is_none());
        let commit = idle.and_then(|spool| spool.commit_at(enough));
        if self.halted {
            return commit;
        }
        let is_closed = self.circuit.state() == CircuitState::Closed;
        let attempt = self.waiting.keys().next().map(|(due, _)| *due);
        let bypassed = self.flights.values().any(|flight| flight.bypasses);
        let diverts = !is_closed && !bypassed && !self.spool.as_ref().is_some_and(Spool::is_appending);
        let batch = if (is_closed && self.has_slot()) || diverts { self.batcher.due_at() } else { None };
        let spool_flies = self.flights.values().any(Flight::drains);
        let can_probe = self
            .spool
            .as_ref()
            .is_some_and(|spool| spool.can_drain() && (spool.items > 0 || !spool.next.append.is_empty()));
        let probe = if spool_flies || !can_probe { None } else { self.circuit.deadline() };
        [commit, attempt, batch, probe].into_iter().flatten().min()
    }

    /// A flight has come back: settles every item, and says what becomes of those that failed.
    pub fn landed(&mut self, landed: Landed, now: Duration) -> Vec<Verdict> {
        let at_limit = !self.has_slot();
        let Some(flight) = self.flights.remove(&landed.flight) else { return Vec::new() };
        let is_spooled = !flight.places.is_empty();
        let (mut failed, mut dead, mut gravest) = (Vec::new(), Vec::new(), None::<Remedy>);
        let (mut settled, mut left) = (Vec::new(), VecDeque::new());
        let failures = fates(&flight.items, landed.failures);
        for (index, (item, failure)) in flight.items.iter().zip(failures).enumerate() {
            let place = flight.places.get(index).copied();
            match failure {
                None => {
                    settled.extend(place);
                    self.acked(item, is_spooled);
                }
                Some((Remedy::Refuse, reason)) if self.spool.is_some() => {
                    settled.extend(place);
                    if let Some(update) = bar_of(item) {
                        self.coverage.refuse(update);
                    }
                    dead.push((item.clone(), reason));
                }
                Some((remedy, _)) => {
                    gravest = gravest.filter(|known| known.gravity() >= remedy.gravity()).or(Some(remedy));
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
                self.concurrency.on_answer(landed.took, at_limit);
                verdicts.extend(self.succeeded(flight.sent, now));
            }
            Some(remedy) => {
                self.concurrency.on_trouble();
                verdicts.push(self.failed(&flight, failed, remedy, now));
            }
        }
        verdicts
    }

    fn acked(&mut self, item: &WriteItem, is_spooled: bool) {
        if !is_spooled {
            self.batcher.landed(item);
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
        }
    }

    fn succeeded(&mut self, sent: Sent, now: Duration) -> Option<Verdict> {
        let is_empty = self.spool.as_ref().is_none_or(Spool::is_empty);
        let transition = self.circuit.on_success(sent, is_empty, now)?;
        Some(Verdict::Spooled { items: 0, transition: Some(transition) })
    }

    fn failed(&mut self, flight: &Flight, items: Vec<WriteItem>, remedy: Remedy, now: Duration) -> Verdict {
        let is_spooled = !flight.places.is_empty();
        let failure = match remedy {
            Remedy::Retry { after } => Failure::Outage { after },
            Remedy::Reconnect => Failure::Outage { after: None },
            Remedy::Pause => Failure::Quota,
            Remedy::Refuse | Remedy::Fatal => return self.halt(is_spooled, flight.attempts, items, now),
        };
        let is_closed = self.circuit.state() == CircuitState::Closed;
        let after = match failure {
            Failure::Outage { after } => Some(after),
            Failure::Quota => None,
        };
        if !is_spooled
            && is_closed
            && let Some(delay) = after.and_then(|after| self.backoff.next(flight.attempts, after))
        {
            let count = items.len();
            let batch = Batch { items, attempts: flight.attempts };
            self.waiting.insert((now + delay, self.next_flight), batch);
            self.next_flight += 1;
            return Verdict::Again { items: count, delay };
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
        Verdict::Spooled { items: count, transition }
    }

    /// Ends sending; the items stay in memory until [`Delivery::rescue`].
    fn halt(&mut self, is_spooled: bool, attempts: u32, items: Vec<WriteItem>, now: Duration) -> Verdict {
        self.halted = true;
        if !is_spooled {
            self.waiting.insert((now, self.next_flight), Batch { items, attempts });
            self.next_flight += 1;
        }
        Verdict::Halted
    }

    /// The commit under way is durable; the spool now holds `spool_items`. Says when live goes on.
    pub fn committed(&mut self, spool_items: u64, now: Duration) -> Option<Transition> {
        let spool = self.spool.as_mut()?;
        let change = spool.committing.take()?;
        (spool.items, spool.fulls) = (spool_items, 0);
        (spool.append_at, spool.commit_at) = (Duration::ZERO, Duration::ZERO);
        for item in change.append {
            self.batcher.landed(&item);
            if let Some(update) = bar_of(&item) {
                self.coverage.record(update);
            }
        }
        for (item, _) in &change.dead {
            self.batcher.landed(item);
        }
        spool.is_empty().then(|| self.circuit.on_success(Sent::Batch, true, now)).flatten()
    }

    /// The commit under way changed nothing for want of room: it is made again, later.
    pub fn commit_failed(&mut self, now: Duration) {
        let Some(spool) = &mut self.spool else { return };
        let Some(mut change) = spool.committing.take() else { return };
        spool.fulls += 1;
        spool.append_at = now + self.backoff.delay(spool.fulls.min(6), None);
        if change.append.is_empty() {
            // Not even what frees space was taken.
            spool.commit_at = spool.append_at;
        }
        change.append.append(&mut spool.next.append);
        change.remove.append(&mut spool.next.remove);
        change.dead.append(&mut spool.next.dead);
        change.recent.append(&mut spool.next.recent);
        spool.next = change;
    }

    /// Whether nothing is left to do: everything is in the store and the manifests too, or sending has ended.
    pub fn is_done(&self) -> bool {
        let spool_rests = self.spool.as_ref().is_none_or(|spool| spool.items == 0 && spool.is_settled());
        let finished = self.closing.is_some_and(|closing| closing.manifests_queued)
            && self.batcher.is_empty()
            && self.waiting.is_empty()
            && spool_rests;
        self.flights.is_empty() && (self.halted || finished)
    }

    /// Takes everything that is neither known to be in the store nor in the spool, in order, for one last commit;
    /// the manifests come last, once the input is closed. Nothing is sent after it.
    pub fn rescue(&mut self) -> StateChange {
        self.halted = true;
        let mut append = Vec::new();
        for (_, flight) in std::mem::take(&mut self.flights) {
            if flight.places.is_empty() {
                append.extend(flight.items.iter().cloned());
            }
        }
        for (_, batch) in std::mem::take(&mut self.waiting) {
            append.extend(batch.items);
        }
        let mut change = StateChange::default();
        if let Some(spool) = &mut self.spool {
            change = spool.committing.take().unwrap_or_default();
            change.remove.append(&mut spool.next.remove);
            change.dead.append(&mut spool.next.dead);
            change.recent.append(&mut spool.next.recent);
            append.append(&mut change.append);
            append.append(&mut spool.next.append);
        }
        append.extend(self.batcher.drain());
        append.retain(|item| !is_forming(item));
        for update in append.iter().filter_map(bar_of) {
            self.coverage.record(update);
        }
        if let Some(Closing { complete, manifests_queued: false }) = self.closing {
            append.extend(self.coverage.take(complete).into_iter().map(WriteItem::Manifest));
        }
        StateChange { append, ..change }
    }

    /// Whether a commit is under way, so that what it holds is in memory and perhaps on disk too.
    pub fn is_committing(&self) -> bool {
        self.spool.as_ref().is_some_and(|spool| spool.committing.is_some())
    }

    /// Where the circuit stands.
    pub fn circuit(&self) -> CircuitState {
        self.circuit.state()
    }

    /// Items in the spool after the last commit.
    pub fn spooled(&self) -> u64 {
        self.spool.as_ref().map_or(0, |spool| spool.items)
    }

    /// Items waiting.
    pub fn queued(&self) -> usize {
        self.batcher.len()
    }

    /// Batches under way or waiting for their next attempt.
    pub fn in_flight(&self) -> usize {
        self.flights.len() + self.waiting.len()
    }

    /// Forming updates replaced by newer ones before they were sent.
    pub fn coalesced(&self) -> u64 {
        self.batcher.coalesced()
    }

    /// Bars in memory that are neither known to be in the store nor in the spool.
    pub fn bars_at_risk(&self) -> u64 {
        let flying = self.flights.values().filter(|flight| flight.places.is_empty());
        let flying: u64 = flying.map(|flight| count_bars(&flight.items)).sum();
        let waiting: u64 = self.waiting.values().map(|batch| count_bars(&batch.items)).sum();
        flying + waiting + self.batcher.len() as u64
    }
}

impl Spool {
    fn is_empty(&self) -> bool {
        self.items == 0 && self.front.is_empty() && !self.is_appending()
    }

    /// Whether items are on their way into it.
    fn is_appending(&self) -> bool {
        let committing = self.committing.as_ref().is_some_and(|change| !change.append.is_empty());
        committing || !self.next.append.is_empty()
    }

    /// When the gathered change is to be committed; `None` when there is nothing worth it, with `enough` recent bars.
    fn commit_at(&self, enough: usize) -> Option<Duration> {
        if !self.next.remove.is_empty() || enough <= self.next.recent.len() {
            return Some(self.commit_at);
        }
        let adds = !self.next.append.is_empty() || !self.next.dead.is_empty();
        adds.then(|| self.append_at.max(self.commit_at))
    }

    /// Whether the front may be read and sent: never what was sent already and is still there on disk.
    fn can_drain(&self) -> bool {
        !self.loading && self.committing.is_none() && self.next.remove.is_empty()
    }

    /// The first items, without a manifest behind a bar that may yet fail.
    fn take_front(&mut self) -> (Vec<u64>, Vec<WriteItem>) {
        let is_bar = |item: &WriteItem| bar_of(item).is_some();
        let first = self.front.front().is_some_and(|(_, item)| is_bar(item));
        let len = self.front.iter().take_while(|(_, item)| is_bar(item) == first).count();
        self.front.drain(..len).unzip()
    }

    /// Whether everything told to the state store is durable.
    fn is_settled(&self) -> bool {
        self.committing.is_none() && self.next == StateChange::default()
    }
}

fn is_forming(item: &WriteItem) -> bool {
    bar_of(item).is_some_and(|update| update.state == BarState::Forming)
}

/// The failure of each item; a bar that occurs twice has the fate of its last occurrence, which is the one that counts.
fn fates(items: &[WriteItem], failures: Vec<Option<(Remedy, String)>>) -> Vec<Option<(Remedy, String)>> {
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
