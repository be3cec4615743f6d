//! A store behind one wire, a small day that is written into it, and what must hold afterwards.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barmill::internals::pipeline::clock::SystemClock;
use barmill::internals::pipeline::{Finished, Pipeline, PipelineSettings, ResumeSettings};
use barmill::{BarSpec, Files, PipelineBuilder};
use barmill_core::engine::circuit::ProbePolicy;
use barmill_core::engine::retry::RetryPolicy;
use barmill_stores::state::{StateDb, StateSettings};
use barmill_stores::{
    RespSettings, RestSettings, SinkUrl, StoreSettings, View, ViewKind, ViewSettings, connect,
};
use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::rows::Wire;
use super::server::Server;
use crate::support::dump::dump;
use crate::support::redis::RedisServer;
use crate::support::resp::Command;
use crate::support::trades::{MadeDay, Order};
use crate::support::upstash::TOKEN;

pub(super) const ATTEMPTS_MAX: u32 = 3;
const DAY: MadeDay = MadeDay {
    trades: 300,
    symbols: 3,
    minutes: 8,
    seed: 11,
    order: Order::Time,
};
/// Every so many trades one comes so many late, so that its bar is revised.
const LATE_EVERY: usize = 23;
const LATE_BY: usize = 60;

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerWait {
    /// For what never comes.
    Short,
    /// For what comes, on a busy machine too.
    Long,
}

impl AnswerWait {
    const fn time(self) -> Duration {
        match self {
            AnswerWait::Short => Duration::from_millis(500),
            AnswerWait::Long => Duration::from_secs(20),
        }
    }
}

/// Every value of a store by key and field.
pub(super) type Held = BTreeMap<(String, String), String>;

/// The lines of one run's log.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic under the lock").clone()).expect("text")
    }

    /// Waits until so many lines hold this.
    pub(super) async fn tells(&self, what: &str, lines: usize) {
        while self.text().matches(what).count() < lines {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic under the lock").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a run leaves behind.
pub(super) struct Ran {
    pub(super) finished: Finished,
    pub(super) log: String,
    /// Requests that the server received; those of the program's own count where it cannot tell.
    pub(super) requests: u64,
}

pub(super) struct Bench {
    pub(super) redis: RedisServer,
    pub(super) server: Server,
    pub(super) url: String,
    ca_file: Option<PathBuf>,
    folder: TempDir,
    day: PathBuf,
}

impl Bench {
    pub(super) fn new(wire: Wire) -> Bench {
        let redis = RedisServer::start();
        let server = Server::start(wire, &redis);
        Bench::of(redis, server)
    }

    pub(super) fn of(redis: RedisServer, server: Server) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let day = folder.path().join("day.csv");
        std::fs::write(&day, late_day()).expect("a file");
        let ca_file = server.ca_pem().map(|pem| {
            let path = folder.path().join("ca.pem");
            std::fs::write(&path, pem).expect("a file");
            path
        });
        Bench {
            url: server.url(&redis),
            redis,
            server,
            ca_file,
            folder,
            day,
        }
    }

    fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn store_settings(&self, time: Duration) -> StoreSettings {
        let (connect_timeout, timeout, read_timeout) = (time, time, time);
        let ca_file = self.ca_file.clone();
        let rest = RestSettings {
            connect_timeout,
            timeout,
            read_timeout,
            ca_file,
            ..RestSettings::default()
        };
        let over_tcp = RespSettings {
            connect_timeout,
            response_timeout: time,
            ..RespSettings::default()
        };
        StoreSettings {
            token: Some(TOKEN.into()),
            resp: over_tcp,
            rest,
            ..StoreSettings::default()
        }
    }

    async fn pipeline(&self, wait: AnswerWait) -> PipelineBuilder {
        let view = ViewSettings::new(ViewKind::SymbolDay, TimeZone::UTC).expect("a view");
        let view = View::new(view, &[BarSpec::MINUTE]).expect("a view");
        let url: SinkUrl = self.url.parse().expect("a URL");
        let opened = connect(
            &url,
            view,
            &self.store_settings(wait.time()),
            Arc::new(SystemClock),
        )
        .await
        .expect("a sink");
        let state = StateDb::new(StateSettings::new(self.state_dir()), Arc::new(SystemClock));
        let builder = Pipeline::builder()
            .source(Files::open(&self.day))
            .revise_within(Duration::from_mins(10));
        let builder = builder.sink(opened.sink).state_store(Arc::new(state));
        builder.settings(|settings| set(settings, wait))
    }

    /// Writes the day; meanwhile `lift` may end the fault.
    pub(super) async fn write(&self, wait: AnswerWait, lift: impl AsyncFnOnce(Log)) -> Ran {
        let log = Log::default();
        let lines = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || lines.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let before = self.server.requests();
        let running = self.pipeline(wait).await.start().await.expect("a pipeline");
        let lifting = async {
            lift(log.clone()).await;
            std::future::pending::<()>().await;
        };
        let finished = tokio::select! {
            finished = running.join() => finished,
            () = lifting => unreachable!("pending"),
        };
        drop(guard);
        let requests = self
            .server
            .requests()
            .map(|now| now - before.unwrap_or_default());
        let requests = requests.unwrap_or(finished.summary.requests);
        Ran {
            finished,
            log: log.text(),
            requests,
        }
    }

    /// Forgets the day, and every fault.
    pub(super) fn reset(&self) {
        self.server.clear_faults();
        self.redis.command(&["FLUSHALL"]);
        std::fs::remove_dir_all(self.state_dir()).ok();
    }

    pub(super) fn held(&self) -> Held {
        dump(&self.redis)
    }
}

/// A value that another one has replaced never comes back.
pub(super) fn check_order(row: &str, requests: &[Vec<Command>]) {
    let mut written: HashMap<_, Vec<&[u8]>> = HashMap::new();
    for command in requests
        .iter()
        .flatten()
        .filter(|command| command[0] == b"HSET")
    {
        for pair in command[2..].chunks(2) {
            let values = written.entry((&command[1], &pair[0])).or_default();
            if values.last() != Some(&pair[1].as_slice()) {
                assert!(
                    !values.contains(&pair[1].as_slice()),
                    "{row}: older over newer at {}",
                    text(&pair[0])
                );
                values.push(&pair[1]);
            }
        }
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn late_day() -> String {
    let text = DAY.massive_csv();
    let (header, rows) = text.split_once('\n').expect("a header");
    let mut rows: Vec<&str> = rows.lines().collect();
    for at in (0..rows.len() - LATE_BY).step_by(LATE_EVERY) {
        rows[at..=at + LATE_BY].rotate_left(1);
    }
    format!("{header}\n{}\n", rows.join("\n"))
}

fn set(settings: &mut PipelineSettings, wait: AnswerWait) {
    let millis = Duration::from_millis;
    // The client's own time-outs come first; they say more.
    settings.writer.timeout = 2 * wait.time();
    settings.writer.drain_timeout = Duration::from_mins(1);
    // As `replay` does.
    settings.writer.resume = Some(ResumeSettings {
        name: "day".to_owned(),
        every: Duration::from_secs(1),
    });
    let delivery = &mut settings.writer.delivery;
    delivery.batch.len_max = 8;
    delivery.in_flight_max = 2;
    delivery.retry = RetryPolicy {
        attempts_max: ATTEMPTS_MAX,
        backoff: millis(2),
        backoff_max: millis(4),
    };
    delivery.probes = ProbePolicy {
        outage: millis(4),
        outage_max: millis(20),
        quota: millis(4),
        quota_max: millis(20),
    };
}
