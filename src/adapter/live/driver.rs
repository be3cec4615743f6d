//! The hub of a live feed: reports in, batches out, questions to the archive between them.
//!
//! It reads on while the consumer is slow, up to the backlog's bound; then the connections are closed on purpose and
//! what they miss is fetched when there is room. One task, one loop: wait, decide, respond.

use super::connection::{Connection, Report, Shared};
use super::continuity::Continuity;
use super::event::Event;
use super::fault::LiveFault;
use super::feed::{Delivery, LiveStats};
use super::settings::{LiveSettings, LiveSymbols};
use crate::model::{Symbol, Timestamp, Trade};
use crate::port::{FeedError, GapError, GapFill, GapSource, Position, TradeBatch};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered, SelectAll, StreamExt};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

/// Event time kept back from the position, for symbols that run behind others, nanoseconds.
const POSITION_SLACK_NS: i64 = 10_000_000_000;
/// The longest wait when nothing is due.
const IDLE: Duration = Duration::from_mins(1);

type Answer = (Symbol, Result<GapFill, GapError>);

/// The hub; made by `LiveFeed::new`.
pub struct LiveDriver {
    settings: Arc<LiveSettings>,
    shared: Shared,
    hold: watch::Sender<bool>,
    /// The places in `continuity` that each connection carries; `None` for all.
    carried: Vec<Option<Vec<usize>>>,
    connections: SelectAll<BoxStream<'static, (usize, Report)>>,
    continuity: Continuity,
    archive: Arc<dyn GapSource>,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    backlog: VecDeque<Trade>,
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
    Due,
    Gone,
}

impl LiveDriver {
    pub(super) fn new(
        shared: Shared,
        hold: watch::Sender<bool>,
        symbols: &LiveSymbols,
        archive: Arc<dyn GapSource>,
        outlet: mpsc::Sender<Result<Delivery, FeedError>>,
    ) -> LiveDriver {
        let settings = Arc::clone(&shared.settings);
        let now = shared.clock.now();
        let mut driver = LiveDriver {
            continuity: Continuity::new(&settings.gaps, settings.is_contiguous()),
            settings,
            shared,
            hold,
            carried: Vec::new(),
            connections: SelectAll::new(),
            archive,
            answers: FuturesUnordered::new(),
            backlog: VecDeque::new(),
            position: now,
            newest: Timestamp::EPOCH,
            embargo: 0,
            was_whole: false,
            outlet,
            stats: Arc::default(),
        };
        driver.plan(symbols);
        driver
    }

    pub(super) fn stats(&self) -> Arc<Mutex<LiveStats>> {
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
                Turn::Report(index, Report::Ended(fault)) => return self.on_ended(index, fault).await,
                Turn::Report(index, report) => self.on_report(index, report),
            }
            self.settle();
        }
    }

    fn plan(&mut self, symbols: &LiveSymbols) {
        let LiveSymbols::Named(symbols) = symbols else {
            self.carried.push(None);
            self.connections.push(Connection::reports(self.shared.clone(), 0, None));
            return;
        };
        for (index, part) in symbols.chunks(self.settings.symbols_per_connection_max).enumerate() {
            let places = part.iter().map(|one| self.continuity.follow(one.symbol, one.after)).collect();
            self.carried.push(Some(places));
            let names = part.iter().map(|one| one.symbol).collect();
            self.connections.push(Connection::reports(self.shared.clone(), index, Some(names)));
        }
        if let Some(first) = symbols.iter().filter_map(|one| one.after).map(|after| after.time).min() {
            self.position = first;
        }
    }

    async fn next_turn(&mut self) -> Turn {
        let now = self.shared.epoch.elapsed();
        let due = match self.continuity.ask_at() {
            Some(at) if self.can_ask() => at.min(now + IDLE),
            Some(_) | None => now + IDLE,
        };
        tokio::select! {
            biased;
            () = self.outlet.closed() => Turn::Gone,
            Ok(_) = self.outlet.reserve(), if !self.backlog.is_empty() => Turn::Room,
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
        let count = self.backlog.len().min(self.settings.batch_len_max);
        let trades: Vec<Trade> = self.backlog.drain(..count).collect();
        let newest = trades.iter().map(|trade| trade.time).max().unwrap_or_default();
        self.newest = self.newest.max(newest);
        self.embargo = self.embargo.saturating_sub(count);
        // While something is missed the position stays before it.
        if self.was_whole && self.embargo == 0 {
            self.position = self.position.max(self.newest.saturating_sub(POSITION_SLACK_NS));
        }
        let position = Position(u64::try_from(self.position.as_nanos()).unwrap_or(0));
        let gaps = self.continuity.take_unfilled();
        let delivery = Delivery { batch: TradeBatch { trades, position }, gaps };
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
        let (now, wall) = (self.shared.epoch.elapsed(), self.shared.clock.now());
        self.continuity.on_fill(symbol, answer, now, wall);
    }

    fn on_due(&mut self) {
        let (now, wall) = (self.shared.epoch.elapsed(), self.shared.clock.now());
        while self.can_ask()
            && let Some(gap) = self.continuity.ask(now, wall)
        {
            self.note(|stats| stats.requests += 1);
            let fetch = self.archive.fetch(gap);
            self.answers.push(Box::pin(async move { (gap.symbol, fetch.await) }));
        }
    }

    fn on_report(&mut self, index: usize, report: Report) {
        let now = self.shared.epoch.elapsed();
        match report {
            Report::Opened => self.note(|stats| stats.connections += 1),
            Report::Live => {
                let places = self.places(index);
                self.continuity.on_live(&places, now, self.shared.clock.now());
            }
            Report::Events(events) => {
                for event in events {
                    self.on_event(index, event, now);
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

    fn on_event(&mut self, index: usize, event: Event, now: Duration) {
        match event {
            Event::Trade(trade) | Event::Cancel(trade) => self.on_trade(index, &trade, now),
            Event::Correction(pair) => {
                self.on_trade(index, &pair.original, now);
                self.on_trade(index, &pair.corrected, now);
            }
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
                self.continuity.on_live(&places, now, self.shared.clock.now());
                self.note(|stats| stats.lost_messages += messages);
            }
            Event::Malformed(fault) => {
                let cause: &dyn std::error::Error = &fault;
                tracing::warn!(venue = self.settings.name(), connection = index, cause, "record is no trade");
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
    async fn on_ended(&mut self, index: usize, fault: LiveFault) {
        let feed = format!("{} connection {index}", self.settings.name());
        while !self.backlog.is_empty() && self.outlet.reserve().await.is_ok() {
            self.on_room();
        }
        let error = FeedError { feed, source: Box::new(fault) };
        // A feed that is gone wants no fault.
        let _unheard = self.outlet.send(Err(error)).await;
    }

    /// Closes the connections in the venue's form.
    async fn leave(&mut self) {
        self.hold.send_replace(true);
        let goodbyes = async {
            let mut left = self.carried.len();
            while left > 0
                && let Some((_, report)) = self.connections.next().await
            {
                left -= usize::from(matches!(report, Report::Down(_) | Report::Ended(_)));
            }
        };
        // A connection that is not open says nothing, so that this is bounded by time alone.
        let _late = tokio::time::timeout(Duration::from_secs(1), goodbyes).await;
    }

    /// After every turn: what is ready waits in the backlog, whose bound closes and opens the connections.
    fn settle(&mut self) {
        self.backlog.extend(self.continuity.take_ready());
        let is_whole = self.continuity.is_whole();
        if !is_whole || !self.was_whole {
            self.embargo = self.backlog.len();
        }
        self.was_whole = is_whole;
        let bound = self.settings.backlog_len_max;
        let is_held = *self.hold.borrow();
        if !is_held && bound <= self.backlog.len() {
            self.hold.send_replace(true);
            self.note(|stats| stats.overloads += 1);
        } else if is_held && self.backlog.len() < bound / 2 {
            self.hold.send_replace(false);
        }
        let (gaps, backlog_len, is_whole) =
            (self.continuity.stats(), self.backlog.len(), self.continuity.is_whole());
        self.note(|stats| {
            stats.gaps = gaps;
            stats.backlog_len = backlog_len;
            stats.is_whole = is_whole;
        });
    }

    fn places(&self, index: usize) -> Vec<usize> {
        match self.carried.get(index) {
            Some(Some(places)) => places.clone(),
            Some(None) | None => self.continuity.places(),
        }
    }

    fn note(&self, change: impl FnOnce(&mut LiveStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl std::fmt::Debug for LiveDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveDriver").field("settings", &self.settings).finish_non_exhaustive()
    }
}
