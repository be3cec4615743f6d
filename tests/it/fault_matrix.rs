//! Every fault of the kit, over every wire, before, midway and after the write: the store ends as if nothing had been.
//!
//! A real pipeline writes a small day into a real Redis. Whatever went wrong, the store then equals that of an
//! uninterrupted run, the requests are bounded, and the log says what an operator needs.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barmill::adapter::clock::SystemClock;
use barmill::adapter::state::{LazyState, StateSettings};
use barmill::adapter::store::{
    RespSettings, RestSettings, SinkUrl, StoreSettings, View, ViewKind, ViewSettings, connect,
};
use barmill::engine::circuit::ProbePolicy;
use barmill::engine::retry::RetryPolicy;
use barmill::pipeline::{End, Finished, Pipeline, PipelineSettings, Summary};
use barmill::{BarSpec, Fault as RunFault};
use jiff::tz::TimeZone;
use tempfile::TempDir;

use crate::support::dump::{dump, is_manifest};
use crate::support::fault::{Choice, ConnectionFault, Fault, RetryAfter, Rule, Stage, StoreError};
use crate::support::proxy::{Cut, Direction, FaultProxy, ProxyFault};
use crate::support::redis::RedisServer;
use crate::support::trades::{MadeDay, Order};
use crate::support::upstash::{Protocols, TOKEN, UpstashOptions, UpstashServer};

const ATTEMPTS_MAX: u32 = 3;
/// Above a round trip on a busy machine, below patience.
const IMPATIENT: Duration = Duration::from_millis(400);
const STAGES: [Stage; 3] = [Stage::BeforeApply, Stage::Midway, Stage::AfterApply];

/// What becomes of a batch that met the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The client heals it by itself.
    Unseen,
    Retried,
    /// The circuit opens at once.
    Paused,
    DeadLetters,
    Halted,
}

/// The lines of one run's log.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic under the lock").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A store behind one wire, and the day that is written into it.
struct Bench {
    redis: RedisServer,
    url: String,
    settings: StoreSettings,
    folder: TempDir,
    day: PathBuf,
}

type Held = BTreeMap<(String, String), String>;

impl Bench {
    fn new(redis: RedisServer, url: String, ca_pem: Option<&str>) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let day = folder.path().join("day.csv");
        let made = MadeDay { trades: 300, symbols: 3, minutes: 8, seed: 11, order: Order::Time };
        std::fs::write(&day, made.massive_csv()).expect("a file");
        let ca_file = ca_pem.map(|pem| {
            let path = folder.path().join("ca.pem");
            std::fs::write(&path, pem).expect("a file");
            path
        });
        let rest = RestSettings {
            connect_timeout: IMPATIENT,
            timeout: IMPATIENT,
            read_timeout: IMPATIENT,
            ca_file,
            ..RestSettings::default()
        };
        let over_tcp = RespSettings {
            connect_timeout: IMPATIENT,
            response_timeout: IMPATIENT,
            ..RespSettings::default()
        };
        let settings =
            StoreSettings { token: Some(TOKEN.into()), resp: over_tcp, rest, ..StoreSettings::default() };
        Bench { redis, url, settings, folder, day }
    }

    fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    async fn pipeline(&self, state_dir: &Path) -> Pipeline {
        let view = ViewSettings::new(ViewKind::SymbolDay, TimeZone::UTC).expect("a view");
        let view = View::new(view, &[BarSpec::MINUTE]).expect("a view");
        let url: SinkUrl = self.url.parse().expect("a URL");
        let opened = connect(&url, view, &self.settings, Arc::new(SystemClock)).await.expect("a sink");
        let state = LazyState::new(StateSettings::new(state_dir), Arc::new(SystemClock));
        let builder = Pipeline::builder().files([&self.day]).shared_sink(opened.sink).state(Arc::new(state));
        builder.settings(impatient).build().expect("a pipeline")
    }

    /// Writes the day; meanwhile `lift` may end the fault.
    async fn write(&self, lift: impl Future<Output = ()>) -> (Finished, String) {
        let log = Log::default();
        let lines = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || lines.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let running = self.pipeline(&self.state_dir()).await.start();
        let (finished, ()) = futures::future::join(running.join(), lift).await;
        drop(guard);
        let text = log.0.lock().expect("no panic under the lock").clone();
        (finished, String::from_utf8(text).expect("text"))
    }

    /// What the store holds after a run without faults.
    async fn expected(&self) -> Held {
        let (finished, log) = self.write(async {}).await;
        assert!(matches!(finished.end, End::Drained), "{:?} {log}", finished.end);
        let held = dump(&self.redis);
        assert!(held.len() > 20, "{held:?}");
        self.reset();
        held
    }

    fn reset(&self) {
        self.redis.command(&["FLUSHALL"]);
        std::fs::remove_dir_all(self.state_dir()).ok();
    }

    /// Runs once, and once more after `heal` when the fault ends the run, and compares.
    async fn prove(&self, row: &str, want: Outcome, expected: &Held, heal: impl FnOnce()) -> Summary {
        let (finished, log) = self.write(async {}).await;
        let summary = finished.summary;
        match want {
            Outcome::Halted => {
                let fault = matches!(finished.end, End::Failed(RunFault::Unwritten { bars: 0, .. }));
                assert!(fault, "{row}: {:?}", finished.end);
                assert!(0 < summary.spooled, "{row}: nothing waits in the spool");
                heal();
                let (second, log) = self.write(async {}).await;
                assert!(matches!(second.end, End::Drained), "{row}: {:?} {log}", second.end);
                assert!(log.contains("the spool of an earlier run goes out first"), "{row}: {log}");
            }
            Outcome::Unseen | Outcome::Retried | Outcome::Paused | Outcome::DeadLetters => {
                assert!(matches!(finished.end, End::Drained), "{row}: {:?} {log}", finished.end);
            }
        }
        let line = match want {
            Outcome::Unseen => "store closed",
            Outcome::Retried => "retrying in",
            Outcome::Paused => "the quota of",
            Outcome::DeadLetters => "now in the dead letters",
            Outcome::Halted => "takes no more",
        };
        assert!(log.contains(line), "{row}: no line says {line:?}: {log}");
        assert!(!log.contains(TOKEN), "{row}: the token is in the log");
        assert_eq!(want == Outcome::Retried, 0 < summary.retries, "{row}: {} retries", summary.retries);
        assert_eq!(want == Outcome::DeadLetters, 0 < summary.dead_letters, "{row}");
        assert!(summary.requests <= 80, "{row}: {} requests", summary.requests);
        self.compare(row, want, &summary, expected);
        self.reset();
        summary
    }

    fn compare(&self, row: &str, want: Outcome, summary: &Summary, expected: &Held) {
        let held = dump(&self.redis);
        if want != Outcome::DeadLetters {
            assert_eq!(&held, expected, "{row}");
            return;
        }
        let is_bar = |((key, _), _): &(&(String, String), &String)| !is_manifest(key);
        for (place, value) in held.iter().filter(is_bar) {
            assert_eq!(Some(value), expected.get(place), "{row}: {place:?} is wrong");
        }
        let missing = expected.iter().filter(is_bar).filter(|(place, _)| !held.contains_key(place)).count();
        assert!(missing as u64 <= summary.dead_letters, "{row}: {missing} bars are missing");
    }
}

fn impatient(settings: &mut PipelineSettings) {
    let millis = Duration::from_millis;
    settings.writer.timeout = IMPATIENT;
    settings.writer.drain_timeout = Duration::from_mins(1);
    let delivery = &mut settings.writer.delivery;
    delivery.batch.len_max = 8;
    delivery.in_flight_max = 2;
    delivery.retry = RetryPolicy { attempts_max: ATTEMPTS_MAX, backoff: millis(2), backoff_max: millis(4) };
    delivery.probes =
        ProbePolicy { outage: millis(4), outage_max: millis(20), quota: millis(4), quota_max: millis(20) };
}

fn rest_bench(protocols: Protocols) -> (Bench, UpstashServer) {
    let redis = RedisServer::start();
    let options = UpstashOptions::default().protocols(protocols);
    let options = if protocols == Protocols::Http2 { options.tls() } else { options };
    let server = options.start(&redis);
    let bench = Bench::new(redis, server.url(), server.ca_pem());
    (bench, server)
}

/// Faults of whole requests and what becomes of them.
fn request_faults() -> Vec<(Fault, Outcome)> {
    let mut faults = vec![
        (Fault::Reset, Outcome::Retried),
        (Fault::StallBeforeHeaders, Outcome::Retried),
        (Fault::Drip { pause: Duration::from_millis(90) }, Outcome::Retried),
        (Fault::Truncated { is_length_declared: true }, Outcome::Retried),
        (Fault::Truncated { is_length_declared: false }, Outcome::Retried),
        (Fault::ShortArray, Outcome::Retried),
        (Fault::LongArray, Outcome::Retried),
        (Fault::HtmlBadGateway, Outcome::Retried),
        (Fault::TooManyRequests(RetryAfter::Absent), Outcome::Retried),
        (Fault::TooManyRequests(RetryAfter::Seconds(0)), Outcome::Retried),
        (Fault::TooManyRequests(RetryAfter::HttpDate(jiff::Timestamp::UNIX_EPOCH)), Outcome::Retried),
        (Fault::TooManyRequests(RetryAfter::Absurd("-1")), Outcome::Retried),
        (Fault::Quota, Outcome::Paused),
        (Fault::Unauthorized, Outcome::Halted),
        (Fault::GoAwayGraceful, Outcome::Unseen),
        (Fault::GoAwayAbrupt { code: 2 }, Outcome::Retried),
        (Fault::GoAwayAbrupt { code: 11 }, Outcome::Retried),
        (Fault::BlackHole, Outcome::Retried),
    ];
    let statuses = [(408, Outcome::Retried), (500, Outcome::Retried), (503, Outcome::Retried)];
    faults.extend(statuses.map(|(status, want)| (Fault::Status(status), want)));
    faults.push((Fault::Status(403), Outcome::Halted));
    faults.extend(StoreError::ALL.map(|error| {
        let is_refused = matches!(error, StoreError::WrongType | StoreError::RecordSizeMax);
        let want = if is_refused { Outcome::DeadLetters } else { Outcome::Retried };
        let choice = Choice::new(|index, _| index % 2 == 0);
        (Fault::CommandErrors { choice, error }, want)
    }));
    faults
}

async fn rest_matrix(protocols: Protocols, stage: Stage) {
    let (bench, server) = rest_bench(protocols);
    let expected = bench.expected().await;
    for (fault, want) in request_faults() {
        // Once, and so often that the circuit opens and probes fail.
        for times in [1, 9] {
            let row = format!("{protocols:?} {fault:?} {stage:?} x{times}");
            let waits = matches!(fault, Fault::StallBeforeHeaders | Fault::Drip { .. } | Fault::BlackHole);
            if waits && times > 1 {
                continue;
            }
            server.inject(Rule::next(fault.clone()).at(stage).times(times));
            let summary = bench.prove(&row, want, &expected, || server.clear_faults()).await;
            assert!(times == 1 || want != Outcome::Retried || summary.retries >= 2, "{row}");
            server.clear_faults();
        }
    }
}

#[tokio::test]
async fn every_fault_over_http1_before_midway_and_after_costs_nothing() {
    for stage in STAGES {
        rest_matrix(Protocols::Http1, stage).await;
    }
}

#[tokio::test]
async fn every_fault_over_http2_before_midway_and_after_costs_nothing() {
    for stage in STAGES {
        rest_matrix(Protocols::Http2, stage).await;
    }
}

#[tokio::test]
async fn refused_streams_and_spoiled_connections_cost_nothing() {
    for protocols in [Protocols::Http1, Protocols::Http2] {
        let (bench, server) = rest_bench(protocols);
        let expected = bench.expected().await;
        for fault in [ConnectionFault::Reset, ConnectionFault::Hang] {
            server.inject_connections(fault, 2);
            bench.prove(&format!("{protocols:?} {fault:?}"), Outcome::Retried, &expected, || ()).await;
            server.clear_faults();
        }
        let want = if protocols == Protocols::Http2 { Outcome::Unseen } else { Outcome::Retried };
        server.inject(Rule::next(Fault::RefusedStream));
        bench.prove(&format!("{protocols:?} refused stream"), want, &expected, || ()).await;
    }
}

#[tokio::test]
async fn every_fault_of_a_resp_connection_costs_nothing() {
    let cut = |direction, bytes, cut| ProxyFault::CutAfter { direction, bytes, cut };
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port());
    let bench = Bench::new(redis, format!("redis://{}", proxy.address()), None);
    let expected = bench.expected().await;
    for fault in [
        cut(Direction::ToServer, 0, Cut::Reset),
        cut(Direction::ToServer, 700, Cut::Close),
        cut(Direction::ToClient, 0, Cut::Close),
        cut(Direction::ToClient, 0, Cut::Reset),
        cut(Direction::ToClient, 30, Cut::Reset),
        ProxyFault::BlackHole,
        ProxyFault::HangAtConnect,
        ProxyFault::ResetAtConnect,
    ] {
        proxy.set(fault);
        let row = format!("{fault:?}");
        let seen = proxy.connections();
        // The fault ends when the writer has met it twice.
        let lift = async {
            while proxy.connections() < seen + 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            proxy.set(ProxyFault::None);
        };
        let (finished, log) = bench.write(lift).await;
        assert!(matches!(finished.end, End::Drained), "{row}: {:?} {log}", finished.end);
        assert!(log.contains("retrying in"), "{row}: {log}");
        assert!(finished.summary.requests <= 80, "{row}: {} requests", finished.summary.requests);
        bench.compare(&row, Outcome::Retried, &finished.summary, &expected);
        bench.reset();
    }
}

#[tokio::test]
async fn every_refusal_of_a_redis_over_resp_has_its_answer() {
    let redis = RedisServer::start();
    let url = redis.url();
    let bench = Bench::new(redis, url, None);
    let expected = bench.expected().await;
    let config = |name: &str, value: &str| {
        bench.redis.command(&["CONFIG", "SET", name, value]);
    };
    for (name, bad, good) in [("min-replicas-to-write", "1", "0"), ("maxmemory", "1", "0")] {
        config(name, bad);
        let lift = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            config(name, good);
        };
        let (finished, log) = bench.write(lift).await;
        assert!(matches!(finished.end, End::Drained), "{name}: {:?} {log}", finished.end);
        assert!(
            log.contains("bars go to the spool") && log.contains("bars go out directly"),
            "{name}: {log}"
        );
        bench.compare(name, Outcome::Retried, &finished.summary, &expected);
        bench.reset();
    }
    let ((key, _), _) = expected.iter().find(|((key, _), _)| !is_manifest(key)).expect("a bar");
    bench.redis.command(&["SET", key, "in the way"]);
    let (finished, log) = bench.write(async {}).await;
    assert!(matches!(finished.end, End::Drained) && log.contains("WRONGTYPE"), "{log}");
    assert!(0 < finished.summary.dead_letters);
}
