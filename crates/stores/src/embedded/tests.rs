//! Claims about the embedded store, on real files.

use super::table::{FIELDS, KEYS};
use super::{EmbeddedError, EmbeddedStore};
use crate::key_store::command::Command;
use crate::key_store::port::{CommandResult, KeyStore, Reply};
use crate::testing::FakeClock;
use barmill_core::port::Remedy;
use bytes::Bytes;
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};
use std::path::Path;
use std::sync::Arc;

fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::at("2025-10-15T13:30:00Z"))
}

fn open(folder: &Path, clock: &Arc<FakeClock>) -> EmbeddedStore {
    EmbeddedStore::open(folder, false, Arc::clone(clock) as _).unwrap()
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn hset(key: &str, field: &str, value: &str) -> Command {
    Command::HashSet {
        key: bytes(key),
        fields: [(field, value)].into_iter().collect(),
    }
}

fn set(key: &str, value: &str, seconds: Option<u64>) -> Command {
    Command::Set {
        key: bytes(key),
        value: bytes(value),
        seconds,
    }
}

fn all(key: &str) -> Command {
    Command::HashGetAll { key: bytes(key) }
}

fn get(keys: &[&str]) -> Command {
    Command::Get {
        keys: keys.iter().map(|key| bytes(key)).collect(),
    }
}

fn texts(parts: &[&str]) -> Reply {
    Reply::Array(parts.iter().map(|part| Reply::Text(bytes(part))).collect())
}

async fn run(store: &EmbeddedStore, command: Command) -> CommandResult {
    store.run(&[command]).await.unwrap().remove(0)
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let written = store
        .run(&[
            hset("h", "b", "2"),
            hset("h", "a", "1"),
            set("s", "x", None),
        ])
        .await
        .unwrap();
    assert_eq!(
        written,
        [
            Ok(Reply::Integer(1)),
            Ok(Reply::Integer(1)),
            Ok(Reply::Text("OK".into()))
        ]
    );
    store.close().await.unwrap();
    assert_eq!(
        store.run(&[all("h")]).await.unwrap_err().remedy,
        Remedy::Fatal
    );
    let again = open(folder.path(), &clock());
    assert_eq!(
        run(&again, all("h")).await,
        Ok(texts(&["a", "1", "b", "2"]))
    );
    assert_eq!(
        run(&again, get(&["s", "none"])).await,
        Ok(Reply::Array(vec![Reply::Text("x".into()), Reply::Nil]))
    );
}

#[tokio::test]
async fn a_key_is_not_served_after_its_time_and_removed_in_passing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let expire = Command::Expire {
        key: bytes("h"),
        seconds: 60,
    };
    store
        .run(&[
            hset("h", "a", "1"),
            expire.clone(),
            set("s", "x", Some(60)),
            hset("stays", "a", "1"),
        ])
        .await
        .unwrap();
    clock.advance_s(59);
    assert_eq!(run(&store, all("h")).await, Ok(texts(&["a", "1"])));
    clock.advance_s(1);
    assert_eq!(run(&store, all("h")).await, Ok(texts(&[])));
    assert_eq!(
        run(&store, get(&["s"])).await,
        Ok(Reply::Array(vec![Reply::Nil]))
    );
    assert_eq!(run(&store, expire).await, Ok(Reply::Integer(0)));
    store.close().await.unwrap();
    let database = redb::Database::open(folder.path().join("bars.redb")).unwrap();
    let transaction = database.begin_read().unwrap();
    assert_eq!(transaction.open_table(KEYS).unwrap().len().unwrap(), 1);
    assert_eq!(transaction.open_table(FIELDS).unwrap().len().unwrap(), 1);
}

#[tokio::test]
async fn a_new_hash_does_not_inherit_the_fields_of_an_expired_one() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let expire = Command::Expire {
        key: bytes("h"),
        seconds: 60,
    };
    store.run(&[hset("h", "old", "1"), expire]).await.unwrap();
    clock.advance_s(60);
    run(&store, hset("h", "new", "2")).await.unwrap();
    clock.advance_s(60_000);
    assert_eq!(run(&store, all("h")).await, Ok(texts(&["new", "2"])));
}

#[tokio::test]
async fn a_later_expire_replaces_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let expire = |seconds| Command::Expire {
        key: bytes("h"),
        seconds,
    };
    store
        .run(&[hset("h", "a", "1"), expire(60), expire(7_200)])
        .await
        .unwrap();
    clock.advance_s(61);
    run(&store, set("other", "x", None)).await.unwrap();
    assert_eq!(run(&store, all("h")).await, Ok(texts(&["a", "1"])));
}

#[tokio::test]
async fn types_are_kept_apart_as_in_redis() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let commands = [
        set("s", "x", None),
        hset("s", "a", "1"),
        all("s"),
        hset("h", "a", "1"),
        get(&["h"]),
        set("h", "y", None),
        get(&["h"]),
    ];
    let results = store.run(&commands).await.unwrap();
    for index in [1, 2] {
        let error = results[index].as_ref().unwrap_err();
        assert_eq!(error.remedy, Remedy::Refuse);
        assert!(error.reason.starts_with("WRONGTYPE"));
    }
    assert_eq!(results[4], Ok(Reply::Array(vec![Reply::Nil])));
    assert_eq!(results[6], Ok(texts(&["y"])));
}

#[tokio::test]
async fn a_second_opener_is_told_who_holds_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _held = open(folder.path(), &clock());
    let error = EmbeddedStore::open(folder.path(), false, clock()).unwrap_err();
    assert!(matches!(error, EmbeddedError::Held { .. }), "{error}");
    assert!(error.to_string().contains("another process"));
}

#[tokio::test]
async fn a_reader_does_not_create_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let error = EmbeddedStore::open(folder.path(), true, clock()).unwrap_err();
    assert!(matches!(error, EmbeddedError::Missing { .. }));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_value_changed_behind_the_engine_is_never_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    store
        .run(&[hset("h", "a", "255.12"), hset("h", "b", "1")])
        .await
        .unwrap();
    store.close().await.unwrap();
    let path = folder.path().join("bars.redb");
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut fields = transaction.open_table(FIELDS).unwrap();
        let place = (b"h".as_slice(), b"a".as_slice());
        let mut record = fields.get(place).unwrap().unwrap().value().to_vec();
        *record.last_mut().unwrap() ^= 1;
        fields.insert(place, record.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let error = run(&open(folder.path(), &clock()), all("h"))
        .await
        .unwrap_err();
    assert_eq!(error.remedy, Remedy::Fatal);
    assert_eq!(
        error.reason,
        "stored value of key h field a fails its checksum"
    );
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_an_empty_one_begun() {
    for damage in ["flip", "zero", "truncate", "garbage"] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), &clock());
        let fields = (0..2_000)
            .map(|index| (bytes(&format!("{index:05}")), bytes("0123456789")))
            .collect();
        run(
            &store,
            Command::HashSet {
                key: bytes("h"),
                fields,
            },
        )
        .await
        .unwrap();
        store.close().await.unwrap();
        let path = folder.path().join("bars.redb");
        let mut content = std::fs::read(&path).unwrap();
        let inside = content
            .windows(10)
            .position(|window| window == b"0123456789")
            .unwrap();
        match damage {
            "flip" => content[inside] ^= 1,
            "zero" => content[inside..inside + 4_096].fill(0),
            "truncate" => content.truncate(content.len() / 3),
            _ => content.fill(b'x'),
        }
        std::fs::write(&path, content).unwrap();
        let store = open(folder.path(), &clock());
        assert_eq!(run(&store, all("h")).await, Ok(texts(&[])), "{damage}");
        assert!(
            folder.path().join("bars.redb.corrupt-1760535000").exists(),
            "{damage}"
        );
    }
}
