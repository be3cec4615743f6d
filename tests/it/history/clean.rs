//! Without faults every venue gives the tape of the interval, whole and once.

use crate::history::recording::{
    self, Essence, Print, Run, between, drain, expected, local, range, symbol,
};
use crate::history::server::{Hit, Reply, Server, gzip};
use crate::history::speak;
use crate::support::venue::history;
use barmill::{Side, Timestamp};
use barmill_core::port::{Position, TradeFeed};
use barmill_sources::history::{HistoryFeed, HistorySettings, HistorySource, SymbolRange};
use futures::FutureExt;

/// A venue as these tests know it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) settings: HistorySettings,
    pub(crate) speak: fn(&[Print], &Hit) -> String,
    /// The unit of the venue's times, in nanoseconds.
    pub(crate) unit_ns: i64,
    /// What the venue adds to the number of a print.
    pub(crate) shift: u64,
}

pub(crate) fn proxy_settings() -> HistorySettings {
    history(
        "massive",
        &[
            ("key_env", "own-key"),
            ("paging", "restart"),
            ("wrap", "data.results"),
            ("path", "/polygon/stocks/trades/{ticker}"),
            ("key_header", "x-custom-key"),
        ],
    )
}

fn with_page_len(mut settings: HistorySettings, len: usize) -> HistorySettings {
    settings.venue.page_len = len;
    settings
}

/// Every venue and variant, with pages of seven.
pub(crate) fn cases() -> Vec<Case> {
    let case = |name, settings, speak: fn(&[Print], &Hit) -> String, unit_ns, shift| Case {
        name,
        settings: with_page_len(settings, 7),
        speak,
        unit_ns,
        shift,
    };
    vec![
        case(
            "massive",
            history("massive", &[("key_env", "own-key")]),
            speak::massive,
            1,
            0,
        ),
        case("proxy", proxy_settings(), speak::proxy, 1, 0),
        case(
            "alpaca",
            history(
                "alpaca",
                &[("key_id_env", "own-id"), ("secret_key_env", "own-key")],
            ),
            speak::alpaca,
            1,
            0,
        ),
        case("binance", history("binance", &[]), speak::binance, 1_000, 0),
        case(
            "singles",
            history("binance", &[("trades", "single")]),
            speak::binance,
            1_000,
            1_000_000,
        ),
        case(
            "coinbase",
            history("coinbase", &[]),
            speak::coinbase,
            1_000,
            0,
        ),
        // Eighths of a second survive the floating point of a fault that edits the text.
        case(
            "kraken",
            history("kraken", &[]),
            speak::kraken,
            125_000_000,
            0,
        ),
    ]
}

/// The case of a name.
pub(crate) fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap()
}

impl Case {
    /// The prints of an interval as this venue numbers them.
    pub(crate) fn expected(
        &self,
        prints: &[Print],
        (from, to): (Timestamp, Timestamp),
    ) -> Vec<Essence> {
        let shifted = |(nanos, number, price, size)| (nanos, number + self.shift, price, size);
        expected(prints, from, to)
            .into_iter()
            .map(shifted)
            .collect()
    }

    pub(crate) async fn run(&self, server: &Server, ranges: Vec<SymbolRange>) -> Run {
        drain(&local(self.settings.clone(), &server.base), ranges).await
    }
}

#[tokio::test]
async fn every_venue_gives_the_interval_whole_and_once() {
    for case in cases() {
        for seed in 0..6 {
            let prints = recording::tape(seed, 300, case.unit_ns);
            let (own, speak) = (prints.clone(), case.speak);
            let server = Server::start(move |hit| Reply::Page(speak(&own, hit))).await;
            let interval = between(&prints, 60, 260);
            let run = case.run(&server, vec![range("AAPL", interval)]).await;
            assert_eq!(run.causes(), "", "{} seed {seed}", case.name);
            let got = run.of(symbol("AAPL"));
            assert_eq!(
                got,
                case.expected(&prints, interval),
                "{} seed {seed}",
                case.name
            );
            let coverage = run.feed.coverage()[0];
            assert!(
                coverage.is_complete && coverage.covered_to == interval.1,
                "{}",
                case.name
            );
            assert_eq!(
                (coverage.trades, coverage.duplicates),
                (got.len() as u64, 0),
                "{}",
                case.name
            );
            assert_eq!(
                run.feed.stats().requests,
                server.hits().len() as u64,
                "{}",
                case.name
            );
        }
    }
}

#[tokio::test]
async fn interval_without_trades_is_complete() {
    for case in cases() {
        let prints = recording::tape(3, 100, case.unit_ns);
        let gap = prints
            .windows(2)
            .position(|pair| pair[0].nanos + 5_000 < pair[1].nanos);
        let (from, to) = match gap {
            Some(index) => (prints[index].nanos + 2_000, prints[index + 1].nanos),
            None => (prints[99].nanos + 5_000, prints[99].nanos + 10_000),
        };
        let speak = case.speak;
        let server = Server::start(move |hit| Reply::Page(speak(&prints, hit))).await;
        let run = case
            .run(
                &server,
                vec![range("AAPL", (recording::at(from), recording::at(to)))],
            )
            .await;
        assert_eq!(
            (run.causes(), run.trades.len()),
            (String::new(), 0),
            "{}",
            case.name
        );
        assert!(run.feed.coverage()[0].is_complete, "{}", case.name);
    }
}

#[tokio::test]
async fn interval_beyond_the_tape_ends_with_it() {
    for case in cases() {
        let prints = recording::tape(4, 100, case.unit_ns);
        let interval = (recording::at(0), recording::at(prints[99].nanos + 1));
        let (own, speak) = (prints.clone(), case.speak);
        let server = Server::start(move |hit| Reply::Page(speak(&own, hit))).await;
        let run = case.run(&server, vec![range("AAPL", interval)]).await;
        // Binance starts before the first trade of the interval and asks the venue for one.
        assert_eq!(run.causes(), "", "{}", case.name);
        assert_eq!(
            run.of(symbol("AAPL")),
            case.expected(&prints, interval),
            "{}",
            case.name
        );
    }
}

#[tokio::test]
async fn compressed_pages_give_the_same_trades() {
    for case in cases() {
        let prints = recording::tape(5, 120, case.unit_ns);
        let (own, speak) = (prints.clone(), case.speak);
        let server = Server::start(move |hit| {
            assert_eq!(hit.headers["accept-encoding"], "gzip");
            Reply::Gzip(gzip(speak(&own, hit).as_bytes()))
        })
        .await;
        let interval = between(&prints, 30, 110);
        let run = case.run(&server, vec![range("AAPL", interval)]).await;
        assert_eq!(
            run.of(symbol("AAPL")),
            case.expected(&prints, interval),
            "{}",
            case.name
        );
    }
}

#[tokio::test]
async fn keys_travel_in_headers_only() {
    for (case, header, value) in [
        (case("massive"), "authorization", "Bearer own-key"),
        (case("proxy"), "x-custom-key", "own-key"),
        (case("alpaca"), "apca-api-secret-key", "own-key"),
    ] {
        let prints = recording::tape(6, 60, case.unit_ns);
        let (own, speak) = (prints.clone(), case.speak);
        let server = Server::start(move |hit| Reply::Page(speak(&own, hit))).await;
        case.run(&server, vec![range("AAPL", between(&prints, 0, 50))])
            .await;
        let hits = server.hits();
        assert!(
            hits.len() > 2 && hits.iter().all(|hit| hit.headers[header] == value),
            "{}",
            case.name
        );
    }
}

#[tokio::test]
async fn symbols_in_parallel_keep_their_own_order_and_a_slow_one_holds_nobody() {
    let case = case("kraken");
    let prints = recording::tape(7, 200, case.unit_ns);
    let (own, speak) = (prints.clone(), case.speak);
    // One symbol is refused for a while: the others must be done before it.
    let server = Server::start(move |hit| match hit.get("pair") {
        Some("SLOW") if hit.index < 60 => Reply::Status(503, vec![], String::new()),
        _ => Reply::Page(speak(&own, hit)),
    })
    .await;
    let interval = between(&prints, 10, 190);
    let names = ["SLOW", "A", "B", "C", "D"];
    let mut settings = local(with_page_len(case.settings.clone(), 50), &server.base);
    settings.symbols_in_flight = 2;
    settings.attempts_max = 200;
    let run = drain(
        &settings,
        names.iter().map(|name| range(name, interval)).collect(),
    )
    .await;
    assert_eq!(run.causes(), "");
    for name in names {
        assert_eq!(
            run.of(symbol(name)),
            case.expected(&prints, interval),
            "{name}"
        );
    }
    assert_eq!(run.trades.last().unwrap().symbol, symbol("SLOW"));
}

#[tokio::test]
async fn restart_from_any_position_misses_nothing() {
    let case = case("massive");
    let prints = recording::tape(8, 150, case.unit_ns);
    let (own, speak) = (prints.clone(), case.speak);
    let server = Server::start(move |hit| Reply::Page(speak(&own, hit))).await;
    let interval = between(&prints, 10, 140);
    let ranges = vec![range("A", interval), range("B", interval)];
    let settings = local(case.settings.clone(), &server.base);
    let source = HistorySource::new(&settings).unwrap();
    let mut feed = HistoryFeed::new(&source, ranges.clone());
    let mut stops: Vec<(Position, usize)> = Vec::new();
    let mut trades = Vec::new();
    while let Some(batch) = feed.next_batch().await.unwrap() {
        trades.extend(batch.trades);
        stops.push((batch.position, trades.len()));
    }
    for (position, len) in stops.into_iter().step_by(7) {
        let rest = drain(
            &settings,
            ranges.iter().map(|range| range.resumed(position)).collect(),
        )
        .await;
        for name in ["A", "B"] {
            let before = trades[..len]
                .iter()
                .filter(|trade| trade.symbol == symbol(name))
                .map(recording::essence);
            let mut all: Vec<Essence> = before.chain(rest.of(symbol(name))).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(
                all,
                case.expected(&prints, interval),
                "{name} from {position:?}"
            );
        }
    }
}

#[tokio::test]
async fn dropped_calls_lose_no_trade() {
    let case = case("alpaca");
    let prints = recording::tape(9, 150, case.unit_ns);
    let (own, speak) = (prints.clone(), case.speak);
    let server = Server::start(move |hit| Reply::Page(speak(&own, hit))).await;
    let interval = between(&prints, 10, 140);
    let source = HistorySource::new(&local(case.settings.clone(), &server.base)).unwrap();
    let mut feed = HistoryFeed::new(&source, vec![range("A", interval), range("B", interval)]);
    let mut trades = Vec::new();
    loop {
        // The call is dropped at its first wait, most of the time.
        let Some(batch) = feed.next_batch().now_or_never() else {
            tokio::task::yield_now().await;
            continue;
        };
        match batch.unwrap() {
            Some(batch) => trades.extend(batch.trades),
            None => break,
        }
    }
    for name in ["A", "B"] {
        let got: Vec<Essence> = trades
            .iter()
            .filter(|trade| trade.symbol == symbol(name))
            .map(recording::essence)
            .collect();
        assert_eq!(got, case.expected(&prints, interval), "{name}");
    }
}

#[tokio::test]
async fn taker_side_is_told_where_the_venue_tells_it() {
    for name in ["binance", "singles", "coinbase", "kraken"] {
        let case = case(name);
        let prints = recording::tape(10, 60, case.unit_ns);
        let (own, speak) = (prints.clone(), case.speak);
        let server = Server::start(move |hit| Reply::Page(speak(&own, hit))).await;
        let run = case
            .run(&server, vec![range("A", between(&prints, 10, 50))])
            .await;
        assert!(!run.trades.is_empty());
        for trade in &run.trades {
            let print = prints
                .iter()
                .find(|print| print.number + case.shift == trade.id.raw())
                .unwrap();
            assert_eq!(
                trade.side,
                if print.is_buy { Side::Buy } else { Side::Sell },
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn kraken_trades_closer_than_their_written_time_are_all_there() {
    let case = case("kraken");
    for seed in 0..20 {
        let prints = recording::tape(seed, 300, 7);
        let own = prints.clone();
        let server = Server::start(move |hit| Reply::Page(speak::kraken(&own, hit))).await;
        let interval = between(&prints, 60, 260);
        let run = case.run(&server, vec![range("A", interval)]).await;
        let cut = |print: &Print| Print {
            nanos: print.nanos / 100 * 100,
            ..print.clone()
        };
        let written: Vec<Print> = prints.iter().map(cut).collect();
        assert_eq!(run.causes(), "", "seed {seed}");
        assert_eq!(
            run.of(symbol("A")),
            case.expected(&written, interval),
            "seed {seed}"
        );
    }
}
