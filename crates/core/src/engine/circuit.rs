//! The circuit breaker of the writer: when to probe an unreachable store, and when to send again.
//!
//! Owns one decision, whether something may be sent now. It is pure: `now` is a monotonic instant given by
//! the caller, who also owns the spool and says when it is empty. A store that fails again while the spool
//! drains is probed ever less often; only a closed circuit forgets the failures.

use super::retry::{Backoff, RetryPolicy};
use std::time::Duration;

/// What is sent, as [`Circuit::may_send`] allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The one probe of an open circuit, reported to it by [`Circuit::probe_sent`].
    Probe,
    /// Anything else; while draining, the spool first.
    Batch,
}

/// Why the last attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The store is not reachable or not able; `after` is its own wish (`Retry-After`).
    Outage {
        /// Time the store asked for.
        after: Option<Duration>,
    },
    /// The quota is used up; only its renewal helps.
    Quota,
}

/// Where the circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CircuitState {
    /// The store takes what comes.
    #[default]
    Closed,
    /// The store is out; batches go to the spool.
    Open,
    /// The quota is used up; batches go to the spool.
    Paused,
    /// The store is back; the spool goes out before anything new.
    Draining,
}

impl CircuitState {
    /// Whether batches go to the spool, since the store takes none.
    pub const fn is_away(self) -> bool {
        matches!(self, CircuitState::Open | CircuitState::Paused)
    }

    /// The name in figures and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            CircuitState::Closed => "closed",
            CircuitState::Open => "open",
            CircuitState::Paused => "paused",
            CircuitState::Draining => "draining",
        }
    }
}

/// A change worth one log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The store is out; batches go to the spool.
    Opened {
        /// Time to the first probe.
        probe_in: Duration,
    },
    /// The quota is used up; batches go to the spool.
    Paused {
        /// Time to the first probe.
        probe_in: Duration,
    },
    /// The store is back, and the spool drains.
    Draining {
        /// Time since the first failure.
        outage: Duration,
    },
    /// The spool is empty and live goes on.
    Closed {
        /// Time since the first failure.
        outage: Duration,
    },
}

/// How often an absent store is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbePolicy {
    /// Delay before the first probe of an outage, doubled after each failed one.
    pub outage: Duration,
    /// Longest delay between probes of an outage.
    pub outage_max: Duration,
    /// Delay before the first probe of a used-up quota, doubled after each failed one.
    pub quota: Duration,
    /// Longest delay between probes of a used-up quota.
    pub quota_max: Duration,
}

impl Default for ProbePolicy {
    fn default() -> ProbePolicy {
        ProbePolicy {
            outage: Duration::from_secs(1),
            outage_max: Duration::from_secs(30),
            quota: Duration::from_mins(1),
            quota_max: Duration::from_mins(15),
        }
    }
}

/// The breaker of one store.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Circuit {
    state: CircuitState,
    /// Probes and drains that failed since the circuit was closed, the first failure included.
    failures: u32,
    /// When the next probe is due, while the store is away.
    probe_at: Duration,
    probing: bool,
    /// When the circuit last left the closed state.
    since: Duration,
    outage: Backoff,
    quota: Backoff,
}

impl Circuit {
    /// Makes a circuit, draining at once when an earlier run left something in the spool.
    pub fn new(probes: ProbePolicy, seed: u64, spool_empty: bool, now: Duration) -> Circuit {
        let state = if spool_empty {
            CircuitState::Closed
        } else {
            CircuitState::Draining
        };
        let policy = |backoff, backoff_max| RetryPolicy {
            attempts_max: u32::MAX,
            backoff,
            backoff_max,
        };
        Circuit {
            state,
            failures: 0,
            probe_at: Duration::ZERO,
            probing: false,
            since: now,
            outage: Backoff::new(policy(probes.outage, probes.outage_max), seed),
            quota: Backoff::new(policy(probes.quota, probes.quota_max), seed),
        }
    }

    /// Where the circuit stands.
    pub fn state(&self) -> CircuitState {
        self.state
    }

    /// What may be sent now; `None` is nothing.
    pub fn may_send(&self, now: Duration) -> Option<Sent> {
        if self.state.is_away() {
            let is_due = self.deadline().is_some_and(|at| at <= now);
            is_due.then_some(Sent::Probe)
        } else {
            Some(Sent::Batch)
        }
    }

    /// Notes that the allowed probe is under way; no other is allowed before its fate is known.
    pub fn probe_sent(&mut self) {
        self.probing = true;
    }

    /// The instant at which a probe falls due; `None` when time alone changes nothing.
    pub fn deadline(&self) -> Option<Duration> {
        (self.state.is_away() && !self.probing).then_some(self.probe_at)
    }

    /// Drains the spool before anything new, because there is something in it.
    pub fn drain(&mut self, now: Duration) {
        if self.state == CircuitState::Closed {
            (self.state, self.since) = (CircuitState::Draining, now);
        }
    }

    /// Takes in that something failed for good: a probe, or the last attempt of a batch.
    ///
    /// A batch that was under way when the circuit opened changes nothing any more.
    pub fn on_failure(
        &mut self,
        sent: Sent,
        failure: Failure,
        now: Duration,
    ) -> Option<Transition> {
        let before = self.state;
        if before.is_away() && sent == Sent::Batch {
            return None;
        }
        if before == CircuitState::Closed {
            self.since = now;
        }
        self.failures = self.failures.saturating_add(1);
        self.probing = false;
        let (state, probe_in) = match failure {
            Failure::Outage { after } => {
                // A store that asks for no time at all must not turn probes into a storm.
                let wish = after.map_or(Duration::ZERO, |after| {
                    self.outage.delay(self.failures, Some(after))
                });
                let backoff = self.outage.delay(self.failures, None);
                (CircuitState::Open, backoff.max(wish))
            }
            Failure::Quota => (CircuitState::Paused, self.quota.delay(self.failures, None)),
        };
        (self.state, self.probe_at) = (state, now + probe_in);
        (state != before).then_some(match failure {
            Failure::Outage { .. } => Transition::Opened { probe_in },
            Failure::Quota => Transition::Paused { probe_in },
        })
    }

    /// Takes in that a batch or probe reached the store.
    pub fn on_success(
        &mut self,
        sent: Sent,
        spool_empty: bool,
        now: Duration,
    ) -> Option<Transition> {
        let was_away = self.state.is_away();
        if self.state == CircuitState::Closed || (was_away && sent == Sent::Batch) {
            return None;
        }
        self.probing = false;
        let outage = now.saturating_sub(self.since);
        if spool_empty {
            (self.state, self.failures) = (CircuitState::Closed, 0);
            return Some(Transition::Closed { outage });
        }
        self.state = CircuitState::Draining;
        was_away.then_some(Transition::Draining { outage })
    }
}

#[cfg(test)]
mod tests {
    use super::{Circuit, CircuitState, Failure, ProbePolicy, Sent, Transition};
    use proptest::prelude::*;
    use std::time::Duration;

    const OUTAGE: Failure = Failure::Outage { after: None };

    fn circuit() -> Circuit {
        Circuit::new(ProbePolicy::default(), 7, true, Duration::ZERO)
    }

    /// Waits for the next probe and fails it; returns when it was sent.
    fn fail_probe(circuit: &mut Circuit, failure: Failure) -> Duration {
        let now = circuit.deadline().unwrap();
        assert_eq!(circuit.may_send(now), Some(Sent::Probe));
        circuit.probe_sent();
        assert_eq!(
            circuit.on_failure(Sent::Probe, failure, now),
            None,
            "told once"
        );
        now
    }

    #[test]
    fn outage_is_told_once_probed_and_drained_before_it_closes() {
        let mut circuit = circuit();
        let opened = circuit.on_failure(Sent::Batch, OUTAGE, Duration::from_secs(10));
        assert!(matches!(opened, Some(Transition::Opened { .. })));
        assert_eq!(
            circuit.on_failure(Sent::Batch, OUTAGE, Duration::from_secs(10)),
            None
        );
        assert_eq!(circuit.may_send(Duration::from_secs(10)), None);
        fail_probe(&mut circuit, OUTAGE);
        let now = circuit.deadline().unwrap();
        circuit.probe_sent();
        let outage = now.checked_sub(Duration::from_secs(10)).unwrap();
        assert_eq!(
            circuit.on_success(Sent::Probe, false, now),
            Some(Transition::Draining { outage })
        );
        assert_eq!(circuit.may_send(now), Some(Sent::Batch));
        assert_eq!(circuit.on_success(Sent::Batch, false, now), None);
        assert_eq!(
            circuit.on_success(Sent::Batch, true, now),
            Some(Transition::Closed { outage })
        );
    }

    #[test]
    fn success_of_a_batch_sent_before_the_outage_does_not_close() {
        let mut circuit = circuit();
        let _opened = circuit.on_failure(Sent::Batch, OUTAGE, Duration::ZERO);
        assert_eq!(circuit.on_success(Sent::Batch, true, Duration::ZERO), None);
        assert_eq!(circuit.state(), CircuitState::Open);
    }

    #[test]
    fn spool_of_an_earlier_run_drains_first() {
        let mut circuit = Circuit::new(ProbePolicy::default(), 7, false, Duration::ZERO);
        assert_eq!(circuit.state(), CircuitState::Draining);
        assert!(
            circuit
                .on_success(Sent::Batch, true, Duration::ZERO)
                .is_some()
        );
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[test]
    fn quota_is_probed_between_half_a_minute_and_a_quarter_hour() {
        let mut circuit = circuit();
        let paused = circuit.on_failure(Sent::Batch, Failure::Quota, Duration::ZERO);
        assert!(
            matches!(paused, Some(Transition::Paused { probe_in }) if probe_in >= Duration::from_secs(30))
        );
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            let now = fail_probe(&mut circuit, Failure::Quota);
            assert!(last + Duration::from_secs(30) <= now && now <= last + Duration::from_mins(15));
            last = now;
        }
        assert!(circuit.deadline().unwrap() >= last + Duration::from_secs(450));
    }

    #[test]
    fn failing_drain_goes_on_with_the_backoff_it_had() {
        let mut circuit = circuit();
        let _opened = circuit.on_failure(Sent::Batch, OUTAGE, Duration::ZERO);
        for _ in 0..10 {
            fail_probe(&mut circuit, OUTAGE);
        }
        let now = circuit.deadline().unwrap();
        circuit.probe_sent();
        let _draining = circuit.on_success(Sent::Probe, false, now);
        let reopened = circuit.on_failure(Sent::Batch, OUTAGE, now);
        assert!(
            matches!(reopened, Some(Transition::Opened { probe_in }) if probe_in >= Duration::from_secs(15))
        );
    }

    #[test]
    fn wish_for_no_time_at_all_does_not_make_a_storm() {
        let mut circuit = circuit();
        let wish = Failure::Outage {
            after: Some(Duration::ZERO),
        };
        let _opened = circuit.on_failure(Sent::Batch, wish, Duration::ZERO);
        assert!(circuit.deadline().unwrap() >= Duration::from_millis(500));
        let wish = Failure::Outage {
            after: Some(Duration::from_mins(2)),
        };
        let probed = fail_probe(&mut circuit, wish);
        assert!(circuit.deadline().unwrap() >= probed + Duration::from_mins(2));
    }

    /// What a random run does with the circuit.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Wait(u64),
        Send,
        Fail(bool),
        Succeed(bool),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u64..60_000).prop_map(Step::Wait),
            Just(Step::Send),
            any::<bool>().prop_map(Step::Fail),
            any::<bool>().prop_map(Step::Succeed),
        ];
        proptest::collection::vec(step, 1..400)
    }

    proptest! {
        #[test]
        fn one_probe_at_most_is_in_flight(steps in steps(), seed: u64) {
            let mut circuit = Circuit::new(ProbePolicy::default(), seed, true, Duration::ZERO);
            let mut now = Duration::ZERO;
            let mut probing = false;
            for step in steps {
                match step {
                    Step::Wait(millis) => now += Duration::from_millis(millis),
                    Step::Send => {
                        if circuit.may_send(now) == Some(Sent::Probe) {
                            prop_assert!(!probing);
                            circuit.probe_sent();
                            probing = true;
                        }
                    }
                    Step::Fail(quota) => {
                        let sent = if probing { Sent::Probe } else { Sent::Batch };
                        let failure = if quota { Failure::Quota } else { OUTAGE };
                        let _told = circuit.on_failure(sent, failure, now);
                        probing = false;
                        prop_assert_ne!(circuit.may_send(now), Some(Sent::Batch));
                    }
                    Step::Succeed(empty) => {
                        let sent = if probing { Sent::Probe } else { Sent::Batch };
                        let _told = circuit.on_success(sent, empty, now);
                        if probing {
                            prop_assert_eq!(circuit.state() == CircuitState::Closed, empty);
                        }
                        probing = false;
                    }
                }
            }
        }

        #[test]
        fn probes_of_an_hour_are_bounded(seed: u64, flapping: bool) {
            let mut circuit = Circuit::new(ProbePolicy::default(), seed, false, Duration::ZERO);
            let _opened = circuit.on_failure(Sent::Batch, OUTAGE, Duration::ZERO);
            let mut probes = 0;
            while let Some(now) = circuit.deadline() && now < Duration::from_hours(1) {
                circuit.probe_sent();
                probes += 1;
                if flapping {
                    let _draining = circuit.on_success(Sent::Probe, false, now);
                    let _opened = circuit.on_failure(Sent::Batch, OUTAGE, now);
                } else {
                    let _same = circuit.on_failure(Sent::Probe, OUTAGE, now);
                }
            }
            // Five doublings to 30 s, then at least half of that between two.
            prop_assert!(probes <= 6 + 240, "{} probes", probes);
        }
    }
}
