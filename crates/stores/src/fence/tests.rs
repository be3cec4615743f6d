//! Claims about the guard, alike over RESP and REST.

use super::lease::{FenceSettings, Guard};
use crate::open::{Opened, StoreSettings, connect};
use crate::test_servers::{RedisServer, RestServer};
use crate::testing::{FakeClock, manifest, update};
use crate::{ValueForm, View, ViewKind, ViewSettings};
use barmill_core::model::{BarState, BarUpdate};
use barmill_core::port::{ItemResult, Remedy, SinkError, WriteItem};
use jiff::tz::TimeZone;
use redis::AsyncCommands;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

const KINDS: [ViewKind; 4] = [
    ViewKind::SymbolDay,
    ViewKind::Minute,
    ViewKind::KeyPerBar,
    ViewKind::Stream,
];

/// One Redis behind both doors.
struct Bench {
    redis: RedisServer,
    rest: RestServer,
    clock: Arc<FakeClock>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Door {
    Resp,
    Rest,
}

const DOORS: [Door; 2] = [Door::Resp, Door::Rest];

impl Bench {
    async fn new() -> Bench {
        let redis = RedisServer::start(&[]);
        let rest = RestServer::start(&redis, false).await;
        Bench {
            redis,
            rest,
            clock: Arc::new(FakeClock::at("2025-10-15T20:00:00Z")),
        }
    }

    async fn open(&self, door: Door, view: ViewSettings, guard: Guard) -> Opened {
        let url = match door {
            Door::Resp => self.redis.url(),
            Door::Rest => format!("http://127.0.0.1:{}", self.rest.port),
        };
        let token = Some(SecretString::from("canary"));
        let settings = StoreSettings {
            token,
            guard,
            ..StoreSettings::default()
        };
        let view = View::new(view, &["1m".parse().unwrap()]).unwrap();
        connect(
            &url.parse().unwrap(),
            view,
            &settings,
            Arc::clone(&self.clock) as _,
        )
        .await
        .unwrap()
    }

    async fn writer(&self, door: Door, kind: ViewKind, holder: &str, take_over: bool) -> Opened {
        let guard = Guard::Fence(FenceSettings {
            holder: holder.to_owned(),
            ttl: Duration::from_secs(30),
            take_over,
        });
        self.open(door, view(kind), guard).await
    }

    async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command
            .query_async(&mut self.redis.connection().await)
            .await
            .unwrap()
    }

    /// Commands that Redis ran since `CONFIG RESETSTAT`, those inside scripts too.
    async fn calls(&self) -> u64 {
        let info: String = self.command(&["INFO", "commandstats"]).await;
        let calls = |line: &str| -> Option<u64> {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            // A transaction is no command that the store bills.
            let apart = ["config", "info", "multi", "exec"];
            let is_ours = !apart
                .iter()
                .any(|other| name.split('|').next() == Some(other));
            is_ours.then(|| rest.split(',').next().unwrap().parse().unwrap())
        };
        info.lines().filter_map(calls).sum()
    }
}

fn view(kind: ViewKind) -> ViewSettings {
    let mut settings = ViewSettings::new(kind, TimeZone::UTC).unwrap();
    settings.value = ValueForm::JsonFull;
    settings
}

fn at(name: &str, minute: u32, revision: u32) -> BarUpdate {
    let mut update = update(name, "1m", &format!("2025-10-15T13:{minute:02}:00Z"));
    update.revision = revision;
    update.bar.trades += u64::from(revision);
    update.state = if revision == 0 {
        BarState::Final
    } else {
        BarState::Revised
    };
    update
}

async fn write(store: &Opened, updates: &[BarUpdate]) -> Result<Vec<ItemResult>, SinkError> {
    let items: Vec<WriteItem> = updates.iter().copied().map(WriteItem::Bar).collect();
    store.sink.write(&items).await
}

async fn write_well(store: &Opened, updates: &[BarUpdate]) {
    for result in write(store, updates).await.unwrap() {
        result.unwrap();
    }
}

async fn revisions(store: &Opened) -> Vec<u32> {
    let reader = store.reader.as_ref().unwrap();
    let date = "2025-10-15".parse().unwrap();
    let bars = reader
        .day("A".parse().unwrap(), "1m".parse().unwrap(), date)
        .await
        .unwrap();
    bars.iter()
        .map(|bar| bar.detail.unwrap().revision)
        .collect()
}

#[tokio::test]
async fn a_guarded_batch_is_one_command_and_readers_see_the_values_they_know() {
    for door in DOORS {
        for kind in KINDS {
            let bench = Bench::new().await;
            let guarded = bench.writer(door, kind, "a", false).await;
            write_well(&guarded, &[at("A", 30, 0), at("A", 31, 0), at("B", 30, 0)]).await;
            let before = guarded.sink.stats();
            write_well(&guarded, &[at("A", 31, 1), at("A", 32, 0)]).await;
            let after = guarded.sink.stats();
            assert_eq!(
                (
                    after.requests - before.requests,
                    after.commands - before.commands
                ),
                (1, 1)
            );
            assert_eq!(revisions(&guarded).await, [0, 1, 0], "{door:?} {kind}");
        }
    }
}

#[tokio::test]
async fn an_older_or_equal_version_changes_nothing_and_counts_as_written() {
    for door in DOORS {
        for kind in KINDS {
            let bench = Bench::new().await;
            let writer = bench.writer(door, kind, "a", false).await;
            write_well(&writer, &[at("A", 30, 2), at("A", 31, 1)]).await;
            for older in [at("A", 30, 1), at("A", 31, 0), at("A", 31, 1)] {
                let mut older = older;
                older.bar.volume = "1".parse().unwrap();
                write_well(&writer, &[older]).await;
            }
            let reader = writer.reader.as_ref().unwrap();
            let date = "2025-10-15".parse().unwrap();
            let bars = reader
                .day("A".parse().unwrap(), "1m".parse().unwrap(), date)
                .await
                .unwrap();
            assert_eq!(revisions(&writer).await, [2, 1], "{door:?} {kind}");
            assert!(
                bars.iter()
                    .all(|bar| bar.volume == "1200.5".parse().unwrap()),
                "{door:?} {kind}"
            );
        }
    }
}

#[tokio::test]
async fn a_second_writer_is_refused_by_name_and_time() {
    for door in DOORS {
        let bench = Bench::new().await;
        let first = bench
            .writer(door, ViewKind::SymbolDay, "host:1", false)
            .await;
        first.sink.open().await.unwrap();
        let second = bench
            .writer(door, ViewKind::SymbolDay, "host:2", false)
            .await;
        let error = second.sink.open().await.unwrap_err();
        assert_eq!(error.remedy, Remedy::Fatal);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            cause.starts_with("fence:barmill is held by host:1 until 20"),
            "{cause}"
        );
        assert!(cause.contains("--take-over"), "{cause}");
        assert_eq!(
            write(&second, &[at("A", 30, 0)]).await.unwrap_err().remedy,
            Remedy::Fatal
        );
        assert_eq!(revisions(&second).await, [] as [u32; 0]);
        // Closing gives the lease back.
        first.sink.close().await.unwrap();
        second.sink.open().await.unwrap();
    }
}

#[tokio::test]
async fn a_take_over_fences_the_first_writer_out() {
    for door in DOORS {
        for kind in KINDS {
            let bench = Bench::new().await;
            let first = bench.writer(door, kind, "a", false).await;
            write_well(&first, &[at("A", 30, 0)]).await;
            let second = bench.writer(door, kind, "b", true).await;
            second.sink.open().await.unwrap();
            let results = write(&first, &[at("A", 30, 5), at("A", 31, 0)])
                .await
                .unwrap();
            for result in results {
                let error = result.unwrap_err();
                assert_eq!(error.remedy, Remedy::Fatal);
                assert_eq!(
                    error.reason,
                    "FENCED number 1 of a is stale, b has number 2"
                );
            }
            assert_eq!(revisions(&second).await, [0], "{door:?} {kind}");
            bench.clock.advance_s(8);
            assert_eq!(
                first.sink.keepalive().await.unwrap_err().remedy,
                Remedy::Fatal
            );
            write_well(&second, &[at("A", 30, 1)]).await;
            first.sink.close().await.unwrap();
            write_well(&second, &[at("A", 31, 0)]).await;
            assert_eq!(revisions(&second).await, [1, 0], "{door:?} {kind}");
        }
    }
}

#[tokio::test]
async fn a_lease_that_ended_may_be_taken_and_its_sleeping_holder_is_fenced() {
    for door in DOORS {
        let bench = Bench::new().await;
        let first = bench.writer(door, ViewKind::Minute, "a", false).await;
        write_well(&first, &[at("A", 30, 0)]).await;
        let _set: i64 = bench
            .command(&["HSET", "fence:barmill", "until", "1"])
            .await;
        // Nobody took it: the holder goes on.
        write_well(&first, &[at("A", 31, 0)]).await;
        let second = bench.writer(door, ViewKind::Minute, "b", false).await;
        write_well(&second, &[at("A", 32, 0)]).await;
        let error = write(&first, &[at("A", 33, 0)])
            .await
            .unwrap()
            .remove(0)
            .unwrap_err();
        assert_eq!(error.remedy, Remedy::Fatal);
    }
}

#[tokio::test]
async fn a_lost_fence_is_put_back_and_never_below_the_number_seen() {
    for door in DOORS {
        let bench = Bench::new().await;
        let first = bench.writer(door, ViewKind::SymbolDay, "a", false).await;
        let second = bench.writer(door, ViewKind::SymbolDay, "b", true).await;
        first.sink.open().await.unwrap();
        second.sink.open().await.unwrap();
        let _flushed: String = bench.command(&["FLUSHALL"]).await;
        // The slower of the two comes first after the loss, and is still fenced once the other one writes.
        write_well(&first, &[at("A", 30, 0)]).await;
        write_well(&second, &[at("A", 30, 1)]).await;
        let error = write(&first, &[at("A", 30, 2)])
            .await
            .unwrap()
            .remove(0)
            .unwrap_err();
        assert_eq!(error.remedy, Remedy::Fatal);
        assert_eq!(revisions(&second).await, [1]);
    }
}

#[tokio::test]
async fn writes_and_beats_renew_the_lease_after_a_quarter_of_its_life() {
    for door in DOORS {
        let bench = Bench::new().await;
        let writer = bench.writer(door, ViewKind::SymbolDay, "a", false).await;
        assert_eq!(
            writer.sink.keepalive_interval(),
            Some(Duration::from_millis(7_500))
        );
        writer.sink.open().await.unwrap();
        for is_beat in [false, true] {
            let _set: i64 = bench
                .command(&["HSET", "fence:barmill", "until", "1"])
                .await;
            for (seconds, is_renewed) in [(7, false), (1, true)] {
                bench.clock.advance_s(seconds);
                if is_beat {
                    writer.sink.keepalive().await.unwrap();
                } else {
                    write_well(&writer, &[at("A", 30, 0)]).await;
                }
                let until: String = bench.command(&["HGET", "fence:barmill", "until"]).await;
                assert_eq!(until != "1", is_renewed, "{door:?} {is_beat}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_type_is_seen_before_anything_is_written_and_refuses_its_item_only() {
    for door in DOORS {
        for (kind, bad) in [
            (ViewKind::SymbolDay, "bars:1m:2025-10-15:BAD"),
            (ViewKind::SymbolDay, "bars:1m:2025-10-15:BAD:version"),
            (ViewKind::KeyPerBar, "version:barmill:1m:2025-10-15:BAD"),
            (ViewKind::Stream, "bars:1m:BAD"),
        ] {
            let bench = Bench::new().await;
            let _set: String = bench.command(&["SET", bad, "text"]).await;
            let writer = bench.writer(door, kind, "a", false).await;
            let results = write(&writer, &[at("A", 30, 0), at("BAD", 30, 0), at("B", 30, 0)])
                .await
                .unwrap();
            assert_eq!(
                (&results[0], &results[2]),
                (&Ok(()), &Ok(())),
                "{door:?} {bad}"
            );
            let error = results[1].as_ref().unwrap_err();
            assert_eq!(error.remedy, Remedy::Refuse);
            assert!(error.reason.starts_with("WRONGTYPE"), "{error}");
            let keys: Vec<String> = bench.command(&["KEYS", "*BAD*"]).await;
            assert_eq!(keys, [bad], "nothing of the refused item is written");
        }
    }
}

#[tokio::test]
async fn a_bar_whose_key_is_gone_is_written_again_whatever_its_version_was() {
    for door in DOORS {
        for kind in KINDS {
            let bench = Bench::new().await;
            let writer = bench.writer(door, kind, "a", false).await;
            write_well(&writer, &[at("A", 30, 3), at("A", 31, 3)]).await;
            let keys: Vec<String> = bench.command(&["KEYS", "*"]).await;
            let is_bar = |key: &&String| !key.starts_with("fence") && !key.contains("version");
            for key in keys.iter().filter(is_bar) {
                bench
                    .redis
                    .connection()
                    .await
                    .del::<_, i64>(key)
                    .await
                    .unwrap();
            }
            write_well(&writer, &[at("A", 30, 0)]).await;
            write_well(&writer, &[at("A", 31, 0)]).await;
            assert_eq!(revisions(&writer).await, [0, 0], "{door:?} {kind}");
        }
    }
}

#[tokio::test]
async fn versions_live_as_long_as_their_bars_and_the_fence_for_ever() {
    for kind in KINDS {
        let bench = Bench::new().await;
        let writer = bench.writer(Door::Resp, kind, "a", false).await;
        let items = [
            WriteItem::Bar(at("A", 30, 0)),
            WriteItem::Manifest(manifest("A", "1m")),
        ];
        assert_eq!(writer.sink.write(&items).await.unwrap(), [Ok(()), Ok(())]);
        let keys: Vec<String> = bench.command(&["KEYS", "*"]).await;
        assert_eq!(
            keys.len(),
            if kind == ViewKind::Stream { 3 } else { 4 },
            "{keys:?}"
        );
        for key in keys {
            let ttl: i64 = bench.command(&["TTL", &key]).await;
            let expected = if key == "fence:barmill" {
                -1..=-1
            } else {
                7_190..=7_200
            };
            assert!(expected.contains(&ttl), "{key} {ttl}");
        }
    }
}

#[tokio::test]
async fn a_batch_costs_what_is_announced_and_without_a_guard_nothing_more_is_sent() {
    let day: Vec<WriteItem> = (0..490)
        .map(|index| {
            update(
                "A",
                "1m",
                &format!("2025-10-15T{:02}:{:02}:00Z", 8 + index / 60, index % 60),
            )
        })
        .map(WriteItem::Bar)
        .collect();
    for kind in KINDS {
        for (guard, holder) in [(false, "x"), (true, "a")] {
            let bench = Bench::new().await;
            let store = if guard {
                bench.writer(Door::Resp, kind, holder, false).await
            } else {
                bench.open(Door::Resp, view(kind), Guard::Off).await
            };
            // The first batch takes the lease and teaches the script.
            for result in store.sink.write(&day[..1]).await.unwrap() {
                result.unwrap();
            }
            let _flushed: i64 = bench.command(&["DEL", "bars:1m:A"]).await;
            let before = store.sink.stats();
            let _reset: String = bench.command(&["CONFIG", "RESETSTAT"]).await;
            for result in store.sink.write(&day).await.unwrap() {
                result.unwrap();
            }
            let calls = bench.calls().await;
            let announced = u64::from(store.sink.cost(&day).commands);
            // One bar is a repeat, and no key is gone.
            assert!(
                calls <= announced && announced <= calls + 5,
                "{kind} {guard}: {calls} of {announced}"
            );
            let sent = store.sink.stats().commands - before.commands;
            let expected = match (guard, kind) {
                (false, ViewKind::KeyPerBar) => 490,
                (false, ViewKind::SymbolDay) => 2,
                (false, ViewKind::Minute) => 980,
                (_, _) => 1,
            };
            assert_eq!(sent, expected, "{kind} {guard}");
            let keys: Vec<String> = bench.command(&["KEYS", "*"]).await;
            let of_guard = keys
                .iter()
                .any(|key| key.contains("version") || key.starts_with("fence"));
            assert_eq!(of_guard, guard, "{keys:?}");
        }
    }
}
