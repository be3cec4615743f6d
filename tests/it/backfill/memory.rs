//! Memory does not grow with the day, and neither pages nor trades are capped.

use super::headline::{page, peak_kib};
use super::program::{Program, Ran, finish};
use crate::history::server::{Hit, Reply, Server};
use crate::support::redis::RedisServer;
use std::io::Write as _;
use std::time::Duration;

const PAGE: usize = 1_000;

/// A day of so many trades in pages of a thousand, each made when it is asked for.
fn answer(trades: usize, hit: &Hit) -> Reply {
    let number = match hit.get("cursor") {
        Some(cursor) => cursor.trim_start_matches("page").parse().unwrap(),
        None if hit.number("timestamp.gte") == Some(super::headline::START) => 0,
        None => return Reply::Page(page(trades - 1..trades, None)),
    };
    let next = (number + 1 < trades / PAGE)
        .then(|| format!("{}/v3/trades/AAPL?cursor=page{}", hit.base, number + 1));
    Reply::Page(page(number * PAGE..(number + 1) * PAGE, next))
}

/// The most memory that a backfill of so many trades held, in kibibytes.
async fn peak(trades: usize) -> u64 {
    let server = Server::start(move |hit| answer(trades, hit)).await;
    let redis = RedisServer::start();
    let mut program = Program::new("massive", &server);
    program.set(&format!("source.massive.page_len={PAGE}"));
    let line = format!(
        "backfill --source massive --symbol AAPL --date 2025-10-21 --session 09:00-17:10 --sink {} --json",
        redis.url()
    );
    let child = program.spawn(&line);
    let (pid, mut peak) = (child.id().unwrap(), 0);
    let watch = async {
        loop {
            peak = peak_kib(pid).unwrap_or(0).max(peak);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let Ran { code, out, err } = tokio::select! {
        ran = finish(child) => ran,
        () = watch => unreachable!("the watch never ends"),
    };
    assert_eq!(code, 0, "{err}");
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&summary["trades"], &summary["days"][0]["status"]),
        (&trades.into(), &"whole".into())
    );
    assert!(
        server.hits().len() > trades / PAGE,
        "every page is asked for"
    );
    peak
}

#[tokio::test]
async fn day_ten_times_as_long_takes_no_more_memory() {
    let (short, long) = (peak(20_000).await, peak(200_000).await);
    writeln!(
        std::io::stderr(),
        "peak memory: 20,000 trades in 20 pages {short} KiB, 200,000 trades in 200 pages {long} KiB"
    )
    .unwrap();
    // The trades alone of the long day are 20 MiB.
    assert!(long < short + 8 * 1_024, "{short} KiB grew to {long} KiB");
}
