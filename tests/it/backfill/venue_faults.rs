//! Every fault at every venue, from the wire to the store: the bars are those of a clean run, or the error is named
//! with venue, symbol and page, the manifest is honest, and a second run makes the store that of a clean run.

use super::program::{DAY, Dump, Program, dump, manifest};
use super::venues::{Speak, UNIT_NS, proxied, serve};
use crate::history::recording::{Print, tape};
use crate::history::server::{Hit, Reply, Server};
use crate::history::speak;
use crate::support::redis::RedisServer;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Requests that are answered well before the fault shows.
const GOOD: usize = 14;

/// A venue with its protocol, and what it calls its first symbol.
#[derive(Clone, Copy)]
struct Venue {
    source: &'static str,
    symbol: &'static str,
    speak: Speak,
    is_proxied: bool,
}

fn prints() -> Vec<Print> {
    tape(17, 250, UNIT_NS)
}

impl Venue {
    fn program(self, server: &Server) -> Program {
        let mut program = Program::new(self.source, server);
        for key in ["timeout_ms", "read_timeout_ms", "connect_timeout_ms"] {
            program.set(&format!("source.{}.{key}=3000", self.source));
        }
        program.set(&format!("source.{}.page_bytes_max=65536", self.source));
        if self.is_proxied {
            proxied(&mut program);
        }
        program
    }

    fn line(self, redis: &RedisServer) -> String {
        let Venue { source, symbol, .. } = self;
        format!(
            "backfill --source {source} --symbol {symbol} --date {DAY} --rules all --sink {}",
            redis.url()
        )
    }

    async fn clean(self) -> Dump {
        let (server, redis) = (serve(&prints(), self.speak).await, RedisServer::start());
        let ran = self.program(&server).run(&self.line(&redis)).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        dump(&redis)
    }

    /// Serves with a fault until told otherwise.
    async fn sick(self, kind: &'static str) -> (Server, Arc<AtomicBool>) {
        let (own, is_sick) = (prints(), Arc::new(AtomicBool::new(true)));
        let (sickness, last) = (Arc::clone(&is_sick), Mutex::new(String::new()));
        let shifted: Vec<Print> = own
            .iter()
            .map(|print| Print {
                nanos: print.nanos + 86_400_000_000_000,
                ..print.clone()
            })
            .collect();
        let server = Server::start(move |hit| {
            let text = (self.speak)(&own, hit);
            if !sickness.load(Ordering::Relaxed) {
                return Reply::Page(text);
            }
            let is_due = hit.index >= GOOD;
            match kind {
                "the same page for ever" if is_due => Reply::Page(last.lock().unwrap().clone()),
                "the same page for ever" => {
                    last.lock().unwrap().clone_from(&text);
                    Reply::Page(text)
                }
                "rows of another date" if is_due => {
                    Reply::Page((self.speak)(&shifted, &moved(hit)))
                }
                "rows in falling order" if is_due => {
                    Reply::Page(edited(&text, |rows| rows.reverse()))
                }
                "rows twice" => Reply::Page(edited(&text, |rows| {
                    *rows = rows
                        .iter()
                        .flat_map(|row| [row.clone(), row.clone()])
                        .collect();
                })),
                "429 now and then" if hit.index % 2 == 0 => refusal(429),
                "429 for good" if is_due => refusal(429),
                "502 now and then" if hit.index % 2 == 0 => refusal(502),
                "502 for good" if is_due => refusal(502),
                "cut off now and then" if hit.index % 2 == 0 => {
                    Reply::Cut(text, hit.index % 4 == 0)
                }
                "cut off for good" if is_due => Reply::Cut(text, true),
                "a trickle" if hit.index == GOOD => Reply::Drip,
                "a page without end" if is_due => Reply::Endless,
                _ => Reply::Page(text),
            }
        })
        .await;
        (server, is_sick)
    }

    /// Runs with a fault that changes no bar.
    async fn passes(self, kind: &'static str, expected: &Dump) {
        let ((server, _), redis) = (self.sick(kind).await, RedisServer::start());
        let ran = self.program(&server).run(&self.line(&redis)).await;
        assert_eq!(ran.code, 0, "{} with {kind}: {}", self.source, ran.err);
        assert_eq!(&dump(&redis), expected, "{} with {kind}", self.source);
    }

    /// Runs with a fault that ends the run, then without.
    async fn ends(self, kind: &'static str, named: &str, expected: &Dump) {
        let Venue { source, symbol, .. } = self;
        let ((server, is_sick), redis) = (self.sick(kind).await, RedisServer::start());
        let program = self.program(&server);
        let ran = program.run(&self.line(&redis)).await;
        assert_eq!(ran.code, 1, "{source} with {kind}: {}", ran.err);
        let is_placed = ran.err.contains(&format!("{source} {symbol}, page "));
        assert!(
            is_placed && ran.err.contains(named),
            "{source} with {kind}: {}",
            ran.err
        );
        let part = manifest(&redis, "1m", DAY, symbol);
        assert_eq!(
            (&part["complete"], &part["gapless"]),
            (&false.into(), &true.into()),
            "{source} with {kind}"
        );
        let bars = |dump: &Dump| {
            dump.get(&format!("bars:1m:{DAY}:{symbol}"))
                .cloned()
                .unwrap_or_default()
        };
        let (found, whole) = (bars(&dump(&redis)), bars(expected));
        assert_eq!(part["bars"], found.len(), "{source} with {kind}");
        assert!(
            found.iter().all(|(time, bar)| whole.get(time) == Some(bar)),
            "{source} with {kind}"
        );
        is_sick.store(false, Ordering::Relaxed);
        let again = program.run(&self.line(&redis)).await;
        assert_eq!(again.code, 0, "{source} with {kind}: {}", again.err);
        assert_eq!(
            &dump(&redis),
            expected,
            "{source} with {kind}: as after a clean run"
        );
    }

    async fn all_faults(self) {
        let expected = self.clean().await;
        for kind in [
            "rows twice",
            "429 now and then",
            "502 now and then",
            "cut off now and then",
            "a trickle",
        ] {
            self.passes(kind, &expected).await;
        }
        for (kind, named) in [
            ("429 for good", "venue answered 429"),
            ("502 for good", "venue answered 502"),
            ("cut off for good", "no complete reply from the venue"),
            ("a page without end", "page is larger than 65536 bytes"),
            // What is wrong with these shows in another place at each venue.
            ("the same page for ever", ""),
            ("rows of another date", ""),
            ("rows in falling order", ""),
        ] {
            self.ends(kind, named, &expected).await;
        }
    }
}

fn refusal(status: u16) -> Reply {
    Reply::Status(
        status,
        vec![("retry-after", "0".to_owned())],
        "<html>busy</html>".into(),
    )
}

/// The question that asks for the same place a day later.
fn moved(hit: &Hit) -> Hit {
    let day = 86_400_000_000_000;
    let mut hit = hit.clone();
    for (name, value) in &mut hit.query {
        match name.as_str() {
            "timestamp.gte" | "timestamp.lt" | "since" => {
                *value = (value.parse::<i64>().unwrap() + day).to_string();
            }
            "cursor" => {
                let parts: Vec<i64> = value.split('_').map(|part| part.parse().unwrap()).collect();
                *value = format!(
                    "{}_{}_{}_{}",
                    parts[0] + day,
                    parts[1] + day,
                    parts[2],
                    parts[3]
                );
            }
            "start" | "end" => {
                *value = value
                    .parse::<barmill::Timestamp>()
                    .unwrap()
                    .saturating_add(day)
                    .to_string();
            }
            _ => {}
        }
    }
    hit
}

fn edited(text: &str, change: impl Fn(&mut Vec<Value>)) -> String {
    let mut reply: Value = serde_json::from_str(text).unwrap();
    if let Some(rows) = rows(&mut reply) {
        change(rows);
    }
    reply.to_string()
}

/// The rows of any venue's reply: the one array of rows in it, however deep.
fn rows(value: &mut Value) -> Option<&mut Vec<Value>> {
    match value {
        Value::Array(rows)
            if rows
                .first()
                .is_some_and(|row| row.is_object() || row.is_array()) =>
        {
            Some(rows)
        }
        Value::Object(fields) => fields.values_mut().find_map(rows),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    }
}

fn venue(source: &'static str, symbol: &'static str, speak: Speak) -> Venue {
    Venue {
        source,
        symbol,
        speak,
        is_proxied: false,
    }
}

#[tokio::test]
async fn no_fault_of_massive_changes_a_bar_unsaid() {
    venue("massive", "AAPL", speak::massive).all_faults().await;
}

#[tokio::test]
async fn no_fault_of_a_proxy_changes_a_bar_unsaid() {
    Venue {
        is_proxied: true,
        ..venue("massive", "AAPL", speak::proxy)
    }
    .all_faults()
    .await;
}

#[tokio::test]
async fn no_fault_of_alpaca_changes_a_bar_unsaid() {
    venue("alpaca", "AAPL", speak::alpaca).all_faults().await;
}

#[tokio::test]
async fn no_fault_of_binance_changes_a_bar_unsaid() {
    venue("binance", "BTCUSDT", speak::binance)
        .all_faults()
        .await;
}

#[tokio::test]
async fn no_fault_of_coinbase_changes_a_bar_unsaid() {
    venue("coinbase", "BTC-USD", speak::coinbase)
        .all_faults()
        .await;
}

#[tokio::test]
async fn no_fault_of_kraken_changes_a_bar_unsaid() {
    venue("kraken", "XBTUSD", speak::kraken).all_faults().await;
}
