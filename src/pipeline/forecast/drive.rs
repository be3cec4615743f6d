//! Runs delivery in simulated time against a store with a constant response time.

use crate::engine::delivery::{Completion, Delivery, DeliverySettings, OutgoingBatch, Work};
use crate::model::{BarUpdate, Timestamp, WriteItem};
use crate::port::Cost;
use barmill_stores::CostEstimator;
use std::collections::VecDeque;
use std::time::Duration;

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) requests: u64,
    pub(super) commands: u64,
    pub(super) bytes: u64,
    /// Signs of life between requests.
    pub(super) beats: u64,
}

/// Delivery under way.
#[derive(Debug)]
pub(super) struct Drive<'a> {
    delivery: Delivery,
    meter: &'a CostEstimator,
    round_trip: Duration,
    now: Duration,
    /// Requests under way, by the time of their answer.
    flights: VecDeque<(Duration, OutgoingBatch)>,
    /// Since when nothing is under way.
    idle_since: Duration,
    sent: Sent,
}

impl<'a> Drive<'a> {
    /// Starts at `now`.
    pub(super) fn new(
        settings: DeliverySettings,
        round_trip: Duration,
        meter: &'a CostEstimator,
        now: Duration,
    ) -> Drive<'a> {
        let mut delivery = Delivery::new(settings, None);
        delivery.set_joins(meter.joins_manifests());
        Drive {
            delivery,
            meter,
            round_trip,
            now,
            flights: VecDeque::new(),
            idle_since: now,
            sent: Sent::default(),
        }
    }

    /// Opens the store of a run that knows its symbols, for bars of the day in which `start` is.
    pub(super) fn open(&mut self, start: Timestamp) {
        let opened = self.meter.open(start, self.now);
        self.count(opened);
    }

    fn count(&mut self, (cost, bytes): (Cost, usize)) {
        self.sent.requests += u64::from(cost.requests);
        self.sent.commands += u64::from(cost.commands);
        self.sent.bytes += bytes as u64;
    }

    /// Takes in an update that comes at `at`, or as soon as there is room.
    pub(super) fn push(&mut self, update: BarUpdate, at: Duration) {
        while self.next().is_some_and(|next| next <= at) || !self.delivery.has_room() {
            if !self.step() {
                break;
            }
        }
        self.now = self.now.max(at);
        let item = WriteItem::Bar(update);
        let weight = self.meter.weight(&item);
        self.delivery.push(item, weight, self.now);
        self.dispatch();
    }

    /// Ends the input and waits until everything is sent.
    pub(super) fn finish(mut self) -> Sent {
        self.delivery.close(true);
        self.dispatch();
        while !self.delivery.is_done() {
            for manifest in self.delivery.manifests() {
                let weight = self.meter.weight(&manifest);
                self.delivery.push(manifest, weight, self.now);
            }
            self.dispatch();
            if !self.step() && self.delivery.is_settled() {
                break;
            }
        }
        self.sent
    }

    /// When something happens by itself.
    fn next(&self) -> Option<Duration> {
        let answer = self.flights.front().map(|(at, _)| *at);
        // What is overdue happens now.
        let deadline = self.delivery.deadline().map(|at| at.max(self.now));
        [answer, deadline].into_iter().flatten().min()
    }

    /// Lets the next thing happen; `false` when there is none.
    fn step(&mut self) -> bool {
        let Some(next) = self.next() else {
            return false;
        };
        self.now = self.now.max(next);
        while self.flights.front().is_some_and(|(at, _)| *at <= self.now) {
            let Some((_, batch)) = self.flights.pop_front() else {
                break;
            };
            let failures = vec![None; batch.items.len()];
            self.delivery.completed(
                Completion {
                    flight: batch.flight,
                    failures,
                    took: self.round_trip,
                },
                self.now,
            );
            self.idle_since = self.now;
        }
        self.dispatch();
        true
    }

    fn dispatch(&mut self) {
        while let Some(work) = self.delivery.next_work(self.now) {
            match work {
                Work::Send(batch) => self.send(batch),
                // Without a state store there is neither.
                Work::Commit(_) | Work::Load { .. } => break,
            }
        }
    }

    fn send(&mut self, batch: OutgoingBatch) {
        if let Some((interval, _)) = self.meter.keepalive().filter(|_| self.flights.is_empty()) {
            let idle = self.now.saturating_sub(self.idle_since);
            self.sent.beats +=
                u64::try_from(idle.as_nanos() / interval.as_nanos().max(1)).unwrap_or(0);
        }
        let sent = self.meter.send(&batch.items, self.now);
        self.count(sent);
        self.flights.push_back((self.now + self.round_trip, batch));
    }
}
