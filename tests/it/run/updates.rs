//! What becomes of one bar: it forms, closes, and is revised by late trades, corrections and cancels.

use super::operation::{figure, pages};
use super::script::Script;
use super::stage::{PATIENCE, bars};
use crate::support::dump::{dump, is_manifest};
use crate::support::program::{Program, Running};
use crate::support::redis::RedisServer;
use barmill::Timestamp;
use barmill::internals::pipeline::clock::SystemClock;
use barmill_core::port::Clock;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MINUTE_NS: i64 = 60_000_000_000;

/// A daemon that listens to a script.
struct Desk {
    script: Script,
    redis: RedisServer,
    running: Running,
    pages: String,
    /// The minute that the bar is of.
    minute: Timestamp,
    _program: Program,
}

impl Desk {
    async fn start() -> Desk {
        let (script, redis) = (Script::alpaca().await, RedisServer::start());
        let program = Program::new()
            .env("APCA_API_KEY_ID", "live-id")
            .env("APCA_API_SECRET_KEY", "live-key");
        let mut line: Vec<String> = [
            "run",
            "--source",
            "alpaca",
            "--symbol",
            "AAA",
            "--catch-up",
            "1h",
            "--json",
            "--sink",
        ]
        .map(str::to_owned)
        .into();
        line.push(redis.url());
        for setting in [
            format!("source.alpaca.base_url={}", script.archive.base),
            format!("source.alpaca.ws_url={}", script.url),
            "source.alpaca.requests_per_minute=10000000".to_owned(),
            "live.gap_settle_ms=10".to_owned(),
            "live.forming_every_ms=10".to_owned(),
            "status.listen=127.0.0.1:0".to_owned(),
        ] {
            line.extend(["--set".to_owned(), setting]);
        }
        let mut running = program.start(&line.iter().map(String::as_str).collect::<Vec<_>>());
        let pages = pages(&mut running);
        let now = SystemClock.now().as_nanos();
        let minute = Timestamp::from_nanos(now / MINUTE_NS * MINUTE_NS - 10 * MINUTE_NS).unwrap();
        let desk = Desk {
            script,
            redis,
            running,
            pages,
            minute,
            _program: program,
        };
        desk.until("barmill_whole{source=\"alpaca\"}", "1").await;
        desk
    }

    async fn trade(&self, number: u64, second: i64, price: &str) {
        let time = self.minute.saturating_add(second * 1_000_000_000);
        self.script
            .say(format!(
                r#"[{{"T":"t","S":"AAA","i":{number},"x":"V","p":{price},"s":100,"c":["@"],"z":"C","t":"{time}"}}]"#
            ))
            .await;
    }

    async fn until(&self, name: &str, value: &str) {
        let deadline = Instant::now() + PATIENCE;
        while figure(&self.pages, name) != value {
            assert!(
                Instant::now() < deadline,
                "{name} is {}",
                figure(&self.pages, name)
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the bar of the minute is in this state, and tells its close, volume and revision.
    async fn bar(&self, state: &str, revision: u64) -> (String, u64, u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = dump(&self.redis)
                .into_iter()
                .filter(|((key, _), _)| !is_manifest(key));
            let values = found.map(|(_, value)| serde_json::from_str::<Value>(&value).unwrap());
            let is_ours = |bar: &Value| bar["timestamp"] == self.minute.as_millis();
            if let Some(bar) = values.into_iter().find(is_ours) {
                if bar["state"] == state && bar["revision"] == revision {
                    let number = |name: &str| bar[name].to_string().trim_end_matches(".0").parse();
                    let count = |name: &str| number(name).unwrap();
                    return (bar["close"].to_string(), count("volume"), count("trades"));
                }
                assert!(Instant::now() < deadline, "{bar}");
            }
            assert!(Instant::now() < deadline, "no bar; {:?}", bars(&self.redis));
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bar_forms_closes_and_is_revised_by_late_trades_corrections_and_cancels() {
    let desk = Desk::start().await;
    desk.trade(1, 10, "10.5").await;
    assert_eq!(desk.bar("forming", 0).await, ("10.5".into(), 100, 1));
    desk.trade(2, 20, "10.75").await;
    desk.until("barmill_trades_total", "2").await;
    // The first trade of the next minute behind the lateness closes it.
    desk.trade(3, 63, "11").await;
    assert_eq!(desk.bar("final", 0).await, ("10.75".into(), 200, 2));
    desk.trade(4, 30, "10.25").await;
    assert_eq!(desk.bar("revised", 1).await, ("10.25".into(), 300, 3));
    let time = desk.minute.saturating_add(30_000_000_000);
    desk.script
        .say(format!(
            r#"[{{"T":"c","S":"AAA","x":"V","oi":4,"op":10.25,"os":100,"oc":["@"],"ci":5,"cp":10.4,"cs":50,"cc":["@"],"z":"C","t":"{time}"}}]"#
        ))
        .await;
    assert_eq!(desk.bar("revised", 2).await, ("10.4".into(), 250, 3));
    desk.script
        .say(format!(
            r#"[{{"T":"x","S":"AAA","i":5,"x":"V","p":10.4,"s":50,"a":"C","z":"C","t":"{time}"}}]"#
        ))
        .await;
    assert_eq!(desk.bar("revised", 3).await, ("10.75".into(), 200, 2));
    for (name, value) in [
        ("barmill_revisions_total", "3"),
        ("barmill_corrected_total", "1"),
        ("barmill_trades_left_out_total{reason=\"cancelled\"}", "1"),
        ("barmill_trades_left_out_total{reason=\"late\"}", "0"),
    ] {
        desk.until(name, value).await;
    }
    desk.running.signal("TERM");
    let ended = desk.running.wait();
    assert_eq!(
        (ended.code, ended.json()["revised"].as_u64()),
        (Some(0), Some(3)),
        "{}",
        ended.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_behind_the_venues_shows_as_a_delay_below_zero() {
    let mut desk = Desk::start().await;
    let ahead = SystemClock.now().saturating_add(40_000_000_000);
    desk.minute = ahead;
    desk.trade(1, 0, "10").await;
    desk.until("barmill_trades_total", "1").await;
    let delay = figure(&desk.pages, "barmill_trade_delay_min_seconds");
    let seconds: i64 = delay.split('.').next().unwrap().parse().unwrap();
    assert!((-40..-5).contains(&seconds), "{delay}");
    desk.running.signal("TERM");
    assert_eq!(desk.running.wait().code, Some(0));
}
