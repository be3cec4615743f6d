//! The official Upstash clients, run as programs: what they read is what users of them will read.
//!
//! `./check` installs them below the target folder. Without them a test is skipped, or fails if
//! `BARMILL_ORACLES=required` says that they must be there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::cargo::target_dir;
use super::skip::skipped;
use super::upstash::{TOKEN, UpstashServer};

/// An official client, ready to run.
#[derive(Debug)]
pub(crate) struct Oracle {
    program: PathBuf,
    script: PathBuf,
    node_path: PathBuf,
}

/// The clients there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    JavaScript,
    Python,
}

impl Oracle {
    /// The client in this language, or `None` and a line that says what is missing.
    pub(crate) fn find(language: Language) -> Option<Self> {
        let home = target_dir().join("oracles");
        let node_path = home.join("node_modules");
        let (program, script, package) = match language {
            Language::JavaScript => (
                PathBuf::from("node"),
                "upstash.cjs",
                node_path.join("@upstash/redis"),
            ),
            Language::Python => (
                home.join("py/bin/python3"),
                "upstash.py",
                home.join("py/bin/python3"),
            ),
        };
        let runs = Command::new(&program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let has_package =
            package.exists() && (language == Language::JavaScript || has_module(&program));
        if runs.is_ok_and(|status| status.success()) && has_package {
            let script = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/it/oracles")
                .join(script);
            return Some(Self {
                program,
                script,
                node_path,
            });
        }
        let missing = format!(
            "the official Upstash client for {language:?} is not there (./check installs it)"
        );
        assert!(!is_required(), "{missing}, and BARMILL_ORACLES=required");
        skipped(&missing);
        None
    }

    /// Makes the calls against a server, in order; for each `{"result"}` or `{"error"}` as the client has it.
    ///
    /// A call is `{"call": name, "args": [..]}`, or `{"pipeline": [calls]}`, or `{"multi": [calls]}`.
    pub(crate) fn run(&self, server: &UpstashServer, calls: &Value) -> Value {
        let mut authority = tempfile::NamedTempFile::new().expect("a file for the authority");
        authority
            .write_all(server.ca_pem().unwrap_or_default().as_bytes())
            .expect("a certificate");
        let mut command = Command::new(&self.program);
        command.arg(&self.script).env("NODE_PATH", &self.node_path);
        // The server is on loopback, whatever proxy the machine needs for the world.
        command
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("no_proxy", "127.0.0.1,localhost");
        if server.ca_pem().is_some() {
            command
                .env("NODE_EXTRA_CA_CERTS", authority.path())
                .env("SSL_CERT_FILE", authority.path());
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the client runs");
        let order = json!({ "url": server.url(), "token": TOKEN, "calls": calls });
        let mut input = child.stdin.take().expect("its input");
        input
            .write_all(order.to_string().as_bytes())
            .expect("its order");
        drop(input);
        let output = child.wait_with_output().expect("its answer");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

fn has_module(python: &Path) -> bool {
    let status = Command::new(python)
        .args(["-c", "import upstash_redis"])
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the check script speaks to its tests by the environment"
)]
fn is_required() -> bool {
    std::env::var_os("BARMILL_ORACLES").is_some_and(|value| value == "required")
}
