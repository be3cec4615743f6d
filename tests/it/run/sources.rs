//! Several sources at once, and what a source refuses.

use super::stage::PATIENCE;
use crate::live::published_trades::{Kind, World};
use crate::live::venue::{self, Faults};
use crate::simulate::proof::{Bars, bars, closed, hour};
use crate::simulate::stage::{self, Stage, play};
use crate::support::program::Program;
use crate::support::redis::RedisServer;
use barmill_sources::file::RecordingWriter;
use barmill_sources::simulate::{Recording, SimulatorSettings};
use barmill_sources::venue::{Venue, binance, coinbase, kraken};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const BOTH: [&Venue; 2] = [&binance::VENUE, &kraken::VENUE];

/// The bars of a replay of a venue's hour, and the venue that plays it.
async fn hours(program: &Program, venue: &'static Venue, redis: &RedisServer) -> (Bars, Stage) {
    let recording = Recording::new(venue, hour(venue)).unwrap();
    let truth = recording.trades().to_vec();
    let name = format!("{}.rec", venue.name);
    let mut writer = RecordingWriter::create(&program.folder().join(&name)).unwrap();
    writer.write(&truth).unwrap();
    writer.finish().unwrap();
    program.ok(&[
        "replay",
        &name,
        "--set",
        "bars.zone=UTC",
        "--sink",
        &redis.url(),
    ]);
    let speed = NonZeroU32::new(1_200_000);
    let settings = SimulatorSettings {
        speed,
        waits: true,
        ..SimulatorSettings::default()
    };
    (
        closed(bars(redis), truth[0].time),
        play(recording, settings).await,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn two_venues_in_one_run_give_the_bars_of_a_replay_of_both() {
    let (program, replayed, redis) = (Program::new(), RedisServer::start(), RedisServer::start());
    let mut expected = Bars::new();
    let mut line: Vec<String> = [
        "run",
        "--json",
        "--source",
        "binance,kraken",
        "--catch-up",
        "2h",
        "--sink",
    ]
    .map(str::to_owned)
    .into();
    line.extend([redis.url(), "--symbol".to_owned()]);
    let names = BOTH.map(|venue| {
        stage::names(venue)
            .map(|name| format!("{}:{name}", venue.name))
            .join(",")
    });
    line.push(names.join(","));
    let mut stages = Vec::new();
    for venue in BOTH {
        let (bars, stage) = hours(&program, venue, &replayed).await;
        expected.extend(bars);
        let name = venue.name;
        for setting in [
            format!("source.{name}.base_url={}", stage.history(venue).base_url),
            format!("source.{name}.ws_url={}", stage.live(venue).url),
            format!("source.{name}.requests_per_minute=10000000"),
        ] {
            line.extend(["--set".to_owned(), setting]);
        }
        stages.push(stage);
    }
    for setting in [
        "source.binance.trades=single",
        "live.gap_wait_ms=2",
        "live.gap_settle_ms=10",
    ] {
        line.extend(["--set".to_owned(), setting.to_owned()]);
    }
    assert!(
        expected.keys().any(|(key, _)| key.ends_with("AAA/USD")),
        "{expected:?}"
    );
    let running = program.start(&line.iter().map(String::as_str).collect::<Vec<_>>());
    let deadline = Instant::now() + PATIENCE;
    let differs = |found: &Bars| {
        expected
            .iter()
            .find(|(place, bar)| found.get(*place) != Some(*bar))
            .is_some()
    };
    while differs(&bars(&redis)) {
        let stats: Vec<_> = stages.iter().map(|stage| stage.view.stats()).collect();
        assert!(
            Instant::now() < deadline,
            "{} of {} bars; {stats:?}",
            bars(&redis).len(),
            expected.len()
        );
        sleep(Duration::from_millis(20)).await;
    }
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_person_can_lift_ends_the_run_with_one_connection_and_a_clear_line() {
    let cases = [
        (
            "auth_failed",
            "authentication failed",
            "venue refuses: auth_failed: authentication failed; check the key",
        ),
        (
            "auth_failed",
            "Your plan doesn't include websocket access.",
            "websocket access.; check the plan of the key",
        ),
        (
            "max_connections",
            "Maximum number of websocket connections exceeded",
            "connections exceeded; end the other connections of this key",
        ),
    ];
    for (status, message, told) in cases {
        let refusal = format!(r#"[{{"ev":"status","status":"{status}","message":"{message}"}}]"#);
        let faults = Faults {
            refusal: Some(refusal.leak()),
            ..Faults::default()
        };
        let venue = venue::start(Arc::clone(&World::new(Kind::Massive, 10)), faults, 1).await;
        let program = Program::new().env("MASSIVE_API_KEY", "canary-2f9c-key");
        let address = format!("source.massive.ws_url={}", venue.url);
        let line = [
            "run",
            "--source",
            "massive",
            "--symbol",
            "AAA",
            "--sink",
            "null:",
            "--catch-up",
            "none",
            // A connection too many may be a ghost, for which a run waits otherwise.
            "--set=live.connection_limit_wait_s=0",
        ];
        let ended = program.run(&[&line[..], &["--set", &address]].concat());
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(ended.err.contains(told), "{}", ended.err);
        assert!(!ended.err.contains("canary") && !ended.out.contains("canary"));
        assert_eq!(venue.connections.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn symbol_that_the_venue_does_not_list_is_told_at_the_start_with_the_nearest() {
    for (venue, wrong, nearest) in [
        (&binance::VENUE, "AAAUSTD", "AAAUSDT"),
        (&binance::VENUE, "aaausdt", "AAAUSDT"),
        (&coinbase::VENUE, "AAB-USD", "AAA-USD"),
        (&kraken::VENUE, "AA/USD", "AAA/USD"),
    ] {
        let recording = Recording::new(venue, hour(venue)).unwrap();
        let stage = play(recording, SimulatorSettings::default()).await;
        let (program, name) = (Program::new(), venue.name);
        let settings = [
            format!(
                "--set=source.{name}.base_url={}",
                stage.history(venue).base_url
            ),
            // Nothing listens there: the list alone tells.
            format!("--set=source.{name}.ws_url=ws://127.0.0.1:1"),
        ];
        let line = ["run", "--source", name, "--symbol", wrong, "--sink=null:"];
        let line: Vec<&str> = line
            .into_iter()
            .chain(settings.iter().map(String::as_str))
            .collect();
        let ended = tokio::task::spawn_blocking({
            let line: Vec<String> = line.iter().map(ToString::to_string).collect();
            move || program.run(&line.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let ended = ended.await.unwrap();
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        let told = format!("{name} does not list the symbol {wrong}, did you mean {nearest}?");
        assert!(ended.err.contains(&told), "{}", ended.err);
    }
}

#[test]
fn symbols_that_do_not_fit_their_sources_are_told_with_the_usage_code() {
    let program = Program::new();
    let cases = [
        ("--source binance", "source binance has no symbol"),
        (
            "--source binance,kraken --symbol A",
            "symbol \"A\" has no source",
        ),
        (
            "--source binance,massive --symbol binance:A,massive:B",
            "markets with different zones",
        ),
        ("--symbol A", "no source is named"),
    ];
    for (line, told) in cases {
        let line: Vec<&str> = std::iter::once("run")
            .chain(line.split(' '))
            .chain(["--sink", "null:"])
            .collect();
        let ended = program.run(&line);
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(told), "{}", ended.err);
    }
}
