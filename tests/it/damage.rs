//! The state file after what a disk does to it: damage is told, the file is set aside, and the source fills the store.
//!
//! The real program, with a day that waits in its spool; the file is damaged between two runs.

use std::path::PathBuf;

use crate::support::dump::dump;
use crate::support::program::{Ended, Program};
use crate::support::redis::RedisServer;
use crate::support::trades::{MadeDay, Order};

const DAY: MadeDay = MadeDay {
    trades: 2_000,
    symbols: 10,
    minutes: 20,
    seed: 8,
    order: Order::Time,
};
/// For a store that does not come.
const BRISK: [&str; 3] = [
    "--set=writer.backoff_ms=1",
    "--set=writer.backoff_max_ms=2",
    "--set=run.drain_timeout_ms=200",
];
/// What redb writes at once.
const PAGE: usize = 4096;

struct Bench {
    program: Program,
    redis: RedisServer,
    /// What a run without damage leaves.
    whole: Vec<u8>,
    state: PathBuf,
    /// What the state file holds after a run whose store was away.
    spooled: Vec<u8>,
}

fn replay(program: &Program, sink: &str) -> Ended {
    program.run(&["replay", "day.csv", "--json", "--sink", sink])
}

fn held(redis: &RedisServer) -> Vec<u8> {
    format!("{:?}", dump(redis)).into_bytes()
}

impl Bench {
    fn new() -> Bench {
        let mut redis = RedisServer::start();
        let program = Program::new();
        program.file("day.csv", DAY.massive_csv());
        let ended = replay(&program, &redis.url());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let whole = held(&redis);
        let url = redis.url();
        redis.kill9();
        std::fs::remove_dir_all(program.folder().join("barmill-data")).ok();
        let ended = program.run(&[&["replay", "day.csv", "--sink", &url], &BRISK[..]].concat());
        assert_eq!(ended.code, Some(3), "{ended:?}");
        redis.restart();
        let state = program.state_file();
        let spooled = std::fs::read(&state).expect("the state");
        Bench {
            program,
            redis,
            whole,
            state,
            spooled,
        }
    }

    /// Damages the file as it was left, runs, and compares; whether the file was set aside.
    fn heals(&self, what: &str, damage: impl FnOnce(&mut Vec<u8>)) -> bool {
        let folder = self.program.folder().join("barmill-data");
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir(&folder).expect("the folder of the state");
        let mut bytes = self.spooled.clone();
        damage(&mut bytes);
        std::fs::write(&self.state, &bytes).expect("the damage");
        self.redis.command(&["FLUSHALL"]);
        let ended = replay(&self.program, &self.redis.url());
        assert_eq!(ended.code, Some(0), "{what}: {ended:?}");
        assert!(
            held(&self.redis) == self.whole,
            "{what}: the store is not that of a whole run: {ended:?}"
        );
        let aside: Vec<_> = std::fs::read_dir(&folder)
            .expect("the folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .filter(|name| name.contains("corrupt"))
            .collect();
        let is_told = aside.iter().all(|name| ended.err.contains(name.as_str()));
        assert!(
            is_told && aside.len() <= 1,
            "{what}: {aside:?} {}",
            ended.err
        );
        !aside.is_empty()
    }

    /// Places in pages that hold something, the same for the same seed.
    fn places(&self, seed: u64, count: usize) -> Vec<usize> {
        let used: Vec<usize> = (0..self.spooled.len())
            .filter(|at| self.spooled[*at] != 0)
            .collect();
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count)
            .map(|_| used[random.usize(..used.len())])
            .collect()
    }
}

#[test]
fn a_flipped_bit_of_the_state_is_set_aside_and_the_source_fills_the_store() {
    let bench = Bench::new();
    assert!(!bench.heals("nothing", |_| ()), "an intact file drains");
    let places = bench.places(1, 40);
    let found = places
        .iter()
        .enumerate()
        .filter(|(bit, at)| {
            bench.heals(&format!("a bit at byte {at}"), |bytes| {
                bytes[**at] ^= 1 << (bit % 8);
            })
        })
        .count();
    // The others are in pages that are free, whose bytes mean nothing.
    assert!(0 < found, "no flipped bit was found");
}

#[test]
fn a_torn_page_of_the_state_is_set_aside_and_the_source_fills_the_store() {
    let bench = Bench::new();
    let places = bench.places(2, 20);
    let found = places
        .iter()
        .filter(|at| {
            let page = **at / PAGE * PAGE;
            // Its second half was never written.
            let half = page + PAGE / 2..(page + PAGE).min(bench.spooled.len());
            bench.heals(&format!("page at {page}"), |bytes| bytes[half].fill(0))
        })
        .count();
    assert!(0 < found, "no torn page was found");
}

#[test]
fn a_cut_state_is_set_aside_and_the_source_fills_the_store() {
    let bench = Bench::new();
    let len = bench.spooled.len();
    for left in [1, 100, PAGE, len / 2, len - PAGE, len - 1] {
        assert!(
            bench.heals(&format!("cut to {left}"), |bytes| bytes.truncate(left)),
            "cut to {left}"
        );
    }
    bench.heals("emptied", Vec::clear);
}
