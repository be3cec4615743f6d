//! The driver of a live feed: reports of the connections in, batches out, questions to the archive between them.
//!
//! One task, one loop: wait, decide, respond. It reads on while the consumer is slow, up to the backlog's bound; then
//! the connections are closed on purpose, and what they miss is fetched when there is room. Connections of which the
//! symbols change are made anew, and what that misses is fetched like any gap.

use super::backlog::Backlog;
use super::connection::{ConnectGate, Connection, ConnectionContext, Report};
use super::error::LiveError;
use super::event::Event;
use super::gaps::GapManager;
use super::idle::{IdleVerdict, IdleWatermark};
use super::settings::{LiveSettings, LiveSymbol, LiveSymbols};
use super::stats::{LiveStats, Skew};
use super::symbol_gaps::Now;
use barmill_core::model::{Symbol, Timestamp, TradeKey};
use barmill_core::port::{ControlEvent, FeedError, Gap, GapError, GapFill, GapSource, TradeBatch};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered, SelectAll, StreamExt};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

/// Time between two looks at the idle symbols.
const IDLE_EVERY: Duration = Duration::from_millis(100);
/// The longest wait when nothing is due.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// Longest wait for the connections to be closed in the venue's form.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(1);
/// Batches between the driver and the feed: one being taken, one ready.
const BATCHES_READY_MAX: usize = 2;
const DAY_NS: i64 = 86_400_000_000_000;

type Answer = (Symbol, Result<GapFill, GapError>);

/// Other symbols, and whether nothing before the starts of new ones is fetched.
#[derive(Debug)]
pub(crate) struct Reload {
    pub(crate) symbols: Vec<LiveSymbol>,
    pub(crate) is_partway: bool,
}

/// The feed's ends of what joins it to its driver.
pub(crate) struct DriverHandle {
    pub(crate) batches: mpsc::Receiver<Result<TradeBatch, FeedError>>,
    pub(crate) reload: mpsc::Sender<Reload>,
    pub(crate) stats: Arc<Mutex<LiveStats>>,
}

/// Reads the connections of a live feed; made by `LiveFeed::new`.
pub(crate) struct LiveDriver {
    settings: Arc<LiveSettings>,
    context: ConnectionContext,
    gate: watch::Sender<ConnectGate>,
    /// The symbols of each connection; `None` where it carries all.
    carried: Vec<Option<watch::Sender<Vec<Symbol>>>>,
    connections: SelectAll<BoxStream<'static, (usize, Report)>>,
    gaps: GapManager,
    /// Symbols that start with what comes, so that what was before their subscription is missing in their first bars.
    partway: BTreeSet<Symbol>,
    archive: Arc<dyn GapSource>,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    backlog: Backlog,
    idle: IdleWatermark,
    idle_at: Duration,
    skew: Skew,
    batches: mpsc::Sender<Result<TradeBatch, FeedError>>,
    reload: mpsc::Receiver<Reload>,
    stats: Arc<Mutex<LiveStats>>,
}

enum Turn {
    Room,
    Answer(Answer),
    Report(usize, Report),
    Reload(Reload),
    Due,
    Gone,
}

impl LiveDriver {
    /// Plans the connections; opens none.
    pub(crate) fn new(
        context: ConnectionContext,
        gate: watch::Sender<ConnectGate>,
        symbols: &LiveSymbols,
        archive: Arc<dyn GapSource>,
    ) -> (LiveDriver, DriverHandle) {
        let settings = Arc::clone(&context.settings);
        let (batches, batches_out) = mpsc::channel(BATCHES_READY_MAX);
        let (reload_in, reload) = mpsc::channel(1);
        let stats = Arc::<Mutex<LiveStats>>::default();
        let handle = DriverHandle {
            batches: batches_out,
            reload: reload_in,
            stats: Arc::clone(&stats),
        };
        let named: &[LiveSymbol] = match symbols {
            LiveSymbols::All => &[],
            LiveSymbols::Named(named) => named,
        };
        let first = named.iter().filter_map(|one| Some(one.after?.time)).min();
        let mut driver = LiveDriver {
            gaps: GapManager::new(
                &settings.gaps,
                settings.is_contiguous(),
                settings.resolution_ns(),
            ),
            backlog: Backlog::new(first.unwrap_or_else(|| context.clock.now())),
            idle: IdleWatermark::new(&settings.idle_closing, settings.gaps.settle),
            settings,
            context,
            gate,
            carried: Vec::new(),
            connections: SelectAll::new(),
            partway: BTreeSet::new(),
            archive,
            answers: FuturesUnordered::new(),
            idle_at: Duration::ZERO,
            skew: Skew::default(),
            batches,
            reload,
            stats,
        };
        if matches!(symbols, LiveSymbols::All) {
            driver.connect(None);
        }
        driver.connect_named(named);
        (driver, handle)
    }

    /// Says that nothing before the starts of these symbols is fetched: the bars across them are told to have a gap.
    pub(crate) fn start_partway(&mut self, symbols: &[LiveSymbol]) {
        for one in symbols {
            match one.after {
                Some(after) => self.gaps.tell(gap_before(one.symbol, after)),
                None => drop(self.partway.insert(one.symbol)),
            }
        }
    }

    /// Runs until the feed is dropped or a connection cannot be had; what it has for the feed is delivered first.
    pub(crate) async fn run(mut self) {
        loop {
            match self.next_turn().await {
                Turn::Gone => return self.leave().await,
                Turn::Room => self.on_room(),
                Turn::Answer((symbol, answer)) => self.on_answer(symbol, &answer),
                Turn::Due => self.on_due(),
                Turn::Reload(reload) => self.on_reload(&reload),
                Turn::Report(connection, Report::Ended(error)) => {
                    return self.on_ended(connection, error).await;
                }
                Turn::Report(connection, report) => self.on_report(connection, report),
            }
            self.settle();
        }
    }

    async fn next_turn(&mut self) -> Turn {
        let asking = self.gaps.ask_at().filter(|_| self.can_ask());
        let looking = (!self.idle.is_off()).then_some(self.idle_at);
        let due = [asking, looking]
            .into_iter()
            .flatten()
            .fold(self.context.epoch.elapsed() + WAIT_MAX, Duration::min);
        let has_news = !self.backlog.is_empty() || self.gaps.has_unfilled();
        tokio::select! {
            biased;
            () = self.batches.closed() => Turn::Gone,
            Some(reload) = self.reload.recv() => Turn::Reload(reload),
            Ok(_) = self.batches.reserve(), if has_news => Turn::Room,
            Some(answer) = self.answers.next() => Turn::Answer(answer),
            Some((connection, report)) = self.connections.next() => Turn::Report(connection, report),
            () = sleep_until(self.context.epoch + due) => Turn::Due,
        }
    }

    fn now(&self) -> Now {
        Now {
            elapsed: self.context.epoch.elapsed(),
            wall: self.context.clock.now(),
        }
    }

    fn can_ask(&self) -> bool {
        self.answers.len() < self.settings.gaps.in_flight_max
            // What history fills must leave room for what the connections bring.
            && self.backlog.len() < self.settings.backlog_len_max / 2
    }

    fn on_room(&mut self) {
        let mut batch = self.backlog.take(self.settings.batch_len_max);
        batch.gaps = self.gaps.take_unfilled();
        // The only sender had room a moment ago; a batch that is refused has no feed any more.
        let _unheard = self.batches.try_send(Ok(batch));
    }

    fn on_answer(&mut self, symbol: Symbol, answer: &Result<GapFill, GapError>) {
        let now = self.now();
        if let Err(error) = answer {
            let cause: &dyn std::error::Error = error;
            tracing::warn!(venue = self.settings.name(), %symbol, cause, "missed trades could not be fetched");
            if self.gaps.is_followed(symbol) {
                self.idle.on_failed(symbol, now.elapsed);
            }
        }
        self.gaps.on_fill(symbol, answer, now);
    }

    fn on_due(&mut self) {
        let now = self.now();
        while self.can_ask()
            && let Some(gap) = self.gaps.ask(now)
        {
            if gap.before.is_none() {
                self.idle.on_asked(gap.symbol, now.elapsed);
            }
            self.note(|stats| stats.requests += 1);
            let fetch = self.archive.fetch(gap);
            self.answers
                .push(Box::pin(async move { (gap.symbol, fetch.await) }));
        }
    }

    fn on_report(&mut self, connection: usize, report: Report) {
        let now = self.now();
        match report {
            Report::Opened => self.note(|stats| stats.connections += 1),
            Report::Live => {
                let symbols = self.symbols(connection);
                self.gaps.on_live(&symbols, now);
                let start = TradeKey::instant(now.wall);
                for symbol in symbols {
                    if self.partway.remove(&symbol) {
                        self.gaps.tell(gap_before(symbol, start));
                    }
                }
            }
            Report::Events(events) => {
                let tolerance = self.settings.clock_tolerance.as_nanos();
                let tolerance = i64::try_from(tolerance).unwrap_or(i64::MAX);
                let time_max = now.wall.saturating_add(tolerance);
                for event in events {
                    if let Event::Trade(trade) = &event {
                        let delay_ns = now.wall.as_nanos().saturating_sub(trade.time.as_nanos());
                        self.skew.note(delay_ns, now.elapsed);
                    }
                    match event.time() {
                        Some(time) if time_max < time => self.on_early(connection, time),
                        Some(_) | None => self.on_event(connection, event, now),
                    }
                }
            }
            Report::Down(error) => {
                self.gaps.on_down(&self.symbols(connection), now);
                self.note(|stats| stats.count_down(&error));
            }
            // The caller has taken this one.
            Report::Ended(_) => {}
        }
    }

    /// A trade that has not happened yet would move the watermark past all that follow.
    fn on_early(&self, connection: usize, time: Timestamp) {
        tracing::warn!(
            venue = self.settings.name(),
            connection,
            %time,
            "trade time is in the future; skipped"
        );
        self.note(|stats| stats.malformed += 1);
    }

    fn on_event(&mut self, connection: usize, event: Event, now: Now) {
        match event {
            Event::Trade(trade) => {
                self.idle.on_trade(connection, trade.time, now.elapsed);
                if self.gaps.on_trade(&trade, now) {
                    return;
                }
                if matches!(self.carried.get(connection), Some(None)) {
                    self.gaps.follow(trade.symbol, None);
                    let start = Now {
                        wall: trade.time,
                        ..now
                    };
                    self.gaps.on_live(&[trade.symbol], start);
                    self.gaps.on_trade(&trade, now);
                } else {
                    self.note(|stats| stats.filtered += 1);
                }
            }
            Event::Correction(pair) if self.gaps.is_followed(pair.original.symbol) => {
                self.backlog.correct(&pair);
            }
            Event::Correction(_) => self.note(|stats| stats.filtered += 1),
            Event::Snapshot(trade) => self.gaps.on_snapshot(&trade, now),
            Event::Newest { symbol, sequence } => self.gaps.on_newest(symbol, sequence, now),
            Event::Lost { messages } => {
                let symbols = self.symbols(connection);
                self.gaps.on_down(&symbols, now);
                self.gaps.on_live(&symbols, now);
                self.note(|stats| stats.lost_messages += messages);
            }
            Event::SymbolsRefused { symbols, text } => {
                for symbol in symbols {
                    tracing::error!(
                        venue = self.settings.name(),
                        connection,
                        %symbol,
                        text,
                        "venue refused the symbol; the other symbols continue"
                    );
                    self.gaps.leave(symbol, now);
                }
            }
            Event::Malformed(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(
                    venue = self.settings.name(),
                    connection,
                    cause,
                    "frame is not a trade; skipped"
                );
                self.note(|stats| stats.malformed += 1);
            }
            Event::Greeting
            | Event::AuthOk
            | Event::Subscribed(_)
            | Event::Heartbeat
            | Event::Refused(_)
            | Event::Other => {}
        }
    }

    /// After every turn: what is ready waits in the backlog, whose bound closes and opens the connections.
    fn settle(&mut self) {
        let now = self.now();
        let ready = self.gaps.take_ready();
        if let Some(newest) = ready.iter().map(|trade| trade.time).max() {
            self.idle.on_event(newest, now.elapsed);
        }
        self.backlog.extend(ready);
        self.backlog
            .release_changes(|symbol| self.gaps.is_live(symbol));
        if !self.idle.is_off() && self.idle_at <= now.elapsed {
            self.idle_at = now.elapsed + IDLE_EVERY;
            self.judge_idle(now);
        }
        let is_whole = self.gaps.is_whole();
        self.backlog.note_whole(is_whole);
        let (backlog_len, bound) = (self.backlog.len(), self.settings.backlog_len_max);
        let is_held = *self.gate.borrow() == ConnectGate::Held;
        if !is_held && bound <= backlog_len {
            self.gate.send_replace(ConnectGate::Held);
            self.note(|stats| stats.overloads += 1);
        } else if is_held && backlog_len < bound / 2 {
            self.gate.send_replace(ConnectGate::Open);
        }
        let (gaps, delay_ns) = (self.gaps.stats(), self.skew.delay_ns());
        self.note(|stats| {
            (stats.gaps, stats.backlog_len) = (gaps, backlog_len);
            (stats.is_whole, stats.delay_ns) = (is_whole, delay_ns);
        });
    }

    /// Tells of the symbols that are idle, and asks the archive of those of which nothing is known.
    fn judge_idle(&mut self, now: Now) {
        for connection in 0..self.carried.len() {
            for symbol in self.symbols(connection) {
                let Some(last) = self.gaps.live_to(symbol) else {
                    continue;
                };
                match self.idle.judge(connection, symbol, last, now.elapsed) {
                    IdleVerdict::Wait => {}
                    IdleVerdict::Ask => self.gaps.check(symbol, now),
                    IdleVerdict::Idle(before) => {
                        self.backlog.push(ControlEvent::Quiet { symbol, before });
                    }
                }
            }
        }
    }

    /// Follows these symbols and no others; those that stay keep what they have, new ones begin at their start.
    fn on_reload(&mut self, reload: &Reload) {
        if self.carried.iter().any(Option::is_none) {
            return;
        }
        let wanted: BTreeSet<Symbol> = reload.symbols.iter().map(|one| one.symbol).collect();
        let is_new = |one: &&LiveSymbol| !self.gaps.is_followed(one.symbol);
        let mut added: Vec<LiveSymbol> = reload.symbols.iter().filter(is_new).copied().collect();
        let (now, count, mut removed) = (self.now(), added.len(), 0);
        if reload.is_partway {
            let mut partway = added.clone();
            partway.retain(|one| !self.gaps.was_left(one.symbol));
            self.start_partway(&partway);
        }
        for names in self.carried.iter().flatten() {
            let (mut kept, gone): (Vec<Symbol>, Vec<Symbol>) = names
                .borrow()
                .iter()
                .partition(|symbol| wanted.contains(symbol));
            let room_max = self.settings.symbols_per_connection_max;
            let room = room_max.saturating_sub(kept.len());
            let part: Vec<LiveSymbol> = added.drain(..added.len().min(room)).collect();
            if gone.is_empty() && part.is_empty() {
                continue;
            }
            removed += gone.len();
            for symbol in gone {
                self.gaps.leave(symbol, now);
            }
            for one in part {
                self.gaps.follow(one.symbol, one.after);
                kept.push(one.symbol);
            }
            names.send_replace(kept);
        }
        self.connect_named(&added);
        tracing::info!(
            venue = self.settings.name(),
            added = count,
            removed,
            "symbols reloaded"
        );
    }

    /// Adds connections for symbols, each with as many as it may carry.
    fn connect_named(&mut self, symbols: &[LiveSymbol]) {
        for part in symbols.chunks(self.settings.symbols_per_connection_max) {
            for one in part {
                self.gaps.follow(one.symbol, one.after);
            }
            self.connect(Some(part.iter().map(|one| one.symbol).collect()));
        }
    }

    fn connect(&mut self, symbols: Option<Vec<Symbol>>) {
        let (carried, view) = symbols.map(watch::channel).unzip();
        let connection = Connection::reports(self.context.clone(), self.carried.len(), view);
        self.carried.push(carried);
        self.connections.push(connection);
    }

    /// The symbols that a connection carries.
    fn symbols(&self, connection: usize) -> Vec<Symbol> {
        match self.carried.get(connection) {
            Some(Some(names)) => names.borrow().clone(),
            Some(None) | None => self.gaps.symbols(),
        }
    }

    /// Closes the connections in the venue's form.
    async fn leave(&mut self) {
        self.gate.send_replace(ConnectGate::Shut);
        let goodbyes = async {
            let mut left = self.carried.len();
            while left > 0
                && let Some((_, report)) = self.connections.next().await
            {
                left -= usize::from(matches!(report, Report::Down(_) | Report::Ended(_)));
            }
        };
        // A connection that is not open says nothing, so that this is bounded by time alone.
        let _late = tokio::time::timeout(CLOSE_WAIT_MAX, goodbyes).await;
    }

    /// Delivers what is left, then the error.
    async fn on_ended(&mut self, connection: usize, error: LiveError) {
        while !self.backlog.is_empty() && self.batches.reserve().await.is_ok() {
            self.on_room();
        }
        let error = FeedError {
            feed: format!("{} connection {connection}", self.settings.name()),
            source: Box::new(error),
        };
        // A feed that is gone wants no error.
        let _unheard = self.batches.send(Err(error)).await;
    }

    fn note(&self, change: impl FnOnce(&mut LiveStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The gap before the start of a symbol that nobody asks history for; a day long, so that the day's bars are marked too.
fn gap_before(symbol: Symbol, start: TradeKey) -> Gap {
    let from = start.time.saturating_sub(DAY_NS);
    Gap {
        symbol,
        after: TradeKey {
            time: from,
            ..start
        },
        before: None,
        from,
        to: start.time,
        len_max: 1,
    }
}
