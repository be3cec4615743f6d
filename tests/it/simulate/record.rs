//! Live trades kept as recordings: whole under faults, and readable after `kill -9`.

use crate::simulate::stage::{self, Stage, play, trades};
use crate::support::program::{Program, Running};
use crate::support::venue::client_settings;
use barmill::{Symbol, Trade};
use barmill_sources::file::{FileFeedSettings, TradeReader};
use barmill_sources::simulate::{Fault, Recording, SimulatorSettings};
use barmill_sources::venue::{Venue, binance, coinbase, kraken};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SPAN_NS: i64 = 1_200_000_000_000;
const PATIENCE: Duration = Duration::from_mins(2);

async fn stage(venue: &'static Venue, faults: &[&str]) -> (Stage, Vec<Trade>) {
    let recording = Recording::new(venue, trades(venue, 3_000, SPAN_NS, 9)).unwrap();
    let truth = recording.trades().to_vec();
    let settings = SimulatorSettings {
        speed: NonZeroU32::new(240_000),
        waits: true,
        faults: faults
            .iter()
            .map(|text| text.parse::<Fault>().unwrap())
            .collect(),
        ..SimulatorSettings::default()
    };
    (play(recording, settings).await, truth)
}

fn start(program: &Program, venue: &'static Venue, stage: &Stage) -> Running {
    let name = venue.name;
    let symbols = stage::names(venue).join(",");
    let settings = [
        format!("source.{name}.base_url={}", stage.history(venue).base_url),
        format!("source.{name}.ws_url={}", stage.live(venue).url),
        format!("source.{name}.requests_per_minute=10000000"),
        "live.backoff_ms=1".to_owned(),
        "live.backoff_max_ms=8".to_owned(),
        "live.gap_wait_ms=2".to_owned(),
        "live.gap_settle_ms=10".to_owned(),
        "live.gap_backoff_ms=2".to_owned(),
        "live.gap_attempts_max=500".to_owned(),
        "live.stall_ms=150".to_owned(),
        "log.level=error".to_owned(),
    ];
    let line = [
        "record", "--live", "--source", name, "--symbol", &symbols, "--out", "book", "--json",
    ];
    let own = client_settings(venue).into_iter();
    let own = own.map(|(key, value)| format!("source.{name}.{key}={value}"));
    let settings: Vec<String> = settings.into_iter().chain(own).collect();
    let settings = settings
        .iter()
        .flat_map(|setting| ["--set", setting.as_str()]);
    program.start(&line.into_iter().chain(settings).collect::<Vec<_>>())
}

/// The trades of all recordings, by symbol, in the order in which they were written.
fn recorded(program: &Program) -> BTreeMap<Symbol, Vec<Trade>> {
    let folder = std::fs::read_dir(program.folder().join("book"))
        .into_iter()
        .flatten();
    let mut files: Vec<PathBuf> = folder.map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut found: BTreeMap<Symbol, Vec<Trade>> = BTreeMap::new();
    if !files.is_empty() {
        for batch in TradeReader::new(FileFeedSettings::new(files)) {
            for trade in batch.unwrap_or_default() {
                found.entry(trade.symbol).or_default().push(trade);
            }
        }
    }
    found
}

fn len(trades: &BTreeMap<Symbol, Vec<Trade>>) -> usize {
    trades.values().map(Vec::len).sum()
}

async fn wait(program: &Program, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while len(&recorded(program)) < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} trades",
            len(&recorded(program))
        );
        sleep(Duration::from_millis(20)).await;
    }
}

fn numbers(trades: &[Trade]) -> Vec<u64> {
    trades.iter().map(|trade| trade.id.raw()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn live_trades_under_faults_are_recorded_once_and_whole() {
    for venue in [&kraken::VENUE, &coinbase::VENUE] {
        let faults = ["disconnect=30s", "duplicate=20", "error=20", "stall=6m"];
        let (stage, truth) = stage(venue, &faults).await;
        let program = Program::new();
        let running = start(&program, venue, &stage);
        wait(&program, truth.len()).await;
        running.signal("TERM");
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_eq!(ended.json()["trades"], truth.len(), "{venue}");
        for (symbol, found) in recorded(&program) {
            let wanted: Vec<u64> = truth
                .iter()
                .filter(|trade| trade.symbol == symbol)
                .map(|trade| trade.id.raw())
                .collect();
            assert_eq!(numbers(&found), wanted, "{venue} {symbol}");
        }
        assert!(stage.view.stats().broken > 5, "{venue}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_recording_is_read_up_to_its_last_block_and_gone_on_with() {
    let (stage, truth) = stage(&binance::VENUE, &["disconnect=60s"]).await;
    let program = Program::new();
    let running = start(&program, &binance::VENUE, &stage);
    wait(&program, truth.len() / 4).await;
    running.signal("KILL");
    assert_eq!(running.wait().code, None);
    let before = recorded(&program);
    let running = start(&program, &binance::VENUE, &stage);
    wait(&program, len(&before) + 100).await;
    running.signal("TERM");
    assert_eq!(running.wait().code, Some(0));
    for (symbol, found) in recorded(&program) {
        let (kept, numbers) = (&before[&symbol], numbers(&found));
        assert_eq!(found[..kept.len()], kept[..], "{symbol}");
        assert!(
            numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] != pair[1]),
            "{symbol}"
        );
    }
}
