//! One WebSocket session of a simulated venue: answers, trades with faults, heartbeats, close.

use super::fault::{Break, FaultKind};
use super::playback::Playback;
use super::protocol::{Action, Refusal, VenueProtocol};
use barmill_core::model::{Symbol, Timestamp, Trade};
use futures::{SinkExt, StreamExt};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// Positions of the recording looked at in one turn.
const TURN_LEN: usize = 512;
/// Time between two heartbeats of the venue's own.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// How late a late trade is, nanoseconds of simulated time.
const LATE_NS: i64 = 1_000_000_000;
/// The longest silence.
const SILENCE: Duration = Duration::from_mins(1);
/// Trades of a snapshot.
const SNAPSHOT_LEN: usize = 50;
/// A wait that no session outlives.
const NEVER: Duration = Duration::from_hours(24);

/// One conversation. Its methods give `None` when it is over.
pub(crate) struct Session<S> {
    playback: Arc<Playback>,
    stream: WebSocketStream<S>,
    protocol: Box<dyn VenueProtocol>,
    published: watch::Receiver<usize>,
    wanted: HashSet<Symbol>,
    /// The next position in the recording; entered at the first subscription.
    position: Option<Arc<AtomicUsize>>,
    next_break: Option<(usize, Break)>,
    /// Whether the client has said who it is, or what it wants.
    is_known: bool,
    /// Trades that a fault holds back, behind the position at which they are sent.
    held: BTreeSet<(usize, usize)>,
    /// Trades that a fault holds back, behind the time at which they are sent.
    late: BTreeSet<(Timestamp, usize)>,
    messages: u64,
    is_stalled: bool,
}

enum Event {
    Message(Option<Message>),
    Trades,
    Heartbeat,
    Ping,
    Idle,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(crate) fn new(
        playback: Arc<Playback>,
        stream: WebSocketStream<S>,
        protocol: Box<dyn VenueProtocol>,
    ) -> Session<S> {
        Session {
            protocol,
            published: playback.watch(),
            wanted: HashSet::new(),
            position: None,
            next_break: None,
            is_known: false,
            held: BTreeSet::new(),
            late: BTreeSet::new(),
            messages: 0,
            is_stalled: false,
            playback,
            stream,
        }
    }

    /// Serves until either side ends it.
    pub(crate) async fn serve(mut self) {
        self.playback.count(|stats| stats.connections += 1);
        let others = self.playback.open.fetch_add(1, Ordering::Relaxed);
        let limit = self.playback.plan.count(FaultKind::Limit);
        // A client that leaves ends its session; there is nobody to tell.
        let _left = if limit.is_some_and(|limit| limit <= others) {
            self.refuse(Refusal::Limit).await
        } else {
            self.converse().await
        };
        self.playback.open.fetch_sub(1, Ordering::Relaxed);
        self.leave_playback();
    }

    async fn converse(&mut self) -> Option<()> {
        let start = Instant::now();
        let simulation = &self.playback.recording.venue().simulation;
        let mut heartbeat_at = start + HEARTBEAT_EVERY;
        let mut ping_at = simulation.ping_every.map(|every| start + every);
        let idle_at = start + simulation.idle_max.unwrap_or(NEVER);
        let greeting = self.protocol.greeting(&self.playback.happened());
        self.act(greeting).await?;
        loop {
            match self.next_event(heartbeat_at, ping_at, idle_at).await {
                Event::Message(message) => self.on_message(message?).await?,
                Event::Trades => self.on_trades().await?,
                Event::Heartbeat => {
                    heartbeat_at = Instant::now() + HEARTBEAT_EVERY;
                    self.on_heartbeat().await?;
                }
                Event::Ping => {
                    ping_at = simulation.ping_every.map(|every| Instant::now() + every);
                    let payload = self.playback.now().as_millis().to_string();
                    let ping = Message::Ping(Bytes::from(payload));
                    self.stream.send(ping).await.ok()?;
                }
                Event::Idle => return self.refuse(Refusal::Idle).await,
            }
        }
    }

    async fn next_event(
        &mut self,
        heartbeat_at: Instant,
        ping_at: Option<Instant>,
        idle_at: Instant,
    ) -> Event {
        let published = *self.published.borrow_and_update();
        let is_behind = self.position().is_some_and(|next| next < published);
        let is_sending = self.position.is_some() && !self.is_stalled;
        tokio::select! {
            biased;
            message = self.stream.next() => Event::Message(message.and_then(Result::ok)),
            () = std::future::ready(()), if is_sending && is_behind => Event::Trades,
            Ok(()) = self.published.changed(), if is_sending => Event::Trades,
            () = sleep_until(ping_at.unwrap_or(idle_at)), if ping_at.is_some() => Event::Ping,
            () = sleep_until(heartbeat_at) => Event::Heartbeat,
            () = sleep_until(idle_at), if !self.is_known => Event::Idle,
        }
    }

    fn position(&self) -> Option<usize> {
        let position = self.position.as_ref()?;
        Some(position.load(Ordering::Relaxed))
    }

    /// Holds up no other reader any more.
    fn leave_playback(&mut self) {
        self.position = None;
        self.playback.notify();
    }

    async fn on_message(&mut self, message: Message) -> Option<()> {
        match message {
            Message::Text(text) => {
                let published = self.playback.happened();
                let actions = self.protocol.on_text(&published, text.as_str());
                self.act(actions).await
            }
            Message::Close(_) => {
                // The library answers a goodbye while it is read on.
                while self.stream.next().await.is_some() {}
                None
            }
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                Some(())
            }
        }
    }

    async fn act(&mut self, actions: Vec<Action>) -> Option<()> {
        for action in actions {
            match action {
                Action::Send(text) => self.send(text).await?,
                Action::Authenticate(is_plausible) => {
                    if !is_plausible || self.is_doubted() {
                        return self.refuse(Refusal::Auth).await;
                    }
                    self.is_known = true;
                    if let Some(welcome) = self.protocol.on_authenticated() {
                        self.send(welcome).await?;
                    }
                }
                Action::Subscribe(symbols) => {
                    if !self.is_known && self.is_doubted() {
                        return self.refuse(Refusal::Auth).await;
                    }
                    self.subscribe(symbols);
                }
                Action::Unsubscribe(symbols) => {
                    self.wanted.retain(|symbol| !symbols.contains(symbol));
                }
                Action::Snapshot(symbols) => self.snapshot(symbols).await?,
                Action::Close => return self.close(CloseCode::Policy).await,
            }
        }
        Some(())
    }

    /// Whether a fault refuses this proof of who the client is.
    fn is_doubted(&self) -> bool {
        let first = self.playback.plan.count(FaultKind::Auth);
        first.is_some_and(|first| self.playback.keys.fetch_add(1, Ordering::Relaxed) < first)
    }

    fn subscribe(&mut self, symbols: Vec<Symbol>) {
        self.wanted.extend(symbols);
        self.is_known = true;
        if self.position.is_none() {
            let published = self.playback.published();
            let position = Arc::new(AtomicUsize::new(published));
            self.next_break = self.playback.plan.next_break(published);
            self.playback.add_reader(&position);
            self.position = Some(position);
        }
    }

    async fn snapshot(&mut self, symbols: Vec<Symbol>) -> Option<()> {
        let mut published = self.playback.happened();
        published.len = self.position().unwrap_or(published.len);
        let mut texts = Vec::new();
        for symbol in symbols {
            let newest = published.history(symbol).newest(SNAPSHOT_LEN);
            let newest: Vec<&Trade> = newest.iter().collect();
            if !newest.is_empty() {
                texts.extend(self.protocol.snapshot(published.now, &newest));
            }
        }
        for text in texts {
            self.send(text).await?;
        }
        Some(())
    }

    /// Sends what has happened since, up to a turn's worth, or breaks.
    async fn on_trades(&mut self) -> Option<()> {
        let (Some(from), published) = (self.position(), self.playback.published()) else {
            return Some(());
        };
        let behind_max = self.playback.plan.count(FaultKind::Slow);
        if behind_max.is_some_and(|max| max < number(published - from)) {
            self.playback.count(|stats| stats.broken += 1);
            return self.refuse(Refusal::Slow).await;
        }
        let end = published
            .min(from + TURN_LEN)
            .min(self.next_break.map_or(usize::MAX, |(at, _)| at));
        let positions = self.disorder(from, end, published == self.playback.recording.len());
        self.feed_trades(&positions).await?;
        self.stream.flush().await.ok()?;
        self.playback
            .count(|stats| stats.sent += number(positions.len()));
        if let Some(position) = &self.position {
            position.store(end, Ordering::Relaxed);
        }
        self.playback.notify();
        match self.next_break {
            Some((at, how)) if at == end && end < published => self.break_off(how).await,
            Some(_) | None => Some(()),
        }
    }

    /// The positions to send for a stretch of the recording, in the order of sending.
    fn disorder(&mut self, from: usize, end: usize, is_last: bool) -> Vec<usize> {
        let (plan, now) = (&self.playback.plan, self.playback.now());
        let mut out = Vec::with_capacity(end - from);
        let mut twisted = 0;
        for (position, trade) in (from..).zip(&self.playback.recording.trades()[from..end]) {
            while let Some(&(at, held)) = self.held.first()
                && at <= position
            {
                self.held.pop_first();
                out.push(held);
            }
            if !self.wanted.contains(&trade.symbol) {
                continue;
            }
            let hits = |kind| plan.hits(kind, number(position));
            let later = |kind| position + 1 + plan.draw(kind, number(position), 8);
            if hits(FaultKind::Drop) {
                twisted += 1;
                continue;
            }
            if hits(FaultKind::Late) {
                twisted += 1;
                let at = trade.time.saturating_add(LATE_NS);
                self.late.insert((at, position));
            } else if hits(FaultKind::Reorder) {
                twisted += 1;
                self.held.insert((later(FaultKind::Reorder), position));
            } else {
                out.push(position);
            }
            if hits(FaultKind::Duplicate) {
                twisted += 1;
                self.held
                    .insert((later(FaultKind::Duplicate) + 1, position));
            }
        }
        while let Some(&(at, late)) = self.late.first()
            && (at <= now || is_last)
        {
            self.late.pop_first();
            out.push(late);
        }
        self.playback.count(|stats| stats.twisted += twisted);
        out
    }

    /// Heartbeats; and what a fault held back goes out when no more trades push it.
    async fn on_heartbeat(&mut self) -> Option<()> {
        for text in self.protocol.heartbeat(&self.playback.happened()) {
            self.send(text).await?;
        }
        if self.is_stalled {
            return Some(());
        }
        let held = std::mem::take(&mut self.held);
        let held: Vec<usize> = held.into_iter().map(|(_, position)| position).collect();
        self.feed_trades(&held).await?;
        self.stream.flush().await.ok()
    }

    async fn break_off(&mut self, how: Break) -> Option<()> {
        self.playback.count(|stats| stats.broken += 1);
        match how {
            Break::Goodbye => self.close(CloseCode::Away).await,
            Break::Abrupt => None,
            Break::Stall => {
                self.is_stalled = true;
                // A reader that is sent nothing holds up nobody, and yet has subscribed.
                self.position = Some(Arc::default());
                self.playback.notify();
                Some(())
            }
            Break::Silence => {
                self.leave_playback();
                tokio::time::sleep(SILENCE).await;
                None
            }
        }
    }

    async fn refuse(&mut self, refusal: Refusal) -> Option<()> {
        if let Some(words) = self.protocol.refusal(refusal) {
            self.send(words).await?;
        }
        self.close(CloseCode::Policy).await
    }

    /// Says goodbye and waits a little for the answer; the session is over.
    async fn close(&mut self, code: CloseCode) -> Option<()> {
        let reason = "".into();
        let goodbye = async {
            self.stream
                .close(Some(CloseFrame { code, reason }))
                .await
                .ok()?;
            while self.stream.next().await?.is_ok() {}
            Some(())
        };
        let _late = timeout(Duration::from_secs(1), goodbye).await;
        None
    }

    async fn send(&mut self, text: String) -> Option<()> {
        self.feed(text).await?;
        self.stream.flush().await.ok()
    }

    async fn feed_trades(&mut self, positions: &[usize]) -> Option<()> {
        let playback = Arc::clone(&self.playback);
        let trades = playback.recording.trades();
        let trades: Vec<&Trade> = positions
            .iter()
            .map(|&position| &trades[position])
            .collect();
        for text in self.protocol.trades(playback.now(), &trades) {
            self.feed(text).await?;
        }
        Some(())
    }

    async fn feed(&mut self, text: String) -> Option<()> {
        self.messages += 1;
        if self.playback.plan.hits(FaultKind::Garbage, self.messages) {
            let garbage = Message::text("<html>502 Bad Gateway</html>");
            self.stream.feed(garbage).await.ok()?;
        }
        self.stream.feed(Message::text(text)).await.ok()
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
