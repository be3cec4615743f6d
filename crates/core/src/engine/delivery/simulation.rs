//! Delivery in a world of faults, kills and restarts that one seed decides; invariants hold after every step.
//!
//! `BARMILL_SEEDS` sets how many seeds run.

use super::harness::{Disk, Weather, World, is_closed, is_joined, place_of, push_of};
use super::tests::settings;
use super::{Completion, Delivery, DeliverySettings, OutgoingBatch, StateChange, Work};
use crate::engine::batch::{BatchLimits, key_of};
use crate::engine::circuit::CircuitState;
use crate::engine::retry::{Remedy, RetryPolicy};
use crate::model::WriteItem;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

const SEEDS: u64 = 2_000;
const STEPS: usize = 250;
const STEPS_MAX: usize = 20_000;

/// A piece of work under way.
enum Pending {
    InFlight(OutgoingBatch),
    Load { from: u64, len_max: usize },
}

struct Run {
    world: World,
    settings: DeliverySettings,
    /// Whether the store takes manifests behind the bars they speak of.
    joins: bool,
    delivery: Delivery,
    source: Vec<WriteItem>,
    /// The next update of the source.
    next: usize,
    pushes: u64,
    /// Closed updates pushed in this life.
    pushed: Vec<WriteItem>,
    /// Pushes that the store refused in this life.
    refused: HashSet<u64>,
    now: Duration,
    pending: Vec<Pending>,
    commits: VecDeque<StateChange>,
    is_closing: bool,
    /// Sends since the circuit opened in an outage that lasts, and when it opened.
    outage: Option<(Duration, u64)>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut world = World::new(seed);
        let source = world.source();
        let random = &mut world.random;
        let settings = DeliverySettings {
            batch: BatchLimits {
                len_max: random.usize(1..6),
                bytes_max: if random.bool() {
                    10_000
                } else {
                    random.usize(10..80)
                },
                linger: Duration::from_secs(random.u64(0..5)),
                eager: random.bool(),
            },
            in_flight_max: random.usize(1..4),
            queue_len_max: random.usize(1..12),
            retry: RetryPolicy {
                attempts_max: random.u32(1..4),
                ..settings().retry
            },
            keeps_recent: random.bool(),
            seed,
            ..settings()
        };
        let joins = random.bool();
        let mut delivery = Delivery::new(settings.clone(), Some(0));
        delivery.set_joins(joins);
        Run {
            world,
            settings,
            joins,
            delivery,
            source,
            next: 0,
            pushes: 0,
            pushed: Vec::new(),
            refused: HashSet::new(),
            now: Duration::ZERO,
            pending: Vec::new(),
            commits: VecDeque::new(),
            is_closing: false,
            outage: None,
        }
    }

    /// Does everything that is to be done now.
    fn launch(&mut self) {
        for manifest in self.delivery.manifests() {
            self.delivery.push(manifest, 10, self.now);
        }
        let mut rounds = 0;
        while let Some(work) = self.delivery.next_work(self.now) {
            rounds += 1;
            assert!(rounds < 100, "work without end");
            match work {
                Work::Send(batch) => self.take_off(batch),
                Work::Commit(change) => {
                    assert!(self.commits.is_empty(), "one commit at a time");
                    self.commits.push_back(change);
                }
                Work::Load { from, len_max } => self.pending.push(Pending::Load { from, len_max }),
            }
        }
    }

    fn take_off(&mut self, batch: OutgoingBatch) {
        let held: HashSet<_> = self
            .flights()
            .flat_map(|flight| flight.items.iter().map(key_of))
            .collect();
        assert!(!batch.items.is_empty());
        assert!(
            batch.items.iter().all(|item| !held.contains(&key_of(item))),
            "two writes of one bar at once"
        );
        assert!(
            self.flights().count() <= self.settings.in_flight_max,
            "too many flights"
        );
        self.outage = self.outage.map(|(since, sends)| (since, sends + 1));
        self.pending.push(Pending::InFlight(batch));
    }

    fn flights(&self) -> impl Iterator<Item = &OutgoingBatch> {
        self.pending.iter().filter_map(|pending| match pending {
            Pending::InFlight(batch) => Some(batch),
            Pending::Load { .. } => None,
        })
    }

    /// Something under way comes to its end.
    fn complete(&mut self) {
        let flights = self.pending.len();
        if flights == 0 || (!self.commits.is_empty() && self.world.random.bool()) {
            let Some(change) = self.commits.pop_front() else {
                return;
            };
            return self.report(&change);
        }
        let at = self.world.random.usize(..flights);
        match self.pending.swap_remove(at) {
            Pending::InFlight(batch) => self.land(&batch),
            Pending::Load { from, len_max } => {
                let read = self.world.spool.range(from..).take(len_max);
                let items = read.map(|(place, item)| (*place, item.clone())).collect();
                self.delivery.loaded(items);
            }
        }
    }

    fn report(&mut self, change: &StateChange) {
        match self.world.commit(change) {
            Some(items) => drop(self.delivery.committed(items, self.now)),
            None => self.delivery.commit_failed(self.now),
        }
    }

    fn land(&mut self, batch: &OutgoingBatch) {
        let has_manifest = batch.items.iter().any(|item| push_of(item).is_none());
        let is_joined = is_joined(&batch.items);
        if has_manifest && !is_joined && self.is_closing && self.world.spool.is_empty() {
            self.check_manifest();
        }
        let told = self.world.told;
        let failures = self.world.write(&batch.items);
        if is_joined && told < self.world.told {
            self.check_manifest();
        }
        // Older updates of a bar share the fate of the last one of the batch.
        let is_refused = |item: &&WriteItem| {
            let last = batch
                .items
                .iter()
                .rposition(|other| key_of(other) == key_of(item));
            matches!(
                last.and_then(|last| failures[last].as_ref()),
                Some((Remedy::Refuse, _))
            )
        };
        let refused: Vec<u64> = batch
            .items
            .iter()
            .filter(is_refused)
            .filter_map(push_of)
            .collect();
        self.refused.extend(refused);
        let completion = Completion {
            flight: batch.flight,
            failures,
            took: Duration::ZERO,
        };
        self.delivery.completed(completion, self.now);
    }

    /// Every closed update of this life is in the store or refused before a manifest is written.
    fn check_manifest(&self) {
        for item in &self.pushed {
            let is_settled =
                |push| self.world.settled.contains(&push) || self.refused.contains(&push);
            let settled = push_of(item).is_some_and(is_settled);
            assert!(settled, "the manifest comes before {item:?}");
        }
    }

    fn feed(&mut self) {
        if !self.delivery.has_room() || self.source.len() <= self.next {
            return;
        }
        let mut item = self.source[self.next].clone();
        self.next += 1;
        if let WriteItem::Bar(update) = &mut item {
            update.bar.last_sequence = self.pushes;
        }
        self.pushes += 1;
        if is_closed(&item) {
            self.pushed.push(item.clone());
        }
        self.delivery.push(item, 10, self.now);
    }

    /// The process dies; a commit under way may or may not have become durable, writes may or may not arrive.
    fn kill(&mut self) {
        if let Some(change) = self.commits.pop_front()
            && self.world.random.bool()
        {
            let _durable = self.world.commit(&change);
        }
        let lost = self.pushed.iter().filter(|item| {
            let push = push_of(item).unwrap_or_default();
            !self.world.settled.contains(&push) && !self.world.holds(push)
        });
        let lost = lost.filter_map(place_of).min();
        // The checkpoint lies before the first update that is not durable, or somewhere before it.
        let until = lost.map_or(self.next, |place| usize::try_from(place).unwrap());
        self.next = self.world.random.usize(until.saturating_sub(5)..=until);
        self.restart();
    }

    /// The process leaves in order: what it holds goes into the spool.
    fn leave(&mut self) {
        if let Some(change) = self.commits.pop_front() {
            self.report(&change);
        }
        let rescued = self.delivery.rescue();
        if self.world.commit(&rescued).is_some() {
            self.restart();
        } else {
            self.kill();
        }
    }

    fn restart(&mut self) {
        self.pending.clear();
        self.pushed.clear();
        self.refused.clear();
        self.outage = None;
        self.is_closing = false;
        self.world.restart();
        let spooled = u64::try_from(self.world.spool.len()).unwrap();
        self.delivery = Delivery::new(self.settings.clone(), Some(spooled));
        self.delivery.set_joins(self.joins);
        self.now = Duration::ZERO;
    }

    /// Time goes on to the next deadline, or jumps.
    fn pass(&mut self) {
        let deadline = self.delivery.deadline().unwrap_or(self.now);
        self.now = match self.world.random.u8(..20) {
            0 => self.now + Duration::from_hours(self.world.random.u64(1..48)),
            1..5 => self.now + Duration::from_millis(self.world.random.u64(..2_000)),
            _ => self.now.max(deadline),
        };
    }

    fn turn(&mut self) {
        let random = &mut self.world.random;
        self.world.weather = match random.u8(..16) {
            0..7 => Weather::Fair,
            7..10 => Weather::Out,
            10..14 => Weather::Flaky,
            14 => Weather::Quota,
            _ => Weather::Fatal,
        };
        self.world.disk = match random.u8(..8) {
            0..5 => Disk::Roomy,
            5..7 => Disk::Bounded,
            _ => Disk::Full,
        };
        self.outage = None;
    }

    fn step(&mut self) {
        match self.world.random.u8(..64) {
            0 => self.turn(),
            1 if self.world.random.u8(..4) == 0 => self.kill(),
            2 if self.world.random.u8(..4) == 0 => self.leave(),
            3..24 => self.feed(),
            24..48 => self.complete(),
            _ => self.pass(),
        }
        self.launch();
        self.check();
    }

    /// What holds after every step.
    fn check(&mut self) {
        let kept: HashSet<u64> = self
            .delivery
            .clone()
            .rescue()
            .append
            .iter()
            .filter_map(push_of)
            .collect();
        let dying: HashSet<u64> = self
            .delivery
            .clone()
            .rescue()
            .dead
            .iter()
            .filter_map(|(item, _)| push_of(item))
            .collect();
        for item in &self.pushed {
            let push = push_of(item).unwrap_or_default();
            let is_safe = self.world.settled.contains(&push)
                || kept.contains(&push)
                || dying.contains(&push)
                || self.world.holds(push);
            assert!(is_safe, "{item:?} is lost");
        }
        let batch = self.settings.batch.len_max;
        let bound = self.settings.queue_len_max + batch * (self.settings.in_flight_max + 1);
        assert!(
            kept.len() <= bound,
            "{} updates in memory, {bound} at most",
            kept.len()
        );
        let is_out =
            self.world.weather == Weather::Out && self.delivery.circuit() != CircuitState::Closed;
        let (since, sends) = *self.outage.get_or_insert((self.now, 0));
        if !is_out {
            self.outage = None;
        } else if let Some(seconds) = self.now.checked_sub(since).map(|time| time.as_secs()) {
            assert!(
                sends <= 10 + seconds / 15,
                "{sends} sends in {seconds} s of an outage"
            );
        }
    }

    fn run(&mut self) {
        self.launch();
        for _ in 0..STEPS {
            self.step();
        }
        (self.world.weather, self.world.disk) = (Weather::Fair, Disk::Roomy);
        self.outage = None;
        for _ in 0..STEPS_MAX {
            if self.delivery.is_done() {
                if !self.is_closing || self.next < self.source.len() {
                    self.leave();
                } else {
                    break;
                }
            }
            if self.next == self.source.len() && !self.is_closing {
                self.is_closing = true;
                self.delivery.close(true);
            }
            self.feed();
            if self.pending.is_empty() && self.commits.is_empty() {
                self.pass();
            } else {
                self.complete();
            }
            self.launch();
            self.check();
        }
        assert!(
            self.delivery.is_done() && self.is_closing,
            "what is left never drains"
        );
        self.check_end();
    }

    fn check_end(&self) {
        assert!(self.world.spool.is_empty() && self.commits.is_empty());
        for item in self.source.iter().rev().filter(|item| is_closed(item)) {
            let WriteItem::Bar(update) = item else {
                continue;
            };
            let newest = self
                .source
                .iter()
                .rev()
                .find(|other| is_closed(other) && key_of(other) == key_of(item));
            let newest = newest.and_then(place_of);
            let stored = self
                .world
                .bars
                .get(&update.bar.key())
                .map(|(place, _)| *place);
            let refused = self.world.dead.iter().any(|item| place_of(item) == newest);
            assert!(
                stored == newest || refused,
                "{:?} holds {stored:?}, not {newest:?}",
                update.bar.key()
            );
        }
        let told = !self.world.manifests.is_empty() || !self.world.dead.is_empty();
        assert!(told || self.pushed.is_empty(), "no manifest");
    }
}

/// Seeds to run.
pub(super) fn seeds() -> std::ops::Range<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "only a longer test run is asked for"
    )]
    let seeds = std::env::var("BARMILL_SEEDS").ok();
    0..seeds.and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

#[test]
fn no_update_is_lost_or_overtaken_under_any_faults_and_kills() {
    for seed in seeds() {
        let end = std::panic::catch_unwind(|| Run::new(seed).run());
        assert!(end.is_ok(), "seed {seed} of the delivery simulation failed");
    }
}
