//! The end of the input, and what is left when sending ends before it.

use super::machine::{Closing, Delivery, is_forming};
use super::work::{StateChange, bar_of, count_bars};
use crate::model::{BarSpec, Covered, Manifest, WriteItem};

impl Delivery {
    /// Whether everything pushed so far is in the store, the spool or the dead letters, for good.
    pub fn is_settled(&self) -> bool {
        let from_queue = self.flights.values().any(|flight| flight.places.is_empty());
        let spooling = self.spool.as_ref().is_some_and(|spool| spool.is_appending() || spool.is_burying());
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

    /// Bars in memory that are neither known to be in the store nor in the spool.
    pub fn bars_at_risk(&self) -> u64 {
        let flying = self.flights.values().filter(|flight| flight.places.is_empty());
        let flying: u64 = flying.map(|flight| count_bars(&flight.items)).sum();
        let waiting: u64 = self.waiting.values().map(|batch| count_bars(&batch.items)).sum();
        flying + waiting + self.batcher.len() as u64
    }
}
