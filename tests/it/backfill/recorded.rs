//! History kept as a recording, and replayed without the venue.

use super::program::{DAY, Program, dump};
use super::venues::{UNIT_NS, serve};
use crate::history::recording::{Print, tape};
use crate::history::server::{Reply, Server};
use crate::history::speak;
use crate::support::redis::RedisServer;

fn prints() -> Vec<Print> {
    tape(21, 300, UNIT_NS)
}

#[tokio::test]
async fn replayed_recording_gives_the_bars_of_a_backfill() {
    let server = serve(&prints(), speak::massive).await;
    let mut program = Program::new("massive", &server);
    // Every print of the tape is an odd lot.
    program.set("bars.volume_only=carry");
    let (backfilled, replayed) = (RedisServer::start(), RedisServer::start());
    let asked = format!("--source massive --symbol AAPL,MSFT --date {DAY} --session regular");
    let ran = program.run(&format!("record {asked} --out day.rec")).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let hint = ran
        .err
        .lines()
        .find_map(|line| line.split_once("barmill replay "))
        .unwrap()
        .1;
    let ran = program
        .run(&format!(
            "replay {hint} --bars 1m,5m,session --sink {}",
            replayed.url()
        ))
        .await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let line = format!(
        "backfill {asked} --bars 1m,5m,session --sink {}",
        backfilled.url()
    );
    assert_eq!(program.run(&line).await.code, 0);
    let bars = |redis: &RedisServer| {
        let mut all = dump(redis);
        all.retain(|key, _| key.starts_with("bars:"));
        all
    };
    assert_eq!(bars(&replayed).len(), 6);
    assert_eq!(bars(&replayed), bars(&backfilled));
}

#[tokio::test]
async fn recording_of_a_fetch_that_fails_holds_what_was_fetched() {
    let own = prints();
    let server = Server::start(move |hit| match hit.index {
        0..20 => Reply::Page(speak::massive(&own, hit)),
        _ => Reply::Status(400, vec![], "no more".into()),
    })
    .await;
    let program = Program::new("massive", &server);
    let line = format!(
        "record --source massive --symbol AAPL --date {DAY} --session regular --out part.rec --json"
    );
    let ran = program.run(&line).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    let summary: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&summary["trades"], &summary["days"][0]["status"]),
        (&140.into(), &"incomplete".into())
    );
    let ran = program.run("replay part.rec --sink null: --json").await;
    let summary: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (ran.code, &summary["trades"]),
        (0, &140.into()),
        "{}",
        ran.err
    );
    let again = program.run(&line).await;
    assert_eq!(again.code, 1, "a recording is not overwritten");
    assert!(again.err.contains("part.rec"), "{}", again.err);
}

#[tokio::test]
async fn chart_draws_what_was_backfilled() {
    let server = serve(&prints(), speak::massive).await;
    let program = Program::new("massive", &server);
    let line = format!(
        "backfill --source massive --symbol AAPL --date {DAY} --session regular --rules all"
    );
    assert_eq!(program.run(&line).await.code, 0);
    let ran = program
        .run(&format!("bars --symbol AAPL --date {DAY} --chart"))
        .await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.starts_with("AAPL 1m 2025-10-21T13:30:00Z to "),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains('█') && ran.out.contains(" volume") && !ran.out.contains('\u{1b}'),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .lines()
            .skip(1)
            .all(|line| line.chars().count() <= 100),
        "{}",
        ran.out
    );
}
