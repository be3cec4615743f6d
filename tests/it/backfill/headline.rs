//! The day on which the predecessor failed: 500,000 trades, 490 bars, one connection.

use super::program::{CANARY, Program};
use crate::history::server::{Hit, Reply, Server};
use crate::support::redis::RedisServer;
use crate::support::upstash::{TOKEN, UpstashServer};
use std::fmt::Write;
use std::io::Write as _;
use std::ops::Range;
use std::time::Duration;
use tokio::time::Instant;

const TRADES: usize = 500_000;
const PAGE: usize = 50_000;
const BARS: i64 = 490;
/// 2025-10-21T13:00:00Z, 09:00 in New York.
pub(crate) const START: i64 = 1_761_051_600_000_000_000;

/// Nanoseconds between two trades: they are spread evenly over 490 minutes.
const STEP: i64 = BARS * 60_000_000_000 / 500_000;

/// The trades of an interval of indices, and a cursor to the page behind it.
pub(crate) fn page(indices: Range<usize>, next: Option<String>) -> String {
    let mut text = String::from(r#"{"status":"OK","request_id":"r","results":["#);
    let first = indices.start;
    for index in indices {
        let nanos = START + i64::try_from(index).unwrap() * STEP;
        let comma = if index == first { "" } else { "," };
        write!(
            text,
            r#"{comma}{{"conditions":[14,41],"exchange":11,"id":"{index}","participant_timestamp":{nanos},"price":{}.{:02},"sequence_number":{index},"sip_timestamp":{nanos},"size":{},"tape":3}}"#,
            250 + index % 7,
            index % 100,
            100 + index % 400,
        )
        .unwrap();
    }
    text.push(']');
    if let Some(next) = next {
        write!(text, r#","next_url":"{next}""#).unwrap();
    }
    text.push('}');
    text
}

/// Ten pages by cursor; the last is full, so the adapter asks once more from its last trade on for the proof of the end.
fn answer(hit: &Hit) -> Reply {
    let number = match hit.get("cursor") {
        Some(cursor) => cursor.trim_start_matches("page").parse().unwrap(),
        None if hit.number("timestamp.gte") == Some(START) => 0,
        None => return Reply::Page(page(TRADES - 1..TRADES, None)),
    };
    let next = (number + 1 < TRADES / PAGE)
        .then(|| format!("{}/v3/trades/AAPL?cursor=page{}", hit.base, number + 1));
    Reply::Page(page(number * PAGE..(number + 1) * PAGE, next))
}

/// The most memory a process has held so far, in kibibytes; `None` when it is gone.
pub(crate) fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[tokio::test]
async fn headline_day_is_490_bars_in_upstash_over_one_connection() {
    let server = Server::start(answer).await;
    let redis = RedisServer::start();
    let upstash = UpstashServer::start(&redis);
    let mut program = Program::new("massive", &server);
    program.set(&format!("source.massive.page_len={PAGE}"));
    // A debug build on a busy machine takes longer than the seconds that a bar waits for its batch to fill.
    program.set("writer.linger_ms=600000");
    let token = program.folder.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    program.variable("UPSTASH_REDIS_REST_TOKEN_FILE", token.to_str().unwrap());
    let line = format!(
        "backfill --source massive --symbol AAPL --date 2025-10-21 --session 09:00-17:10 --sink {} --json",
        upstash.url()
    );
    let started = Instant::now();
    let child = program.spawn(&line);
    let (pid, mut peak) = (child.id().unwrap(), 0);
    let watch = async {
        loop {
            peak = peak_kib(pid).unwrap_or(0).max(peak);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ran = tokio::select! {
        ran = super::program::finish(child) => ran,
        () = watch => unreachable!("the watch never ends"),
    };
    let elapsed = started.elapsed();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let summary: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&summary["trades"], &summary["bars"]),
        (&TRADES.into(), &BARS.into())
    );
    assert_eq!(
        (server.hits().len(), &summary["source_requests"]),
        (11, &11.into())
    );
    assert!(
        server
            .hits()
            .iter()
            .all(|hit| hit.headers["authorization"] == format!("Bearer {CANARY}").as_str())
    );
    let stats = upstash.stats();
    assert_eq!(stats.connections, 1, "{stats:?}");
    assert!(stats.requests() <= 6, "{stats:?}");
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    writeln!(
        std::io::stderr(),
        "headline day ({build} build): {TRADES} trades, {BARS} bars, {} ms, venue requests {}, store connections {}, \
         store requests {}, store commands {}, peak memory {} MiB",
        elapsed.as_millis(),
        server.hits().len(),
        stats.connections,
        stats.requests(),
        stats.commands,
        peak.div_ceil(1024),
    )
    .unwrap();
}
