//! Harness around the pipeline: drives the ports at each step, and checks the invariants after it.

use super::checks::Books;
use super::scenario::Scenario;
use super::store::SimulatedStore;
use crate::model::{BarState, BarUpdate, WriteItem};
use crate::pipeline::Handle;
use crate::port::{Cost, Remedy};
use barmill_stores::state::{Bounds, SimDisk};
use fastrand::Rng;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Runs that end badly before the weather turns fair for good.
const LIVES_MAX: u32 = 5;
/// Steps of one run; past them something goes round in a circle.
const STEPS_MAX: u64 = 20_000;

/// What the store does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fair,
    Out,
    Flaky,
    Quota,
    Fatal,
}

/// How far a write gets, and what is answered.
#[derive(Debug, Clone)]
pub(super) struct Fate {
    /// Symbols whose items are applied, by their number; none for all.
    pub(super) applied: Applied,
    pub(super) latency: Duration,
    pub(super) answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    Nothing,
    /// The items of the symbols that would be on this of two shards.
    Half(usize),
    All,
}

#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// What is not applied fails with the remedy.
    Items(Remedy),
    Whole(Remedy),
    Short,
    /// No answer ever comes.
    Hangs,
}

impl Fate {
    /// The faults that a write with this fate meets.
    pub(super) fn faults(&self) -> impl Iterator<Item = FaultKind> + use<> {
        let kind = match self.answer {
            Answer::Short => Some(FaultKind::ShortAnswer),
            Answer::Hangs => Some(FaultKind::NoAnswer),
            Answer::Items(_) if self.applied == Applied::All => None,
            Answer::Items(remedy) | Answer::Whole(remedy) => Some(match remedy {
                Remedy::Retry { after: None } => FaultKind::StoreFailure,
                Remedy::Retry { after: Some(_) } => FaultKind::RetryAfter,
                Remedy::Reconnect => FaultKind::BrokenConnection,
                Remedy::Pause => FaultKind::Quota,
                Remedy::Refuse => FaultKind::Refusal,
                Remedy::Fatal => FaultKind::FatalAnswer,
            }),
        };
        let is_half = matches!(self.applied, Applied::Half(_));
        let is_answered = matches!(self.answer, Answer::Items(_));
        let is_lost = self.applied != Applied::Nothing && !is_answered;
        [
            kind,
            is_half.then_some(FaultKind::HalfApplied),
            is_lost.then_some(FaultKind::LostAnswer),
        ]
        .into_iter()
        .flatten()
    }
}

/// Everything that can go wrong; a run of the suite that does not meet each of them fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FaultKind {
    /// The process is killed between two steps, or in a commit.
    Kill,
    KillInCommit,
    PowerCut,
    Stop,
    Abort,
    FeedFailure,
    DiskFailure,
    FullDisk,
    FullSpool,
    ClockJump,
    /// The store fails and says no more.
    StoreFailure,
    RetryAfter,
    BrokenConnection,
    Quota,
    /// The store refuses a bar for good.
    Refusal,
    FatalAnswer,
    /// Fewer results than items.
    ShortAnswer,
    NoAnswer,
    /// Some items of a batch are applied.
    HalfApplied,
    /// Items are applied, and no answer says so.
    LostAnswer,
    CloseFailure,
}

impl FaultKind {
    pub(super) const ALL: [FaultKind; 21] = [
        FaultKind::Kill,
        FaultKind::KillInCommit,
        FaultKind::PowerCut,
        FaultKind::Stop,
        FaultKind::Abort,
        FaultKind::FeedFailure,
        FaultKind::DiskFailure,
        FaultKind::FullDisk,
        FaultKind::FullSpool,
        FaultKind::ClockJump,
        FaultKind::StoreFailure,
        FaultKind::RetryAfter,
        FaultKind::BrokenConnection,
        FaultKind::Quota,
        FaultKind::Refusal,
        FaultKind::FatalAnswer,
        FaultKind::ShortAnswer,
        FaultKind::NoAnswer,
        FaultKind::HalfApplied,
        FaultKind::LostAnswer,
        FaultKind::CloseFailure,
    ];
}

/// What is going to befall a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskFault {
    None,
    /// The machine stops after so many operations of the disk.
    Crash(u64),
    /// The disk fails at this operation and the process lives on.
    Fails(u64),
}

/// The world; the ports share it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) scenario: Arc<Scenario>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) random: Rng,
    pub(super) store: SimulatedStore,
    pub(super) books: Books,
    pub(super) disk: SimDisk,
    pub(super) bounds: Bounds,
    weather: Weather,
    has_poison: bool,
    /// What the clock on the wall shows too much, in nanoseconds.
    pub(super) clock_error: i64,
    /// Whether each step is printed.
    is_told: bool,
    lives: u32,
    steps: u64,
    kill_at: u64,
    leave_at: u64,
    /// A digest of every step, so that two runs of one seed can be told to be the same.
    trace: u64,
    pub(super) faults: BTreeSet<FaultKind>,
    pub(super) killed: CancellationToken,
    handle: Option<Handle>,
}

impl World {
    pub(super) fn new(seed: u64) -> Arc<World> {
        let mut random = Rng::with_seed(seed);
        let scenario = Scenario::new(&mut random);
        let has_poison = random.u8(..8) == 0;
        let spool_bytes_max = if has_poison {
            1 << 20
        } else {
            [1_500, 6_000, 1 << 20][random.usize(..3)]
        };
        let mut store = SimulatedStore::default();
        store.is_fenced = random.u8(..4) == 0;
        let inner = Inner {
            random,
            store,
            books: Books::default(),
            disk: SimDisk::default(),
            bounds: Bounds {
                spool_bytes_max,
                ..Bounds::default()
            },
            weather: Weather::Fair,
            has_poison,
            clock_error: 0,
            is_told: false,
            lives: 0,
            steps: 0,
            kill_at: 0,
            leave_at: 0,
            trace: seed,
            faults: BTreeSet::new(),
            killed: CancellationToken::new(),
            handle: None,
        };
        Arc::new(World {
            scenario: Arc::new(scenario),
            inner: Mutex::new(inner),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// A run begins on what the ones before have left.
    pub(super) fn begin(&self, spool: &[BarUpdate]) -> CancellationToken {
        let mut inner = self.lock();
        inner.lives += 1;
        inner.steps = 0;
        (inner.kill_at, inner.leave_at) = (u64::MAX, u64::MAX);
        if inner.lives <= LIVES_MAX {
            match inner.random.u8(..4) {
                0 | 1 => inner.kill_at = inner.random.u64(1..300),
                2 => inner.leave_at = inner.random.u64(1..300),
                _ => {}
            }
        } else {
            inner.weather = Weather::Fair;
            inner.disk.bound(None);
        }
        inner.store.begin_run(spool);
        inner.books.begin_run(Instant::now());
        inner.handle = None;
        inner.killed = CancellationToken::new();
        inner.killed.clone()
    }

    /// Prints each step from now on.
    pub(super) fn tell(&self) {
        let mut inner = self.lock();
        inner.is_told = true;
        let (has_poison, is_fenced) = (inner.has_poison, inner.store.is_fenced);
        inner.tell(format_args!(
            "{:#?} poison {has_poison} fenced {is_fenced}",
            self.scenario.settings
        ));
    }

    pub(super) fn born(&self, handle: Handle) {
        self.lock().handle = Some(handle);
    }

    /// Something happens at a port: the world turns, everything is checked, and this may be the end.
    pub(super) async fn step(&self, what: &str) {
        let is_dead = self.lock().turn(&self.scenario, what);
        if is_dead {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn outcome(&self) -> (u64, BTreeSet<FaultKind>) {
        let inner = self.lock();
        (inner.trace, inner.faults.clone())
    }
}

impl Inner {
    /// Says what happens, if this seed is to be told.
    #[expect(clippy::print_stdout, reason = "who asks for one seed reads its steps")]
    pub(super) fn tell(&self, what: std::fmt::Arguments<'_>) {
        if self.is_told {
            println!("{what}");
        }
    }

    fn is_calm(&self) -> bool {
        self.lives > LIVES_MAX
    }

    fn turn(&mut self, scenario: &Scenario, what: &str) -> bool {
        self.steps += 1;
        let writer = self
            .handle
            .as_ref()
            .filter(|_| self.is_told)
            .map(|handle| handle.state().writer);
        self.tell(format_args!(
            "{}.{} {what} {:?} {writer:?}",
            self.lives, self.steps, self.weather
        ));
        assert!(self.steps < STEPS_MAX, "a run without an end");
        for byte in what.bytes().chain([self.random.u8(..)]) {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if !self.is_calm() && self.random.u8(..24) == 0 {
            self.change_weather();
        }
        if self.steps == self.kill_at {
            self.faults.insert(FaultKind::Kill);
            self.die();
        }
        if let Some(handle) = &self.handle {
            if self.steps == self.leave_at {
                self.faults.insert(if self.random.bool() {
                    handle.stop();
                    FaultKind::Stop
                } else {
                    handle.abort();
                    FaultKind::Abort
                });
                self.books.is_stopped = true;
            }
            self.books.check(scenario, &handle.state());
        }
        self.killed.is_cancelled()
    }

    fn change_weather(&mut self) {
        self.weather = match self.random.u8(..16) {
            0..6 => Weather::Fair,
            6..9 => Weather::Out,
            9..13 => Weather::Flaky,
            13 | 14 => Weather::Quota,
            _ => Weather::Fatal,
        };
        let is_full = self.random.u8(..6) == 0;
        self.disk.bound(is_full.then(|| self.disk.size()));
        if self.random.u8(..4) == 0 {
            self.faults.insert(FaultKind::ClockJump);
            self.clock_error = self.random.i64(-200_000..200_000) * 1_000_000_000;
        }
    }

    /// The process is killed.
    pub(super) fn die(&mut self) {
        self.disk = self.disk.after_kill();
        self.killed.cancel();
    }

    /// The machine loses its power, or finds its disk broken.
    pub(super) fn lose_power(&mut self) {
        self.disk = self.disk.after_power_cut(&mut self.random);
        self.killed.cancel();
    }

    /// A run that ended by itself leaves the disk as it was written; one that failed is replaced by what survives.
    pub(super) fn disk_is_replaced(&mut self) {
        self.disk = self.disk.after_kill();
    }

    pub(super) fn feed_fails(&mut self) -> bool {
        let fails = !self.is_calm() && self.random.u16(..400) == 0;
        self.faults.extend(fails.then_some(FaultKind::FeedFailure));
        fails
    }

    pub(super) fn close_fails(&mut self) -> bool {
        let fails = !self.is_calm() && self.random.u8(..10) == 0;
        self.faults.extend(fails.then_some(FaultKind::CloseFailure));
        fails
    }

    /// How long the venue has nothing to tell.
    pub(super) fn silence(&mut self) -> Duration {
        match self.random.u8(..16) {
            0..12 => Duration::ZERO,
            12..15 => Duration::from_millis(self.random.u64(..3_000)),
            _ => Duration::from_secs(self.random.u64(..1_000)),
        }
    }

    pub(super) fn disk_fault(&mut self) -> DiskFault {
        if self.is_calm() {
            return DiskFault::None;
        }
        match self.random.u8(..60) {
            0 => DiskFault::Crash(self.random.u64(..12)),
            1 => DiskFault::Fails(self.random.u64(..12)),
            _ => DiskFault::None,
        }
    }

    /// The store will never take this bar.
    pub(super) fn is_poison(&self, item: &WriteItem) -> bool {
        match item {
            WriteItem::Bar(update) => {
                self.has_poison && update.bar.start.as_nanos() / 60_000_000_000 % 7 == 0
            }
            WriteItem::Manifest(_) => false,
        }
    }

    pub(super) fn fate(&mut self) -> Fate {
        let latency_max = [2, 50, 4_000][self.random.usize(..3)];
        let latency = Duration::from_millis(self.random.u64(..latency_max));
        let retry = Remedy::Retry { after: None };
        let fair = Fate {
            applied: Applied::All,
            latency,
            answer: Answer::Items(retry),
        };
        match self.weather {
            Weather::Fair => fair,
            Weather::Flaky if self.random.bool() => fair,
            Weather::Flaky | Weather::Out => Fate {
                applied: self.applied(),
                ..self.trouble(latency)
            },
            Weather::Quota => self.refusal(latency, Remedy::Pause),
            Weather::Fatal => self.refusal(latency, Remedy::Fatal),
        }
    }

    fn applied(&mut self) -> Applied {
        let is_out = self.weather == Weather::Out;
        match self.random.u8(..4) {
            0 | 1 => Applied::Nothing,
            2 if !is_out => Applied::All,
            _ => Applied::Half(self.random.usize(..2)),
        }
    }

    fn trouble(&mut self, latency: Duration) -> Fate {
        let after = match self.random.u8(..8) {
            0 => Some(Duration::from_secs(self.random.u64(..1_000))),
            1 => Some(Duration::ZERO),
            _ => None,
        };
        let retry = Remedy::Retry { after };
        let answer = match self.random.u8(..8) {
            0 | 1 => Answer::Items(retry),
            2 => Answer::Hangs,
            3 => Answer::Short,
            4 => Answer::Whole(Remedy::Reconnect),
            _ => Answer::Whole(retry),
        };
        Fate {
            applied: Applied::Nothing,
            latency,
            answer,
        }
    }

    fn refusal(&mut self, latency: Duration, remedy: Remedy) -> Fate {
        let (applied, answer) = match self.random.u8(..3) {
            0 => (Applied::Half(self.random.usize(..2)), Answer::Items(remedy)),
            1 => (Applied::Nothing, Answer::Items(remedy)),
            _ => (Applied::Nothing, Answer::Whole(remedy)),
        };
        Fate {
            applied,
            latency,
            answer,
        }
    }

    /// A write starts.
    pub(super) fn take_off(&mut self, scenario: &Scenario, items: &[WriteItem], cost: Cost) {
        let is_closed = |item: &&WriteItem| match item {
            WriteItem::Bar(update) => update.state != BarState::Forming,
            WriteItem::Manifest(_) => true,
        };
        assert!(
            items.iter().filter(is_closed).count() == items.len(),
            "an open bar is written"
        );
        self.books.take_off(scenario, items, cost, Instant::now());
    }
}
