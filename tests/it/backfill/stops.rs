//! Stopped runs: what was covered stays, the next run asks for the rest only.

use super::program::{DAY, Program, dump, finish, manifest};
use super::venues::{UNIT_NS, serve};
use crate::history::recording::{Print, tape};
use crate::history::server::{Hit, Reply, Server};
use crate::history::speak;
use crate::support::redis::RedisServer;
use std::time::Duration;

fn prints() -> Vec<Print> {
    tape(11, 300, UNIT_NS)
}

/// A venue that answers so many requests and then lets the next ones hang.
async fn hanging(good: usize) -> Server {
    let own = prints();
    Server::start(move |hit: &Hit| {
        if hit.index < good {
            Reply::Page(speak::massive(&own, hit))
        } else {
            Reply::Drip
        }
    })
    .await
}

/// Starts the program, waits until the venue hangs, and sends it SIGTERM.
async fn stopped(program: &Program, server: &Server, good: usize, line: &str) {
    let child = program.spawn(line);
    while server.hits().len() <= good {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let kill = format!("kill -TERM {}", child.id().unwrap());
    assert!(
        std::process::Command::new("sh")
            .arg("-c")
            .arg(kill)
            .status()
            .unwrap()
            .success()
    );
    let ran = finish(child).await;
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(
        ran.err.contains("incomplete, run again to go on") && ran.err.contains("stopped after"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn stopped_run_is_completed_by_the_next_one_without_asking_again() {
    let expected = {
        let (server, redis) = (serve(&prints(), speak::massive).await, RedisServer::start());
        let line = line(&redis);
        assert_eq!(Program::new("massive", &server).run(&line).await.code, 0);
        dump(&redis)
    };
    for good in [1, 15, 40] {
        let (server, redis) = (hanging(good).await, RedisServer::start());
        let line = line(&redis);
        stopped(&Program::new("massive", &server), &server, good, &line).await;
        let part = manifest(&redis, "1m", DAY, "AAPL");
        assert_eq!(part["complete"], false);
        let to: barmill::Timestamp = part["to"].as_str().unwrap().parse().unwrap();
        let server = serve(&prints(), speak::massive).await;
        let ran = Program::new("massive", &server).run(&line).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(dump(&redis), expected, "after {good} pages");
        let first = server.hits()[0].number::<i64>("timestamp.gte").unwrap();
        // Fifteen-minute bars go on from the start of their window.
        assert!(
            first <= to.as_nanos() && to.as_nanos() - first < 900_000_000_000,
            "after {good} pages"
        );
    }
}

fn line(redis: &RedisServer) -> String {
    format!(
        "backfill --source massive --symbol AAPL --date {DAY} --session regular --rules all --bars 1m,15m --sink {}",
        redis.url()
    )
}

/// Flat bars take the close of the bar before them, which the second run must know.
#[tokio::test]
async fn flat_bars_of_a_stopped_run_are_those_of_a_whole_one() {
    let sparse = tape(12, 60, 20 * UNIT_NS);
    let line = |redis: &RedisServer| {
        format!(
            "{} --set bars.fill=previous-close",
            line(redis).replace("1m,15m", "1m")
        )
    };
    let expected = {
        let (server, redis) = (serve(&sparse, speak::massive).await, RedisServer::start());
        assert_eq!(
            Program::new("massive", &server)
                .run(&line(&redis))
                .await
                .code,
            0
        );
        dump(&redis)
    };
    for good in 1..8 {
        let own = sparse.clone();
        let server = Server::start(move |hit: &Hit| {
            if hit.index < good {
                Reply::Page(speak::massive(&own, hit))
            } else {
                Reply::Status(400, vec![], "no more".into())
            }
        })
        .await;
        let redis = RedisServer::start();
        assert_eq!(
            Program::new("massive", &server)
                .run(&line(&redis))
                .await
                .code,
            1,
            "after {good} pages"
        );
        let server = serve(&sparse, speak::massive).await;
        let ran = Program::new("massive", &server).run(&line(&redis)).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(dump(&redis), expected, "after {good} pages");
    }
}

#[tokio::test]
async fn bars_that_have_expired_are_fetched_again_whatever_the_manifest_says() {
    let (server, redis) = (serve(&prints(), speak::massive).await, RedisServer::start());
    let program = Program::new("massive", &server);
    assert_eq!(program.run(&line(&redis)).await.code, 0);
    let whole = dump(&redis);
    redis.command(&["DEL", &format!("bars:15m:{DAY}:AAPL")]);
    assert_eq!(program.run(&line(&redis)).await.code, 0);
    assert_eq!(dump(&redis), whole);
}

#[tokio::test]
async fn force_fetches_a_whole_day_again() {
    let (server, redis) = (serve(&prints(), speak::massive).await, RedisServer::start());
    let program = Program::new("massive", &server);
    assert_eq!(program.run(&line(&redis)).await.code, 0);
    let (whole, hits) = (dump(&redis), server.hits().len());
    assert_eq!(
        program.run(&format!("{} --force", line(&redis))).await.code,
        0
    );
    assert_eq!((dump(&redis), server.hits().len()), (whole, 2 * hits));
}

#[tokio::test]
async fn session_added_later_joins_the_one_before_it() {
    let mut prints = prints();
    for print in prints.iter_mut().take(100) {
        print.nanos -= 3 * 3_600_000_000_000;
    }
    let (server, redis) = (serve(&prints, speak::massive).await, RedisServer::start());
    let program = Program::new("massive", &server);
    let line = |session: &str| {
        format!(
            "backfill --source massive --symbol AAPL --date {DAY} --session {session} --rules all --sink {}",
            redis.url()
        )
    };
    assert_eq!(program.run(&line("pre")).await.code, 0);
    assert_eq!(program.run(&line("regular")).await.code, 0);
    let joined = manifest(&redis, "1m", DAY, "AAPL");
    assert_eq!(
        (&joined["from"], &joined["to"]),
        (
            &"2025-10-21T08:00:00Z".into(),
            &"2025-10-21T20:00:00Z".into()
        )
    );
    assert_eq!(
        (&joined["complete"], &joined["trades"]),
        (&true.into(), &300.into())
    );
}
