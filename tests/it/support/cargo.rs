//! What cargo knows about this crate: its dependencies, and where its output lies.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder of build output, wherever the caller has put it.
pub(crate) fn target_dir() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    scratch
        .parent()
        .expect("the scratch folder lies in the target folder")
        .to_owned()
}

/// The packages that this crate is built from on this machine: name, version and licence expression.
pub(crate) fn packages() -> Vec<(String, String, Option<String>)> {
    let host = run(Command::new("rustc").arg("-vV"));
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("the host of rustc");
    // Packages for other platforms need not have been downloaded.
    let arguments = [
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--offline",
        "--filter-platform",
        host,
    ];
    let metadata = run(Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR")));
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo's JSON");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let packages = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let name = text(&package["name"]).expect("a name");
            (
                name,
                text(&package["version"]).expect("a version"),
                text(&package["license"]),
            )
        });
    packages.collect()
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("a program of the toolchain");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}
