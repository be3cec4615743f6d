//! The simulated clock, and how much of the recording has happened.
//!
//! One number decides everything: how many trades of the recording are published. The sockets send up to it, the history
//! answers up to it. It follows the clock, or at full speed the slowest reader.

use super::fault::{Fault, FaultKind, FaultPlan};
use super::recording::{Published, Recording};
use barmill_core::model::Timestamp;
use serde::Serialize;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// The shortest wait between two publications.
const TICK: Duration = Duration::from_millis(2);
/// Trades that a reader may be behind at full speed.
const WINDOW: usize = 4_096;
/// Trades that happen at full speed while nobody listens, after each connection that ends.
const MISSED: usize = 64;

/// How a recording is served.
#[derive(Debug, Clone)]
pub struct SimulatorSettings {
    /// Thousandths of the wall clock's speed; `None` is as fast as the clients read.
    pub speed: Option<NonZeroU32>,
    /// Whether the clock waits for the first subscription; at full speed it always does.
    pub waits: bool,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Whether the simulation ends with the recording.
    pub once: bool,
    /// How long the end waits for the clients to leave.
    pub linger: Duration,
}

impl Default for SimulatorSettings {
    fn default() -> SimulatorSettings {
        SimulatorSettings {
            speed: NonZeroU32::new(1_000),
            waits: false,
            faults: Vec::new(),
            once: false,
            linger: Duration::from_secs(5),
        }
    }
}

/// What was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SimulatorStats {
    /// Trades of the recording that have happened.
    pub published: u64,
    /// Trades sent, over all connections.
    pub sent: u64,
    /// WebSocket connections.
    pub connections: u64,
    /// Connections broken by a fault.
    pub broken: u64,
    /// REST requests.
    pub requests: u64,
    /// Trades held back or repeated by a fault.
    pub twisted: u64,
    /// Requests that a fault spoiled.
    pub spoiled: u64,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Playback {
    pub(crate) recording: Recording,
    pub(crate) plan: FaultPlan,
    pub(crate) settings: SimulatorSettings,
    stats: Mutex<SimulatorStats>,
    /// Sessions that are open.
    pub(crate) open: AtomicU64,
    /// Proofs of who a client is that came while a fault refuses them.
    pub(crate) keys: AtomicU64,
    published: watch::Sender<usize>,
    /// When the clock started.
    origin: OnceLock<Instant>,
    /// Somebody subscribed, went on or left.
    news: Notify,
    readers: Mutex<Vec<Weak<AtomicUsize>>>,
}

impl Playback {
    pub(crate) fn new(recording: Recording, settings: SimulatorSettings) -> Playback {
        Playback {
            plan: FaultPlan::new(&settings.faults, &recording),
            recording,
            settings,
            stats: Mutex::default(),
            open: AtomicU64::new(0),
            keys: AtomicU64::new(0),
            published: watch::Sender::new(0),
            origin: OnceLock::new(),
            news: Notify::new(),
            readers: Mutex::new(Vec::new()),
        }
    }

    /// How many trades have happened, to be watched.
    pub(crate) fn watch(&self) -> watch::Receiver<usize> {
        self.published.subscribe()
    }

    pub(crate) fn published(&self) -> usize {
        *self.published.borrow()
    }

    /// What has happened.
    pub(crate) fn happened(&self) -> Published<'_> {
        Published {
            recording: &self.recording,
            len: self.published(),
            now: self.now(),
        }
    }

    /// What the history has: what has happened, less its lag.
    pub(crate) fn history(&self) -> Published<'_> {
        let mut history = self.happened();
        if let Some(lag) = self.plan.time(FaultKind::Lag) {
            let until = history.now.saturating_sub(lag);
            history.len = history.len.min(self.recording.count_until(until));
        }
        history
    }

    /// The simulated time; before the start that of the first trade.
    pub(crate) fn now(&self) -> Timestamp {
        let (first, last) = self.recording.span();
        match (self.settings.speed, self.origin.get()) {
            (_, None) => first,
            (Some(speed), Some(origin)) => {
                let nanos = origin.elapsed().as_nanos() * u128::from(speed.get()) / 1_000;
                first.saturating_add(i64::try_from(nanos).unwrap_or(i64::MAX))
            }
            (None, Some(_)) => match self.published().checked_sub(1) {
                Some(newest) if newest + 1 < self.recording.len() => {
                    self.recording.trades()[newest].time
                }
                Some(_) => last,
                None => first,
            },
        }
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Weak<AtomicUsize>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a reader, whose next position this is.
    pub(crate) fn add_reader(&self, position: &Arc<AtomicUsize>) {
        self.readers().push(Arc::downgrade(position));
        self.news.notify_one();
    }

    /// A reader has gone on, or has left.
    pub(crate) fn notify(&self) {
        self.news.notify_one();
    }

    pub(crate) fn stats(&self) -> SimulatorStats {
        SimulatorStats {
            published: u64::try_from(self.published()).unwrap_or(u64::MAX),
            ..self.count(|_| {})
        }
    }

    /// Changes what is counted, and gives it as it was before.
    pub(crate) fn count(&self, change: impl FnOnce(&mut SimulatorStats)) -> SimulatorStats {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *stats;
        change(&mut stats);
        before
    }

    /// Plays the recording to its end.
    pub(crate) async fn play(&self) {
        if self.settings.waits || self.settings.speed.is_none() {
            while self.slowest().is_none() {
                self.news.notified().await;
            }
        }
        let origin = *self.origin.get_or_init(Instant::now);
        match self.settings.speed {
            Some(speed) => self.play_paced(origin, speed).await,
            None => self.play_max().await,
        }
    }

    async fn play_paced(&self, origin: Instant, speed: NonZeroU32) {
        let (first, _) = self.recording.span();
        loop {
            let due = self.recording.count_until(self.now());
            self.published.send_replace(due);
            let Some(next) = self.recording.trades().get(due) else {
                return;
            };
            let wait = i128::from(next.time.since(first)) * 1_000 / i128::from(speed.get());
            let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
            sleep_until((origin + wait).max(Instant::now() + TICK)).await;
        }
    }

    async fn play_max(&self) {
        let mut had_readers = true;
        loop {
            let published = self.published();
            if self.recording.len() <= published {
                return;
            }
            let target = match self.slowest() {
                Some(position) => position + WINDOW,
                None if had_readers => published + MISSED,
                None => published,
            };
            had_readers = self.slowest().is_some();
            if published < target {
                self.published
                    .send_replace(target.min(self.recording.len()));
            } else {
                self.news.notified().await;
            }
        }
    }

    /// The position of the slowest reader; `None` when there is none.
    fn slowest(&self) -> Option<usize> {
        let mut readers = self.readers();
        readers.retain(|reader| reader.strong_count() > 0);
        let positions = readers.iter().filter_map(Weak::upgrade);
        positions
            .map(|position| position.load(Ordering::Relaxed))
            .min()
    }

    /// Waits until nobody reads, or the patience is over.
    pub(crate) async fn linger(&self) {
        let until = Instant::now() + self.settings.linger;
        while self.slowest().is_some() {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.news.notified() => {}
            }
        }
    }
}
