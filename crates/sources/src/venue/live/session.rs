//! The session state machine: greeting, authentication, subscriptions, then trades until the session ends.
//!
//! Sans-IO: time is a duration on the feed's clock. Keeps to the venue's pace, sends pings, and notices silence, stalls
//! and age. Deliberately opens and closes nothing.

use super::decoder::Decoder;
use super::error::LiveError;
use super::event::{Ack, Event};
use super::script::Script;
use super::settings::LiveSettings;
use barmill_core::model::Symbol;
use secrecy::SecretString;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// One message to the venue.
#[derive(Debug)]
pub(crate) enum Outbound {
    /// Text; it may hold a key.
    Text(SecretString),
    /// A ping of the protocol.
    Ping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Greeting,
    Authenticating,
    Subscribing,
    Live,
}

/// One conversation.
#[derive(Debug)]
pub(crate) struct Session {
    settings: Arc<LiveSettings>,
    script: Script,
    decoder: Decoder,
    phase: Phase,
    acked: usize,
    queued: VecDeque<SecretString>,
    send_at: Duration,
    ping_at: Duration,
    opened_at: Duration,
    heard_at: Duration,
    data_at: Duration,
    stall_after: Duration,
    has_data: bool,
}

impl Session {
    /// Starts when the connection is open, for some symbols or for everything; `stall_after` is how long no trade is
    /// borne this time.
    pub(crate) fn new(
        settings: Arc<LiveSettings>,
        symbols: Option<&[Symbol]>,
        stall_after: Duration,
        now: Duration,
    ) -> Session {
        let script = Script::new(&settings, symbols);
        let mut session = Session {
            phase: Phase::Greeting,
            script,
            decoder: settings.venue.venue().decoder(),
            acked: 0,
            queued: VecDeque::new(),
            send_at: now,
            ping_at: now + settings.times.ping_every,
            opened_at: now,
            heard_at: now,
            data_at: now,
            stall_after,
            has_data: false,
            settings,
        };
        if session.script.auth.is_none() {
            session.subscribe(now);
        }
        session
    }

    /// Whether every subscription is confirmed.
    pub(crate) fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// Whether a trade came.
    pub(crate) fn has_data(&self) -> bool {
        self.has_data
    }

    /// How long the conversation lasted so far.
    pub(crate) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.opened_at)
    }

    /// Something came that is no frame of the venue's: a ping or a pong.
    pub(crate) fn on_sign_of_life(&mut self, now: Duration) {
        self.heard_at = now;
    }

    /// Reads a frame and appends what it says.
    ///
    /// # Errors
    /// [`LiveError::Refused`]; the events before the refusal are kept.
    pub(crate) fn on_frame(
        &mut self,
        now: Duration,
        frame: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), LiveError> {
        self.heard_at = now;
        let start = events.len();
        if let Err(fault) = self.decoder.decode(frame, events) {
            events.push(Event::Malformed(fault));
        }
        for event in events.get(start..).unwrap_or_default() {
            match event {
                Event::Trade(_) | Event::Correction(_) => {
                    self.data_at = now;
                    self.has_data = true;
                }
                Event::Greeting if self.phase == Phase::Greeting => {
                    self.phase = Phase::Authenticating;
                    self.queued.extend(self.script.auth.take());
                }
                Event::AuthOk if self.phase == Phase::Authenticating => self.subscribe(now),
                Event::Subscribed(ack) => self.on_ack(*ack, now),
                Event::SymbolsRefused { symbols, .. } => {
                    self.on_ack(Ack::More(symbols.len()), now);
                }
                Event::Refused(refusal) => return Err(LiveError::Refused(refusal.clone())),
                Event::Snapshot(_)
                | Event::Newest { .. }
                | Event::Greeting
                | Event::AuthOk
                | Event::Heartbeat
                | Event::Lost { .. }
                | Event::Malformed(_)
                | Event::Other => {}
            }
        }
        Ok(())
    }

    /// The next message that is due, if any.
    ///
    /// # Errors
    /// The [`LiveError`] by which the conversation is over: a step too slow, silence, a stall, age.
    pub(crate) fn on_time(&mut self, now: Duration) -> Result<Option<Outbound>, LiveError> {
        if let Some((_, error)) = self.limits().find(|(at, _)| *at <= now) {
            return Err(error);
        }
        if self.send_at <= now
            && let Some(text) = self.queued.pop_front()
        {
            self.send_at = now + self.settings.message_every;
            return Ok(Some(Outbound::Text(text)));
        }
        if self.ping_at <= now {
            self.ping_at = now + self.settings.times.ping_every;
            let ping = self.script.ping.clone();
            return Ok(Some(ping.map_or(Outbound::Ping, Outbound::Text)));
        }
        Ok(None)
    }

    /// When `on_time` has something to do.
    pub(crate) fn deadline(&self) -> Duration {
        let send_at = (!self.queued.is_empty()).then_some(self.send_at);
        self.limits()
            .map(|(at, _)| at)
            .chain(send_at)
            .fold(self.ping_at, Duration::min)
    }

    /// When the conversation is over unless something happens before, and why.
    fn limits(&self) -> impl Iterator<Item = (Duration, LiveError)> {
        let times = &self.settings.times;
        let step = match self.phase {
            Phase::Greeting => Some("greeting"),
            Phase::Authenticating => Some("authentication"),
            Phase::Subscribing => Some("subscription"),
            Phase::Live => None,
        };
        let handshake = step.map(|step| {
            let limit = times.handshake_timeout;
            (self.opened_at + limit, LiveError::Timeout { step, limit })
        });
        let limit = times.silence_max;
        let silence = (self.heard_at + limit, LiveError::Silent { limit });
        let stall = self.is_live().then(|| {
            let limit = self.stall_after;
            (self.data_at + limit, LiveError::Stalled { limit })
        });
        let age = times
            .lifetime
            .map(|limit| (self.opened_at + limit, LiveError::Expired { limit }));
        [handshake, Some(silence), stall, age].into_iter().flatten()
    }

    fn subscribe(&mut self, now: Duration) {
        self.phase = Phase::Subscribing;
        // What the venue has answered is no message too many.
        self.send_at = now;
        self.queued.extend(self.script.subscribe.drain(..));
    }

    fn on_ack(&mut self, ack: Ack, now: Duration) {
        self.acked = match ack {
            Ack::More(count) => self.acked + count,
            Ack::Total(total) => total,
        };
        if self.phase == Phase::Subscribing && self.script.acks <= self.acked {
            self.phase = Phase::Live;
            self.data_at = now;
        }
    }
}
