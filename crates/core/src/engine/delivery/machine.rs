//! The delivery state machine: what to accept, what to send or spool next, what becomes of what was sent, and the end of
//! the input.

use super::spool::{Front, Spool};
use super::work::{Completion, DeliverySettings, OutgoingBatch, StateChange, Verdict, Work};
use crate::engine::batch::{Batcher, ItemKey, bar_of, is_forming, key_of};
use crate::engine::circuit::{Circuit, CircuitState, Failure, Sent, Transition};
use crate::engine::concurrency::Concurrency;
use crate::engine::coverage::Coverage;
use crate::engine::retry::{Backoff, Remedy};
use crate::model::{BarSpec, BarUpdate, Covered, Manifest, Symbol, Timestamp, WriteItem};
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Manifests that go with the last bars at most; more of them go in batches of their own.
const JOINED_MAX: usize = 64;
/// Bytes that one manifest adds to a request at most.
const MANIFEST_BYTES: usize = 1_024;
/// How many items before its turn what an item needs is fetched.
const FETCHED_AHEAD: usize = 8;

/// The state of everything between the shards and the store.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any may hold with any other"
)]
pub struct Delivery {
    settings: DeliverySettings,
    batcher: Batcher,
    backoff: Backoff,
    coverage: Coverage,
    circuit: Circuit,
    concurrency: Concurrency,
    flights: BTreeMap<u64, InFlight>,
    next_flight: u64,
    /// Batches between two attempts, by the instant of the next one.
    waiting: BTreeMap<(Duration, u64), Retry>,
    /// Always empty without a state store.
    spool: Spool,
    has_spool: bool,
    finals_only: bool,
    /// Forming updates that were left out for the sake of the budget.
    left_out: u64,
    /// Set while everything is to leave memory as soon as it can.
    flushing: bool,
    halted: bool,
    /// Whether the store takes manifests behind the bars they speak of.
    joins: bool,
    closing: Option<Closing>,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
struct InFlight {
    batch: OutgoingBatch,
    sent: Sent,
    source: BatchSource,
}

/// Where the items of a batch come from.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
enum BatchSource {
    /// The queue. Manifests may stand behind the bars; those are no items of the queue.
    Queue { with_manifests: bool },
    /// The spool, at these positions.
    Spool(Vec<u64>),
    /// Items on their way into the spool, which takes nothing.
    Bypass,
}

impl InFlight {
    fn is_spooled(&self) -> bool {
        matches!(self.source, BatchSource::Spool(_))
    }

    fn bypasses(&self) -> bool {
        matches!(self.source, BatchSource::Bypass)
    }

    /// Whether manifests stand behind the bars.
    fn closes(&self) -> bool {
        matches!(
            self.source,
            BatchSource::Queue {
                with_manifests: true
            }
        )
    }

    /// Its items that are nowhere else.
    fn unspooled(&self) -> impl Iterator<Item = &WriteItem> {
        let is_own =
            |item: &&WriteItem| !self.is_spooled() && (!self.closes() || bar_of(item).is_some());
        self.batch.items.iter().filter(is_own)
    }
}

/// A batch between two attempts.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
struct Retry {
    items: Vec<WriteItem>,
    /// Attempts made so far.
    attempts: u32,
}

/// The end of the input, set once.
#[derive(Debug, Clone)]
struct Closing {
    complete: bool,
    manifests_queued: bool,
    /// Manifests that are in the store already.
    written: Vec<WriteItem>,
}

/// What is taken in, and how things stand.
impl Delivery {
    /// Makes an empty state; `spooled` is what an earlier run left in the spool, `None` when there is no state store.
    pub fn new(settings: DeliverySettings, spooled: Option<u64>) -> Delivery {
        let items = spooled.unwrap_or(0);
        Delivery {
            batcher: Batcher::new(settings.batch),
            backoff: Backoff::new(settings.retry, settings.seed),
            coverage: Coverage::new(&settings.zone, settings.origin.clone()),
            circuit: Circuit::new(settings.probes, settings.seed, items == 0, Duration::ZERO),
            concurrency: Concurrency::new(settings.in_flight_max),
            flights: BTreeMap::new(),
            next_flight: 0,
            waiting: BTreeMap::new(),
            spool: Spool::new(items),
            has_spool: spooled.is_some(),
            finals_only: false,
            left_out: 0,
            flushing: false,
            halted: false,
            joins: false,
            closing: None,
            settings,
        }
    }

    /// Whether more may be pushed.
    pub fn has_room(&self) -> bool {
        let len = self.batcher.len() + self.spool.gathered_len();
        !self.halted && !self.flushing && len < self.settings.queue_len_max
    }

    /// Takes in an item of an estimated weight in bytes.
    #[inline]
    pub fn push(&mut self, item: WriteItem, weight: usize, now: Duration) {
        if self.finals_only && is_forming(&item) {
            self.left_out += 1;
            return;
        }
        self.batcher.push(item, weight, now);
    }

    /// Takes in an update that an earlier run left in the store or the spool: it counts, and is not sent again.
    pub fn skip(&mut self, update: &BarUpdate) {
        self.coverage.record(update);
    }

    /// Takes what earlier runs wrote: the manifests of this run add to it. Called before the first bar.
    pub fn resume(&mut self, earlier: Vec<Manifest>) {
        self.coverage.resume(earlier);
    }

    /// Takes intervals that a feed vouches for; their bars, of these specs, were all pushed.
    pub fn covered(&mut self, specs: &[BarSpec], covered: &[Covered]) {
        self.coverage.cover(specs, covered);
    }

    /// Notes trades that are in no bar since they came too late.
    pub fn late(&mut self, late: &[(Symbol, Timestamp)]) {
        for &(symbol, time) in late {
            self.coverage.late(symbol, time);
        }
    }

    /// Says that no more bars come; `complete` when every trade of the input is in them.
    pub fn close(&mut self, complete: bool) {
        self.closing = Some(Closing {
            complete,
            manifests_queued: false,
            written: Vec::new(),
        });
    }

    /// Says whether the store writes manifests behind the bars of a batch only when every bar is written.
    pub fn set_joins(&mut self, joins: bool) {
        self.joins = joins;
    }

    /// Lets forming updates go from now on, or no longer, so that what is left of a budget goes to final bars.
    pub fn set_finals_only(&mut self, finals_only: bool) {
        if finals_only && !self.finals_only {
            self.left_out += self.batcher.drop_forming();
        }
        self.finals_only = finals_only;
    }

    /// Takes nothing more in and closes every batch at once, until called with `false`.
    pub fn set_flushing(&mut self, flushing: bool) {
        self.flushing = flushing;
    }

    /// Ends sending, because nothing will succeed before a person acts; what is left is for [`Delivery::rescue`].
    pub fn stop(&mut self) {
        self.halted = true;
    }

    /// Where the circuit stands.
    pub fn circuit(&self) -> CircuitState {
        self.circuit.state()
    }

    /// Items in the spool after the last commit.
    pub fn spooled(&self) -> u64 {
        self.spool.items()
    }

    /// Items waiting.
    pub fn queued(&self) -> usize {
        self.batcher.len()
    }

    /// Batches under way or waiting for their next attempt.
    pub fn in_flight(&self) -> usize {
        self.flights.len() + self.waiting.len()
    }

    /// Forming updates left out so that what is left of a budget goes to final bars.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Forming updates replaced by newer ones before they were sent.
    pub fn coalesced(&self) -> u64 {
        self.batcher.coalesced()
    }

    /// Whether the last commit found no room.
    pub fn lacks_room(&self) -> bool {
        self.spool.lacks_room()
    }

    /// Whether a commit is under way, so that what it holds is in memory and perhaps on disk too.
    pub fn is_committing(&self) -> bool {
        self.spool.is_committing()
    }

    /// Whether everything pushed so far is in the store, the spool or the dead letters, for good.
    pub fn is_settled(&self) -> bool {
        let from_queue = self.flights.values().any(|flight| !flight.is_spooled());
        let spooling = self.spool.is_appending() || self.spool.is_burying();
        self.batcher.is_empty() && !from_queue && self.waiting.is_empty() && !spooling
    }

    /// Whether all that was pushed is in the store or the spool, and the state store knows of it.
    pub fn is_durable(&self) -> bool {
        self.is_settled() && self.spool.is_settled()
    }

    /// Whether nothing is left to do: everything is in the store and the manifests too, or sending has ended.
    pub fn is_done(&self) -> bool {
        let closing = self.closing.as_ref();
        let finished = closing.is_some_and(|end| end.manifests_queued)
            && self.batcher.is_empty()
            && self.waiting.is_empty()
            && self.spool.items() == 0
            && self.spool.is_settled();
        self.flights.is_empty() && (self.halted || finished)
    }

    fn is_draining(&self) -> bool {
        self.flushing || self.closing.is_some()
    }

    fn is_closed(&self) -> bool {
        self.circuit.state() == CircuitState::Closed
    }

    fn has_slot(&self) -> bool {
        self.in_flight() < self.concurrency.limit()
    }

    /// Recent bars that are worth a commit. Alone they wait for company: they only guard against a store that forgets.
    fn recent_enough(&self) -> usize {
        if self.is_draining() {
            1
        } else {
            self.settings.batch.len_max
        }
    }
}

/// What goes out next.
impl Delivery {
    /// The next thing to do now; `None` when only time or a report changes anything.
    pub fn next_work(&mut self, now: Duration) -> Option<Work> {
        let commit = self.next_commit(now);
        if commit.is_some() || self.halted {
            return commit;
        }
        match self.circuit.may_send(now) {
            Some(Sent::Batch) if self.is_closed() => self.next_batch(now).map(Work::Send),
            // The front of the spool first: a disk that is never done with appending would let nothing out.
            Some(sent) => self.next_of_spool(sent).or_else(|| self.divert(now)),
            None => self.divert(now),
        }
    }

    /// The next instant at which time alone makes something due.
    pub fn deadline(&self) -> Option<Duration> {
        let enough = self.recent_enough();
        let commit = self.spool.due_at(enough);
        if self.halted {
            return commit;
        }
        let attempt = self.waiting.keys().next().map(|(due, _)| *due);
        let is_taken = if self.is_closed() {
            self.has_slot() && !self.may_join()
        } else {
            !self.is_diverting()
        };
        let batch = self.batcher.due_at().filter(|_| is_taken);
        let can_probe = self.spool.can_probe() && !self.drains();
        let probe = self.circuit.deadline().filter(|_| can_probe);
        [commit, attempt, batch, probe].into_iter().flatten().min()
    }

    fn next_commit(&mut self, now: Duration) -> Option<Work> {
        let enough = self.recent_enough();
        self.spool.next_commit(enough, now).map(Work::Commit)
    }

    /// A batch whose next attempt is due, else one of the queue; the last one takes the manifests along.
    fn next_batch(&mut self, now: Duration) -> Option<OutgoingBatch> {
        let due = self
            .waiting
            .first_entry()
            .filter(|first| first.key().0 <= now);
        if let Some(first) = due {
            let Retry { items, attempts } = first.remove();
            let source = BatchSource::Queue {
                with_manifests: false,
            };
            return Some(self.launch(items, attempts + 1, Sent::Batch, source));
        }
        let idle = self.flights.is_empty() && self.waiting.is_empty();
        let waits = !idle && self.may_join();
        if waits || !self.has_slot() || !self.batcher.is_due(now, idle, self.is_draining()) {
            return None;
        }
        let bytes = self.batcher.bytes();
        let mut items = self.batcher.take()?;
        let manifests = if idle && self.batcher.is_empty() {
            self.closing_manifests(&items, bytes)
        } else {
            Vec::new()
        };
        let with_manifests = !manifests.is_empty();
        items.extend(manifests);
        Some(self.launch(items, 1, Sent::Batch, BatchSource::Queue { with_manifests }))
    }

    fn launch(
        &mut self,
        items: Vec<WriteItem>,
        attempts: u32,
        sent: Sent,
        source: BatchSource,
    ) -> OutgoingBatch {
        let batch = OutgoingBatch {
            flight: self.next_flight,
            items: Arc::new(items),
            attempts,
        };
        self.next_flight += 1;
        let flight = InFlight {
            batch: batch.clone(),
            sent,
            source,
        };
        self.flights.insert(batch.flight, flight);
        batch
    }

    /// Whether something is under way that goes before anything from the queue.
    fn drains(&self) -> bool {
        let is_first = |flight: &InFlight| flight.is_spooled() || flight.bypasses();
        self.flights.values().any(is_first)
    }

    /// The front of the spool as a probe or as the next drain, one flight at a time.
    fn next_of_spool(&mut self, sent: Sent) -> Option<Work> {
        if self.drains() {
            return None;
        }
        let len_max = self.settings.batch.len_max;
        let (items, source) = match self.spool.take_front(len_max)? {
            Front::Load { from, len_max } => return Some(Work::Load { from, len_max }),
            Front::Items(positions, items) => (items, BatchSource::Spool(positions)),
            Front::Bypass(items) => (items, BatchSource::Bypass),
        };
        if sent == Sent::Probe {
            self.circuit.probe_sent();
        }
        Some(Work::Send(self.launch(items, 1, sent, source)))
    }

    /// Whether items are on their way into the spool, or around it: these may come back, and go first then.
    fn is_diverting(&self) -> bool {
        self.spool.is_appending() || self.flights.values().any(InFlight::bypasses)
    }

    /// While the store is out, what is due goes to the end of the spool, one commit at a time; the slower the disk, the
    /// more goes into one.
    fn divert(&mut self, now: Duration) -> Option<Work> {
        if !self.has_spool || self.is_diverting() {
            return None;
        }
        let flying = self.flights.values().map(|flight| flight.batch.items.len());
        let flying: usize = flying.sum();
        let len_max = self.settings.batch.len_max;
        // With what is still in flight no more than may be in flight at any time.
        let room = (len_max * self.settings.in_flight_max).saturating_sub(flying);
        let mut taken = 0;
        while (taken == 0 || taken + len_max <= room)
            && self.batcher.is_due(now, true, self.is_draining())
            && let Some(items) = self.batcher.take()
        {
            taken += items.len();
            self.spool_items(items);
        }
        if taken == 0 {
            return None;
        }
        self.next_commit(now)
    }

    /// Gathers items for the spool; forming bars are let go, since a newer update will follow.
    fn spool_items(&mut self, items: Vec<WriteItem>) {
        for item in items {
            if is_forming(&item) {
                self.batcher.release(&item);
            } else {
                self.spool.append(item);
            }
        }
    }
}

/// What became of what went out.
impl Delivery {
    /// A flight has come back: settles every item, and says what becomes of those that failed.
    pub fn completed(&mut self, completion: Completion, now: Duration) -> Vec<Verdict> {
        let at_limit = !self.has_slot();
        let Some(flight) = self.flights.remove(&completion.flight) else {
            return Vec::new();
        };
        let items = &flight.batch.items;
        let positions = match &flight.source {
            BatchSource::Spool(positions) => positions.as_slice(),
            BatchSource::Queue { .. } | BatchSource::Bypass => &[],
        };
        let (mut failed, mut dead, mut gravest) = (Vec::new(), Vec::new(), None::<Remedy>);
        let (mut done, mut left) = (Vec::new(), Vec::new());
        let failures = fates(items, completion.failures);
        for (index, (item, failure)) in items.iter().zip(failures).enumerate() {
            if let Some(update) = items.get(index + FETCHED_AHEAD).and_then(bar_of) {
                self.coverage.fetch(update.bar.symbol);
            }
            if flight.closes() && bar_of(item).is_none() {
                // A manifest behind the last bars; one that failed is made anew.
                if let Some(closing) = self.closing.as_mut().filter(|_| failure.is_none()) {
                    closing.written.push(item.clone());
                }
                continue;
            }
            let position = positions.get(index).copied();
            match failure {
                None => {
                    done.extend(position);
                    self.acked(item, flight.is_spooled(), now);
                }
                Some((Remedy::Refuse, reason)) if self.has_spool => {
                    done.extend(position);
                    if let Some(update) = bar_of(item) {
                        self.coverage.refuse(update);
                    }
                    dead.push((item.clone(), reason));
                }
                Some((remedy, _)) => {
                    gravest = gravest
                        .filter(|known| known.severity() >= remedy.severity())
                        .or(Some(remedy));
                    left.extend(position.map(|position| (position, item.clone())));
                    failed.push(item.clone());
                }
            }
        }
        let mut verdicts = Vec::new();
        if !dead.is_empty() {
            verdicts.push(Verdict::Dead { items: dead.len() });
        }
        self.spool.returned(&done, left, dead);
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

    fn acked(&mut self, item: &WriteItem, is_spooled: bool, now: Duration) {
        let update = bar_of(item);
        if !is_spooled {
            self.batcher.release(item);
            if let Some(update) = update {
                self.coverage.record(update);
            }
        }
        let is_kept = self.has_spool && self.settings.keeps_recent && !is_forming(item);
        if let Some(update) = update.filter(|_| is_kept) {
            let len_max = self.settings.queue_len_max;
            self.spool.keep_recent(*update, len_max, now);
        }
    }

    fn succeeded(&mut self, sent: Sent, now: Duration) -> Option<Verdict> {
        let transition = self.circuit.on_success(sent, self.spool.is_empty(), now)?;
        Some(Verdict::Spooled {
            items: 0,
            transition: Some(transition),
        })
    }

    /// Tries the items again, spools them, or ends sending.
    fn failed(
        &mut self,
        flight: &InFlight,
        items: Vec<WriteItem>,
        remedy: Remedy,
        now: Duration,
    ) -> Verdict {
        // What came from the spool is at its front again.
        let items = if flight.is_spooled() {
            Vec::new()
        } else {
            items
        };
        let attempts = flight.batch.attempts;
        let failure = match remedy {
            Remedy::Retry { after } => Failure::Outage { after },
            Remedy::Reconnect => Failure::Outage { after: None },
            Remedy::Pause => Failure::Quota,
            Remedy::Refuse | Remedy::Fatal => return self.halt(items, attempts, now),
        };
        // A store that wants to be left alone for longer than any backoff is out: batches go to the spool meanwhile.
        let backoff_max = self.settings.retry.backoff_max;
        let is_out = |after: Option<Duration>| {
            self.has_spool && after.is_some_and(|wish| backoff_max < wish)
        };
        if let Failure::Outage { after } = failure
            && !flight.is_spooled()
            && self.is_closed()
            && !is_out(after)
            && let Some(delay) = self.backoff.next(attempts, after)
        {
            let count = items.len();
            self.wait(now + delay, Retry { items, attempts });
            return Verdict::Again {
                items: count,
                delay,
            };
        }
        if !self.has_spool {
            return self.halt(items, attempts, now);
        }
        let transition = self.circuit.on_failure(flight.sent, failure, now);
        let count = items.len();
        self.spool_items(items);
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
    fn halt(&mut self, items: Vec<WriteItem>, attempts: u32, now: Duration) -> Verdict {
        self.halted = true;
        if !items.is_empty() {
            self.wait(now, Retry { items, attempts });
        }
        Verdict::Halted
    }

    fn wait(&mut self, until: Duration, batch: Retry) {
        self.waiting.insert((until, self.next_flight), batch);
        self.next_flight += 1;
    }

    /// The front of the spool was read.
    pub fn loaded(&mut self, items: Vec<(u64, WriteItem)>) {
        self.spool.loaded(items);
    }

    /// Somebody else has appended to the spool while everything was settled; it drains before anything new.
    pub fn spool_grew(&mut self, spool_items: u64, now: Duration) {
        if self.has_spool && spool_items > 0 {
            self.spool.grew(spool_items);
            self.circuit.drain(now);
        }
    }

    /// The commit under way is durable; the spool now holds `spool_items`. Says when live goes on.
    pub fn committed(&mut self, spool_items: u64, now: Duration) -> Option<Transition> {
        let change = self.spool.committed(spool_items)?;
        for item in change.append {
            self.batcher.release(&item);
            if let Some(update) = bar_of(&item) {
                self.coverage.record(update);
            }
        }
        for (item, _) in &change.dead {
            self.batcher.release(item);
        }
        if !self.spool.is_empty() {
            return None;
        }
        self.circuit.on_success(Sent::Batch, true, now)
    }

    /// The commit under way changed nothing for want of room: it is made again, later.
    pub fn commit_failed(&mut self, now: Duration) {
        self.spool.commit_failed(now, &mut self.backoff);
    }
}

/// The end of the input, and what is left when sending ends before it.
impl Delivery {
    /// The manifests to push, once: when the input is closed and every bar is in the store or the spool.
    pub fn manifests(&mut self) -> Vec<WriteItem> {
        if self.halted || !self.is_settled() {
            return Vec::new();
        }
        match &mut self.closing {
            Some(closing) if !closing.manifests_queued => {
                closing.manifests_queued = true;
                let manifests = self.coverage.take(closing.complete).into_iter();
                manifests
                    .map(WriteItem::Manifest)
                    .filter(|manifest| !closing.written.contains(manifest))
                    .collect()
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Whether what is left of the queue is the last batch, which waits for those before it to take the manifests along:
    /// by themselves they would wait as long.
    fn may_join(&self) -> bool {
        let closing = self.closing.as_ref();
        self.joins
            && closing.is_some_and(|end| !end.manifests_queued)
            && self.batcher.len() < self.settings.batch.len_max
            && self.batcher.bytes() < self.settings.batch.bytes_max
            && self.spool.is_empty()
            && !self.spool.is_burying()
            && self.coverage.manifest_count() <= JOINED_MAX
    }

    /// The manifests for the end of the last batch, when all before it is in the store; none where they do not fit.
    ///
    /// They speak of its bars as written, which they are before the manifests, or neither is. Whatever else comes of the
    /// batch, [`Delivery::manifests`] decides in the end.
    fn closing_manifests(&self, items: &[WriteItem], bytes: usize) -> Vec<WriteItem> {
        let Some(closing) = self.closing.as_ref().filter(|_| self.may_join()) else {
            return Vec::new();
        };
        let limits = &self.settings.batch;
        let by_bytes = limits.bytes_max.saturating_sub(bytes) / MANIFEST_BYTES;
        let by_len = limits.len_max.saturating_sub(items.len());
        let len_max = by_len.min(by_bytes).min(JOINED_MAX);
        let manifests = self.coverage.with(items, closing.complete, len_max);
        let manifests = manifests.unwrap_or_default().into_iter();
        manifests.map(WriteItem::Manifest).collect()
    }

    /// Takes everything that is neither known to be in the store nor in the spool, in order, for one last commit;
    /// the manifests come last, once the input is closed. Nothing is sent after it.
    pub fn rescue(&mut self) -> StateChange {
        self.halted = true;
        let flights = std::mem::take(&mut self.flights);
        let unspooled = flights.values().flat_map(InFlight::unspooled);
        let mut append: Vec<WriteItem> = unspooled.cloned().collect();
        let waiting = std::mem::take(&mut self.waiting).into_values();
        append.extend(waiting.flat_map(|batch| batch.items));
        let mut change = self.spool.rescue();
        append.append(&mut change.append);
        append.extend(self.batcher.drain());
        append.retain(|item| !is_forming(item));
        for update in append.iter().filter_map(bar_of) {
            self.coverage.record(update);
        }
        if let Some(closing) = self.closing.as_ref().filter(|end| !end.manifests_queued) {
            let manifests = self.coverage.take(closing.complete).into_iter();
            append.extend(manifests.map(WriteItem::Manifest));
        }
        StateChange { append, ..change }
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
