//! Drain at the end of the input, and rescue of pending items when sending ends early.

use super::machine::{Closing, Delivery, is_forming};
use super::work::{StateChange, bar_of, count_bars};
use crate::model::{BarSpec, Covered, Manifest, Symbol, Timestamp, WriteItem};

/// Manifests that go with the last bars at most; more of them go in batches of their own.
const JOINED_MAX: usize = 64;
/// Bytes that one manifest adds to a request at most.
const MANIFEST_BYTES: usize = 1_024;

impl Delivery {
    /// Whether everything pushed so far is in the store, the spool or the dead letters, for good.
    pub fn is_settled(&self) -> bool {
        let from_queue = self.flights.values().any(|flight| flight.places.is_empty());
        let spooling = self
            .spool
            .as_ref()
            .is_some_and(|spool| spool.is_appending() || spool.is_burying());
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

    /// The manifests to push, once: when the input is closed and every bar is in the store or the spool.
    pub fn manifests(&mut self) -> Vec<WriteItem> {
        let settled = self.is_settled();
        match &mut self.closing {
            Some(closing) if settled && !self.halted && !closing.manifests_queued => {
                closing.manifests_queued = true;
                let manifests = self
                    .coverage
                    .take(closing.complete)
                    .into_iter()
                    .map(WriteItem::Manifest);
                manifests
                    .filter(|manifest| !closing.written.contains(manifest))
                    .collect()
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Whether what is left of the queue is the last batch, which waits for those before it to take the manifests along:
    /// by themselves they would wait as long.
    pub(super) fn may_join(&self) -> bool {
        let is_empty = self
            .spool
            .as_ref()
            .is_none_or(|spool| spool.is_empty() && !spool.is_burying());
        let is_last = self
            .closing
            .as_ref()
            .is_some_and(|closing| !closing.manifests_queued)
            && self.batcher.len() < self.settings.batch.len_max
            && self.batcher.bytes() < self.settings.batch.bytes_max;
        is_last && is_empty && self.joins && self.coverage.manifest_count() <= JOINED_MAX
    }

    /// The manifests for the end of the last batch, when all before it is in the store; none where they do not fit.
    ///
    /// They speak of its bars as written, which they are before the manifests, or neither is. Whatever else comes of the
    /// batch, [`Delivery::manifests`] has the last word.
    pub(super) fn closing_manifests(&self, items: &[WriteItem], bytes: usize) -> Vec<WriteItem> {
        let Some(closing) = self.closing.as_ref().filter(|_| self.may_join()) else {
            return Vec::new();
        };
        let limits = &self.settings.batch;
        let by_bytes = limits.bytes_max.saturating_sub(bytes) / MANIFEST_BYTES;
        let len_max = limits
            .len_max
            .saturating_sub(items.len())
            .min(by_bytes)
            .min(JOINED_MAX);
        let manifests = self
            .coverage
            .with(items, closing.complete, len_max)
            .unwrap_or_default();
        manifests.into_iter().map(WriteItem::Manifest).collect()
    }

    /// Whether nothing is left to do: everything is in the store and the manifests too, or sending has ended.
    pub fn is_done(&self) -> bool {
        let spool_rests = self
            .spool
            .as_ref()
            .is_none_or(|spool| spool.items == 0 && spool.is_settled());
        let finished = self
            .closing
            .as_ref()
            .is_some_and(|closing| closing.manifests_queued)
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
                let items = flight
                    .items
                    .iter()
                    .filter(|item| !flight.closes || bar_of(item).is_some());
                append.extend(items.cloned());
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
        if let Some(Closing {
            complete,
            manifests_queued: false,
            ..
        }) = self.closing
        {
            append.extend(
                self.coverage
                    .take(complete)
                    .into_iter()
                    .map(WriteItem::Manifest),
            );
        }
        StateChange { append, ..change }
    }

    /// Bars in memory that are neither known to be in the store nor in the spool.
    pub fn bars_at_risk(&self) -> u64 {
        let flying = self
            .flights
            .values()
            .filter(|flight| flight.places.is_empty());
        let flying: u64 = flying.map(|flight| count_bars(&flight.items)).sum();
        let waiting: u64 = self
            .waiting
            .values()
            .map(|batch| count_bars(&batch.items))
            .sum();
        flying + waiting + self.batcher.len() as u64
    }
}
