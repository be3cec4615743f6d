//! A store that is down, from the start or for a part, changes nothing in the end.

use super::operation::{figure, pages};
use super::stage::{FAULTS, PATIENCE, archive, arguments, bars, replayed, wait_for, world};
use crate::live::venue::{self, Faults};
use crate::support::program::Program;
use crate::support::redis::{RedisOptions, RedisServer};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "multi_thread")]
async fn store_that_is_down_for_a_part_ends_with_the_bars_of_a_replay() {
    let world = world();
    let (mut redis, archive) = (
        RedisOptions::default().durable().start(),
        archive(&world).await,
    );
    let venue = venue::start(Arc::clone(&world), FAULTS, 5).await;
    let expected = replayed(&world);
    let program = Program::new();
    let mut line = arguments(&archive, &venue.url, &redis);
    for setting in [
        "writer.attempts_max=2",
        "writer.backoff_ms=1",
        "writer.probe_ms=100",
        "writer.probe_max_ms=100",
    ] {
        line.extend(["--set".to_owned(), setting.to_owned()]);
    }
    redis.kill9();
    let mut running = program.start(&line.iter().map(String::as_str).collect::<Vec<_>>());
    running.err_line("spool");
    redis.restart();
    wait_for(&redis, expected.len() / 3).await;
    redis.kill9();
    redis.restart();
    wait_for(&redis, expected.len()).await;
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(bars(&redis), expected, "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_hangs_closes_the_feed_on_purpose_and_what_that_misses_is_fetched() {
    let world = world();
    let (redis, archive) = (RedisServer::start(), archive(&world).await);
    let venue = venue::start(Arc::clone(&world), Faults::default(), 10).await;
    let expected = replayed(&world);
    let program = Program::new();
    let mut line = arguments(&archive, &venue.url, &redis);
    // Every queue on the way is as short as it can be.
    for setting in [
        "writer.batch_len_max=1",
        "writer.in_flight_max=1",
        "writer.queue_len_max=1",
        "replay.queue_len_max=1",
        "replay.batch_len_max=20",
        "live.backlog_len_max=100",
        "live.stall_ms=86400000",
        "live.stall_max_ms=86400000",
    ] {
        line.extend(["--set".to_owned(), setting.to_owned()]);
    }
    redis.pause();
    let mut running = program.start(&line.iter().map(String::as_str).collect::<Vec<_>>());
    let address = pages(&mut running);
    let deadline = Instant::now() + PATIENCE;
    while figure(&address, "barmill_overloads_total") == "0" {
        assert!(
            Instant::now() < deadline,
            "{}",
            figure(&address, "barmill_backlog_trades")
        );
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        figure(&address, "barmill_spool_items"),
        "0",
        "the queues were full before the store was out"
    );
    redis.resume();
    wait_for(&redis, expected.len()).await;
    assert_eq!(figure(&address, "barmill_gaps_total"), "0");
    running.signal("TERM");
    let ended = running.wait();
    assert!(
        ended.err.contains("closed until the consumer catches up"),
        "{}",
        ended.err
    );
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(bars(&redis), expected, "{}", ended.err);
}
