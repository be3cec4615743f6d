use super::error::LiveError;
use super::session::{Outbound, Session};
use super::settings::LiveSettings;
use crate::venue::{VenueSettings, alpaca, binance, kraken, massive};
use barmill_core::model::Symbol;
use barmill_core::port::Remedy;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn session(settings: &LiveSettings, symbols: &[&str]) -> Session {
    let symbols: Vec<Symbol> = symbols.iter().map(|name| name.parse().unwrap()).collect();
    Session::new(
        Arc::new(settings.clone()),
        Some(&symbols),
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
    let mut venue = VenueSettings::new(&massive::VENUE);
    venue.set_secret("key_env", "k-1".into()).unwrap();
    let settings = LiveSettings::new(venue);
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
