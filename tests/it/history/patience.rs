//! Venues that are slow, busy or broken for a while: the trades are those of a clean run, or the run ends
//! with the venue's own words.

use crate::history::clean::{case, cases};
use crate::history::recording::{self, between, drain, local, range, symbol};
use crate::history::server::{Reply, Server};
use barmill_core::port::TradeFeed;
use std::time::Duration;

/// Faults that pass, by a name for messages.
fn passing(kind: &str, clean: String) -> Reply {
    match kind {
        "429 with retry-after" => {
            Reply::Status(429, vec![("retry-after", "0".into())], "{}".into())
        }
        "429 with an absurd retry-after" => Reply::Status(
            429,
            vec![("retry-after", "1000000000".into())],
            String::new(),
        ),
        "429 without retry-after" => Reply::Status(429, vec![], String::new()),
        "418 with retry-after" => {
            Reply::Status(418, vec![("retry-after", "0".into())], "{}".into())
        }
        "502 page" => Reply::Status(502, vec![], "<html>bad gateway</html>".into()),
        "502 page that says 200" => Reply::Page("<html>bad gateway</html>".into()),
        "cut with its length announced" => Reply::Cut(clean, true),
        "cut without its length" => Reply::Cut(clean, false),
        "damaged gzip" => {
            Reply::Gzip(crate::history::server::gzip(clean.as_bytes())[..40].to_vec())
        }
        other => panic!("no fault is named {other}"),
    }
}

#[tokio::test]
async fn storms_that_pass_change_no_trade() {
    for kind in [
        "429 with retry-after",
        "429 with an absurd retry-after",
        "429 without retry-after",
        "418 with retry-after",
        "502 page",
        "502 page that says 200",
        "cut with its length announced",
        "cut without its length",
        "damaged gzip",
    ] {
        for case in cases() {
            let prints = recording::tape(1, 100, case.unit_ns);
            let (own, speak) = (prints.clone(), case.speak);
            // Every other reply is bad.
            let server = Server::start(move |hit| match hit.index % 2 {
                1 => Reply::Page(speak(&own, hit)),
                _ => passing(kind, speak(&own, hit)),
            })
            .await;
            let interval = between(&prints, 20, 60);
            let run = case.run(&server, vec![range("AAPL", interval)]).await;
            assert_eq!(run.causes(), "", "{} with {kind}", case.name);
            assert_eq!(
                run.of(symbol("AAPL")),
                case.expected(&prints, interval),
                "{} with {kind}",
                case.name
            );
        }
    }
}

#[tokio::test]
async fn storm_that_stays_ends_with_the_venues_words() {
    let case = case("massive");
    let server = Server::start(|_| {
        let body =
            r#"{"status":"ERROR","error":"You've exceeded the maximum requests per minute"}"#;
        Reply::Status(429, vec![], body.into())
    })
    .await;
    let run = case
        .run(
            &server,
            vec![range("AAPL", (recording::at(1), recording::at(2)))],
        )
        .await;
    let causes = run.causes();
    assert!(causes.contains("attempt 4"), "{causes}");
    assert!(
        causes.contains("venue answered 429: You've exceeded the maximum requests per minute"),
        "{causes}"
    );
    assert_eq!((server.hits().len(), run.feed.stats().requests), (4, 4));
}

#[tokio::test]
async fn slow_drip_is_ended_by_the_total_timeout() {
    let case = case("kraken");
    let prints = recording::tape(2, 60, case.unit_ns);
    let (own, speak) = (prints.clone(), case.speak);
    let server = Server::start(move |hit| match hit.index {
        1 => Reply::Drip,
        _ => Reply::Page(speak(&own, hit)),
    })
    .await;
    let interval = between(&prints, 10, 50);
    let mut settings = local(case.settings.clone(), &server.base);
    settings.total_timeout = Duration::from_millis(100);
    let run = drain(&settings, vec![range("AAPL", interval)]).await;
    assert_eq!(run.causes(), "");
    assert_eq!(run.of(symbol("AAPL")), case.expected(&prints, interval));
}

#[tokio::test]
async fn others_are_done_while_one_symbol_trickles() {
    let case = case("massive");
    let prints = recording::tape(5, 60, case.unit_ns);
    let (own, speak) = (prints.clone(), case.speak);
    let trickles = std::sync::atomic::AtomicBool::new(true);
    let server = Server::start(move |hit| {
        let is_slow = hit.path.ends_with("/SLOW");
        if is_slow && trickles.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return Reply::Drip;
        }
        Reply::Page(speak(&own, hit))
    })
    .await;
    let interval = between(&prints, 10, 50);
    let mut settings = local(case.settings.clone(), &server.base);
    (settings.symbols_in_flight, settings.total_timeout) = (2, Duration::from_secs(3));
    let names = ["SLOW", "A", "B", "C", "D"];
    let run = drain(&settings, names.map(|name| range(name, interval)).to_vec()).await;
    assert_eq!(run.causes(), "");
    for name in names {
        assert_eq!(
            run.of(symbol(name)),
            case.expected(&prints, interval),
            "{name}"
        );
    }
    let hits = server.hits();
    let slow: Vec<usize> = hits
        .iter()
        .filter(|hit| hit.path.ends_with("/SLOW"))
        .map(|hit| hit.index)
        .collect();
    let others = hits
        .iter()
        .filter(|hit| !hit.path.ends_with("/SLOW"))
        .map(|hit| hit.index)
        .max();
    assert!(
        others < Some(slow[1]),
        "all others are asked for before the slow one is asked for again"
    );
}

#[tokio::test]
async fn closed_port_is_tried_as_often_as_set() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let run = drain(
        &local(case("kraken").settings, &base),
        vec![range("A", (recording::at(1), recording::at(2)))],
    )
    .await;
    let causes = run.causes();
    assert!(
        causes.contains("kraken A, page 1") && causes.contains("attempt 4"),
        "{causes}"
    );
    assert!(
        causes.contains("no complete reply from the venue"),
        "{causes}"
    );
    assert!(!causes.contains(&base), "no URL in errors: {causes}");
}

#[tokio::test]
async fn failed_symbol_ends_alone_and_is_named_when_the_others_are_done() {
    let case = case("massive");
    let prints = recording::tape(3, 200, case.unit_ns);
    let (own, speak) = (prints.clone(), case.speak);
    let server = Server::start(move |hit| match hit.path.as_str() {
        "/v3/trades/BAD" if hit.get("cursor").is_some() => {
            Reply::Status(400, vec![], r#"{"error":"bad cursor"}"#.into())
        }
        _ => Reply::Page(speak(&own, hit)),
    })
    .await;
    let interval = between(&prints, 10, 190);
    let run = case
        .run(
            &server,
            ["A", "BAD", "B"].map(|name| range(name, interval)).to_vec(),
        )
        .await;
    assert!(
        run.causes().contains("massive BAD, page 2"),
        "{}",
        run.causes()
    );
    assert!(
        run.causes().contains("venue answered 400: bad cursor"),
        "{}",
        run.causes()
    );
    for name in ["A", "B"] {
        assert_eq!(
            run.of(symbol(name)),
            case.expected(&prints, interval),
            "{name}"
        );
    }
    let complete: Vec<bool> = run
        .feed
        .coverage()
        .iter()
        .map(|coverage| coverage.is_complete)
        .collect();
    assert_eq!(complete, [true, false, true]);
}

#[tokio::test]
async fn kraken_errors_inside_a_reply_of_200_are_heeded() {
    let case = case("kraken");
    let prints = recording::tape(4, 60, case.unit_ns);
    let (own, speak) = (prints.clone(), case.speak);
    let server = Server::start(move |hit| match hit.index {
        1 => Reply::Page(r#"{"error":["EGeneral:Too many requests"]}"#.into()),
        _ => Reply::Page(speak(&own, hit)),
    })
    .await;
    let interval = between(&prints, 10, 50);
    let run = case.run(&server, vec![range("A", interval)]).await;
    assert_eq!(run.of(symbol("A")), case.expected(&prints, interval));
    let server =
        Server::start(|_| Reply::Page(r#"{"error":["EQuery:Unknown asset pair"]}"#.into())).await;
    let run = case.run(&server, vec![range("A", interval)]).await;
    assert!(
        run.causes().contains("EQuery:Unknown asset pair"),
        "{}",
        run.causes()
    );
    assert_eq!(server.hits().len(), 1);
}
