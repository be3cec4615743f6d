//! What lies in `packaging/` fits the program.

use crate::support::program::Program;
use crate::support::redis::RedisServer;
use crate::support::skip::skipped;
use std::process::Command;

const UNIT: &str = include_str!("../../../packaging/barmill@.service");
const EXAMPLE: &str = include_str!("../../../packaging/example.toml");
const VARIABLES: &str = include_str!("../../../packaging/example.env");
const DOCKERFILE: &str = include_str!("../../../packaging/Dockerfile");
const MANIFEST: &str = include_str!("../../../Cargo.toml");

/// The value of a line `key=value`.
fn unit(key: &str) -> &'static str {
    let value = UNIT
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("{key} is not in the unit"))
}

#[test]
fn service_manager_finds_no_fault_in_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("barmill@crypto.service");
    std::fs::write(
        &path,
        UNIT.replace("/usr/local/bin/barmill", env!("CARGO_BIN_EXE_barmill")),
    )
    .unwrap();
    let Ok(verified) = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
    else {
        return skipped("systemd-analyze is not installed");
    };
    let told = String::from_utf8_lossy(&verified.stderr);
    assert!(
        verified.status.success() && !told.contains("barmill"),
        "{told}"
    );
}

#[test]
fn unit_waits_longer_than_the_drain_and_speaks_as_the_program_does() {
    let out = Program::new()
        .run(&["check", "--set", "sink.url=null:"])
        .out;
    let drain_ms = out
        .lines()
        .find_map(|line| line.strip_prefix("drain_timeout_ms = "))
        .unwrap();
    let stop_s: u64 = unit("TimeoutStopSec")
        .trim_end_matches('s')
        .parse()
        .unwrap();
    assert!(
        drain_ms.parse::<u64>().unwrap() < stop_s * 1_000,
        "{drain_ms}"
    );
    assert_eq!(unit("Type"), "notify");
    assert_eq!(
        unit("RestartPreventExitStatus"),
        "2",
        "the code of usage and config faults"
    );
}

#[test]
fn example_set_is_a_config_that_works() {
    let redis = RedisServer::start();
    let url = VARIABLES
        .lines()
        .find_map(|line| line.strip_prefix("REDIS_URL="))
        .unwrap();
    assert!(url.starts_with("redis://"), "{url}");
    let program = Program::new().env("REDIS_URL", &redis.url());
    program.file("crypto.toml", EXAMPLE);
    let out = program.ok(&["--config", "crypto.toml", "check"]);
    assert!(out.contains(r#"sources = ["binance", "kraken"]"#), "{out}");
}

#[test]
fn container_is_built_by_the_compiler_and_from_the_files_that_the_manifest_names() {
    let version = MANIFEST
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap();
    assert!(
        DOCKERFILE.contains(&format!("FROM rust:{}.", version.trim_matches('"'))),
        "{version}"
    );
    let copied = DOCKERFILE
        .lines()
        .filter_map(|line| line.strip_prefix("COPY ")?.rsplit_once(' '));
    let copied: Vec<&str> = copied
        .flat_map(|(from, _)| from.split(' '))
        .filter(|name| !name.starts_with("--"))
        .collect();
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "config.toml",
        "crates",
        "src",
        "benches",
        "examples",
    ] {
        assert!(copied.contains(&needed), "{needed} is not copied");
    }
    let members = MANIFEST
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .unwrap();
    for member in members.split('"').filter(|part| part.contains('/')) {
        let is_copied = |name: &&str| member == *name || member.starts_with(&format!("{name}/"));
        assert!(copied.iter().any(is_copied), "{member} is not copied");
    }
    // The run line in the first lines mounts the config where the program looks for it.
    let config = "/etc/barmill.toml";
    let run = DOCKERFILE.lines().nth(1).unwrap();
    assert!(
        run.contains(&format!(":{config}:ro")) && run.ends_with(" run"),
        "{run}"
    );
    let entry = format!("ENTRYPOINT [\"/usr/local/bin/barmill\", \"--config\", \"{config}\"]");
    assert!(DOCKERFILE.contains(&entry));
    for kept in [
        "HEALTHCHECK",
        "USER barmill",
        "strip target/release/barmill",
    ] {
        assert!(DOCKERFILE.contains(kept), "{kept}");
    }
}
