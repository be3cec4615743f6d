//! Catch-up and live trades give the bars of a replay, also after `kill -9`.

use super::stage::{FAULTS, archive, arguments, bars, replayed, replayed_as, wait_for, world};
use crate::live::venue::{self, Faults};
use crate::support::program::Program;
use crate::support::redis::RedisServer;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn catch_up_and_live_trades_under_faults_give_the_bars_of_a_replay() {
    let world = world();
    let (redis, archive) = (RedisServer::start(), archive(&world).await);
    let venue = venue::start(Arc::clone(&world), FAULTS, 3).await;
    let expected = replayed(&world);
    assert!(expected.len() > 25, "{}", expected.len());
    let program = Program::new();
    let line = arguments(&archive, &venue.url, &redis);
    let mut running = program.start(&line.iter().map(String::as_str).collect::<Vec<_>>());
    running.err_line("live feed starts");
    wait_for(&redis, expected.len()).await;
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(bars(&redis), expected, "{}", ended.err);
    // The stop may come before the trades of the open bars; no trade comes twice and none too late.
    let counts = ended.json();
    assert!(counts["trades"].as_u64() <= Some(2_700), "{counts}");
    assert_eq!(
        (&counts["late"], &counts["duplicates"], &counts["malformed"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert!(
        venue.connections.load(Ordering::Relaxed) > 1,
        "no fault was met"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again_it_ends_as_if_never_killed_in_every_layout() {
    for view in ["symbol-day", "minute", "key-per-bar"] {
        killed_as(view).await;
    }
}

async fn killed_as(view: &str) {
    let world = world();
    let (redis, archive) = (RedisServer::start(), archive(&world).await);
    // A trade that the venue never sends is missing in its bar until the next one shows it.
    let venue = venue::start(
        Arc::clone(&world),
        Faults {
            lose_one_in: 0,
            ..FAULTS
        },
        4,
    )
    .await;
    let expected = replayed_as(&world, view);
    let program = Program::new();
    let mut line = arguments(&archive, &venue.url, &redis);
    line.extend(["--set".to_owned(), format!("view.kind={view}")]);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    for part in 1..4 {
        let running = program.start(&line);
        wait_for(&redis, expected.len() * part / 4).await;
        running.signal("KILL");
        assert_eq!(running.wait().code, None);
        for (place, value) in bars(&redis) {
            assert_eq!(
                expected.get(&place),
                Some(&value),
                "{view} {place:?} after kill {part}"
            );
        }
    }
    let running = program.start(&line);
    wait_for(&redis, expected.len()).await;
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(bars(&redis), expected, "{view}");
}
