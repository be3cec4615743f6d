//! Venues that fail or lie: the bars are those of a clean run, or the error is named, the manifest is honest, and a
//! second run makes the store that of a clean run.

use super::program::{DAY, Dump, Program, dump, manifest};
use super::venues::{UNIT_NS, proxied, serve};
use crate::history::recording::{Print, tape};
use crate::history::server::{Hit, Reply, Server, gzip};
use crate::history::speak;
use crate::support::redis::RedisServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A page on the way in which the faults show, after a few good ones.
const PAGE: usize = 12;

fn line(redis: &RedisServer) -> String {
    format!(
        "backfill --source massive --symbol AAPL --date {DAY} --session regular --rules all --sink {}",
        redis.url()
    )
}

fn prints() -> Vec<Print> {
    tape(7, 250, UNIT_NS)
}

/// The store after a run without faults.
async fn clean(is_proxied: bool) -> Dump {
    let server = serve(
        &prints(),
        if is_proxied {
            speak::proxy
        } else {
            speak::massive
        },
    )
    .await;
    let redis = RedisServer::start();
    let mut program = Program::new("massive", &server);
    if is_proxied {
        proxied(&mut program);
    }
    let ran = program.run(&line(&redis)).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    dump(&redis)
}

/// Runs against a venue whose replies `fault` spoils until it is healed.
async fn spoiled(
    is_proxied: bool,
    fault: impl Fn(&Hit, String) -> Reply + Send + Sync + 'static,
    named: Option<&str>,
) {
    let (own, is_sick) = (prints(), Arc::new(AtomicBool::new(true)));
    let sickness = Arc::clone(&is_sick);
    let server = Server::start(move |hit| {
        let text = if is_proxied {
            speak::proxy(&own, hit)
        } else {
            speak::massive(&own, hit)
        };
        if sickness.load(Ordering::Relaxed) {
            fault(hit, text)
        } else {
            Reply::Page(text)
        }
    })
    .await;
    let redis = RedisServer::start();
    let mut program = Program::new("massive", &server);
    program
        .set("source.massive.page_bytes_max=65536")
        .set("source.massive.timeout_ms=15000");
    if is_proxied {
        proxied(&mut program);
    }
    let expected = clean(is_proxied).await;
    let ran = program.run(&line(&redis)).await;
    let Some(named) = named else {
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(dump(&redis), expected);
        return;
    };
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.err.contains(named) && ran.err.contains("massive AAPL, page "),
        "{named}: {}",
        ran.err
    );
    let manifest = manifest(&redis, "1m", DAY, "AAPL");
    assert_eq!(
        (&manifest["complete"], &manifest["gapless"]),
        (&false.into(), &true.into()),
        "{named}"
    );
    let found = dump(&redis);
    let bars = |dump: &Dump| {
        dump.get(&format!("bars:1m:{DAY}:AAPL"))
            .cloned()
            .unwrap_or_default()
    };
    let (part, whole) = (bars(&found), bars(&expected));
    assert!(
        part.iter().all(|(time, bar)| whole.get(time) == Some(bar)),
        "{named}: a bar of a part is whole"
    );
    assert_eq!(manifest["bars"], part.len(), "{named}");
    let read = format!("bars --symbol AAPL --date {DAY} --sink {}", redis.url());
    assert!(
        program
            .run(&read)
            .await
            .err
            .contains("AAPL 2025-10-21: not whole"),
        "{named}"
    );
    let hits = server.hits().len();
    is_sick.store(false, Ordering::Relaxed);
    let again = program.run(&line(&redis)).await;
    assert_eq!(again.code, 0, "{named}: {}", again.err);
    assert_eq!(dump(&redis), expected, "{named}: as after a clean run");
    let resumed: barmill::Timestamp = manifest["to"].as_str().unwrap().parse().unwrap();
    let asked = server.hits()[hits].number::<i64>("timestamp.gte").unwrap();
    assert_eq!(
        asked,
        resumed.as_nanos(),
        "{named}: nothing is asked for twice"
    );
}

fn at_page(hit: &Hit, spoil: impl Fn() -> Reply, text: String) -> Reply {
    if hit.index >= PAGE {
        spoil()
    } else {
        Reply::Page(text)
    }
}

fn edited(text: &str, change: impl Fn(&mut Vec<serde_json::Value>)) -> Reply {
    let mut reply: serde_json::Value = serde_json::from_str(text).unwrap();
    change(reply["results"].as_array_mut().unwrap());
    Reply::Page(reply.to_string())
}

#[tokio::test]
async fn stuck_cursor_is_named_and_the_next_run_goes_on() {
    let fault = |hit: &Hit, text: String| {
        let Some(cursor) = hit.get("cursor").filter(|_| hit.index >= PAGE) else {
            return Reply::Page(text);
        };
        let mut reply: serde_json::Value = serde_json::from_str(&text).unwrap();
        reply["next_url"] = format!("{}{}?cursor={cursor}", hit.base, hit.path).into();
        Reply::Page(reply.to_string())
    };
    spoiled(false, fault, Some("cursor")).await;
}

#[tokio::test]
async fn cursor_that_a_proxy_drops_changes_no_bar() {
    spoiled(true, |_, text| Reply::Page(text), None).await;
    let dropped = |_: &Hit, text: String| {
        let mut reply: serde_json::Value = serde_json::from_str(&text).unwrap();
        reply.as_object_mut().unwrap().remove("next_url");
        Reply::Page(reply.to_string())
    };
    spoiled(false, dropped, None).await;
}

#[tokio::test]
async fn repeated_rows_change_no_bar() {
    let fault = |_: &Hit, text: String| {
        edited(&text, |rows| {
            let doubled = rows
                .iter()
                .flat_map(|row| [row.clone(), row.clone()])
                .collect();
            *rows = doubled;
        })
    };
    spoiled(false, fault, None).await;
    let own = prints();
    let server = Server::start(move |hit| fault(hit, speak::massive(&own, hit))).await;
    let asked = format!("--source massive --symbol AAPL --date {DAY} --session regular --json");
    let program = Program::new("massive", &server);
    for line in [
        format!("backfill {asked} --sink null:"),
        format!("record {asked} --out x.rec"),
    ] {
        let ran = program.run(&line).await;
        let summary: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let trades = &summary["days"][0]["trades"];
        assert_eq!(
            (trades, &summary["duplicates"], &summary["trades"]),
            (&250.into(), &250.into(), &500.into())
        );
    }
}

#[tokio::test]
async fn rows_of_another_date_are_named_and_the_next_run_goes_on() {
    let fault = |hit: &Hit, text: String| {
        if hit.index < PAGE {
            return Reply::Page(text);
        }
        edited(&text, |rows| {
            for row in rows {
                let time = row["sip_timestamp"].as_i64().unwrap();
                row["sip_timestamp"] = (time + 86_400_000_000_000).into();
            }
        })
    };
    spoiled(false, fault, Some("outside")).await;
}

#[tokio::test]
async fn storm_of_refusals_that_passes_changes_no_bar() {
    for status in [429, 502] {
        let fault = move |hit: &Hit, text: String| match hit.index % 2 {
            0 => Reply::Status(
                status,
                vec![("retry-after", "0".to_owned())],
                "<html>busy</html>".into(),
            ),
            _ => Reply::Page(text),
        };
        spoiled(false, fault, None).await;
    }
}

#[tokio::test]
async fn storm_of_refusals_that_stays_is_named_and_the_next_run_goes_on() {
    for (status, named) in [(429, "venue answered 429"), (502, "venue answered 502")] {
        let fault = move |hit: &Hit, text: String| {
            let spoil =
                || Reply::Status(status, vec![("retry-after", "0".to_owned())], "busy".into());
            at_page(hit, spoil, text)
        };
        spoiled(false, fault, Some(named)).await;
    }
}

#[tokio::test]
async fn body_cut_off_now_and_then_changes_no_bar() {
    for is_announced in [true, false] {
        let fault = move |hit: &Hit, text: String| match hit.index % 2 {
            0 => Reply::Cut(text, is_announced),
            _ => Reply::Page(text),
        };
        spoiled(false, fault, None).await;
    }
}

#[tokio::test]
async fn body_always_cut_off_is_named_and_the_next_run_goes_on() {
    let fault = |hit: &Hit, text: String| match hit.index {
        PAGE.. => Reply::Cut(text, true),
        _ => Reply::Page(text),
    };
    spoiled(false, fault, Some("no complete reply")).await;
}

#[tokio::test]
async fn huge_page_and_bomb_are_named_and_the_next_run_goes_on() {
    let bomb = gzip(&vec![b' '; 1 << 20]);
    spoiled(
        false,
        move |hit, text| at_page(hit, || Reply::Gzip(bomb.clone()), text),
        Some("page is larger"),
    )
    .await;
    spoiled(
        false,
        |hit, text| at_page(hit, || Reply::Endless, text),
        Some("page is larger"),
    )
    .await;
}

#[tokio::test]
async fn trickle_is_ended_by_the_timeout_and_the_page_asked_for_again() {
    let prints = prints();
    let own = prints.clone();
    let server = Server::start(move |hit| match hit.index {
        PAGE => Reply::Drip,
        _ => Reply::Page(speak::massive(&own, hit)),
    })
    .await;
    let redis = RedisServer::start();
    let mut program = Program::new("massive", &server);
    for key in ["timeout_ms", "read_timeout_ms", "connect_timeout_ms"] {
        program.set(&format!("source.massive.{key}=1500"));
    }
    let ran = program.run(&line(&redis)).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(dump(&redis), clean(false).await);
}

#[tokio::test]
async fn days_behind_one_that_fails_wait_for_the_next_run() {
    let own = tape(13, 1_500, 40 * UNIT_NS);
    let clean = own.clone();
    let server = Server::start(move |hit| match hit.index {
        1 => Reply::Status(400, vec![], "bad".into()),
        _ => Reply::Page(speak::massive(&own, hit)),
    })
    .await;
    let (redis, expected) = (RedisServer::start(), RedisServer::start());
    let mut program = Program::new("massive", &server);
    program.set("source.massive.page_len=100");
    let line = |redis: &RedisServer| {
        format!(
            "backfill --source massive --symbol AAPL --from {DAY} --to 2025-10-23 --rules all --bars 1m,1d --sink {}",
            redis.url()
        )
    };
    assert_eq!(program.run(&line(&redis)).await.code, 1);
    assert_eq!(server.hits().len(), 2, "the second day is not asked for");
    for date in [DAY, "2025-10-22"] {
        assert_eq!(manifest(&redis, "1d", date, "AAPL")["complete"], false);
    }
    assert_eq!(program.run(&line(&redis)).await.code, 0);
    let server = serve(&clean, speak::massive).await;
    let mut program = Program::new("massive", &server);
    program.set("source.massive.page_len=100");
    assert_eq!(program.run(&line(&expected)).await.code, 0);
    assert_eq!(dump(&redis), dump(&expected));
}

#[tokio::test]
async fn symbol_that_fails_leaves_the_others_whole() {
    let own = prints();
    let server = Server::start(move |hit| match hit.path.as_str() {
        "/v3/trades/BAD" if hit.get("cursor").is_some() => Reply::Status(400, vec![], "bad".into()),
        _ => Reply::Page(speak::massive(&own, hit)),
    })
    .await;
    let redis = RedisServer::start();
    let program = Program::new("massive", &server);
    let line = line(&redis)
        .replace("AAPL", "A,BAD,B")
        .replace("--rules all", "--rules all --bars 1m,1d,tick:10");
    let ran = program.run(&line).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    for spec in ["1m", "1d", "tick:10"] {
        let complete = |symbol| {
            manifest(&redis, spec, DAY, symbol)["complete"]
                .as_bool()
                .unwrap()
        };
        assert_eq!(
            ["A", "BAD", "B"].map(complete),
            [true, false, true],
            "{spec}"
        );
    }
    assert!(
        ran.err.contains("3 symbol-days: 2 whole now, 1 incomplete"),
        "{}",
        ran.err
    );
    assert!(
        !dump(&redis).contains_key(&format!("bars:1d:{DAY}:BAD")),
        "an open day is never written as a whole one"
    );
}
