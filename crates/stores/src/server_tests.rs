//! Claims about the RESP and REST stores, on a real redis-server.

use crate::key_store::port::{KeyStore, Reply};
use crate::open::{StoreSettings, connect};
use crate::test_servers::{RedisServer, RestServer};
use crate::testing::{FakeClock, update};
use crate::upstash::RestSettings;
use crate::{Command, RespSettings, RespStore, RestStore, SinkUrl, View, ViewKind, ViewSettings};
use barmill_core::port::{Remedy, WriteItem};
use bytes::Bytes;
use jiff::tz::TimeZone;
use redis::AsyncCommands;
use secrecy::SecretString;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::at("2025-10-15T20:00:00Z"))
}

fn view(kind: ViewKind) -> View {
    let mut settings = ViewSettings::new(kind, TimeZone::get("America/New_York").unwrap()).unwrap();
    settings.namespace = "model_7".to_owned();
    View::new(settings, &["1m".parse().unwrap()]).unwrap()
}

fn resp(url: &str, settings: &RespSettings) -> RespStore {
    let SinkUrl::Redis(url) = url.parse().unwrap() else {
        panic!("a redis URL")
    };
    RespStore::new(&url, settings).unwrap()
}

fn rest(url: &str, token: &str, settings: &RestSettings) -> RestStore {
    let SinkUrl::Rest(url) = url.parse().unwrap() else {
        panic!("a REST URL")
    };
    RestStore::new(&url, &SecretString::from(token), settings, clock()).unwrap()
}

async fn rest_pair() -> (RedisServer, RestServer, RestStore) {
    let redis = RedisServer::start(&[]);
    let server = RestServer::start(&redis, false).await;
    let url = format!("http://127.0.0.1:{}", server.port);
    (
        redis,
        server,
        rest(&url, "canary", &RestSettings::default()),
    )
}

/// Hands the first bytes of a connection on to a port, and then drops both sides.
async fn cut(port: u16, bytes: usize) -> (u16, impl Future<Output = ()>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let own = listener.local_addr().unwrap().port();
    let cutting = async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .unwrap();
        let mut head = vec![0; bytes];
        tokio::io::AsyncReadExt::read_exact(&mut client, &mut head)
            .await
            .unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut server, &head)
            .await
            .unwrap();
        // What the server has made of it is known when it has read to the end.
        tokio::io::AsyncWriteExt::shutdown(&mut server)
            .await
            .unwrap();
        let mut rest = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut server, &mut rest)
            .await
            .unwrap();
    };
    (own, cutting)
}

#[tokio::test]
async fn wherever_the_connection_ends_no_key_is_left_without_its_time_to_live() {
    let redis = RedisServer::start(&[]);
    for kind in [ViewKind::SymbolDay, ViewKind::Minute] {
        let start = |minute: u32| format!("2025-10-15T13:3{minute}:00Z");
        let items: Vec<WriteItem> = ["A", "B", "C"]
            .into_iter()
            .flat_map(|symbol| (0..3).map(move |minute| (symbol, minute)))
            .map(|(symbol, minute)| WriteItem::Bar(update(symbol, "1m", &start(minute))))
            .collect();
        let sink = |port: u16| {
            let url = format!("redis://127.0.0.1:{port}").parse().unwrap();
            async move {
                let settings = StoreSettings::default();
                connect(&url, view(kind), &settings, clock())
                    .await
                    .unwrap()
                    .sink
            }
        };
        let mut connection = redis.connection().await;
        let _flushed: () = redis::cmd("FLUSHALL")
            .query_async(&mut connection)
            .await
            .unwrap();
        let first = sink(redis.port).await;
        first.write(&items).await.unwrap();
        let len = usize::try_from(first.stats().bytes).unwrap();
        let whole: usize = redis::cmd("DBSIZE")
            .query_async(&mut connection)
            .await
            .unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for bytes in (20..len).step_by(61).chain([len]) {
            let _flushed: () = redis::cmd("FLUSHALL")
                .query_async(&mut connection)
                .await
                .unwrap();
            let (port, cutting) = cut(redis.port, bytes).await;
            let own = sink(port).await;
            let (_lost, ()) = tokio::join!(own.write(&items), cutting);
            let keys: Vec<String> = connection.keys("*").await.unwrap();
            for key in &keys {
                let ttl: i64 = connection.ttl(key).await.unwrap();
                assert!(ttl > 0, "{kind} {bytes}: {key}");
            }
            seen.insert(keys.len());
        }
        assert_eq!(seen, [0, whole].into(), "{kind}: all or nothing");
    }
}

fn set(key: &str, value: &str) -> Command {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Command::Set {
        key: bytes(key),
        value: bytes(value),
        seconds: None,
    }
}

fn day() -> Vec<WriteItem> {
    let first: barmill_core::model::Timestamp = "2025-10-15T13:30:00Z".parse().unwrap();
    let start = |index: i64| first.saturating_add(index * 60_000_000_000).to_string();
    (0..390)
        .map(|index| WriteItem::Bar(update("AAPL", "1m", &start(index))))
        .collect()
}

#[tokio::test]
async fn a_day_over_resp_and_rest_is_one_connection_one_request_and_two_commands() {
    let redis = RedisServer::start(&[]);
    let server = RestServer::start(&redis, false).await;
    let settings = StoreSettings {
        token: Some(SecretString::from("canary")),
        ..StoreSettings::default()
    };
    for url in [redis.url(), format!("http://127.0.0.1:{}", server.port)] {
        let opened = connect(
            &url.parse().unwrap(),
            view(ViewKind::SymbolDay),
            &settings,
            clock(),
        )
        .await
        .unwrap();
        let results = opened.sink.write(&day()).await.unwrap();
        assert!(results.len() == 390 && results.iter().all(Result::is_ok));
        let stats = opened.sink.stats();
        assert_eq!(
            (stats.connections, stats.requests, stats.commands),
            (1, 1, 2),
            "{url}"
        );
        let mut redis = redis.connection().await;
        let ttl: i64 = redis.ttl("bars:1m:2025-10-15:AAPL").await.unwrap();
        assert!((7_190..=7_200).contains(&ttl), "{ttl}");
        let reader = opened.reader.unwrap();
        let date = "2025-10-15".parse().unwrap();
        let bars = reader
            .day("AAPL".parse().unwrap(), "1m".parse().unwrap(), date)
            .await
            .unwrap();
        assert_eq!(bars.len(), 390, "{url}");
        let _deleted: () = redis.del("bars:1m:2025-10-15:AAPL").await.unwrap();
    }
}

#[tokio::test]
async fn key_per_bar_writes_what_the_original_wrote() {
    let redis = RedisServer::start(&[]);
    let url = redis.url().parse().unwrap();
    let opened = connect(
        &url,
        view(ViewKind::KeyPerBar),
        &StoreSettings::default(),
        clock(),
    )
    .await
    .unwrap();
    opened.sink.write(&day()).await.unwrap();
    let value: String = redis
        .connection()
        .await
        .get("intraday:model_7:2025-10-15:AAPL:09:30")
        .await
        .unwrap();
    let six = r#"{"timestamp":1760535000000,"open":255.1,"high":256.25,"low":254.000000001,"close":255.0,"volume":1200.5}"#;
    assert_eq!(value, six);
}

#[tokio::test]
async fn one_wrong_type_is_refused_and_the_rest_goes_on() {
    let redis = RedisServer::start(&[]);
    let server = RestServer::start(&redis, false).await;
    let _set: () = redis
        .connection()
        .await
        .set("bars:1m:2025-10-15:BAD", "a string")
        .await
        .unwrap();
    let settings = StoreSettings {
        token: Some(SecretString::from("canary")),
        ..StoreSettings::default()
    };
    let items =
        ["A", "BAD", "B"].map(|name| WriteItem::Bar(update(name, "1m", "2025-10-15T13:30:00Z")));
    for url in [redis.url(), format!("http://127.0.0.1:{}", server.port)] {
        let opened = connect(
            &url.parse().unwrap(),
            view(ViewKind::SymbolDay),
            &settings,
            clock(),
        )
        .await
        .unwrap();
        let results = opened.sink.write(&items).await.unwrap();
        assert_eq!((&results[0], &results[2]), (&Ok(()), &Ok(())), "{url}");
        let error = results[1].as_ref().unwrap_err();
        assert_eq!(error.remedy, Remedy::Refuse);
        assert!(error.reason.starts_with("WRONGTYPE"), "{error}");
    }
}

#[tokio::test]
async fn a_login_tells_the_words_of_the_server_and_hides_the_password() {
    let redis = RedisServer::start(&["--requirepass", "canary"]);
    let open = |user: &str| {
        resp(
            &format!("redis://{user}127.0.0.1:{}/2", redis.port),
            &RespSettings::default(),
        )
    };
    for user in ["", ":wrongcanary@", "nobody:wrongcanary@"] {
        let failure = open(user).run(&[set("k", "v")]).await;
        let (remedy, text) = match failure {
            Ok(results) => (
                results[0].as_ref().unwrap_err().remedy,
                format!("{results:?}"),
            ),
            Err(error) => (error.remedy, format!("{error:?}")),
        };
        assert_eq!(remedy, Remedy::Fatal, "{text}");
        assert!(
            text.contains("NOAUTH") || text.contains("WRONGPASS"),
            "{text}"
        );
        assert!(!text.contains("canary"), "{text}");
    }
    for user in [":canary@", "default:canary@"] {
        let store = open(user);
        assert_eq!(
            store.run(&[Command::Ping]).await.unwrap(),
            [Ok(Reply::Text("PONG".into()))]
        );
        assert!(!format!("{store:?} {}", store.name()).contains("canary"));
    }
}

#[tokio::test]
async fn a_dropped_connection_is_dialled_again_at_the_next_command() {
    let redis = RedisServer::start(&[]);
    let store = resp(&redis.url(), &RespSettings::default());
    store.run(&[set("k", "1")]).await.unwrap();
    let _killed: () = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query_async(&mut redis.connection().await)
        .await
        .unwrap();
    let error = store.run(&[set("k", "2")]).await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Retry { after: None });
    store.run(&[set("k", "3")]).await.unwrap();
    assert_eq!(store.stats().connections, 2);
}

#[tokio::test]
async fn a_silent_server_costs_the_response_timeout_and_its_connection() {
    let redis = RedisServer::start(&[]);
    let settings = RespSettings {
        response_timeout: Duration::from_millis(100),
        ..RespSettings::default()
    };
    let store = resp(&redis.url(), &settings);
    store.run(&[Command::Ping]).await.unwrap();
    let pause = redis::cmd("CLIENT")
        .arg(&["PAUSE", "300", "ALL"])
        .to_owned();
    let _paused: () = pause
        .query_async(&mut redis.connection().await)
        .await
        .unwrap();
    let error = store.run(&[set("k", "1")]).await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Retry { after: None });
    assert!(
        store
            .run(&[Command::Get {
                keys: vec![Bytes::from_static(b"none")]
            }])
            .await
            .is_err()
    );
    assert_eq!(store.stats().connections, 2);
}

#[tokio::test]
async fn a_refused_connection_is_retried_and_named_without_its_password() {
    let port = RedisServer::start(&[]).port;
    let error = resp(
        &format!("redis://:canary@127.0.0.1:{port}"),
        &RespSettings::default(),
    )
    .run(&[Command::Ping])
    .await
    .unwrap_err();
    assert_eq!(error.remedy, Remedy::Retry { after: None });
    assert_eq!(
        error.operation,
        format!("connect to redis://***@127.0.0.1:{port}/0")
    );
}

#[tokio::test]
async fn concurrent_first_requests_share_one_http2_connection_under_a_private_ca() {
    let redis = RedisServer::start(&[]);
    let server = RestServer::start(&redis, true).await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, server.ca.as_ref().unwrap()).unwrap();
    let settings = RestSettings {
        ca_file: Some(ca_file),
        ..RestSettings::default()
    };
    let store = rest(
        &format!("https://localhost:{}", server.port),
        "canary",
        &settings,
    );
    let commands = [set("k", "v")];
    let sent = futures::future::join_all((0..8).map(|_| store.run(&commands))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert_eq!((store.stats().connections, store.stats().requests), (1, 8));
    store.reconnect().await;
    store.run(&commands).await.unwrap();
    assert_eq!(store.stats().connections, 2);
}

#[tokio::test]
async fn a_certificate_of_nobody_is_refused() {
    let redis = RedisServer::start(&[]);
    let server = RestServer::start(&redis, true).await;
    let store = rest(
        &format!("https://localhost:{}", server.port),
        "canary",
        &RestSettings::default(),
    );
    store.run(&[Command::Ping]).await.unwrap_err();
    assert_eq!(store.stats().connections, 0);
}

#[tokio::test]
async fn every_failure_of_a_whole_request_has_its_remedy() {
    let (_redis, server, store) = rest_pair().await;
    let retry = |seconds| Remedy::Retry {
        after: Some(Duration::from_secs(seconds)),
    };
    let quota = r#"{"error":"ERR max requests limit exceeded. Limit: 500000, Usage: 500000."}"#;
    for (canned, remedy) in [
        ((429, Some("7"), ""), retry(7)),
        ((503, Some("1000000000"), "<html>busy</html>"), retry(300)),
        (
            (502, None, "<html>bad gateway</html>"),
            Remedy::Retry { after: None },
        ),
        (
            (200, None, "<html>welcome</html>"),
            Remedy::Retry { after: None },
        ),
        (
            (200, None, r#"[{"result":"OK"}"#),
            Remedy::Retry { after: None },
        ),
        (
            (200, None, r#"[{"result":"OK"}]"#),
            Remedy::Retry { after: None },
        ),
        ((400, None, quota), Remedy::Pause),
        ((401, None, r#"{"error":"Unauthorized"}"#), Remedy::Fatal),
        ((302, None, ""), Remedy::Fatal),
    ] {
        server.answer(canned);
        let error = store
            .run(&[set("a", "1"), set("b", "2")])
            .await
            .unwrap_err();
        assert_eq!(error.remedy, remedy, "{canned:?}");
    }
    assert_eq!(
        store.run(&[set("a", "1")]).await.unwrap(),
        [Ok(Reply::Text("OK".into()))]
    );
}

#[tokio::test]
async fn a_wrong_token_is_fatal_and_never_printed() {
    let (_redis, server, _) = rest_pair().await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let store = rest(&url, "parrot", &RestSettings::default());
    let error = store.run(&[set("a", "1")]).await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Fatal);
    assert!(!format!("{error:?} {store:?}").contains("parrot"));
}

#[tokio::test]
async fn a_pipeline_refused_as_a_whole_is_halved_down_to_the_refused_command() {
    let (redis, server, store) = rest_pair().await;
    let refused = r#"{"error":"ERR max request size exceeded. Limit: 10, Actual: 12"}"#;
    // The whole, then its first half, then the first of that half; the others reach Redis.
    for _ in 0..3 {
        server.answer((413, None, refused));
    }
    let commands = [set("a", "1"), set("b", "2"), set("c", "3"), set("d", "4")];
    let results = store.run(&commands).await.unwrap();
    assert_eq!(results[0].as_ref().unwrap_err().remedy, Remedy::Refuse);
    assert!(results[1..].iter().all(Result::is_ok));
    let found: Vec<Option<String>> = redis
        .connection()
        .await
        .mget(&["a", "b", "c", "d"])
        .await
        .unwrap();
    assert_eq!(
        found,
        [
            None,
            Some("2".to_owned()),
            Some("3".to_owned()),
            Some("4".to_owned())
        ]
    );
}

#[tokio::test]
async fn bodies_stay_within_their_bound_and_answers_too() {
    let (_redis, server, _) = rest_pair().await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let settings = RestSettings {
        request_bytes_max: 400,
        response_bytes_max: 400,
        ..RestSettings::default()
    };
    let store = rest(&url, "canary", &settings);
    let commands: Vec<Command> = (0..9)
        .map(|index| set(&format!("k{index}"), &"\"".repeat(60)))
        .collect();
    assert_eq!(store.run(&commands).await.unwrap().len(), 9);
    assert_eq!(store.stats().requests, 5);
    assert!(store.stats().bytes < 5 * 400);
    let keys = (0..9)
        .map(|index| Bytes::from(format!("k{index}")))
        .collect();
    let error = store.run(&[Command::Get { keys }]).await.unwrap_err();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "answer is longer than 400 bytes"
    );
}

#[tokio::test]
async fn time_outs_in_a_row_ask_for_a_fresh_client() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let timeout = Duration::from_millis(30);
    let settings = RestSettings {
        timeout,
        timeouts_max: 3,
        ..RestSettings::default()
    };
    let store = rest(&url, "canary", &settings);
    let mut remedies = Vec::new();
    for _ in 0..3 {
        remedies.push(store.run(&[Command::Ping]).await.unwrap_err().remedy);
    }
    let retry = Remedy::Retry { after: None };
    assert_eq!(remedies, [retry, retry, Remedy::Reconnect]);
}
