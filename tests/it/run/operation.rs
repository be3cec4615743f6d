//! Signals, the service manager and the status pages.

use super::stage::{PATIENCE, archive, arguments, bars, replayed, wait_for, world};
use crate::live::venue::{self, Faults};
use crate::support::program::{Program, Running};
use crate::support::redis::RedisServer;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn start(program: &Program, line: &[String]) -> Running {
    program.start(&line.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The address in the log line that tells it.
pub(super) fn pages(running: &mut Running) -> String {
    let line = running.err_line("status pages are served");
    let (_, address) = line.split_once("address=").unwrap();
    address.trim().to_owned()
}

fn ask(address: &str, head: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{head}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn get(address: &str, path: &str) -> (u16, String) {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost"))
}

/// One figure of a run, by the start of its line.
pub(super) fn figure(address: &str, name: &str) -> String {
    let (_, metrics) = get(address, "/metrics");
    let line = metrics.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("{name} in {metrics}"))
        .rsplit(' ')
        .next()
        .unwrap()
        .to_owned()
}

/// The metrics that a page holds.
fn told(metrics: &str) -> BTreeSet<&str> {
    metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next())
        .collect()
}

/// The metrics that the manual explains: those in the first columns of its tables.
fn explained() -> BTreeSet<&'static str> {
    let rows = include_str!("../../../docs/daemon.md")
        .lines()
        .filter_map(|line| line.split('|').nth(1));
    rows.flat_map(|names| names.split('`'))
        .filter(|name| name.starts_with("barmill_"))
        .collect()
}

/// The words told to the service manager, one datagram each.
fn word(inbox: &UnixDatagram) -> String {
    let mut buffer = [0; 64];
    let length = inbox.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn service_manager_hears_of_start_progress_reload_and_end() {
    let world = world();
    let (redis, archive) = (RedisServer::start(), archive(&world).await);
    let venue = venue::start(Arc::clone(&world), Faults::default(), 6).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let inbox = UnixDatagram::bind(&path).unwrap();
    inbox.set_read_timeout(Some(PATIENCE)).unwrap();
    let program = Program::new()
        .env("NOTIFY_SOCKET", path.to_str().unwrap())
        .env("WATCHDOG_USEC", "100000");
    let running = start(&program, &arguments(&archive, &venue.url, &redis));
    assert_eq!(word(&inbox), "READY=1");
    assert_eq!(word(&inbox), "WATCHDOG=1");
    running.signal("HUP");
    let mut words: Vec<String> = Vec::new();
    while !words.ends_with(&["READY=1".to_owned()]) {
        words.push(word(&inbox));
    }
    let is_reload = |word: &String| word.starts_with("RELOADING=1\nMONOTONIC_USEC=");
    assert!(words.iter().any(is_reload), "{words:?}");
    running.signal("TERM");
    while word(&inbox) != "STOPPING=1" {}
    assert_eq!(running.wait().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_tell_how_the_run_stands() {
    let world = world();
    let (redis, archive) = (RedisServer::start(), archive(&world).await);
    let venue = venue::start(Arc::clone(&world), Faults::default(), 7).await;
    let program = Program::new();
    let mut running = start(&program, &arguments(&archive, &venue.url, &redis));
    let address = pages(&mut running);
    wait_for(&redis, replayed(&world).len()).await;
    assert_eq!(get(&address, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&address, "/readyz"), (200, "ready\n".to_owned()));
    let (status, metrics) = get(&address, "/metrics");
    assert_eq!(status, 200);
    let figure = |name: &str| -> String {
        let line = metrics.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name} in {metrics}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        figure("barmill_feed_trades_total{source=\"binance\"}"),
        "2700"
    );
    assert_eq!(figure("barmill_trades_total"), "2700");
    assert_eq!(
        figure("barmill_trades_left_out_total{reason=\"late\"}"),
        "0"
    );
    assert_eq!(figure("barmill_gaps_total{source=\"binance\"}"), "0");
    for name in [
        "barmill_last_trade_age_seconds{source=\"binance\"}",
        "barmill_trade_delay_min_seconds{source=\"binance\"}",
        "barmill_watermark_lag_seconds",
        "barmill_open_bars",
        "barmill_queue_messages{edge=\"writer\"}",
        "barmill_blocked_seconds_total{edge=\"shards-to-writer\"}",
        "barmill_in_flight",
        "barmill_failed_attempts_total{remedy=\"throttled\"}",
        "barmill_spool_bytes",
        "barmill_budget_used_commands{period=\"day\"}",
        "barmill_dead_letters_total",
        "barmill_reconnects_total{source=\"binance\"}",
        "barmill_stalls_total{source=\"binance\"}",
    ] {
        figure(name);
    }
    let metric = metrics
        .lines()
        .all(|line| line.starts_with("# ") || line.starts_with("barmill_"));
    assert!(metric, "{metrics}");
    assert_eq!(
        explained(),
        told(&metrics),
        "docs/daemon.md names every metric, and no other"
    );
    assert_eq!(
        ask(&address, "GET /metrics HTTP/1.1\r\nHost: evil.example").0,
        421
    );
    assert_eq!(
        ask(
            &address,
            "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0"
        )
        .0,
        405
    );
    running.signal("TERM");
    assert_eq!(running.wait().code, Some(0));
}

#[test]
fn pages_beyond_this_machine_need_a_token() {
    let line = [
        "run", "--source", "binance", "--symbol", "A", "--sink", "null:",
    ];
    let ended = Program::new().run(&[&line[..], &["--set", "status.listen=0.0.0.0:0"]].concat());
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(
        ended
            .err
            .contains("would be open to everyone; give a token"),
        "{}",
        ended.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn symbols_file_is_read_again_on_sighup_and_no_open_bar_is_lost() {
    let world = world();
    let (redis, archive) = (RedisServer::start(), archive(&world).await);
    let venue = venue::start(Arc::clone(&world), Faults::default(), 8).await;
    let expected = replayed(&world);
    let program = Program::new();
    program.file("symbols.txt", "AAAUSDT\nBBBUSDT\n");
    let mut line = arguments(&archive, &venue.url, &redis);
    let named = line.iter().position(|word| word == "--symbol").unwrap();
    line.splice(
        named..named + 2,
        ["--symbols-file".to_owned(), "symbols.txt".to_owned()],
    );
    let mut running = start(&program, &line);
    running.err_line("live feed starts");
    wait_for(&redis, expected.len() / 3).await;
    program.file("symbols.txt", "not a symbol at all\n");
    running.signal("HUP");
    running.err_line("symbol reload failed");
    program.file("symbols.txt", "# all of them\nAAAUSDT\nBBBUSDT\nCCCUSDT\n");
    running.signal("HUP");
    running.err_line("symbols reloaded");
    wait_for(&redis, expected.len()).await;
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(bars(&redis), expected, "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_signal_leaves_the_rest_in_the_spool_and_says_so_by_its_code() {
    let world = world();
    let (redis, archive) = (RedisServer::start(), archive(&world).await);
    let venue = venue::start(Arc::clone(&world), Faults::default(), 9).await;
    let expected = replayed(&world);
    let program = Program::new();
    let line = arguments(&archive, &venue.url, &redis);
    redis.pause();
    let mut running = start(&program, &line);
    let address = pages(&mut running);
    let deadline = Instant::now() + PATIENCE;
    while !get(&address, "/metrics").1.contains("barmill_in_flight 1") {
        assert!(Instant::now() < deadline, "{}", get(&address, "/metrics").1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.signal("TERM");
    running.err_line("stopping");
    running.signal("TERM");
    let ended = running.wait();
    redis.resume();
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    assert!(ended.json()["spooled"].as_u64() > Some(0), "{}", ended.out);
    let running = start(&program, &line);
    wait_for(&redis, expected.len()).await;
    running.signal("TERM");
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(bars(&redis), expected);
}
