//! What ends a feed, what does not, and what is told.

use crate::live::faults::{parts, settings, symbols};
use crate::live::published_trades::{Kind, World};
use crate::live::venue::{self, Faults};
use crate::live::venue_frames::{self, Request};
use barmill_core::port::TradeFeed;
use barmill_sources::live::{LiveFeed, LiveSettingsError, LiveSymbol, LiveSymbols};
use futures::{SinkExt, StreamExt};
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

/// The text of an error and its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

async fn refused(kind: Kind, refusal: &'static str) -> (String, u32) {
    let world = World::new(kind, 10);
    let faults = Faults {
        refusal: Some(refusal),
        ..Faults::default()
    };
    let venue = venue::start(Arc::clone(&world), faults, 1).await;
    let mut settings = settings(kind, &venue.url);
    settings.times.limit_wait = Duration::ZERO;
    let mut feed = LiveFeed::new(settings, &symbols(&world), parts(&world)).unwrap();
    let error = feed.next_batch().await.unwrap_err();
    assert!(
        feed.next_batch().await.unwrap().is_none(),
        "the end comes once"
    );
    (chain(&error), venue.connections.load(Ordering::Relaxed))
}

#[tokio::test]
async fn refusals_that_nobody_but_a_person_can_lift_end_the_feed_at_once() {
    let cases = [
        (
            Kind::Massive,
            r#"[{"ev":"status","status":"auth_failed","message":"authentication failed"}]"#,
            "feed massive connection 0 failed: venue refuses: auth_failed: authentication failed; check the key",
        ),
        (
            Kind::Massive,
            r#"[{"ev":"status","status":"max_connections","message":"Maximum number of websocket connections exceeded"}]"#,
            "feed massive connection 0 failed: venue refuses: max_connections: Maximum number of websocket connections exceeded; end the other connections of this key",
        ),
        (
            Kind::Alpaca,
            r#"[{"T":"error","code":409,"msg":"insufficient subscription"}]"#,
            "feed alpaca connection 0 failed: venue refuses: 409 insufficient subscription; check the plan of the key",
        ),
        (
            Kind::Alpaca,
            r#"[{"T":"error","code":410,"msg":"invalid subscribe action for this feed"}]"#,
            "feed alpaca connection 0 failed: venue refuses: 410 invalid subscribe action for this feed; check the plan of the key",
        ),
        (
            Kind::Massive,
            r#"[{"ev":"status","status":"error","message":"not authorized"}]"#,
            "feed massive connection 0 failed: venue refuses: error: not authorized; check the plan of the key",
        ),
        (
            Kind::Alpaca,
            r#"[{"T":"error","code":405,"msg":"symbol limit exceeded"}]"#,
            "feed alpaca connection 0 failed: venue refuses: 405 symbol limit exceeded; ask for fewer symbols",
        ),
        (
            Kind::Kraken,
            r#"{"error":"Currency pair not supported AAA/USD","method":"subscribe","success":false,"symbol":"AAA/USD"}"#,
            "feed kraken connection 0 failed: venue refuses: Currency pair not supported AAA/USD; check the symbol's name at this venue",
        ),
    ];
    for (kind, refusal, text) in cases {
        assert_eq!(refused(kind, refusal).await, (text.to_owned(), 1));
    }
}

#[tokio::test]
async fn own_ghost_at_a_venue_of_one_connection_is_waited_for() {
    let world = World::new(Kind::Alpaca, 100);
    let faults = Faults {
        refusal: Some(r#"[{"T":"error","code":406,"msg":"connection limit exceeded"}]"#),
        // The first of all as well: a killed process leaves a ghost, too.
        refuse_until: 3,
        disconnect_every: 10,
        ..Faults::default()
    };
    let venue = venue::start(Arc::clone(&world), faults, 1).await;
    let mut feed = LiveFeed::new(
        settings(Kind::Alpaca, &venue.url),
        &symbols(&world),
        parts(&world),
    )
    .unwrap();
    let mut taken = 0;
    while taken < 300 {
        taken += feed.next_batch().await.unwrap().unwrap().trades.len();
    }
    assert!(venue.connections.load(Ordering::Relaxed) > 3);
}

#[tokio::test]
async fn holes_that_the_archive_refuses_are_told_and_the_feed_goes_on() {
    for kind in [Kind::Massive, Kind::Kraken] {
        let world = World::new(kind, 300);
        world.is_archive_shut.store(true, Ordering::Relaxed);
        let faults = Faults {
            disconnect_every: 40,
            ..Faults::default()
        };
        let venue = venue::start(Arc::clone(&world), faults, 3).await;
        let mut feed =
            LiveFeed::new(settings(kind, &venue.url), &symbols(&world), parts(&world)).unwrap();
        let (mut gaps, mut taken) = (Vec::new(), 0);
        while taken < 500 {
            let batch = feed.next_batch().await.unwrap().unwrap();
            taken += batch.trades.len();
            gaps.extend(batch.gaps);
        }
        assert!(
            gaps.iter()
                .any(|gap| gap.before.is_some_and(|before| gap.after < before)),
            "{kind:?}"
        );
        assert!(feed.live_stats()().gaps.unfilled > 0);
    }
}

#[tokio::test]
async fn certificate_that_nobody_vouches_for_is_not_trusted() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor
            .accept(stream)
            .await
            .map(|_| ())
            .unwrap_err()
            .to_string()
    });
    let world = World::new(Kind::Kraken, 10);
    let mut feed = LiveFeed::new(
        settings(Kind::Kraken, &url),
        &symbols(&world),
        parts(&world),
    )
    .unwrap();
    let told = tokio::select! {
        told = server => told.unwrap(),
        batch = feed.next_batch() => panic!("{batch:?}"),
    };
    assert!(
        told.contains("UnknownCA")
            || told.contains("BadCertificate")
            || told.contains("CertificateUnknown"),
        "{told}"
    );
    assert_eq!(feed.live_stats()().connections, 0);
}

#[tokio::test]
async fn addresses_that_are_no_web_sockets_are_refused_without_their_text() {
    let world = World::new(Kind::Kraken, 1);
    for url in ["https://canary.example/", "canary", ""] {
        let refused = LiveFeed::new(settings(Kind::Kraken, url), &symbols(&world), parts(&world))
            .unwrap_err();
        assert_eq!(refused, LiveSettingsError::Url);
        assert!(!refused.to_string().contains("canary"));
    }
}

#[tokio::test]
async fn venue_that_is_not_there_is_tried_again_with_waits() {
    let world = World::new(Kind::Kraken, 1);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", closed.local_addr().unwrap());
    drop(closed);
    let mut feed = LiveFeed::new(
        settings(Kind::Kraken, &url),
        &symbols(&world),
        parts(&world),
    )
    .unwrap();
    let (stats, start) = (feed.live_stats(), Instant::now());
    while stats().disconnects < 20 {
        assert!(start.elapsed() < Duration::from_mins(1), "{:?}", stats());
        let waited = tokio::time::timeout(Duration::from_millis(1), feed.next_batch()).await;
        assert!(waited.is_err(), "nothing comes");
    }
    // Twenty waits, of two milliseconds each on average once they have doubled twice.
    assert!(
        Duration::from_millis(5) < start.elapsed(),
        "{:?}",
        start.elapsed()
    );
}

/// A venue that confirms the first subscription and sends one frame.
async fn first_frame(listener: &TcpListener, frame: &str) -> WebSocketStream<TcpStream> {
    let (connection, _) = listener.accept().await.unwrap();
    let mut stream = accept_async(connection).await.unwrap();
    let asked = stream.next().await.unwrap().unwrap();
    let Request::Subscribe(_, acks) =
        venue_frames::request(Kind::Kraken, asked.to_text().unwrap(), &[], 0)
    else {
        panic!("{asked}")
    };
    for text in acks.into_iter().chain([frame.to_owned()]) {
        stream.send(Message::text(text)).await.unwrap();
    }
    stream
}

#[tokio::test]
async fn a_reader_that_comes_late_finds_frames_and_no_stall() {
    let world = World::new(Kind::Kraken, 2);
    let symbol = world.symbols()[0];
    let frames: Vec<String> = world.truth()[&symbol]
        .iter()
        .map(|trade| venue_frames::trade(Kind::Kraken, trade, 0))
        .collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(
        Kind::Kraken,
        &format!("ws://{}/", listener.local_addr().unwrap()),
    );
    let stall_after = Duration::from_millis(200);
    settings.times.stall_after = stall_after;
    let named = LiveSymbols::Named(vec![LiveSymbol {
        symbol,
        after: None,
    }]);
    let mut feed = LiveFeed::new(settings, &named, parts(&world)).unwrap();
    let venue = first_frame(&listener, &frames[0]);
    let (mut stream, first) = tokio::join!(venue, feed.next_batch());
    assert_eq!(first.unwrap().unwrap().trades.len(), 1);
    stream.send(Message::text(frames[1].clone())).await.unwrap();
    // The machine is busy with something else: nothing of this process runs.
    std::thread::sleep(stall_after * 2);
    let second = tokio::time::timeout(Duration::from_secs(5), feed.next_batch()).await;
    let stats = feed.live_stats()();
    assert_eq!(
        second
            .unwrap_or_else(|_| panic!("{stats:?}"))
            .unwrap()
            .unwrap()
            .trades
            .len(),
        1
    );
    assert_eq!(stats.disconnects, 0);
}

/// A first trade that is older than the start is what comes: nothing waits behind a hole that no archive can close.
#[tokio::test]
async fn a_start_with_what_comes_waits_for_nothing_and_tells_what_it_does_not_know() {
    let world = World::new(Kind::Kraken, 2);
    let symbol = world.symbols()[0];
    let frame = venue_frames::trade(Kind::Kraken, &world.truth()[&symbol][0], 0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let symbols = vec![LiveSymbol {
        symbol,
        after: None,
    }];
    let named = LiveSymbols::Named(symbols.clone());
    let feed = LiveFeed::new(settings(Kind::Kraken, &url), &named, parts(&world)).unwrap();
    let mut feed = feed.starting_partway(&symbols);
    let venue = first_frame(&listener, &frame);
    let taken = async {
        let (mut gaps, mut trades) = (Vec::new(), Vec::new());
        while trades.is_empty() {
            let batch = feed.next_batch().await.unwrap().unwrap();
            gaps.extend(batch.gaps);
            trades.extend(batch.trades);
        }
        (gaps, trades)
    };
    let both = futures::future::join(venue, taken);
    let (_stream, (gaps, trades)) = tokio::time::timeout(Duration::from_secs(5), both)
        .await
        .expect("at once");
    assert_eq!((gaps.len(), trades.len()), (1, 1));
    assert!(trades[0].time < gaps[0].to, "its bar is marked: {gaps:?}");
}
