//! The books that are kept of a run at its ports, and what must hold of them after every step.

use super::scenario::{Scenario, UpdateId, id_of};
use crate::engine::aggregate::AggregateCounts;
use crate::engine::delivery::bar_of;
use crate::model::{BarKey, WriteItem};
use crate::pipeline::State;
use crate::port::{Changes, Committed, Cost};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// What was seen at the ports.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Batches that the feed has delivered in this run.
    pub(super) delivered: usize,
    pub(super) is_at_end: bool,
    pub(super) is_stopped: bool,
    /// The closed updates that the store has acked, or applied without an ack, in any run.
    pub(super) written: HashSet<UpdateId>,
    /// Those in the dead letters.
    pub(super) dead: HashSet<UpdateId>,
    /// Those in the spool, by place.
    pub(super) spool: BTreeMap<u64, UpdateId>,
    /// Those that were settled in this run: acked, spooled or refused.
    settled: HashSet<UpdateId>,
    /// Those that the delivered batches make and that are not settled.
    backlog: usize,
    /// The bars of each write under way.
    flying: HashMap<BarKey, u32>,
    /// When each attempt started, and what it cost.
    attempts: Vec<(Duration, Cost)>,
    origin: Option<Instant>,
}

impl Books {
    pub(super) fn begin_run(&mut self, now: Instant) {
        (self.is_at_end, self.is_stopped) = (false, false);
        (self.delivered, self.backlog) = (0, 0);
        self.settled.clear();
        self.flying.clear();
        self.attempts.clear();
        self.origin = Some(now);
    }

    /// A commit failed half-way: its changes are there as a whole, or not at all.
    pub(super) fn doubt(&mut self, changes: &Changes) {
        for range in &changes.spool_remove {
            self.spool
                .retain(|place, _| !(range.first..=range.last).contains(place));
        }
        let dead = changes
            .dead_letters
            .iter()
            .filter_map(|letter| bar_of(&letter.item));
        self.dead.extend(dead.map(id_of));
    }

    /// The spool that a run finds: what it held for certain is there, and perhaps the commit that was in doubt.
    pub(super) fn found(&mut self, spool: &[(u64, WriteItem)]) {
        let found = spool
            .iter()
            .filter_map(|(place, item)| Some((*place, id_of(bar_of(item)?))));
        let found: BTreeMap<u64, UpdateId> = found.collect();
        for (place, id) in &self.spool {
            assert_eq!(found.get(place), Some(id), "the spool forgot place {place}");
        }
        self.spool = found;
    }

    /// What must hold now.
    pub(super) fn check(&self, scenario: &Scenario, state: &State) {
        self.check_trades(scenario, &state.aggregate);
        self.check_backlog(scenario, state.writer.resumed);
    }

    /// Each trade taken in is in a bar or in one counter, as in the uninterrupted run.
    fn check_trades(&self, scenario: &Scenario, counts: &AggregateCounts) {
        let delivered: usize = scenario.batches[..self.delivered]
            .iter()
            .map(Vec::len)
            .sum();
        assert!(
            counts.trades <= delivered as u64,
            "more trades than were delivered"
        );
        let sum = counts.late + counts.duplicates + counts.ineligible + counts.outside_session;
        assert!(sum <= counts.trades);
        if scenario.settings.shards == 1 {
            let known = scenario
                .counts
                .get(&counts.trades)
                .map(|known| (known.late, known.duplicates, known.ineligible));
            assert_eq!(
                known,
                Some((counts.late, counts.duplicates, counts.ineligible)),
                "{counts:?}"
            );
        }
    }

    /// The feed delivers one more batch.
    pub(super) fn deliver(&mut self, scenario: &Scenario) {
        self.delivered += 1;
        let made = &scenario.made[self.delivered];
        self.backlog += made.iter().filter(|id| !self.settled.contains(id)).count();
    }

    fn settle(&mut self, scenario: &Scenario, id: UpdateId) {
        let is_made = scenario
            .made_at
            .get(&id)
            .is_some_and(|at| *at <= self.delivered);
        if self.settled.insert(id) && is_made {
            self.backlog -= 1;
        }
    }

    /// What is neither settled nor skipped fits into the queues whose sum is known before the start.
    fn check_backlog(&self, scenario: &Scenario, resumed: u64) {
        let settings = &scenario.settings;
        let delivery = &settings.writer.delivery;
        let queued = self
            .delivered
            .saturating_sub(settings.feed_queue_len_max + 1)..=self.delivered;
        let before_shards: usize = scenario.made[queued].iter().map(Vec::len).sum();
        // Each shard may hold one message more: the one it waits to send; the writer takes a message whole.
        let messages = settings.writer_queue_len_max + settings.shards + 1;
        let bound = before_shards
            + messages * scenario.made_max
            + delivery.queue_len_max
            + (delivery.in_flight_max + 1) * delivery.batch.len_max
            // What an earlier run delivered is compared a batch at a time.
            + delivery.batch.len_max;
        let backlog = (self.backlog as u64).saturating_sub(resumed);
        assert!(
            backlog <= bound as u64,
            "{backlog} updates in memory, {bound} at most"
        );
    }

    /// A write starts: within the pace, and not beside another write of the same bar.
    pub(super) fn take_off(
        &mut self,
        scenario: &Scenario,
        items: &[WriteItem],
        cost: Cost,
        now: Instant,
    ) {
        let keys: HashSet<BarKey> = items
            .iter()
            .filter_map(bar_of)
            .map(|update| update.bar.key())
            .collect();
        for key in keys {
            let count = self.flying.entry(key).or_default();
            *count += 1;
            assert_eq!(*count, 1, "two writes of {key:?} at once");
        }
        let now = self.origin.map(|origin| now - origin).unwrap_or_default();
        self.attempts.push((now, cost));
        let pace = scenario.settings.writer.pace;
        let rates = [
            (
                pace.commands_per_second,
                (|cost| cost.commands) as fn(&Cost) -> u32,
            ),
            (pace.requests_per_second, |cost| cost.requests),
        ];
        for (rate, of) in rates {
            let Some(rate) = rate else { continue };
            // An attempt above a burst takes its permits one after the other, before its start.
            let delivery = &scenario.settings.writer.delivery;
            let early = u32::try_from(delivery.in_flight_max * delivery.batch.len_max).unwrap();
            let mut sum = 0;
            for (then, cost) in self.attempts.iter().rev().take(64) {
                sum += of(cost);
                let seconds = 1.001 + now.saturating_sub(*then).as_secs_f64();
                let allowed = f64::from(rate.get()) * seconds + f64::from(early);
                assert!(
                    f64::from(sum) <= allowed,
                    "{sum} within {seconds} s, {rate} a second"
                );
            }
        }
    }

    /// A write is over, with or without an answer.
    pub(super) fn land(&mut self, items: &[WriteItem]) {
        for update in items.iter().filter_map(bar_of) {
            self.flying.remove(&update.bar.key());
        }
    }

    pub(super) fn applied<'a>(&mut self, items: impl Iterator<Item = &'a WriteItem>) {
        self.written.extend(items.filter_map(bar_of).map(id_of));
    }

    pub(super) fn acked<'a>(
        &mut self,
        scenario: &Scenario,
        items: impl Iterator<Item = &'a WriteItem>,
    ) {
        for update in items.filter_map(bar_of) {
            self.settle(scenario, id_of(update));
        }
    }

    /// Changes that are durable now.
    pub(super) fn committed(
        &mut self,
        scenario: &Scenario,
        changes: &Changes,
        committed: &Committed,
    ) {
        for range in &changes.spool_remove {
            self.spool
                .retain(|place, _| !(range.first..=range.last).contains(place));
        }
        if let Some(range) = committed.spooled {
            let items = (range.first..=range.last).zip(&changes.spool_append);
            for (place, id) in items.filter_map(|(place, item)| Some((place, id_of(bar_of(item)?))))
            {
                self.spool.insert(place, id);
                self.settle(scenario, id);
            }
        }
        for id in changes
            .dead_letters
            .iter()
            .filter_map(|letter| bar_of(&letter.item))
            .map(id_of)
        {
            self.dead.insert(id);
            self.settle(scenario, id);
        }
        self.check_places(scenario, changes);
    }

    /// A saved place is never ahead: every update before it is in the store, the spool or the dead letters.
    fn check_places(&self, scenario: &Scenario, changes: &Changes) {
        let spooled: HashSet<UpdateId> = self.spool.values().copied().collect();
        for (name, place) in &changes.checkpoints {
            let shard: usize = name.rsplit('/').next().unwrap().parse().unwrap();
            let before = usize::try_from(place.0).unwrap();
            for (_, update) in scenario.updates[shard].iter().take(before) {
                let id = id_of(update);
                let is_safe =
                    self.written.contains(&id) || spooled.contains(&id) || self.dead.contains(&id);
                assert!(
                    is_safe,
                    "place {before} of shard {shard} is ahead of {id:?}"
                );
            }
        }
    }

    /// After an orderly end nothing that came out of a shard is in memory only.
    pub(super) fn check_left(&self, scenario: &Scenario) {
        let spooled: HashSet<UpdateId> = self.spool.values().copied().collect();
        let batches = if self.is_at_end && !self.is_stopped {
            self.delivered + 1
        } else {
            self.delivered.saturating_sub(1)
        };
        for id in scenario.made_by(batches) {
            let is_safe =
                self.written.contains(id) || spooled.contains(id) || self.dead.contains(id);
            assert!(is_safe, "{id:?} is left nowhere");
        }
    }
}
