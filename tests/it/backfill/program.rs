//! The program as a user starts it, its venue, and what it leaves in Redis.

use crate::history::recording::Print;
use crate::history::server::Server;
use crate::support::redis::RedisServer;
use redis::Value;
use std::collections::BTreeMap;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// A key that no output may show.
pub(crate) const CANARY: &str = "canary-2f9c-key";
/// The day of the tapes.
pub(crate) const DAY: &str = "2025-10-21";
/// The names that a venue's key may come by.
const KEYS: [&str; 4] = [
    "MASSIVE_API_KEY",
    "APCA_API_KEY_ID",
    "APCA_API_SECRET_KEY",
    "BINANCE_API_KEY",
];

/// A finished run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A folder to run in, with nothing of this process' environment.
pub(crate) struct Program {
    pub(crate) folder: TempDir,
    settings: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Program {
    /// The program with short waits, no pace and small pages of a source.
    pub(crate) fn new(source: &str, server: &Server) -> Program {
        let mut program = Program {
            folder: tempfile::tempdir().unwrap(),
            settings: Vec::new(),
            variables: Vec::new(),
        };
        for (key, value) in [
            ("base_url", server.base.as_str()),
            ("requests_per_minute", "10000000"),
            ("page_len", "7"),
            ("attempts_max", "3"),
            ("backoff_ms", "1"),
        ] {
            program.set(&format!("source.{source}.{key}={value}"));
        }
        program
    }

    pub(crate) fn set(&mut self, setting: &str) -> &mut Program {
        self.settings
            .extend(["--set".to_owned(), setting.to_owned()]);
        self
    }

    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn spawn(&self, line: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barmill"));
        command
            .env_clear()
            .envs(KEYS.map(|name| (name, CANARY)))
            .current_dir(self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(line.split_whitespace()).args(&self.settings);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().unwrap()
    }

    pub(crate) async fn run(&self, line: &str) -> Ran {
        finish(self.spawn(line)).await
    }
}

/// Waits for the end; nothing it printed holds a key.
pub(crate) async fn finish(mut child: Child) -> Ran {
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (read_out, read_err) = tokio::join!(
        stdout.read_to_string(&mut out),
        stderr.read_to_string(&mut err)
    );
    read_out.unwrap();
    read_err.unwrap();
    let status = child.wait().await.unwrap();
    assert!(
        !out.contains(CANARY) && !err.contains(CANARY),
        "a key is shown: {out}{err}"
    );
    Ran {
        code: status.code().unwrap_or(-1),
        out,
        err,
    }
}

fn texts(value: &Value) -> Vec<String> {
    if let Some(values) = value.as_sequence() {
        return values.iter().flat_map(texts).collect();
    }
    if let Some(pairs) = value.as_map_iter() {
        return pairs
            .flat_map(|(key, value)| [texts(key), texts(value)].concat())
            .collect();
    }
    vec![text(value)]
}

fn text(value: &Value) -> String {
    let Value::BulkString(bytes) = value else {
        panic!("no text: {value:?}")
    };
    String::from_utf8(bytes.clone()).unwrap()
}

/// Everything in the store: keys, fields and values, without the times at which manifests were written.
pub(crate) type Dump = BTreeMap<String, BTreeMap<String, String>>;

pub(crate) fn dump(redis: &RedisServer) -> Dump {
    let keys = texts(&redis.command(&["KEYS", "*"]));
    let hash = |key: String| {
        let parts = texts(&redis.command(&["HGETALL", &key]));
        let pairs = parts
            .chunks(2)
            .map(|pair| (pair[0].clone(), without_update_time(&pair[1])));
        (key, pairs.collect())
    };
    keys.into_iter().map(hash).collect()
}

fn without_update_time(text: &str) -> String {
    match text.find(",\"updated_at\"") {
        Some(place) => text[..place].to_owned(),
        None => text.to_owned(),
    }
}

/// The manifest of a symbol and day, as JSON.
pub(crate) fn manifest(
    redis: &RedisServer,
    spec: &str,
    date: &str,
    symbol: &str,
) -> serde_json::Value {
    let key = format!("manifest:barmill:{spec}:{date}");
    serde_json::from_str(&text(&redis.command(&["HGET", &key, symbol]))).unwrap()
}

/// The minute bars of the prints by hand: `HH:MM` in UTC, then open, high, low, close in hundredths.
pub(crate) fn minutes(prints: &[Print]) -> Vec<(String, [u64; 4])> {
    let cents = |price: &str| price.replace('.', "").parse::<u64>().unwrap();
    let mut bars: Vec<(String, [u64; 4])> = Vec::new();
    for print in prints {
        let minute = print.nanos / 60_000_000_000;
        let time = format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
        let price = cents(&print.price);
        match bars.last_mut().filter(|(last, _)| *last == time) {
            Some((_, [_, high, low, close])) => {
                (*high, *low, *close) = ((*high).max(price), (*low).min(price), price);
            }
            None => bars.push((time, [price; 4])),
        }
    }
    bars
}

/// The same of the CSV that `bars` prints.
pub(crate) fn minutes_of_csv(text: &str) -> Vec<(String, [u64; 4])> {
    let cents = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{fraction:0<2}").parse::<u64>().unwrap()
    };
    let bar = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (
            cells[2][11..16].to_owned(),
            [4, 5, 6, 7].map(|index| cents(cells[index])),
        )
    };
    text.lines().skip(1).map(bar).collect()
}
