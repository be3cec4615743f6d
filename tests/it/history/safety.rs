//! Hostile or damaged replies: memory stays bounded, keys stay here, bad rows are named.

use crate::history::clean::{case, cases};
use crate::history::recording::{self, between, drain, local, range, symbol};
use crate::history::server::{Reply, Server, gzip};
use crate::support::venue::history;
use barmill_core::port::TradeFeed;
use barmill_sources::history::{HistorySettings, HistorySource};
use std::sync::Arc;

#[tokio::test]
async fn huge_page_and_bomb_end_at_the_bound() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    let bomb = Arc::new(bomb);
    for is_bomb in [false, true] {
        let bomb = Arc::clone(&bomb);
        let server = Server::start(move |_| {
            if is_bomb {
                Reply::Gzip(bomb.to_vec())
            } else {
                Reply::Endless
            }
        })
        .await;
        let mut settings = local(case("massive").settings, &server.base);
        settings.page_bytes_max = 1 << 20;
        let run = drain(
            &settings,
            vec![range("A", (recording::at(1), recording::at(2)))],
        )
        .await;
        assert!(
            run.causes().contains("page is larger than 1048576 bytes"),
            "{}",
            run.causes()
        );
        assert_eq!(
            server.hits().len(),
            1,
            "a page that is too large is not asked for again"
        );
    }
}

#[tokio::test]
async fn next_url_elsewhere_is_refused_before_any_request() {
    let elsewhere = Server::start(|_| Reply::Page("{}".into())).await;
    let other = elsewhere.base.clone();
    let user = other.replace("http://", "http://user:pass@");
    let long = format!("/v3/trades/AAPL?cursor={}", "x".repeat(9 << 10));
    for link in [
        format!("{other}/v3/trades/AAPL?cursor=1"),
        user,
        long,
        "https://127.0.0.1/v3/trades/AAPL".into(),
    ] {
        let reply =
            serde_json::json!({"status": "OK", "results": [], "next_url": link}).to_string();
        let server = Server::start(move |_| Reply::Page(reply.clone())).await;
        let run = case("massive")
            .run(
                &server,
                vec![range("AAPL", (recording::at(1), recording::at(2)))],
            )
            .await;
        assert!(run.causes().contains("next_url"), "{}", run.causes());
        assert_eq!(server.hits().len(), 1);
    }
    assert_eq!(elsewhere.hits().len(), 0);
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = Server::start(|_| Reply::Page("{}".into())).await;
    let target = elsewhere.base.clone();
    let server = Server::start(move |_| {
        Reply::Status(302, vec![("location", target.clone())], String::new())
    })
    .await;
    let run = case("massive")
        .run(
            &server,
            vec![range("AAPL", (recording::at(1), recording::at(2)))],
        )
        .await;
    assert!(
        run.causes().contains("venue answered 302"),
        "{}",
        run.causes()
    );
    assert_eq!((server.hits().len(), elsewhere.hits().len()), (1, 0));
}

#[tokio::test]
async fn denied_access_ends_the_source_at_once_and_shows_no_key() {
    for status in [401, 403] {
        let server = Server::start(move |_| {
            let body = r#"{"status":"NOT_AUTHORIZED","message":"key very-secret is not entitled"}"#;
            Reply::Status(status, vec![], body.into())
        })
        .await;
        let mut settings = local(
            history("massive", &[("key_env", "very-secret")]),
            &server.base,
        );
        settings.symbols_in_flight = 1;
        let interval = (recording::at(1), recording::at(2));
        let run = drain(
            &settings,
            ["A", "B", "C"].map(|name| range(name, interval)).to_vec(),
        )
        .await;
        let causes = run.causes();
        assert!(
            causes.contains(&format!(
                "denies access with {status}: key [key] is not entitled"
            )),
            "{causes}"
        );
        assert_eq!(server.hits().len(), 1);
        let debug = format!("{:?} {:?} {settings:?}", run.error, run.feed);
        let source = format!("{:?}", HistorySource::new(&settings).unwrap());
        assert!(
            !debug.contains("very-secret") && !source.contains("very-secret"),
            "{debug} {source}"
        );
    }
}

#[tokio::test]
async fn row_that_is_no_trade_is_named_or_counted() {
    for case in cases() {
        let prints = recording::tape(1, 120, case.unit_ns);
        let (own, speak) = (prints.clone(), case.speak);
        let bad = prints[40].price.clone();
        let server = Server::start(move |hit| {
            // Only the one print's price is spoiled, as text or as a number.
            let text = speak(&own, hit);
            let number = own[40].number;
            Reply::Page(if text.contains(&number.to_string()) {
                text.replace(&bad, "-1")
            } else {
                text
            })
        })
        .await;
        let interval = between(&prints, 20, 100);
        let mut settings = local(case.settings.clone(), &server.base);
        let run = drain(&settings, vec![range("A", interval)]).await;
        assert!(
            run.causes().contains("is not a trade") || run.causes().is_empty(),
            "{}: {}",
            case.name,
            run.causes()
        );
        settings.skip_malformed = true;
        let run = drain(&settings, vec![range("A", interval)]).await;
        let expected = case.expected(&prints, interval);
        let got = run.of(symbol("A"));
        let missing = expected.len() - got.len();
        assert!(
            got.iter().all(|trade| expected.contains(trade)),
            "{}",
            case.name
        );
        assert!(
            missing == 0 || run.feed.stats().malformed > 0,
            "{}",
            case.name
        );
    }
}

#[tokio::test]
async fn damaged_rows_name_the_row_and_the_field() {
    let row = |price: &str, time: &str| {
        format!(
            r#"{{"status":"OK","results":[{{"exchange":4,"id":"1","price":{price},"sequence_number":1,"sip_timestamp":{time},"size":1}}]}}"#
        )
    };
    for (body, want) in [
        (row("1e308", "1"), "price \"1e308\": number is too large"),
        (row("0", "1"), "price \"0\": price is zero"),
        (
            row("1.23456789012", "1"),
            "price \"1.23456789012\": more than 9 decimal places",
        ),
        (row("1", "-5"), "sip_timestamp \"-5\": time is before 1970"),
        (row("1", "1.5e18"), "row does not have the form of a trade"),
        (
            row("1", "99999999999999999999"),
            "row does not have the form of a trade",
        ),
        (
            r#"{"status":"OK","results":{"a":1}}"#.into(),
            "page does not have the form of an array of trades",
        ),
        (
            r#"{"status":"OK","results":[7]}"#.into(),
            "row 0 is not a trade",
        ),
        ("[[".repeat(500), "page"),
    ] {
        let server = Server::start(move |_| Reply::Page(body.clone())).await;
        let run = case("massive")
            .run(
                &server,
                vec![range("A", (recording::at(0), recording::at(9)))],
            )
            .await;
        assert!(run.causes().contains(want), "{want}: {}", run.causes());
    }
}

#[tokio::test]
async fn error_in_a_reply_of_200_is_not_a_day_without_trades() {
    for body in [
        r#"{"status":"ERROR","error":"upstream is down"}"#,
        r#"{"success":false,"error":"upstream is down"}"#,
        r#"{"status":"NOT_AUTHORIZED","message":"upstream is down"}"#,
    ] {
        for name in ["massive", "proxy", "alpaca", "kraken"] {
            // Kraken's errors are a list.
            let body = if name == "kraken" {
                r#"{"error":["upstream is down"]}"#
            } else {
                body
            };
            let server = Server::start(move |_| Reply::Page(body.into())).await;
            let run = case(name)
                .run(
                    &server,
                    vec![range("A", (recording::at(1), recording::at(2)))],
                )
                .await;
            assert!(
                run.causes().contains("upstream is down"),
                "{name}: {}",
                run.causes()
            );
        }
    }
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let refused = |change: fn(&mut HistorySettings)| {
        let mut settings = history("massive", &[("key_env", "k")]);
        change(&mut settings);
        HistorySource::new(&settings).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|settings| settings.base_url = "http://api.massive.com".into()),
        "base_url is refused"
    );
    assert_eq!(
        refused(|settings| settings.symbols_in_flight = 0),
        "symbols_in_flight is 0, allowed are 1 to 1000"
    );
    assert_eq!(
        refused(|settings| settings.rate_per_min = 0),
        "rate_per_min is 0, allowed are 1 to 4294967295"
    );
    let massive = |settings: &mut HistorySettings| {
        let key = "line\nbreak".into();
        settings.venue.set_secret("key_env", key).unwrap();
    };
    assert_eq!(refused(massive), "massive.key cannot be sent as a header");
}
