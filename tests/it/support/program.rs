//! The barmill program itself, run as its users run it: arguments, environment and input in, exit code and text out.
//!
//! Nothing of the test's own environment reaches it, and it stands in a folder of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

/// A folder to run the program in, and what every run gets.
#[derive(Debug)]
pub(crate) struct Program {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A run under way; dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    out: Option<BufReader<ChildStdout>>,
    err: Option<BufReader<ChildStderr>>,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder to run in"),
            environment: Vec::new(),
        }
    }

    /// Gives every run this variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder that runs stand in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The only state file in the default state folder.
    pub(crate) fn state_file(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.folder().join("barmill-data")).expect("state folder");
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| {
                let name = path.file_name().expect("a name").to_string_lossy();
                name.starts_with("barmill") && name.ends_with(".redb")
            })
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    /// Writes a file into the folder.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.folder().join(name), content).expect("a file in the folder");
    }

    /// Runs to the end with nothing on standard input.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, b"")
    }

    /// Runs to the end with this on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut running = self.start(arguments);
        // A program that does not read its input to the end has ended, which is told by its exit code.
        drop(running.input().write_all(input));
        running.wait()
    }

    /// Runs to an orderly end, which gives standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
        ended.out
    }

    /// Runs a command with `--json` to an orderly end, which gives its counts.
    pub(crate) fn counts(&self, arguments: &[&str]) -> Value {
        let out = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).expect("one JSON object on stdout")
    }

    /// Starts a run whose input, output and logs the test handles itself.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_barmill"))
            .args(arguments)
            .current_dir(self.folder())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let input = child.stdin.take();
        let out = child.stdout.take().map(BufReader::new);
        let err = child.stderr.take().map(BufReader::new);
        Running {
            child,
            input,
            out,
            err,
        }
    }
}

impl Ended {
    /// The counts that a run with `--json` prints, however it ended.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Running {
    pub(crate) fn input(&mut self) -> &mut ChildStdin {
        self.input.as_mut().expect("the input is open")
    }

    /// Waits for a line of standard output that holds the text, and returns it.
    pub(crate) fn out_line(&mut self, text: &str) -> String {
        line(self.out.as_mut().expect("the output is open"), text)
    }

    /// Stops reading standard output, as `head` does.
    pub(crate) fn close_out(&mut self) {
        self.out = None;
    }

    /// Waits for a line of the log that holds the text, and returns it.
    pub(crate) fn err_line(&mut self, text: &str) -> String {
        line(self.err.as_mut().expect("the log is open"), text)
    }

    /// The number in a line of `/proc/PID/status`, such as `VmHWM`, the largest memory so far, in KiB.
    pub(crate) fn status(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).expect("the status of the process");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("the line");
        let number: String = line.chars().filter(char::is_ascii_digit).collect();
        number.parse().expect("a number")
    }

    /// Sends a signal by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {}", self.child.id()))
            .status();
        assert!(status.expect("a shell").success(), "kill -{name} failed");
    }

    /// Closes its input and waits for its end; gives what was not read before.
    pub(crate) fn wait(mut self) -> Ended {
        drop(self.input.take());
        let err = self
            .err
            .take()
            .map(|mut err| thread::spawn(move || read(&mut err)));
        let out = self
            .out
            .take()
            .map(|mut out| read(&mut out))
            .unwrap_or_default();
        let err = err
            .map(|err| err.join().expect("the log is text"))
            .unwrap_or_default();
        let status = self.child.wait().expect("the end of the program");
        Ended {
            code: status.code(),
            out,
            err,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; what counts is that it has ended afterwards.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(source: &mut impl Read) -> String {
    let mut text = String::new();
    source.read_to_string(&mut text).expect("text");
    text
}

fn line(source: &mut impl BufRead, wanted: &str) -> String {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        let count = source.read_line(&mut line).expect("text");
        assert!(count > 0, "no line with {wanted:?} in:\n{seen}");
        if line.contains(wanted) {
            return line;
        }
        seen.push_str(&line);
    }
}
