//! A disk with no room, under the real program: feeds wait, the log says why, and with room again the run goes on.
//!
//! The disk is a small one in memory, mounted where nobody but the program sees it; that needs leave to make a mount
//! namespace, which some machines refuse.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::dump::dump;
use crate::support::program::Program;
use crate::support::redis::RedisServer;
use crate::support::skip::skipped;
use crate::support::trades::{MadeDay, Order};

const DAY: MadeDay = MadeDay {
    trades: 30_000,
    symbols: 200,
    minutes: 60,
    seed: 8,
    order: Order::Time,
};

/// Runs a script of the shell where a disk of 16 MiB is mounted on the folder `state`.
#[expect(
    clippy::expect_used,
    reason = "without the tool there is nothing to test"
)]
fn with_small_disk(folder: &Path, script: &str) -> Output {
    let script = format!("mount -t tmpfs -o size=16m tmpfs state && {script}");
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(folder)
        .output()
        .expect("unshare is part of every Linux")
}

#[test]
fn a_full_disk_is_told_once_and_with_room_again_the_run_goes_on() {
    let program = Program::new();
    program.file("day.csv", DAY.massive_csv());
    std::fs::create_dir(program.folder().join("state")).expect("a folder");
    if !with_small_disk(program.folder(), "true").status.success() {
        return skipped("the full disk: no mount namespace here");
    }
    let redis = RedisServer::start();
    let whole = program.run(&[
        "replay",
        "day.csv",
        "--sink",
        &redis.url(),
        "--set=run.state_dir=elsewhere",
    ]);
    assert_eq!(whole.code, Some(0), "{whole:?}");
    let expected = dump(&redis);
    redis.command(&["FLUSHALL"]);
    let away = RedisServer::start();
    let replay = |url: &str| {
        let (barmill, sets) = (
            env!("CARGO_BIN_EXE_barmill"),
            "--set=run.state_dir=state --set=writer.backoff_ms=1",
        );
        format!("{barmill} replay day.csv {sets} --set=run.drain_timeout_ms=2000 --sink {url}")
    };
    let (out, back) = (replay(&away.url()), replay(&redis.url()));
    drop(away);
    // A file of another takes the room, and gives it back when the log has spoken of it.
    let script = format!(
        "head -c 15500000 /dev/zero > state/another; ({out} 2> log; echo $?) & \
         until grep -qs 'No space left' log; do sleep 0.02; done; rm state/another; wait; {back} 2>> log; echo $?"
    );
    let output = with_small_disk(program.folder(), &script);
    let log = std::fs::read_to_string(program.folder().join("log")).expect("the log");
    let told = log
        .lines()
        .filter(|line| line.contains("No space left on device"))
        .count();
    assert_eq!(told, 1, "{log}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3\n0\n", "{log}");
    assert_eq!(dump(&redis), expected, "{log}");
}
