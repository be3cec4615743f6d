//! One WebSocket session of a simulated venue: answers, trades with faults, heartbeats, close.

use super::fault::FaultKind;
use super::plan::Break;
use super::playback::{Playback, count};
use super::protocol::{Act, Call, Dialect, Refusal};
use barmill_core::model::Timestamp;
use futures::{SinkExt, StreamExt};
use std::collections::BTreeMap;
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

/// Places of the tape looked at in one turn.
const TURN: usize = 512;
/// Time between two heartbeats of the venue's own.
const BEAT: Duration = Duration::from_secs(1);
/// How late a late trade is, nanoseconds of simulated time.
const LATE_NS: i64 = 1_000_000_000;
/// The longest silence.
const SILENCE: Duration = Duration::from_mins(1);
/// Trades of a snapshot.
const SNAPSHOT_LEN: usize = 50;

/// One conversation.
pub(crate) struct Session<S> {
    hub: Arc<Playback>,
    stream: WebSocketStream<S>,
    dialect: Box<dyn Dialect>,
    published: watch::Receiver<usize>,
    wanted: Vec<bool>,
    /// The next place of the tape; entered at the first subscription.
    place: Option<Arc<AtomicUsize>>,
    broken_at: Option<(usize, Break)>,
    is_known: bool,
    /// Trades that a fault holds back, by the place at which they are sent.
    held: BTreeMap<(usize, u32), u32>,
    /// Trades that a fault holds back, by the time at which they are sent.
    late: BTreeMap<(Timestamp, u32), u32>,
    messages: u64,
    is_stalled: bool,
}

enum Turn {
    Heard(Option<Message>),
    Trades,
    Keepalive,
    Ping,
    Impatient,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(crate) fn new(hub: Arc<Playback>, stream: WebSocketStream<S>, call: &Call) -> Session<S> {
        Session {
            dialect: (hub.tape.venue().simulation.protocol)(call),
            published: hub.watch(),
            wanted: vec![false; hub.tape.lanes_len()],
            place: None,
            broken_at: None,
            is_known: false,
            held: BTreeMap::new(),
            late: BTreeMap::new(),
            messages: 0,
            is_stalled: false,
            hub,
            stream,
        }
    }

    /// Serves until either side ends it.
    pub(crate) async fn serve(mut self) {
        count(&self.hub.counters.connections);
        let others = count(&self.hub.counters.open);
        let is_refused = self
            .hub
            .plan
            .count(FaultKind::Limit)
            .is_some_and(|limit| limit <= others);
        // A client that leaves ends its visit; there is nobody to tell.
        let _left = if is_refused {
            self.refuse(Refusal::Limit).await
        } else {
            self.converse().await
        };
        self.hub.counters.open.fetch_sub(1, Ordering::Relaxed);
        drop(self.place.take());
        self.hub.tell();
    }

    async fn converse(&mut self) -> Option<()> {
        let start = Instant::now();
        let (mut beat_at, mut ping_at) = (
            start + BEAT,
            self.dialect.ping_every().map(|every| start + every),
        );
        self.dialect.at(self.hub.now());
        let acts = self.dialect.greeting(&self.hub.tape);
        self.act(acts).await?;
        loop {
            let turn = self.next_turn(start, beat_at, ping_at).await;
            self.dialect.at(self.hub.now());
            match turn {
                Turn::Heard(message) => self.on_message(message?).await?,
                Turn::Trades => self.on_trades().await?,
                Turn::Keepalive => {
                    beat_at = Instant::now() + BEAT;
                    self.on_keepalive().await?;
                }
                Turn::Ping => {
                    ping_at = self
                        .dialect
                        .ping_every()
                        .map(|every| Instant::now() + every);
                    let payload = self.hub.now().as_millis().to_string();
                    self.stream
                        .send(Message::Ping(Bytes::from(payload)))
                        .await
                        .ok()?;
                }
                Turn::Impatient => return self.refuse(Refusal::Idle).await,
            }
        }
    }

    async fn next_turn(
        &mut self,
        start: Instant,
        beat_at: Instant,
        ping_at: Option<Instant>,
    ) -> Turn {
        let is_behind = self
            .place()
            .is_some_and(|place| place < *self.published.borrow_and_update());
        let patience = if self.is_known || self.place.is_some() {
            Duration::from_hours(24)
        } else {
            self.dialect.patience()
        };
        let is_sending = self.place.is_some() && !self.is_stalled;
        tokio::select! {
            biased;
            message = self.stream.next() => Turn::Heard(message.and_then(Result::ok)),
            () = std::future::ready(()), if is_sending && is_behind => Turn::Trades,
            Ok(()) = self.published.changed(), if is_sending => Turn::Trades,
            () = sleep_until(ping_at.unwrap_or(start)), if ping_at.is_some() => Turn::Ping,
            () = sleep_until(beat_at) => Turn::Keepalive,
            () = sleep_until(start + patience) => Turn::Impatient,
        }
    }

    fn place(&self) -> Option<usize> {
        self.place
            .as_ref()
            .map(|place| place.load(Ordering::Relaxed))
    }

    async fn on_message(&mut self, message: Message) -> Option<()> {
        match message {
            Message::Text(text) => {
                let acts = self.dialect.hear(&self.hub.tape, text.as_str());
                self.act(acts).await
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

    async fn act(&mut self, acts: Vec<Act>) -> Option<()> {
        for act in acts {
            match act {
                Act::Say(text) => self.say(text).await?,
                Act::Prove(is_plausible) => {
                    if !is_plausible || self.is_doubted() {
                        return self.refuse(Refusal::Auth).await;
                    }
                    self.is_known = true;
                    if let Some(welcome) = self.dialect.welcome() {
                        self.say(welcome).await?;
                    }
                }
                Act::Subscribe(_) | Act::SubscribeAll if !self.is_known && self.is_doubted() => {
                    return self.refuse(Refusal::Auth).await;
                }
                Act::Subscribe(lanes) => self.want(&lanes, true),
                Act::SubscribeAll => {
                    self.want(&(0..self.hub.tape.lanes_len()).collect::<Vec<_>>(), true);
                }
                Act::Unsubscribe(lanes) => self.want(&lanes, false),
                Act::Snapshot(lanes) => self.snapshot(&lanes).await?,
                Act::Leave => return self.leave(CloseCode::Policy).await,
            }
        }
        Some(())
    }

    /// Whether a fault refuses this proof of who the client is.
    fn is_doubted(&self) -> bool {
        self.hub
            .plan
            .count(FaultKind::Auth)
            .is_some_and(|first| count(&self.hub.counters.proofs) < first)
    }

    fn want(&mut self, lanes: &[usize], is_wanted: bool) {
        for &lane in lanes {
            if let Some(wanted) = self.wanted.get_mut(lane) {
                *wanted = is_wanted;
            }
        }
        if is_wanted {
            self.is_known = true;
        }
        if is_wanted && self.place.is_none() {
            let published = self.hub.published();
            let place = Arc::new(AtomicUsize::new(published));
            self.broken_at = self.hub.plan.next_break(published);
            self.hub.enter(&place);
            self.place = Some(place);
        }
    }

    async fn snapshot(&mut self, lanes: &[usize]) -> Option<()> {
        let published = self.place().unwrap_or_else(|| self.hub.published());
        let mut texts = Vec::new();
        for &lane in lanes {
            let places = self.hub.tape.places(lane, published);
            let newest = places
                .get(places.len().saturating_sub(SNAPSHOT_LEN)..)
                .unwrap_or_default();
            if !newest.is_empty() {
                self.dialect.snapshot(&self.hub.tape, newest, &mut texts);
            }
        }
        for text in texts {
            self.say(text).await?;
        }
        Some(())
    }

    /// Sends what has happened since, up to a turn's worth, or breaks.
    async fn on_trades(&mut self) -> Option<()> {
        let (Some(from), published) = (self.place(), self.hub.published()) else {
            return Some(());
        };
        if self
            .hub
            .plan
            .count(FaultKind::Slow)
            .is_some_and(|max| max < number(published - from))
        {
            count(&self.hub.counters.broken);
            return self.refuse(Refusal::Slow).await;
        }
        let end = published
            .min(from + TURN)
            .min(self.broken_at.map_or(usize::MAX, |(at, _)| at));
        let places = self.twist(from, end, published == self.hub.tape.len());
        let sent = number(places.len());
        let mut texts = Vec::new();
        self.dialect.trades(&self.hub.tape, &places, &mut texts);
        for text in texts {
            self.feed(text).await?;
        }
        self.stream.flush().await.ok()?;
        self.hub.counters.sent.fetch_add(sent, Ordering::Relaxed);
        if let Some(place) = &self.place {
            place.store(end, Ordering::Relaxed);
        }
        self.hub.tell();
        match self.broken_at {
            Some((at, kind)) if at == end && end < published => self.fall(kind).await,
            Some(_) | None => Some(()),
        }
    }

    /// The places to send for a stretch of the tape, in the order of sending.
    fn twist(&mut self, from: usize, end: usize, is_last: bool) -> Vec<u32> {
        let (hub, plan) = (Arc::clone(&self.hub), &self.hub.plan);
        let now = hub.now();
        let mut out = Vec::with_capacity(end - from);
        let mut twisted = 0;
        for place in from..end {
            while self
                .held
                .first_key_value()
                .is_some_and(|((at, _), _)| *at <= place)
            {
                out.extend(self.held.pop_first().map(|(_, held)| held));
            }
            let lane = hub.tape.lane_of(place);
            if !self.wanted.get(lane).copied().unwrap_or(false) {
                continue;
            }
            let (index, key) = (number(place), u32::try_from(place).unwrap_or(u32::MAX));
            let later = |kind: FaultKind| {
                place + 1 + usize::try_from(plan.draw(kind, index) % 8).unwrap_or(0)
            };
            let (is_dropped, is_late) = (
                plan.hits(FaultKind::Drop, index),
                plan.hits(FaultKind::Late, index),
            );
            let is_reordered = plan.hits(FaultKind::Reorder, index);
            twisted += u64::from(is_dropped || is_late || is_reordered);
            if is_dropped {
                continue;
            }
            if is_late {
                self.late
                    .insert((hub.tape.at(key).time.saturating_add(LATE_NS), key), key);
            } else if is_reordered {
                self.held.insert((later(FaultKind::Reorder), key), key);
            } else {
                out.push(key);
            }
            if plan.hits(FaultKind::Duplicate, index) {
                twisted += 1;
                self.held
                    .insert((later(FaultKind::Duplicate) + 1, key), key);
            }
        }
        while self
            .late
            .first_key_value()
            .is_some_and(|((at, _), _)| *at <= now || is_last)
        {
            out.extend(self.late.pop_first().map(|(_, late)| late));
        }
        hub.counters.twisted.fetch_add(twisted, Ordering::Relaxed);
        out
    }

    /// Heartbeats; and what a fault held back goes out when no more trades push it.
    async fn on_keepalive(&mut self) -> Option<()> {
        let (hub, published) = (Arc::clone(&self.hub), self.hub.published());
        let newest = |lane: usize| hub.tape.places(lane, published).last().copied();
        for text in self.dialect.heartbeat(&hub.tape, &newest) {
            self.say(text).await?;
        }
        if self.is_stalled {
            return Some(());
        }
        let held = std::mem::take(&mut self.held)
            .into_values()
            .collect::<Vec<_>>();
        let mut texts = Vec::new();
        self.dialect.trades(&hub.tape, &held, &mut texts);
        for text in texts {
            self.say(text).await?;
        }
        Some(())
    }

    async fn fall(&mut self, kind: Break) -> Option<()> {
        count(&self.hub.counters.broken);
        match kind {
            Break::Goodbye => self.leave(CloseCode::Away).await,
            Break::Abrupt => None,
            Break::Stall => {
                self.is_stalled = true;
                // A reader that is sent nothing holds up nobody.
                self.place = Some(Arc::default());
                self.hub.tell();
                Some(())
            }
            Break::Silence => {
                self.place = None;
                self.hub.tell();
                tokio::time::sleep(SILENCE).await;
                None
            }
        }
    }

    async fn refuse(&mut self, refusal: Refusal) -> Option<()> {
        if let Some(words) = self.dialect.refusal(refusal) {
            self.say(words).await?;
        }
        self.leave(CloseCode::Policy).await
    }

    /// Says goodbye and waits a little for the answer; the visit is over.
    async fn leave(&mut self, code: CloseCode) -> Option<()> {
        let frame = CloseFrame {
            code,
            reason: "".into(),
        };
        let goodbye = async {
            self.stream.close(Some(frame)).await.ok()?;
            while self
                .stream
                .next()
                .await
                .is_some_and(|message| message.is_ok())
            {}
            Some(())
        };
        let _late = timeout(Duration::from_secs(1), goodbye).await;
        None
    }

    async fn say(&mut self, text: String) -> Option<()> {
        self.feed(text).await?;
        self.stream.flush().await.ok()
    }

    async fn feed(&mut self, text: String) -> Option<()> {
        self.messages += 1;
        if self.hub.plan.hits(FaultKind::Garbage, self.messages) {
            self.stream
                .feed(Message::text("<html>502 Bad Gateway</html>"))
                .await
                .ok()?;
        }
        self.stream.feed(Message::text(text)).await.ok()
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
