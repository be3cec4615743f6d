//! Health and readiness of a run.
//!
//! Ready means: the bars in the store are current. A source that brings no trade while its market is open is stale; a
//! market that is shut is as it should be.

use super::liveness::StallDetector;
use crate::Timestamp;
use crate::engine::circuit::CircuitState;
use crate::engine::requested::{Hours, Requested};
use crate::pipeline::Handle;
use crate::port::Clock;
use barmill_sources::live::LiveStats;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a run may make no progress with work before it.
const STALL_MAX: Duration = Duration::from_mins(2);
const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;

/// One source of a run.
pub struct SourceView {
    /// The venue's name.
    pub name: String,
    /// What its connections have counted so far.
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "only metrics show them")
    )]
    pub stats: Box<dyn Fn() -> LiveStats + Send + Sync>,
}

impl fmt::Debug for SourceView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceView")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// An answer on health or readiness.
///
/// See the example of [`PipelineBuilder`](crate::PipelineBuilder).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether all is well.
    pub is_ok: bool,
    /// Why, one line for each reason.
    pub text: String,
}

/// Watches the health of a run.
#[derive(Debug)]
pub struct HealthStatus {
    handle: Handle,
    /// In the order of the pipeline's feeds.
    sources: Vec<SourceView>,
    hours: Hours,
    stale_after: Duration,
    started: Timestamp,
    clock: Arc<dyn Clock>,
    stall: Mutex<StallDetector>,
}

impl HealthStatus {
    /// Watches a run from now on; a source that brings no trade for longer than `stale_after` while `hours` are open is
    /// stale.
    pub fn new(
        handle: Handle,
        sources: Vec<SourceView>,
        hours: Hours,
        stale_after: Duration,
        clock: Arc<dyn Clock>,
    ) -> HealthStatus {
        HealthStatus {
            handle,
            sources,
            hours,
            stale_after,
            started: clock.now(),
            clock,
            stall: Mutex::new(StallDetector::new()),
        }
    }

    /// The run.
    #[cfg(feature = "cli")]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The sources, in the order of the pipeline's feeds.
    #[cfg(feature = "cli")]
    pub fn sources(&self) -> &[SourceView] {
        &self.sources
    }

    /// For how long the run has made no progress although work waits.
    pub fn stalled_for(&self) -> Duration {
        let mut stall = self.stall.lock().unwrap_or_else(PoisonError::into_inner);
        stall.stalled_for(&self.handle.state())
    }

    /// When the session began that `now` is in; `None` while the market is shut. A day beyond the calendar counts as
    /// open, so that a calendar that ends turns nothing green.
    fn open_since(&self, now: Timestamp) -> Option<Timestamp> {
        let mut asked = Requested::default();
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
            CircuitState::Draining => {
                complaints.push(format!(
                    "{} items of the spool are not yet in the store",
                    state.writer.spooled
                ));
            }
            CircuitState::Open => {
                complaints.push(format!(
                    "store is out, {} items wait in the spool",
                    state.writer.spooled
                ));
            }
            CircuitState::Paused => {
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
            if i64::try_from(self.stale_after.as_secs()).is_ok_and(|stale_s| stale_s < age_s) {
                complaints.push(format!(
                    "{} brings no trade for {age_s} s while its market is open",
                    source.name
                ));
            }
        }
        complaints
    }

    /// Whether the run makes progress.
    pub fn liveness(&self) -> Health {
        let still = self.stalled_for();
        let is_ok = still < STALL_MAX;
        let text = if is_ok {
            "ok\n".to_owned()
        } else {
            format!(
                "nothing was done for {} s although something waits\n",
                still.as_secs()
            )
        };
        Health { is_ok, text }
    }

    /// Whether the bars in the store are current.
    pub fn readiness(&self) -> Health {
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
        Health {
            is_ok: complaints.is_empty(),
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, HealthStatus, Hours, SourceView, StallDetector, Timestamp};
    use crate::engine::calendar::{Calendar, SessionKind};
    use crate::{Pipeline, Trade};
    use barmill_sources::live::LiveStats;
    use barmill_stores::NullSink;
    use jiff::tz::TimeZone;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    #[derive(Debug)]
    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    /// What the page says at an instant of a run that began long before and whose source brings nothing.
    async fn readiness(
        calendar: Calendar,
        kind: Option<SessionKind>,
        zone: &str,
        now: &str,
    ) -> (bool, String) {
        let silent = futures::stream::pending::<Trade>();
        let running = Pipeline::builder()
            .trades("silent", silent)
            .sink(NullSink::default())
            .start()
            .await
            .unwrap();
        let page = HealthStatus {
            handle: running.handle(),
            sources: vec![SourceView {
                name: "silent".to_owned(),
                stats: Box::new(LiveStats::default),
            }],
            hours: Hours {
                calendar,
                kind,
                zone: TimeZone::get(zone).unwrap(),
            },
            stale_after: Duration::from_mins(2),
            started: Timestamp::EPOCH,
            clock: Arc::new(At(now.parse().unwrap())),
            stall: Mutex::new(StallDetector::new()),
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
                readiness(calendar, Some(kind), "America/New_York", now).await,
                told,
                "{now}"
            );
        }
        let always = readiness(Calendar::always_open(), None, "UTC", "2026-11-28T00:10:00Z").await;
        assert_eq!(always, stale(600));
    }
}
