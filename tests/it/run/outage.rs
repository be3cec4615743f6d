//! A store that is down, from the start or for a part, changes nothing in the end.

use super::stage::{FAULTS, archive, arguments, bars, replayed, wait_for, world};
use crate::live::venue;
use crate::support::program::Program;
use crate::support::redis::RedisOptions;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn store_that_is_down_for_a_part_ends_with_the_bars_of_a_replay() {
    let world = world();
    let (mut redis, archive) = (RedisOptions::default().durable().start(), archive(&world).await);
    let venue = venue::start(Arc::clone(&world), FAULTS, 5).await;
    let expected = replayed(&world);
    let program = Program::new();
    let mut line = arguments(&archive, &venue.url, &redis);
    for setting in
        ["writer.attempts_max=2", "writer.backoff_ms=1", "writer.probe_ms=100", "writer.probe_max_ms=100"]
    {
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
