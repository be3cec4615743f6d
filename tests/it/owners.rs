//! One pipeline never writes among the bars of another: of other rules, hours, zone, source or namespace.

use crate::support::dump::dump;
use crate::support::program::{Ended, Program};
use crate::support::redis::RedisServer;
use crate::support::trades::{MadeDay, Order};
use crate::support::upstash::{TOKEN, UpstashServer};

const DAY: MadeDay = MadeDay {
    trades: 400,
    symbols: 2,
    minutes: 5,
    seed: 11,
    order: Order::Time,
};

fn program() -> Program {
    let program = Program::new();
    program.file("day.csv", DAY.massive_csv());
    program
}

fn replay(program: &Program, more: &[&str]) -> Ended {
    program.run(&[&["replay", "day.csv", "--json"], more].concat())
}

/// Runs that must not write to what `replay day.csv` has written, and what the error says of each.
const OTHERS: [(&[&str], &str); 4] = [
    (
        &["--rules=massive-minute"],
        "a pipeline of rules all, this one is of rules massive-minute",
    ),
    (
        &["--session=pre"],
        "a pipeline of session all-hours, this one is of session pre",
    ),
    (
        &["--set=bars.zone=America/Chicago"],
        "a pipeline of zone America/New_York, this one is of zone America/Chicago",
    ),
    (
        &["--set=bars.fill=previous-close"],
        "a pipeline of rules all, this one is of rules all filled",
    ),
];

#[test]
fn another_pipeline_is_refused_by_name_before_it_writes_in_every_view() {
    let redis = RedisServer::start();
    let url = redis.url();
    for view in ["symbol-day", "minute", "key-per-bar"] {
        let program = program();
        let view_flag = format!("--set=view.kind={view}");
        let own = ["--sink", &url, &view_flag];
        assert_eq!(replay(&program, &own).code, Some(0), "{view}");
        let before = dump(&redis);
        for (more, words) in OTHERS {
            // Dates stand in other keys there.
            if view == "minute" && words.contains("Chicago") {
                continue;
            }
            let ended = replay(&program, &[&own[..], more].concat());
            assert_eq!(ended.code, Some(2), "{view} {more:?}: {ended:?}");
            assert!(
                ended.err.contains(words) && ended.err.contains("2025-10-15"),
                "{view} {more:?}: {}",
                ended.err
            );
            assert_eq!(dump(&redis), before, "{view} {more:?}");
            let held = program.ok(&["spool", "ls"]);
            assert!(held.contains("spool: 0 items"), "{view}: {held}");
        }
        let again = replay(&program, &own);
        assert_eq!((again.code, dump(&redis)), (Some(0), before), "{view}");
        let taken = replay(
            &program,
            &[&own[..], &["--rules=massive-minute", "--take-over"]].concat(),
        );
        assert_eq!(taken.code, Some(0), "{view}: {taken:?}");
        assert_eq!(replay(&program, &own).code, Some(2), "{view}");
        redis.command(&["FLUSHALL"]);
    }
}

#[test]
fn a_template_of_ones_own_does_not_let_two_namespaces_write_to_one_key() {
    let (redis, program) = (RedisServer::start(), program());
    let url = redis.url();
    let of = |namespace: &str, key: &str| {
        let (namespace, key) = (
            format!("--set=view.namespace={namespace}"),
            format!("--set=view.key={key}"),
        );
        replay(&program, &["--sink", &url, &namespace, &key])
    };
    let shared = "mine:{spec}:{date}:{symbol}";
    assert_eq!(of("one", shared).code, Some(0));
    let ended = of("two", shared);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let words = "a pipeline of namespace one, this one is of namespace two";
    assert!(ended.err.contains(words), "{}", ended.err);
    let apart = "mine:{namespace}:{spec}:{date}:{symbol}";
    assert_eq!(of("two", apart).code, Some(0));
    // What is written before the claim of a symbol is known is not of it.
    let other = MadeDay { symbols: 1, ..DAY };
    program.file("other.csv", other.massive_csv().replace("AAPL", "AMD"));
    let namespace = "--set=view.namespace=two";
    let key = format!("--set=view.key={shared}");
    let ended = program.run(&["replay", "other.csv", "--sink", &url, namespace, &key]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn the_folder_and_upstash_refuse_as_redis_does() {
    let redis = RedisServer::start();
    let program = program().env("UPSTASH_REDIS_REST_TOKEN", TOKEN);
    let server = UpstashServer::start(&redis);
    let upstash = server.url();
    let stores: [&[&str]; 2] = [&[], &["--sink", &upstash]];
    for store in stores {
        let run = |more: &[&str]| {
            let all = [&["replay", "day.csv", "--json"], store, more].concat();
            program.run(&all)
        };
        assert_eq!(run(&[]).code, Some(0));
        let ended = run(&["--rules=massive-minute"]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains("this one is of rules massive-minute"));
        assert_eq!(
            run(&["--rules=massive-minute", "--take-over"]).code,
            Some(0)
        );
    }
}

#[test]
fn the_record_outlives_the_bars_and_ends_with_them() {
    let (redis, program) = (RedisServer::start(), program());
    let url = redis.url();
    let ended = replay(&program, &["--sink", &url, "--set=view.ttl_s=100"]);
    assert_eq!(ended.code, Some(0));
    let record = "owner:1m:2025-10-15:bars:{spec}:{date}:{symbol}";
    let redis::Value::Int(ttl) = redis.command(&["TTL", record]) else {
        panic!("no number")
    };
    assert!((140..=150).contains(&ttl), "{ttl}");
    let ended = replay(
        &program,
        &["--sink", &url, "--set=view.ttl_s=0", "--bars=5m"],
    );
    assert_eq!(ended.code, Some(0));
    let record = "owner:5m:2025-10-15:bars:{spec}:{date}:{symbol}";
    assert_eq!(redis.command(&["TTL", record]), redis::Value::Int(-1));
}

#[test]
fn a_daemon_is_refused_at_its_start_before_it_asks_the_venue() {
    let (redis, program) = (RedisServer::start(), Program::new());
    let today = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    // Midnight may come between.
    for date in [today, today.tomorrow().expect("a day")] {
        let record = format!("owner:1m:{date}:bars:{{spec}}:{{date}}:{{symbol}}");
        let other = "namespace barmill; source binance trades; rules all; zone UTC";
        redis.command(&["HSET", &record, "BTC/USD", other]);
    }
    let url = redis.url();
    // Nothing listens there.
    let nowhere = [
        "--set=source.kraken.base_url=http://127.0.0.1:1",
        "--set=source.kraken.ws_url=ws://127.0.0.1:1",
    ];
    let run = ["run", "--source=kraken", "--symbol=BTC/USD", "--sink", &url];
    let ended = program.run(&[&run[..], &nowhere].concat());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let words = "a pipeline of source binance trades, this one is of source kraken";
    assert!(ended.err.contains(words), "{}", ended.err);
}

#[test]
fn a_second_daemon_in_one_folder_is_refused_at_its_start() {
    let program = Program::new();
    let run = [
        "run",
        "--source=kraken",
        "--symbol=BTC/USD",
        "--set=source.kraken.base_url=http://127.0.0.1:1",
        "--set=source.kraken.ws_url=ws://127.0.0.1:1",
    ];
    let store = |name: &str| format!("--sink=embedded:{name}");
    let mut first =
        program.start(&[&run[..], &[&store("one"), "--set=run.state_dir=state"]].concat());
    first.err_line("live feed starts");
    let ended = program.run(&[&run[..], &[&store("two"), "--set=run.state_dir=state"]].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("is in use by another barmill"),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains("live feed starts"), "{}", ended.err);
    first.signal("TERM");
    first.wait();
}
