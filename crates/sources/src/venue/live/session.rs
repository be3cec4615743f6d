//! The session state machine: greeting, authentication, subscriptions, then trades until the session ends.
//!
//! Sans-IO: time is a duration on the feed's clock. Keeps to the venue's pace, sends pings, and notices silence, stalls
//! and age. Deliberately opens and closes nothing.

use super::error::LiveError;
use super::event::{Ack, Event};
use super::script::{Expected, Script};
use super::settings::{LiveSettings, LiveTimes};
use secrecy::SecretString;
use std::collections::VecDeque;
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
    script: Script,
    times: LiveTimes,
    message_every: Duration,
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
    /// Starts when the connection is open; `stall_after` is how long no trade is borne this time.
    pub(crate) fn new(
        script: Script,
        settings: &LiveSettings,
        stall_after: Duration,
        now: Duration,
    ) -> Session {
        let mut session = Session {
            phase: if script.is_greeted {
                Phase::Greeting
            } else {
                Phase::Subscribing
            },
            script,
            times: settings.times.clone(),
            message_every: settings.message_every,
            acked: 0,
            queued: VecDeque::new(),
            send_at: now,
            ping_at: now + settings.times.ping_every,
            opened_at: now,
            heard_at: now,
            data_at: now,
            stall_after,
            has_data: false,
        };
        if session.phase == Phase::Subscribing {
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
        if let Err(fault) = self.script.decoder.decode(frame, events) {
            events.push(Event::Malformed(fault));
        }
        for event in events.get(start..).unwrap_or_default() {
            match event {
                Event::Trade(_) | Event::Cancel(_) | Event::Correction(_) => {
                    self.data_at = now;
                    self.has_data = true;
                }
                Event::Greeting if self.phase == Phase::Greeting => self.on_greeting(now),
                Event::AuthOk if self.phase == Phase::Authenticating => self.subscribe(now),
                Event::Subscribed(ack) => self.on_ack(*ack, now),
                Event::SymbolsRefused { symbols, .. } => {
                    self.on_ack(Ack::Symbols(symbols.len()), now);
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
        self.check(now)?;
        if self.send_at <= now
            && let Some(text) = self.queued.pop_front()
        {
            self.send_at = now + self.message_every;
            return Ok(Some(Outbound::Text(text)));
        }
        if self.ping_at <= now {
            self.ping_at = now + self.times.ping_every;
            let ping = self.script.ping.clone();
            return Ok(Some(
                ping.map_or(Outbound::Ping, |text| Outbound::Text(text.into())),
            ));
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

    fn check(&self, now: Duration) -> Result<(), LiveError> {
        match self.limits().find(|(at, _)| *at <= now) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// When the conversation is over unless something happens before, and why.
    fn limits(&self) -> impl Iterator<Item = (Duration, LiveError)> {
        let times = &self.times;
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

    fn on_greeting(&mut self, now: Duration) {
        match &self.script.auth {
            Some(auth) => {
                self.phase = Phase::Authenticating;
                self.queued.push_back(auth.clone());
            }
            None => self.subscribe(now),
        }
    }

    fn subscribe(&mut self, now: Duration) {
        self.phase = Phase::Subscribing;
        // What the venue has answered is no message too many.
        self.send_at = now;
        self.queued.extend(
            self.script
                .subscribe
                .iter()
                .map(|text| SecretString::from(text.as_str())),
        );
    }

    fn on_ack(&mut self, ack: Ack, now: Duration) {
        let expected = match (ack, self.script.expected) {
            (Ack::Symbols(count), Expected::Symbols(expected)) => {
                self.acked += count;
                expected
            }
            (Ack::Total(total), Expected::Symbols(expected)) => {
                self.acked = total;
                expected
            }
            (Ack::Message, Expected::Messages(expected)) => {
                self.acked += 1;
                expected
            }
            (Ack::Symbols(_) | Ack::Total(_), Expected::Messages(_))
            | (Ack::Message, Expected::Symbols(_)) => return,
        };
        if self.phase == Phase::Subscribing && expected <= self.acked {
            self.phase = Phase::Live;
            self.data_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::LiveSettings;
    use super::{LiveError, Outbound, Script, Session};
    use crate::venue::{VenueSettings, alpaca, binance, kraken, massive};
    use barmill_core::model::Symbol;
    use barmill_core::port::Remedy;
    use secrecy::ExposeSecret;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn session(settings: &LiveSettings, symbols: &[&str]) -> Session {
        let symbols: Vec<Symbol> = symbols.iter().map(|name| name.parse().unwrap()).collect();
        Session::new(
            Script::new(settings, Some(&symbols)),
            settings,
            30 * SECOND,
            Duration::ZERO,
        )
    }

    /// What is sent up to an instant.
    fn sent(session: &mut Session, until: Duration) -> Vec<String> {
        let mut texts = Vec::new();
        while session.deadline() <= until {
            match session.on_time(session.deadline()).unwrap() {
                Some(Outbound::Text(text)) => texts.push(text.expose_secret().to_owned()),
                Some(Outbound::Ping) => texts.push("ping".into()),
                None => {}
            }
        }
        texts
    }

    fn hear(session: &mut Session, now: Duration, frame: &str) -> Result<(), LiveError> {
        session.on_frame(now, frame.as_bytes(), &mut Vec::new())
    }

    #[test]
    fn key_is_sent_after_the_greeting_and_symbols_after_the_key() {
        let settings = LiveSettings::new(
            VenueSettings::new(&massive::VENUE)
                .with_secret("key_env", "k-1")
                .unwrap(),
        );
        let mut session = session(&settings, &["A", "B"]);
        assert!(sent(&mut session, SECOND).is_empty());
        hear(
            &mut session,
            SECOND,
            r#"[{"ev":"status","status":"connected","message":"x"}]"#,
        )
        .unwrap();
        assert_eq!(
            sent(&mut session, 2 * SECOND),
            [r#"{"action":"auth","params":"k-1"}"#]
        );
        assert!(!format!("{session:?}").contains("k-1"));
        hear(
            &mut session,
            2 * SECOND,
            r#"[{"ev":"status","status":"auth_success","message":"x"}]"#,
        )
        .unwrap();
        assert_eq!(
            sent(&mut session, 3 * SECOND),
            [r#"{"action":"subscribe","params":"T.A,T.B"}"#]
        );
        let ack = |name: &str| {
            format!(r#"[{{"ev":"status","status":"success","message":"subscribed to: T.{name}"}}]"#)
        };
        hear(&mut session, 3 * SECOND, &ack("A")).unwrap();
        assert!(!session.is_live());
        hear(&mut session, 3 * SECOND, &ack("B")).unwrap();
        assert!(session.is_live());
    }

    #[test]
    fn subscriptions_keep_to_the_venues_pace() {
        let mut settings = LiveSettings::new(VenueSettings::new(&binance::VENUE));
        settings.symbols_per_message_max = 1;
        let mut session = session(&settings, &["BTCUSDT", "ETHUSDT", "BNBUSDT"]);
        assert_eq!(
            sent(&mut session, Duration::ZERO),
            [r#"{"id":1,"method":"SUBSCRIBE","params":["btcusdt@aggTrade"]}"#]
        );
        assert_eq!(sent(&mut session, Duration::from_millis(399)).len(), 0);
        assert_eq!(sent(&mut session, Duration::from_millis(800)).len(), 2);
    }

    #[test]
    fn heartbeats_hide_no_stall_and_pongs_no_end() {
        let settings = LiveSettings::new(VenueSettings::new(&kraken::VENUE));
        let mut session = session(&settings, &["BTC/USD"]);
        hear(
            &mut session,
            SECOND,
            r#"{"method":"subscribe","success":true}"#,
        )
        .unwrap();
        for second in 2..31 {
            hear(&mut session, second * SECOND, r#"{"channel":"heartbeat"}"#).unwrap();
            assert!(session.on_time(second * SECOND).is_ok(), "{second}");
        }
        assert!(matches!(
            session.on_time(31 * SECOND),
            Err(LiveError::Stalled { .. })
        ));
    }

    #[test]
    fn silence_age_and_slow_steps_end_a_connection() {
        let mut settings = LiveSettings::new(VenueSettings::new(&kraken::VENUE));
        let fault = |settings: &LiveSettings, is_live: bool, at: Duration| {
            let mut session = session(settings, &["BTC/USD"]);
            if is_live {
                hear(
                    &mut session,
                    Duration::ZERO,
                    r#"{"method":"subscribe","success":true}"#,
                )
                .unwrap();
            }
            session.on_time(at).unwrap_err().to_string()
        };
        assert_eq!(
            fault(&settings, false, 30 * SECOND),
            "subscription took longer than 30000 ms"
        );
        assert_eq!(
            fault(&settings, true, 45 * SECOND),
            "nothing was received for 45000 ms"
        );
        settings.times.lifetime = Some(10 * SECOND);
        assert_eq!(
            fault(&settings, true, 10 * SECOND),
            "connection reached its age of 10 s"
        );
    }

    #[test]
    fn refused_key_is_fatal_and_a_shutdown_is_not() {
        let settings = LiveSettings::new(VenueSettings::new(&alpaca::VENUE));
        let mut session = session(&settings, &["A"]);
        let fault = hear(
            &mut session,
            SECOND,
            r#"[{"T":"error","code":402,"msg":"auth failed"}]"#,
        )
        .unwrap_err();
        assert_eq!(fault.remedy(), Remedy::Fatal);
        assert_eq!(
            fault.to_string(),
            "venue refuses: 402 auth failed; check the key"
        );
        let fault = hear(
            &mut session,
            SECOND,
            r#"[{"T":"error","code":407,"msg":"slow client"}]"#,
        )
        .unwrap_err();
        assert_eq!(fault.remedy(), Remedy::Reconnect);
    }
}
