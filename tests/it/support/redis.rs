//! A real `redis-server`, started by the test on a free loopback port in a folder of its own.
//!
//! Owns the process: started, awaited, paused, killed and started again by its own id only.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use redis::{RedisResult, Value};
use tempfile::TempDir;

const READY_TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Another process may take the free port between our looking and Redis's binding.
const START_ATTEMPTS: usize = 5;

/// A running server; dropping it kills the process and removes its folder.
#[derive(Debug)]
pub(crate) struct RedisServer {
    options: RedisOptions,
    folder: TempDir,
    port: u16,
    child: Child,
}

/// How a server starts: in memory only and without a password, unless told otherwise.
#[derive(Debug, Clone, Default)]
pub(crate) struct RedisOptions {
    password: Option<String>,
    is_durable: bool,
    arguments: Vec<String>,
}

impl RedisOptions {
    /// Asks every client for this password.
    pub(crate) fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.argument("--requirepass", password)
    }

    /// Writes every command to an append-only file before it answers, so that `kill9` loses nothing.
    pub(crate) fn durable(mut self) -> Self {
        self.is_durable = true;
        self
    }

    /// Refuses writes past this much memory, for example `2mb`.
    pub(crate) fn maxmemory(self, text: &str) -> Self {
        self.argument("--maxmemory", text)
    }

    /// Adds one option as `redis.conf` has it, with `--` before its name.
    pub(crate) fn argument(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(self) -> RedisServer {
        let folder = tempfile::tempdir().expect("a folder for redis");
        let mut log = String::new();
        for _ in 0..START_ATTEMPTS {
            let port = free_port();
            match spawn(&self, &folder, port) {
                Ok(child) => {
                    return RedisServer {
                        options: self,
                        folder,
                        port,
                        child,
                    };
                }
                Err(said) => log = said,
            }
        }
        panic!("redis-server did not start; its last words:\n{log}");
    }
}

impl RedisServer {
    /// Starts a server with the default options.
    pub(crate) fn start() -> Self {
        RedisOptions::default().start()
    }

    /// The port on loopback; it survives `restart`.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The password that clients need, if any.
    pub(crate) fn password(&self) -> Option<&str> {
        self.options.password.as_deref()
    }

    /// The URL with the password in it.
    pub(crate) fn url(&self) -> String {
        match &self.options.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}/", self.port),
            None => format!("redis://127.0.0.1:{}/", self.port),
        }
    }

    /// Runs one command on a fresh connection; a test that expects no error.
    pub(crate) fn command(&self, words: &[&str]) -> Value {
        self.try_command(words)
            .unwrap_or_else(|error| panic!("redis refused {}: {error}", words[0]))
    }

    /// Runs one command on a fresh connection.
    pub(crate) fn try_command(&self, words: &[&str]) -> RedisResult<Value> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(ANSWER_TIMEOUT)?;
        connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        command.query(&mut connection)
    }

    /// Stops the process in its tracks: connections stand, nothing answers.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
        let stat = format!("/proc/{}/stat", self.child.id());
        // The signal is on its way when `kill` returns; wait for its effect.
        while std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") T ")) {
            thread::yield_now();
        }
    }

    /// Lets a paused process run on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Kills the process at once, as a crash would.
    pub(crate) fn kill9(&mut self) {
        // It may be dead already; what counts is that it is dead afterwards.
        drop(self.child.kill());
        self.child.wait().expect("the end of redis");
    }

    /// Kills the process if it lives and starts it again: same folder, same port, same options.
    pub(crate) fn restart(&mut self) {
        self.kill9();
        self.child = spawn(&self.options, &self.folder, self.port)
            .unwrap_or_else(|log| panic!("redis-server did not restart; its last words:\n{log}"));
    }

    fn signal(&self, name: &str) {
        // `kill` is a builtin of every shell, but a program only where procps is installed.
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {}", self.child.id()))
            .status();
        assert!(status.expect("a shell").success(), "kill -{name} failed");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill9();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
    listener
        .local_addr()
        .expect("the address of a listener")
        .port()
}

/// Starts the process and waits for its own word that it serves, then for an answer to PING.
fn spawn(options: &RedisOptions, folder: &TempDir, port: u16) -> Result<Child, String> {
    let appendonly = if options.is_durable { "yes" } else { "no" };
    let mut child = Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--logfile",
            "",
        ])
        .args([
            "--appendonly",
            appendonly,
            "--appendfsync",
            "always",
            "--enable-debug-command",
            "yes",
        ])
        .arg("--dir")
        .arg(folder.path())
        .args(&options.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is on the PATH (./check installs it)");
    let output = child.stdout.take().expect("the output of redis");
    let (ready, is_ready) = mpsc::channel();
    // The thread reads on for the life of the process, so that a full pipe never stops Redis.
    thread::spawn(move || {
        let mut log = String::new();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains("Ready to accept connections") {
                drop(ready.send(Ok(())));
            }
            log = log + &line + "\n";
        }
        drop(ready.send(Err(log)));
    });
    let said = is_ready
        .recv_timeout(READY_TIMEOUT)
        .unwrap_or_else(|error| Err(error.to_string()));
    let started = said.and_then(|()| ping(options, port));
    match started {
        Ok(()) => Ok(child),
        Err(log) => {
            drop(child.kill());
            child.wait().expect("the end of redis");
            Err(log)
        }
    }
}

fn ping(options: &RedisOptions, port: u16) -> Result<(), String> {
    let url = match &options.password {
        Some(password) => format!("redis://:{password}@127.0.0.1:{port}/"),
        None => format!("redis://127.0.0.1:{port}/"),
    };
    let client = redis::Client::open(url).map_err(|error| error.to_string())?;
    let mut connection = client
        .get_connection_with_timeout(READY_TIMEOUT)
        .map_err(|error| error.to_string())?;
    redis::cmd("PING")
        .query::<Value>(&mut connection)
        .map(drop)
        .map_err(|error| error.to_string())
}
