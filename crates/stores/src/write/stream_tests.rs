//! Claims about streams, alike on Redis over RESP and REST and on the embedded store.

use crate::key_store::port::KeyStore;
use crate::key_store::port::run_scripts;
use crate::key_store::script::{APPEND, CLOSE, GUARD, LEASE};
use crate::open::{Opened, StoreSettings, connect};
use crate::read::reader::stream_entries;
use crate::test_servers::{RedisServer, RestServer};
use crate::testing::{FakeClock, update};
use crate::{Command, Reply, RespSettings, RespStore, SinkUrl, View, ViewKind, ViewSettings};
use barmill_core::model::{BarState, BarUpdate};
use barmill_core::port::{Remedy, WriteItem};
use bytes::Bytes;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use std::sync::Arc;

/// The same view over three stores; RESP and REST have a Redis of their own.
struct Bench {
    _redis: Vec<RedisServer>,
    _rest: RestServer,
    _folder: tempfile::TempDir,
    stores: Vec<Opened>,
}

async fn bench(adjust: impl Fn(&mut ViewSettings)) -> Bench {
    let redis = vec![RedisServer::start(&[]), RedisServer::start(&[])];
    let rest = RestServer::start(&redis[1], false).await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = ViewSettings::new(ViewKind::Stream, TimeZone::UTC).unwrap();
    adjust(&mut settings);
    let view = View::new(settings, &["1m".parse().unwrap()]).unwrap();
    let token = Some(SecretString::from("canary"));
    let store_settings = StoreSettings {
        token,
        ..StoreSettings::default()
    };
    let mut stores = Vec::new();
    let embedded = format!("embedded:{}", folder.path().display());
    for url in [
        redis[0].url(),
        format!("http://127.0.0.1:{}", rest.port),
        embedded,
    ] {
        let clock = Arc::new(FakeClock::at("2025-10-15T20:00:00Z"));
        stores.push(
            connect(&url.parse().unwrap(), view.clone(), &store_settings, clock)
                .await
                .unwrap(),
        );
    }
    Bench {
        _redis: redis,
        _rest: rest,
        _folder: folder,
        stores,
    }
}

fn at(minute: u32, revision: u32) -> BarUpdate {
    let mut update = update("A", "1m", &format!("2025-10-15T13:{minute:02}:00Z"));
    update.revision = revision;
    update.bar.trades += u64::from(revision);
    update.state = if revision == 0 {
        BarState::Final
    } else {
        BarState::Revised
    };
    update
}

async fn write(store: &Opened, updates: &[BarUpdate]) {
    let items: Vec<WriteItem> = updates.iter().copied().map(WriteItem::Bar).collect();
    for result in store.sink.write(&items).await.unwrap() {
        result.unwrap();
    }
}

/// Minute and revision of each entry, in the order of the stream.
async fn entries(store: &Opened) -> Vec<(u32, u32)> {
    let key = Bytes::from_static(b"bars:1m:A");
    let reader = store.reader.as_ref().unwrap();
    let replies = reader
        .replies(&[Command::StreamRange { key, from_ms: 0 }])
        .await
        .unwrap();
    let number = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<u32>().unwrap();
    let parsed = stream_entries(replies.into_iter().next().unwrap());
    let revision = |version: &[u8]| {
        if version.starts_with(b"00") {
            0
        } else {
            number(&version[2..3])
        }
    };
    parsed
        .iter()
        .map(|(start, version, _)| (number(&start[14..16]), revision(version)))
        .collect()
}

#[tokio::test]
async fn a_batch_sent_again_leaves_one_entry_per_update() {
    let bench = bench(|_| {}).await;
    for store in &bench.stores {
        let updates = [at(30, 0), at(31, 0), at(31, 1), at(32, 0)];
        for _ in 0..3 {
            write(store, &updates).await;
        }
        assert_eq!(
            entries(store).await,
            [(30, 0), (31, 0), (31, 1), (32, 0)],
            "{:?}",
            store.sink
        );
    }
}

#[tokio::test]
async fn a_late_revision_comes_after_the_newest_entry_and_once() {
    let bench = bench(|_| {}).await;
    for store in &bench.stores {
        write(store, &[at(30, 0), at(31, 0), at(32, 0)]).await;
        for _ in 0..2 {
            write(store, &[at(30, 1)]).await;
        }
        // Its own id is taken by the late revision, and it is not a repeat for that.
        for _ in 0..2 {
            write(store, &[at(32, 1), at(33, 0)]).await;
        }
        let expected = [(30, 0), (31, 0), (32, 0), (30, 1), (32, 1), (33, 0)];
        assert_eq!(entries(store).await, expected, "{:?}", store.sink);
    }
}

#[tokio::test]
async fn a_run_that_goes_on_leaves_what_an_uninterrupted_one_leaves() {
    let updates = [
        at(30, 0),
        at(31, 0),
        at(30, 1),
        at(32, 0),
        at(31, 1),
        at(30, 2),
        at(33, 0),
    ];
    let whole = bench(|_| {}).await;
    let expected = [
        (30, 0),
        (31, 0),
        (30, 1),
        (32, 0),
        (31, 1),
        (30, 2),
        (33, 0),
    ];
    for store in &whole.stores {
        write(store, &updates).await;
        assert_eq!(entries(store).await, expected, "{:?}", store.sink);
    }
    let broken = bench(|_| {}).await;
    for store in &broken.stores {
        write(store, &updates[..5]).await;
        write(store, &updates[1..]).await;
        assert_eq!(entries(store).await, expected, "{:?}", store.sink);
    }
}

#[tokio::test]
async fn an_older_batch_that_comes_later_is_appended_whole_and_an_older_version_is_not() {
    let bench = bench(|_| {}).await;
    for store in &bench.stores {
        write(store, &[at(40, 0), at(41, 1)]).await;
        write(store, &[at(30, 0), at(31, 0), at(41, 0)]).await;
        assert_eq!(
            entries(store).await,
            [(40, 0), (41, 1), (30, 0), (31, 0)],
            "{:?}",
            store.sink
        );
    }
}

#[tokio::test]
async fn what_a_full_stream_has_passed_is_not_appended_again() {
    let bench = bench(|settings| settings.stream_len_max = Some(100)).await;
    for store in &bench.stores {
        let hour = |hour: u32| {
            move |minute: u32| update("A", "1m", &format!("2025-10-15T{hour:02}:{minute:02}:00Z"))
        };
        let day: Vec<BarUpdate> = (0..10).flat_map(|h| (0..60).map(hour(h))).collect();
        write(store, &day).await;
        let before = entries(store).await;
        assert!((100..=300).contains(&before.len()), "{}", before.len());
        write(store, &day[..60]).await;
        assert_eq!(entries(store).await, before, "{:?}", store.sink);
    }
}

#[tokio::test]
async fn a_reader_takes_the_newest_version_of_each_bar_of_the_day() {
    let bench = bench(|_| {}).await;
    for store in &bench.stores {
        let next_day = update("A", "1m", "2025-10-16T00:00:00Z");
        write(store, &[at(30, 0), at(31, 0), next_day, at(30, 1)]).await;
        let reader = store.reader.as_ref().unwrap();
        let (symbol, spec) = ("A".parse().unwrap(), "1m".parse().unwrap());
        let bars = reader
            .day(symbol, spec, "2025-10-15".parse().unwrap())
            .await
            .unwrap();
        let revisions: Vec<u32> = bars
            .iter()
            .map(|bar| bar.detail.unwrap().revision)
            .collect();
        assert_eq!(revisions, [1, 0], "{:?}", store.sink);
        assert_eq!(
            reader
                .day(symbol, spec, "2025-10-16".parse().unwrap())
                .await
                .unwrap()
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn a_key_of_another_type_refuses_its_bars_only() {
    let bench = bench(|_| {}).await;
    for store in &bench.stores {
        let hash = Command::HashSet {
            key: Bytes::from_static(b"bars:1m:BAD"),
            fields: [("a", "b")].into_iter().collect(),
        };
        store
            .reader
            .as_ref()
            .unwrap()
            .replies(&[hash])
            .await
            .unwrap();
        let items = ["A", "BAD", "B"]
            .map(|name| WriteItem::Bar(update(name, "1m", "2025-10-15T13:30:00Z")));
        let results = store.sink.write(&items).await.unwrap();
        assert_eq!(
            (&results[0], &results[2]),
            (&Ok(()), &Ok(())),
            "{:?}",
            store.sink
        );
        assert_eq!(results[1].as_ref().unwrap_err().remedy, Remedy::Refuse);
    }
}

#[tokio::test]
async fn every_script_has_the_digest_that_redis_gives_it_and_survives_being_forgotten() {
    let redis = RedisServer::start(&[]);
    let SinkUrl::Redis(url) = redis.url().parse().unwrap() else {
        panic!("a redis URL")
    };
    let store = RespStore::new(&url, &RespSettings::default()).unwrap();
    for script in [&APPEND, &CLOSE, &LEASE, &GUARD] {
        let load = redis::cmd("SCRIPT").arg("LOAD").arg(script.text).to_owned();
        let sha: String = load
            .query_async(&mut redis.connection().await)
            .await
            .unwrap();
        assert_eq!(sha, script.sha);
    }
    let call = || {
        let (keys, arguments) = (
            vec![Bytes::from_static(b"x")],
            ["0", "0", "0-0"].map(Bytes::from).to_vec(),
        );
        Command::Script {
            script: &APPEND,
            has_text: false,
            keys,
            arguments,
        }
    };
    let flush = redis::cmd("SCRIPT").arg("FLUSH").to_owned();
    let _flushed: () = flush
        .query_async(&mut redis.connection().await)
        .await
        .unwrap();
    let before = store.stats().commands;
    assert_eq!(
        run_scripts(&store, &[call()]).await.unwrap(),
        [Ok(Reply::Integer(0))]
    );
    assert_eq!(
        run_scripts(&store, &[call()]).await.unwrap(),
        [Ok(Reply::Integer(0))]
    );
    assert_eq!(store.stats().commands - before, 3);
}

#[tokio::test]
async fn a_notice_reaches_who_listens_after_the_bars_it_speaks_of() {
    let redis = RedisServer::start(&[]);
    let mut settings = ViewSettings::new(ViewKind::Minute, TimeZone::UTC).unwrap();
    settings.also_publish = Some("news:{namespace}".parse().unwrap());
    let view = View::new(settings, &[]).unwrap();
    let clock = Arc::new(FakeClock::at("2025-10-15T20:00:00Z"));
    let store = connect(
        &redis.url().parse().unwrap(),
        view,
        &StoreSettings::default(),
        clock,
    )
    .await
    .unwrap();
    let mut listener = redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let mut listener = listener.as_pubsub();
    listener.subscribe("news:barmill").unwrap();
    write(&store, &[at(30, 0), at(31, 0)]).await;
    let message: String = listener.get_message().unwrap().get_payload().unwrap();
    let expected =
        r#"{"date":"2025-10-15","time":"13:31","bars":2,"specs":["1m"],"symbols":["A"],"more":0}"#;
    assert_eq!(message, expected);
}
