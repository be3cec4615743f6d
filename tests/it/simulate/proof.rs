//! An hour of one venue, the bars that a replay makes of it, and the daemon that is to make the same ones live.

use crate::simulate::stage::{self, Stage, play};
use crate::support::dump::{dump, is_manifest};
use crate::support::program::{Program, Running};
use crate::support::redis::RedisServer;
use crate::support::venue::client_settings;
use barmill::internals::pipeline::clock::SystemClock;
use barmill::{Timestamp, Trade, TradeId};
use barmill_core::port::Clock;
use barmill_sources::file::RecordingWriter;
use barmill_sources::simulate::{Fault, Numbering, Recording, SimulatorSettings};
use barmill_sources::venue::Venue;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MINUTE_NS: i64 = 60_000_000_000;
const HOUR_NS: i64 = 60 * MINUTE_NS;
/// Trades of the hour.
const LEN: u64 = 9_000;
/// Times the speed of the clock: the hour takes fifteen seconds.
const SPEED: u32 = 240;
/// How long the bars may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// What every venue can be asked to bear: a break every 50 ms of the wall clock, and so on.
const FAULTS: [&str; 9] = [
    "disconnect=12s",
    "duplicate=20",
    "reorder=25",
    "stall=4m",
    "garbage=500",
    "refuse=15",
    "error=25",
    "cut=25",
    "lag=2s",
];
/// Too many requests; where the venue then asks for a pause, it is one of the wall clock.
const TOO_MANY: [&str; 2] = ["429=25", "429=200"];
/// Lost messages are noticed where identities are contiguous.
const LOSS: &str = "drop=60";

/// The daemon's waits, as much shorter as the hour is. Eight trades of it, by which one comes late, are many seconds.
const BRISK: [&str; 12] = [
    "live.overlap_ms=60000",
    "live.backoff_ms=1",
    "live.backoff_max_ms=8",
    "live.gap_wait_ms=2",
    "live.gap_settle_ms=10",
    "live.gap_backoff_ms=2",
    "live.gap_attempts_max=500",
    "live.stall_ms=150",
    "live.stall_max_ms=600",
    "writer.linger_ms=5",
    "writer.backoff_ms=5",
    "writer.backoff_max_ms=50",
];

/// Between two looks at a store or a venue.
const PAUSE: Duration = Duration::from_millis(20);

/// The bars of a store by key and field.
pub(crate) type Bars = BTreeMap<(String, String), String>;

#[expect(
    clippy::disallowed_methods,
    reason = "only another test run is asked for"
)]
pub(crate) fn seed() -> u64 {
    std::env::var("BARMILL_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}

/// A venue's hour, what a replay makes of it, and the venue itself.
pub(crate) struct Proof {
    pub(crate) venue: &'static Venue,
    pub(crate) program: Program,
    pub(crate) stage: Stage,
    pub(crate) expected: Bars,
    start: Timestamp,
    pub(crate) len: u64,
}

/// The hour that ended some minutes ago, and two trades of each symbol behind it that close its bars.
pub(crate) fn hour(venue: &'static Venue) -> Vec<Trade> {
    let start = SystemClock.now().saturating_sub(70 * MINUTE_NS);
    let start = Timestamp::from_nanos(start.as_nanos() / MINUTE_NS * MINUTE_NS).unwrap();
    let mut trades = stage::trades(venue, LEN, HOUR_NS, seed());
    let shift = start.since(stage::dawn());
    let mut last: BTreeMap<&str, Trade> = BTreeMap::new();
    for trade in &mut trades {
        trade.time = trade.time.saturating_add(shift);
    }
    let end = start.saturating_add(HOUR_NS);
    trades.retain(|trade| trade.time < end);
    for trade in &trades {
        last.insert(trade.symbol.as_str(), *trade);
    }
    for minute in [63, 65] {
        for trade in last.values_mut() {
            trade.time = start.saturating_add(minute * MINUTE_NS);
            trade.sequence += 1;
            trade.id = TradeId::from_number(trade.sequence);
            trades.push(*trade);
        }
    }
    trades
}

/// What decides the bars, the same for the replay and the daemon.
fn rules(venue: &Venue) -> [&'static str; 2] {
    let is_us_equity = venue.is_us_equity();
    [
        venue.rules,
        if is_us_equity {
            "America/New_York"
        } else {
            "UTC"
        },
    ]
}

impl Proof {
    pub(crate) async fn new(venue: &'static Venue) -> Proof {
        let recording = Recording::new(venue, hour(venue)).unwrap();
        let (len, truth) = (recording.len() as u64, recording.trades().to_vec());
        // A log that nobody reads while it grows must stay short.
        let log = ("BARMILL_LOG", "error,barmill::pipeline::write=info");
        let keys = venue.secrets.iter().map(|one| (one.variable, "live-key"));
        let program = [log].into_iter().chain(keys);
        let program = program.fold(Program::new(), |program, (name, value)| {
            program.env(name, value)
        });
        let mut writer = RecordingWriter::create(&program.folder().join("truth.rec")).unwrap();
        writer.write(&truth).unwrap();
        writer.finish().unwrap();
        let redis = RedisServer::start();
        let [rules, zone] = rules(venue);
        program.ok(&[
            "replay",
            "truth.rec",
            "--rules",
            rules,
            "--set",
            &format!("bars.zone={zone}"),
            "--bars",
            "1m,5m",
            "--sink",
            &redis.url(),
            "--set",
            "run.state_dir=replay",
        ]);
        let start = truth[0].time;
        let expected = closed(bars(&redis), start);
        assert!(expected.len() > 3 * 60, "{}", expected.len());
        let is_contiguous = venue.simulation.numbering == Numbering::Contiguous;
        let loss = is_contiguous.then_some(LOSS);
        let too_many = TOO_MANY[usize::from(venue.name == "binance")];
        let faults = FAULTS.iter().chain(&loss).chain([&too_many]);
        let settings = SimulatorSettings {
            speed: NonZeroU32::new(SPEED * 1_000),
            waits: true,
            faults: faults
                .map(|text| Fault::or_seed(text, seed()).unwrap())
                .collect(),
            ..SimulatorSettings::default()
        };
        let stage = play(recording, settings).await;
        Proof {
            venue,
            program,
            stage,
            expected,
            start,
            len,
        }
    }

    /// Starts the daemon with short waits.
    pub(crate) fn start(&self, sink: &str, more: &[&str]) -> Running {
        let name = self.venue.name;
        let (socket, archive) = (
            self.stage.live(self.venue).url,
            self.stage.history(self.venue).base_url,
        );
        let symbols = stage::names(self.venue).join(",");
        let line = [
            "--source",
            name,
            "--symbol",
            &symbols,
            "--catch-up",
            "2h",
            "--bars",
            "1m,5m",
            "--sink",
            sink,
        ];
        let mut settings = vec![
            format!("source.{name}.base_url={archive}"),
            format!("source.{name}.ws_url={socket}"),
            format!("source.{name}.requests_per_minute=10000000"),
            format!("source.{name}.backoff_ms=1"),
        ];
        let own = client_settings(self.venue).into_iter();
        settings.extend(own.map(|(key, value)| format!("source.{name}.{key}={value}")));
        settings.extend(BRISK.iter().chain(more).map(|&text| text.to_owned()));
        let settings = settings
            .iter()
            .flat_map(|setting| ["--set", setting.as_str()]);
        let line: Vec<&str> = ["run", "--json"]
            .into_iter()
            .chain(line)
            .chain(settings)
            .collect();
        self.program.start(&line)
    }

    /// Waits until the store holds what a replay left; the panic says what differs.
    pub(crate) async fn wait(&self, redis: &RedisServer) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(difference) = self.difference(redis) {
            assert!(
                Instant::now() < deadline,
                "{}: {difference}; {:?}",
                self.venue,
                self.stage.view.stats()
            );
            sleep(PAUSE).await;
        }
    }

    /// Waits until a part of the hour has happened, in thousandths.
    pub(crate) async fn played(&self, thousandths: u64) {
        while self.stage.view.stats().published * 1_000 < self.len * thousandths {
            sleep(PAUSE).await;
        }
    }

    /// A bar that the store holds and no replay makes, of those that are closed.
    pub(crate) fn stray(&self, redis: &RedisServer) -> Option<String> {
        let found = bars(redis);
        let is_stray = |(place, value): &(&(String, String), &String)| {
            self.expected
                .get(*place)
                .is_some_and(|expected| expected != *value)
        };
        found
            .iter()
            .find(is_stray)
            .map(|stray| format!("{stray:?}, not {:?}", self.expected.get(stray.0)))
    }

    /// The first bars of the hour that differ from the replay's, are missing, or are none of its.
    pub(crate) fn difference(&self, redis: &RedisServer) -> Option<String> {
        let found = closed(bars(redis), self.start);
        let differs = |place: &&(String, String)| found.get(*place) != self.expected.get(*place);
        let places: BTreeSet<_> = self
            .expected
            .keys()
            .chain(found.keys())
            .filter(differs)
            .collect();
        let first = *places.first()?;
        let (wanted, got) = (self.expected.get(first), found.get(first));
        Some(format!(
            "{} of {} bars differ, first {first:?}: wanted {wanted:?}, found {got:?}",
            places.len(),
            self.expected.len()
        ))
    }
}

/// The bars of the store, without what a revision may change: its number and the name of its state.
pub(crate) fn bars(redis: &RedisServer) -> Bars {
    let mut found = dump(redis);
    found.retain(|(key, _), _| !is_manifest(key));
    for value in found.values_mut() {
        let (head, rest) = value.split_once("\"state\":").unwrap();
        let (_, tail) = rest.split_once("\"flags\":").unwrap();
        *value = format!("{head}\"flags\":{tail}");
    }
    found
}

/// The bars of the hour itself, which begins with the minute of its first trade.
pub(crate) fn closed(mut bars: Bars, start: Timestamp) -> Bars {
    let end = start.as_nanos() / MINUTE_NS * MINUTE_NS + HOUR_NS;
    bars.retain(|_, value| {
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        value["timestamp"].as_i64().unwrap() * 1_000_000 + 5 * MINUTE_NS <= end
    });
    bars
}
