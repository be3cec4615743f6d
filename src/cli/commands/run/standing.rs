//! How a run stands, as its pages tell it.
//!
//! Ready means: the bars in the store are current. A source that brings no trade while its market is open is stale; a
//! market that is shut is as it should be.

use super::metrics;
use super::pulse::Pulse;
use crate::Timestamp;
use crate::engine::asked::{Asked, Hours};
use crate::engine::circuit::CircuitState;
use crate::pipeline::Handle;
use crate::port::Clock;
use crate::status::server::{Page, Pages};
use barmill_sources::live::LiveStats;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a run may stand still with work before it.
const STILL_MAX: Duration = Duration::from_mins(2);
const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;

/// One source of a run.
pub(super) struct SourceView {
    pub(super) name: &'static str,
    pub(super) stats: Box<dyn Fn() -> LiveStats + Send + Sync>,
}

/// How a run stands.
pub(super) struct Standing {
    pub(super) handle: Handle,
    /// In the order of the pipeline's feeds.
    pub(super) sources: Vec<SourceView>,
    pub(super) hours: Hours,
    /// Seconds without a trade in session.
    pub(super) stale_s: u64,
    pub(super) started: Timestamp,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) budget: metrics::Budget,
    pub(super) pulse: Mutex<Pulse>,
}

impl Standing {
    /// For how long the run has stood still with work before it.
    pub(super) fn stands_still(&self) -> Duration {
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        pulse.stands_still(&self.handle.state())
    }

    /// When the session began that `now` is in; `None` while the market is shut. A day beyond the calendar counts as
    /// open, so that a calendar that ends turns nothing green.
    fn open_since(&self, now: Timestamp) -> Option<Timestamp> {
        let mut asked = Asked::default();
        let (from, to) = (now.saturating_sub(DAY_NS), now.saturating_add(DAY_NS));
        if self.hours.ask(from, to, &mut asked).is_err() {
            return Some(from);
        }
        let day = asked
            .days
            .iter()
            .find(|day| day.from <= now && now < day.to)?;
        // The day before is cut to the interval, which is no opening.
        Some(day.from)
    }

    /// What keeps the bars from being current.
    fn complaints(&self) -> Vec<String> {
        let (state, now) = (self.handle.state(), self.clock.now());
        let mut complaints = Vec::new();
        match state.writer.circuit {
            CircuitState::Closed => {}
            CircuitState::Draining { .. } => {
                complaints.push(format!(
                    "{} items of the spool are not yet in the store",
                    state.writer.spooled
                ));
            }
            CircuitState::Open { .. } => {
                complaints.push(format!(
                    "store is out, {} items wait in the spool",
                    state.writer.spooled
                ));
            }
            CircuitState::Paused { .. } => {
                complaints.push(format!(
                    "budget is used up, {} items wait in the spool",
                    state.writer.spooled
                ));
            }
        }
        let Some(open) = self.open_since(now) else {
            return complaints;
        };
        for (source, feed) in self.sources.iter().zip(&state.feeds) {
            let since = feed.newest.max(open).max(self.started);
            let age_s = now.since(since).div_euclid(SECOND_NS);
            if i64::try_from(self.stale_s).is_ok_and(|stale_s| stale_s < age_s) {
                complaints.push(format!(
                    "{} brings no trade for {age_s} s while its market is open",
                    source.name
                ));
            }
        }
        complaints
    }
}

impl Pages for Standing {
    fn health(&self) -> Page {
        let still = self.stands_still();
        let is_ok = still < STILL_MAX;
        let text = if is_ok {
            "ok\n".to_owned()
        } else {
            format!(
                "nothing was done for {} s although something waits\n",
                still.as_secs()
            )
        };
        Page { is_ok, text }
    }

    fn readiness(&self) -> Page {
        let complaints = self.complaints();
        let mut text = String::new();
        for complaint in &complaints {
            // Writing to a text does not fail.
            let _written = writeln!(text, "{complaint}");
        }
        if complaints.is_empty() {
            let is_shut = self.open_since(self.clock.now()).is_none();
            text.push_str(if is_shut {
                "ready, the market is shut\n"
            } else {
                "ready\n"
            });
        }
        Page {
            is_ok: complaints.is_empty(),
            text,
        }
    }

    fn metrics(&self) -> String {
        metrics::render(
            &self.handle.state(),
            &self.sources,
            &self.budget,
            self.clock.now(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Hours, Pages, Pulse, SourceView, Standing, Timestamp, metrics};
    use crate::engine::calendar::{Calendar, SessionKind};
    use crate::{Pipeline, Trade};
    use barmill_sources::live::LiveStats;
    use barmill_stores::store::NullSink;
    use jiff::tz::TimeZone;
    use std::sync::{Arc, Mutex};

    #[derive(Debug)]
    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    /// What the page says at an instant of a run that began long before and whose source brings nothing.
    fn readiness(
        calendar: Calendar,
        kind: Option<SessionKind>,
        zone: &str,
        now: &str,
    ) -> (bool, String) {
        let silent = futures::stream::pending::<Trade>();
        let pipeline = Pipeline::builder()
            .trades("silent", silent)
            .sink(NullSink::default())
            .build()
            .unwrap();
        let running = pipeline.start();
        let page = Standing {
            handle: running.handle(),
            sources: vec![SourceView {
                name: "silent",
                stats: Box::new(LiveStats::default),
            }],
            hours: Hours {
                calendar,
                kind,
                zone: TimeZone::get(zone).unwrap(),
            },
            stale_s: 120,
            started: Timestamp::EPOCH,
            clock: Arc::new(At(now.parse().unwrap())),
            budget: metrics::Budget::default(),
            pulse: Mutex::new(Pulse::new()),
        }
        .readiness();
        (page.is_ok, page.text)
    }

    #[tokio::test]
    async fn silence_is_stale_in_the_session_and_as_it_should_be_when_the_market_is_shut() {
        let shut = (true, "ready, the market is shut\n".to_owned());
        let stale = |age_s: u32| {
            (
                false,
                format!("silent brings no trade for {age_s} s while its market is open\n"),
            )
        };
        let cases = [
            (SessionKind::Regular, "2026-11-24T14:29:59Z", shut.clone()),
            (
                SessionKind::Regular,
                "2026-11-24T14:32:00Z",
                (true, "ready\n".to_owned()),
            ),
            (SessionKind::Regular, "2026-11-24T14:32:01Z", stale(121)),
            (SessionKind::Regular, "2026-11-24T21:00:00Z", shut.clone()),
            (SessionKind::All, "2026-11-24T21:00:00Z", stale(12 * 3_600)),
            // Thanksgiving, the early close of the day after, and a Saturday.
            (SessionKind::Regular, "2026-11-26T16:00:00Z", shut.clone()),
            (
                SessionKind::Regular,
                "2026-11-27T17:59:59Z",
                stale(3 * 3_600 + 1_799),
            ),
            (SessionKind::Regular, "2026-11-27T18:00:00Z", shut.clone()),
            (SessionKind::All, "2026-11-28T16:00:00Z", shut),
            // Daylight saving: the same hour of the wall is another one of UTC.
            (SessionKind::Regular, "2026-07-01T13:40:00Z", stale(600)),
        ];
        for (kind, now, told) in cases {
            let calendar = Calendar::us_equities().unwrap();
            assert_eq!(
                readiness(calendar, Some(kind), "America/New_York", now),
                told,
                "{now}"
            );
        }
        let always = readiness(Calendar::always_open(), None, "UTC", "2026-11-28T00:10:00Z");
        assert_eq!(always, stale(600));
    }
}
