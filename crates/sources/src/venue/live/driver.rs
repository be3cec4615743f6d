//! The hub of a live feed: reports in, batches out, questions to the archive between them.
//!
//! It reads on while the consumer is slow, up to the backlog's bound; then the connections are closed on purpose and
//! what they miss is fetched when there is room. One task, one loop: wait, decide, respond.

use super::backlog::Backlog;
use super::changes::Changes;
use super::connection::{ConnectGate, Report, Shared};
use super::continuity::Continuity;
use super::error::LiveError;
use super::event::Event;
use super::feed::{Delivery, LiveStats, Reload, partway};
use super::idle::Quiet;
use super::settings::{LiveSettings, LiveSymbol, LiveSymbols};
use super::skew::Skew;
use barmill_core::model::{Price, Symbol, Timestamp, Trade, TradeId, TradeKey};
use barmill_core::port::{FeedError, GapError, GapFill, GapSource, Position, TradeBatch};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered, SelectAll, StreamExt};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

mod reload;
mod upkeep;

/// Event time kept back from the position, for symbols that run behind others, nanoseconds.
const POSITION_SLACK_NS: i64 = 10_000_000_000;
/// Time between two looks at the quiet symbols.
const QUIET_EVERY: Duration = Duration::from_millis(100);
/// The longest wait when nothing is due.
const IDLE: Duration = Duration::from_mins(1);

type Answer = (Symbol, Result<GapFill, GapError>);

/// The hub; made by `LiveFeed::new`.
pub struct LiveDriver {
    settings: Arc<LiveSettings>,
    shared: Shared,
    door: watch::Sender<ConnectGate>,
    /// The places in `continuity` that each connection carries; `None` for all.
    carried: Vec<Option<Vec<usize>>>,
    /// The symbols of each connection that does not carry all.
    wanted: Vec<watch::Sender<Vec<Symbol>>>,
    reload: mpsc::Receiver<Reload>,
    connections: SelectAll<BoxStream<'static, (usize, Report)>>,
    continuity: Continuity,
    /// Symbols that start with what comes, so that what was before their subscription is missing in their first bars.
    partway: BTreeSet<Symbol>,
    archive: Arc<dyn GapSource>,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    backlog: Backlog,
    changes: Changes,
    quiet: Quiet,
    quiet_at: Duration,
    skew: Skew,
    position: Timestamp,
    newest: Timestamp,
    /// Trades at the head of the backlog that the position must not pass: among them are fetched, older ones.
    embargo: usize,
    was_whole: bool,
    outlet: mpsc::Sender<Result<Delivery, FeedError>>,
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
    pub(crate) fn new(
        shared: Shared,
        door: watch::Sender<ConnectGate>,
        symbols: &LiveSymbols,
        archive: Arc<dyn GapSource>,
        (outlet, reload): (
            mpsc::Sender<Result<Delivery, FeedError>>,
            mpsc::Receiver<Reload>,
        ),
    ) -> LiveDriver {
        let settings = Arc::clone(&shared.settings);
        let now = shared.clock.now();
        let mut driver = LiveDriver {
            continuity: Continuity::new(
                &settings.gaps,
                settings.is_contiguous(),
                settings.resolution_ns(),
            ),
            shared,
            door,
            carried: Vec::new(),
            wanted: Vec::new(),
            reload,
            connections: SelectAll::new(),
            archive,
            answers: FuturesUnordered::new(),
            backlog: Backlog::default(),
            changes: Changes::default(),
            quiet: Quiet::new(&settings.quiet),
            quiet_at: Duration::ZERO,
            skew: Skew::default(),
            partway: BTreeSet::new(),
            position: now,
            newest: Timestamp::EPOCH,
            embargo: 0,
            was_whole: false,
            outlet,
            stats: Arc::default(),
            settings,
        };
        driver.plan(symbols);
        driver
    }

    pub(crate) fn stats(&self) -> Arc<Mutex<LiveStats>> {
        Arc::clone(&self.stats)
    }

    /// Runs until the feed is dropped or a connection cannot be had; what it has for the feed is delivered first.
    pub async fn run(mut self) {
        loop {
            match self.next_turn().await {
                Turn::Gone => return self.leave().await,
                Turn::Room => self.on_room(),
                Turn::Answer((symbol, answer)) => self.on_answer(symbol, &answer),
                Turn::Due => self.on_due(),
                Turn::Reload(reload) => self.on_reload(&reload),
                Turn::Report(index, Report::Ended(fault)) => {
                    return self.on_ended(index, fault).await;
                }
                Turn::Report(index, report) => self.on_report(index, report),
            }
            self.settle();
        }
    }

    async fn next_turn(&mut self) -> Turn {
        let now = self.shared.epoch.elapsed();
        let asking = self.continuity.ask_at().filter(|_| self.can_ask());
        let looking = (!self.quiet.is_off()).then_some(self.quiet_at);
        let due = [asking, looking]
            .into_iter()
            .flatten()
            .fold(now + IDLE, Duration::min);
        let has_news = !self.backlog.is_empty() || self.continuity.has_unfilled();
        tokio::select! {
            biased;
            () = self.outlet.closed() => Turn::Gone,
            Some(reload) = self.reload.recv() => Turn::Reload(reload),
            Ok(_) = self.outlet.reserve(), if has_news => Turn::Room,
            Some(answer) = self.answers.next() => Turn::Answer(answer),
            Some((index, report)) = self.connections.next() => Turn::Report(index, report),
            () = sleep_until(self.shared.epoch + due) => Turn::Due,
        }
    }

    fn can_ask(&self) -> bool {
        self.answers.len() < self.settings.gaps.in_flight_max
            // What history fills must leave room for what the connections bring.
            && self.backlog.len() < self.settings.backlog_len_max / 2
    }

    fn on_room(&mut self) {
        let (trades, asides) = self.backlog.take(self.settings.batch_len_max);
        let count = trades.len();
        let newest = trades
            .iter()
            .map(|trade| trade.time)
            .max()
            .unwrap_or_default();
        self.newest = self.newest.max(newest);
        self.embargo = self.embargo.saturating_sub(count);
        // While something is missed the position stays before it.
        if self.was_whole && self.embargo == 0 {
            self.position = self
                .position
                .max(self.newest.saturating_sub(POSITION_SLACK_NS));
        }
        let position = Position(u64::try_from(self.position.as_nanos()).unwrap_or(0));
        let gaps = self.continuity.take_unfilled();
        let delivery = Delivery {
            batch: TradeBatch { trades, position },
            gaps,
            asides,
        };
        if let Err(refused) = self.outlet.try_send(Ok(delivery)) {
            // The only sender had room a moment ago, so that the feed is gone.
            drop(refused);
        }
    }

    fn on_answer(&mut self, symbol: Symbol, answer: &Result<GapFill, GapError>) {
        if let Err(error) = answer {
            let cause: &dyn std::error::Error = error;
            tracing::warn!(venue = self.settings.name(), %symbol, cause, "missed trades could not be fetched");
        }
        if let (Err(_), Some(place)) = (answer, self.continuity.place(symbol)) {
            self.quiet.on_failed(place, self.shared.epoch.elapsed());
        }
        let (now, wall) = (self.shared.epoch.elapsed(), self.shared.clock.now());
        self.continuity.on_fill(symbol, answer, now, wall);
    }

    fn on_due(&mut self) {
        let (now, wall) = (self.shared.epoch.elapsed(), self.shared.clock.now());
        while self.can_ask()
            && let Some(gap) = self.continuity.ask(now, wall)
        {
            if let (None, Some(place)) = (gap.before, self.continuity.place(gap.symbol)) {
                self.quiet.on_asked(place, self.settings.gaps.settle, now);
            }
            self.note(|stats| stats.requests += 1);
            let fetch = self.archive.fetch(gap);
            self.answers
                .push(Box::pin(async move { (gap.symbol, fetch.await) }));
        }
    }

    fn on_report(&mut self, index: usize, report: Report) {
        let now = self.shared.epoch.elapsed();
        match report {
            Report::Opened => self.note(|stats| stats.connections += 1),
            Report::Live => {
                let (places, wall) = (self.places(index), self.shared.clock.now());
                self.continuity.on_live(&places, now, wall);
                self.tell_starts(&places, wall);
            }
            Report::Events(events) => {
                self.note_delay(&events, now);
                let tolerance = self.settings.clock_tolerance.as_nanos();
                let tolerance = i64::try_from(tolerance).unwrap_or(i64::MAX);
                let time_max = self.shared.clock.now().saturating_add(tolerance);
                for event in events {
                    match event.time() {
                        Some(time) if time_max < time => self.on_early(index, time),
                        Some(_) | None => self.on_event(index, event, now),
                    }
                }
            }
            Report::Down(fault) => {
                let places = self.places(index);
                self.continuity.on_down(&places);
                self.note(|stats| stats.count_down(&fault));
            }
            // The caller has taken this one.
            Report::Ended(_) => {}
        }
    }

    /// Notes symbols that start with what comes.
    pub(crate) fn start_partway(&mut self, symbols: &[LiveSymbol]) {
        let unknown = symbols.iter().filter(|one| one.after.is_none());
        self.partway.extend(unknown.map(|one| one.symbol));
    }

    /// Tells the hole before the subscription of symbols that start with what comes.
    fn tell_starts(&mut self, places: &[usize], wall: Timestamp) {
        for &place in places {
            let Some(symbol) = self.continuity.symbol(place) else {
                continue;
            };
            if self.partway.remove(&symbol) {
                let after = Some(TradeKey {
                    time: wall,
                    sequence: 0,
                    id: TradeId::NONE,
                    price: Price::ZERO,
                });
                let gap = partway(&LiveSymbol { symbol, after });
                if let Some(gap) = gap {
                    self.continuity.tell(gap);
                }
            }
        }
    }

    /// A trade that has not happened yet would move the watermark past all that follow.
    fn on_early(&self, index: usize, time: Timestamp) {
        tracing::warn!(
            venue = self.settings.name(),
            connection = index,
            %time,
            "the time of a trade lies in the future; skipped"
        );
        self.note(|stats| stats.malformed += 1);
    }

    fn on_event(&mut self, index: usize, event: Event, now: Duration) {
        match event {
            Event::Trade(trade) => self.on_trade(index, &trade, now),
            Event::Cancel(trade) => match self.continuity.place(trade.symbol) {
                Some(place) => self.changes.cancel(place, &trade),
                None => self.note(|stats| stats.filtered += 1),
            },
            Event::Correction(pair) => match self.continuity.place(pair.original.symbol) {
                Some(place) => self.changes.correct(place, &pair),
                None => self.note(|stats| stats.filtered += 1),
            },
            Event::Snapshot(trade) => {
                if let Some(place) = self.continuity.place(trade.symbol) {
                    self.continuity.on_snapshot(place, &trade, now);
                }
            }
            Event::Newest { symbol, sequence } => {
                if let Some(place) = self.continuity.place(symbol) {
                    self.continuity.on_newest(place, sequence, now);
                }
            }
            Event::Lost { messages } => {
                let places = self.places(index);
                self.continuity.on_down(&places);
                self.continuity
                    .on_live(&places, now, self.shared.clock.now());
                self.note(|stats| stats.lost_messages += messages);
            }
            Event::SymbolsRefused { symbols, text } => {
                for symbol in symbols {
                    tracing::error!(
                        venue = self.settings.name(),
                        connection = index,
                        %symbol,
                        text,
                        "venue refuses the symbol; the others go on"
                    );
                    self.continuity.leave(symbol);
                }
            }
            Event::Malformed(fault) => {
                let cause: &dyn std::error::Error = &fault;
                tracing::warn!(
                    venue = self.settings.name(),
                    connection = index,
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

    fn on_trade(&mut self, index: usize, trade: &Trade, now: Duration) {
        self.quiet.on_trade(index, trade.time, now);
        let is_all = matches!(self.carried.get(index), Some(None));
        match self.continuity.place(trade.symbol) {
            Some(place) => self.continuity.on_trade(place, trade, now),
            None if is_all => {
                let place = self.continuity.follow(trade.symbol, None);
                self.continuity.on_live(&[place], now, trade.time);
                self.continuity.on_trade(place, trade, now);
            }
            None => self.note(|stats| stats.filtered += 1),
        }
    }

    /// Delivers what is left, then the fault.
    async fn on_ended(&mut self, index: usize, fault: LiveError) {
        let feed = format!("{} connection {index}", self.settings.name());
        while !self.backlog.is_empty() && self.outlet.reserve().await.is_ok() {
            self.on_room();
        }
        let error = FeedError {
            feed,
            source: Box::new(fault),
        };
        // A feed that is gone wants no fault.
        let _unheard = self.outlet.send(Err(error)).await;
    }
}

impl std::fmt::Debug for LiveDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveDriver")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
