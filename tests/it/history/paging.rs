//! Venues and proxies that page wrongly: the trades are those of a clean run, or the run ends with a named
//! error and an honest coverage.

use crate::history::clean::{Case, case, cases};
use crate::history::recording::{self, Print, Run, between, range, symbol};
use crate::history::server::{Hit, Reply, Server};
use barmill::Timestamp;
use serde_json::Value;

/// Runs a venue whose replies a fault changes; the fault sees the number of the request and the clean text.
async fn run(
    case: &Case,
    prints: &[Print],
    fault: impl Fn(&Hit, String) -> String + Send + Sync + 'static,
) -> (Run, (Timestamp, Timestamp)) {
    let (own, speak) = (prints.to_vec(), case.speak);
    let server = Server::start(move |hit| Reply::Page(fault(hit, speak(&own, hit)))).await;
    let interval = between(prints, 40, 240);
    (
        case.run(&server, vec![range("AAPL", interval)]).await,
        interval,
    )
}

/// Whatever was delivered before an error is the start of the clean run, and the coverage says so.
fn assert_honest(case: &Case, prints: &[Print], run: &Run, interval: (Timestamp, Timestamp)) {
    let got = run.of(symbol("AAPL"));
    assert!(
        case.expected(prints, interval).starts_with(&got),
        "{}",
        case.name
    );
    let coverage = run.feed.coverage()[0];
    assert!(!coverage.is_complete, "{}", case.name);
    let last = got.last().map_or(interval.0.as_nanos(), |trade| trade.0);
    assert_eq!(coverage.covered_to.as_nanos(), last, "{}", case.name);
}

fn edit(text: &str, change: impl Fn(&mut Value)) -> String {
    let mut value = serde_json::from_str(text).unwrap();
    change(&mut value);
    value.to_string()
}

/// The rows of any venue's reply.
fn rows(value: &mut Value) -> &mut Vec<Value> {
    let place = if value.get("data").is_some() {
        &mut value["data"]["results"]
    } else if value.get("results").is_some() {
        &mut value["results"]
    } else if value.get("trades").is_some() {
        &mut value["trades"]["AAPL"]
    } else if value.get("result").is_some() {
        &mut value["result"]["XXBTZUSD"]
    } else {
        value
    };
    place.as_array_mut().unwrap()
}

#[tokio::test]
async fn stuck_cursor_is_named_with_symbol_page_and_position() {
    let case = case("massive");
    let prints = recording::tape(1, 300, 1);
    let (run, interval) = run(&case, &prints, |hit, text| match hit.get("cursor") {
        None => text,
        Some(cursor) => {
            let same = format!("{}{}?cursor={cursor}", hit.base, hit.path);
            edit(&text, |reply| reply["next_url"] = same.clone().into())
        }
    })
    .await;
    let causes = run.causes();
    assert!(
        causes.contains("massive AAPL, page 2 from 2025-10-21T13:30:00"),
        "{causes}"
    );
    assert!(causes.contains("was given before"), "{causes}");
    assert_honest(&case, &prints, &run, interval);
}

#[tokio::test]
async fn token_that_goes_in_a_circle_is_named() {
    let case = case("alpaca");
    let prints = recording::tape(2, 300, 1);
    let (run, interval) = run(&case, &prints, |hit, text| {
        match hit.number::<usize>("page_token") {
            Some(21) => edit(&text, |reply| reply["next_page_token"] = "7".into()),
            _ => text,
        }
    })
    .await;
    assert!(
        run.causes().contains("cursor \"7\" was given before"),
        "{}",
        run.causes()
    );
    assert_honest(&case, &prints, &run, interval);
}

#[tokio::test]
async fn cursor_dropped_by_a_proxy_is_never_a_short_day() {
    let case = case("massive");
    let prints = recording::tape(3, 300, 1);
    let own = prints.clone();
    // Without filters the venue answers with its newest trades, in falling order.
    let (run, interval) = run(&case, &prints, move |hit, text| {
        if hit.get("cursor").is_none() {
            return text;
        }
        let mut newest = hit.clone();
        newest.query = [
            ("limit", "7"),
            ("timestamp.gte", "0"),
            ("timestamp.lt", "9000000000000000000"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        edit(
            &crate::history::speak::massive(&own[290..], &newest),
            |reply| {
                rows(reply).reverse();
                reply["next_url"] = format!("{}{}?cursor={}", hit.base, hit.path, hit.index).into();
            },
        )
    })
    .await;
    assert!(
        run.causes().contains("is outside the interval"),
        "{}",
        run.causes()
    );
    assert_honest(&case, &prints, &run, interval);
}

#[tokio::test]
async fn proxy_that_strips_next_url_is_noticed_and_the_day_is_whole() {
    let case = case("massive");
    let prints = recording::tape(4, 300, 1);
    let (run, interval) = run(&case, &prints, |_, text| {
        edit(&text, |reply| {
            reply.as_object_mut().unwrap().remove("next_url");
        })
    })
    .await;
    assert_eq!(run.causes(), "");
    assert_eq!(run.of(symbol("AAPL")), case.expected(&prints, interval));
}

#[tokio::test]
async fn page_that_fits_one_nanosecond_only_is_stuck_and_not_stepped_over() {
    for name in ["proxy", "kraken", "binance"] {
        let case = case(name);
        let mut prints = recording::tape(5, 300, case.unit_ns);
        let crowd = prints[100].nanos;
        for print in &mut prints[100..120] {
            print.nanos = crowd;
        }
        let start = prints[120].nanos.max(crowd + case.unit_ns) - prints[120].nanos;
        prints[120..]
            .iter_mut()
            .for_each(|print| print.nanos += start);
        let (run, interval) = run(&case, &prints, |_, text| text).await;
        if name == "binance" {
            assert_eq!(
                run.of(symbol("AAPL")),
                case.expected(&prints, interval),
                "numbers step through it"
            );
        } else {
            assert!(
                run.causes()
                    .contains("has nothing new although more are said to follow"),
                "{}",
                run.causes()
            );
            assert_honest(&case, &prints, &run, interval);
        }
    }
}

#[tokio::test]
async fn rows_given_twice_are_dropped_and_counted() {
    for case in cases() {
        let prints = recording::tape(6, 300, case.unit_ns);
        let (run, interval) = run(&case, &prints, |_, text| {
            edit(&text, |reply| {
                let rows = rows(reply);
                if let Some(row) = rows.last().cloned() {
                    rows.push(row);
                }
            })
        })
        .await;
        assert_eq!(run.causes(), "", "{}", case.name);
        assert_eq!(
            run.of(symbol("AAPL")),
            case.expected(&prints, interval),
            "{}",
            case.name
        );
        // Coinbase's pages overlap at their oldest end, where the row is seen anyway.
        assert!(
            run.feed.coverage()[0].duplicates > 0 || case.name == "coinbase",
            "{}",
            case.name
        );
    }
}

#[tokio::test]
async fn rows_of_another_date_end_the_run() {
    for case in cases() {
        let prints = recording::tape(7, 300, case.unit_ns);
        let day = 86_400_000_000_000;
        let shifted: Vec<Print> = prints
            .iter()
            .map(|print| Print {
                nanos: print.nanos - day,
                ..print.clone()
            })
            .collect();
        let (own, speak) = (prints.clone(), case.speak);
        // From the ninth request on the venue answers with the rows of the day before.
        let server = Server::start(move |hit| {
            let text = speak(&own, hit);
            if hit.index < 9 {
                return Reply::Page(text);
            }
            let mut wrong = hit.clone();
            for (name, value) in &mut wrong.query {
                if ["timestamp.gte", "since"].contains(&name.as_str()) {
                    *value = (value.parse::<i64>().unwrap() - day).to_string();
                }
                if name == "cursor" {
                    let parts: Vec<i64> =
                        value.split('_').map(|part| part.parse().unwrap()).collect();
                    *value = format!(
                        "{}_{}_{}_{}",
                        parts[0] - day,
                        parts[1] - day,
                        parts[2],
                        parts[3]
                    );
                }
                if ["start", "end"].contains(&name.as_str()) {
                    *value = value
                        .parse::<Timestamp>()
                        .unwrap()
                        .saturating_sub(day)
                        .to_string();
                }
            }
            Reply::Page(speak(&shifted, &wrong))
        })
        .await;
        let interval = between(&prints, 40, 240);
        let run = case.run(&server, vec![range("AAPL", interval)]).await;
        let causes = run.causes();
        assert!(causes.contains("page "), "{}: {causes}", case.name);
        assert!(!run.feed.coverage()[0].is_complete, "{}", case.name);
        assert!(
            case.expected(&prints, interval)
                .starts_with(&run.of(symbol("AAPL"))),
            "{}",
            case.name
        );
    }
}

#[tokio::test]
async fn venue_that_ignores_the_start_is_not_believed() {
    for (name, parameter) in [
        ("binance", "startTime"),
        ("singles", "startTime"),
        ("kraken", "since"),
        ("coinbase", "after"),
    ] {
        let case = case(name);
        let prints = recording::tape(8, 300, case.unit_ns);
        let (own, speak) = (prints.clone(), case.speak);
        let server = Server::start(move |hit| {
            let mut blind = hit.clone();
            if blind.query.remove(parameter).is_some() && parameter == "since" {
                blind
                    .query
                    .insert("since".into(), (own[250].nanos - 1).to_string());
            } else if parameter == "startTime" && !blind.query.contains_key("fromId") {
                blind
                    .query
                    .insert("fromId".into(), own[150].number.to_string());
            }
            Reply::Page(speak(&own, &blind))
        })
        .await;
        let interval = between(&prints, 40, 240);
        let run = case.run(&server, vec![range("AAPL", interval)]).await;
        assert!(
            run.causes().contains(&format!("venue ignores {parameter}")),
            "{name}: {}",
            run.causes()
        );
        assert!(
            run.trades.is_empty() && !run.feed.coverage()[0].is_complete,
            "{name}"
        );
    }
}

#[tokio::test]
async fn falling_order_is_an_error() {
    for case in cases() {
        let prints = recording::tape(9, 300, case.unit_ns);
        let (run, interval) = run(&case, &prints, |hit, text| {
            if hit.index < 8 {
                return text;
            }
            edit(&text, |reply| rows(reply).reverse())
        })
        .await;
        assert!(
            run.causes().contains("page "),
            "{}: {}",
            case.name,
            run.causes()
        );
        assert_honest(&case, &prints, &run, interval);
    }
}

#[tokio::test]
async fn empty_page_with_a_cursor_goes_on() {
    let case = case("massive");
    let prints = recording::tape(10, 300, 1);
    let (own, speak) = (prints.clone(), case.speak);
    let server = Server::start(move |hit| {
        if hit.get("cursor").is_some() && hit.get("again").is_none() {
            let link = format!(
                "{}{}?cursor={}&again=1",
                hit.base,
                hit.path,
                hit.get("cursor").unwrap()
            );
            return Reply::Page(format!(
                r#"{{"status":"OK","results":null,"next_url":"{link}"}}"#
            ));
        }
        Reply::Page(speak(&own, hit))
    })
    .await;
    let interval = between(&prints, 40, 240);
    let run = case.run(&server, vec![range("AAPL", interval)]).await;
    assert_eq!(run.causes(), "");
    assert_eq!(run.of(symbol("AAPL")), case.expected(&prints, interval));
}

#[tokio::test]
async fn endless_empty_pages_end() {
    let case = case("alpaca");
    let server = Server::start(|hit| {
        Reply::Page(format!(
            r#"{{"trades":{{}},"next_page_token":"{}"}}"#,
            hit.index
        ))
    })
    .await;
    let run = case
        .run(
            &server,
            vec![range("AAPL", (recording::at(1), recording::at(2)))],
        )
        .await;
    assert!(
        run.causes()
            .contains("64 pages in a row without a new trade"),
        "{}",
        run.causes()
    );
}

#[tokio::test]
async fn trades_of_another_symbol_are_refused() {
    let case = case("alpaca");
    let prints = recording::tape(11, 300, 1);
    let (run, _) = run(&case, &prints, |_, text| text.replace("AAPL", "MSFT")).await;
    assert!(
        run.causes().contains("page contains \"MSFT\" instead"),
        "{}",
        run.causes()
    );
    assert!(run.trades.is_empty());
}

#[tokio::test]
async fn proxy_with_shorter_pages_than_asked_gives_the_whole_day() {
    for name in ["proxy", "kraken", "binance", "alpaca", "massive"] {
        let case = case(name);
        let prints = recording::tape(12, 300, case.unit_ns);
        let (own, speak) = (prints.clone(), case.speak);
        let server = Server::start(move |hit| {
            let mut short = hit.clone();
            for parameter in ["limit", "count"] {
                if short.query.contains_key(parameter) && short.get(parameter) != Some("1") {
                    short.query.insert(parameter.into(), "6".into());
                }
            }
            Reply::Page(speak(&own, &short))
        })
        .await;
        let interval = between(&prints, 40, 240);
        let run = case.run(&server, vec![range("AAPL", interval)]).await;
        assert_eq!(run.causes(), "", "{name}");
        assert_eq!(
            run.of(symbol("AAPL")),
            case.expected(&prints, interval),
            "{name}"
        );
    }
}
