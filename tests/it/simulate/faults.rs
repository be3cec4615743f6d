//! Each fault that the hours of the suite do not meet, heard by a real feed that misses nothing all the same.

use crate::simulate::stage::{Stage, dawn, play, trades};
use barmill::internals::pipeline::clock::SystemClock;
use barmill::{Price, TradeId, TradeKey};
use barmill_core::port::TradeFeed;
use barmill_sources::history::HistorySource;
use barmill_sources::live::{LiveFeed, LiveParts, LiveStats, LiveSymbol, LiveSymbols};
use barmill_sources::simulate::{Fault, Recording, SimulatorSettings};
use barmill_sources::venue::{Venue, alpaca, binance, coinbase, kraken, massive};
use std::collections::BTreeSet;
use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const LEN: usize = 3_000;
const MS: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_mins(2);

/// Twenty minutes of a venue, played as many thousand times faster as is said.
async fn stage(venue: &'static Venue, fault: &str, thousands: u32) -> (Stage, Recording) {
    let recording =
        || Recording::new(venue, trades(venue, LEN as u64, 1_200_000_000_000, 4)).unwrap();
    let settings = SimulatorSettings {
        speed: NonZeroU32::new(thousands * 1_000_000),
        waits: true,
        faults: vec![fault.parse::<Fault>().unwrap()],
        ..SimulatorSettings::default()
    };
    (play(recording(), settings).await, recording())
}

/// A feed of everything from the start on, with short waits.
fn feed(stage: &Stage, recording: &Recording) -> LiveFeed {
    let venue = recording.venue();
    let start = TradeKey {
        time: dawn(),
        sequence: 0,
        id: TradeId::NONE,
        price: Price::ZERO,
    };
    let symbols = recording
        .symbols()
        .iter()
        .map(|&symbol| LiveSymbol {
            symbol,
            after: Some(start),
        })
        .collect();
    let mut settings = stage.live(venue);
    let times = &mut settings.times;
    (times.backoff_base, times.backoff_max) = (MS, 8 * MS);
    (times.silence_max, times.ping_every) = (200 * MS, 50 * MS);
    times.limit_wait = 200 * MS;
    let gaps = &mut settings.gaps;
    (gaps.wait, gaps.settle, gaps.backoff, gaps.attempts_max) = (2 * MS, 10 * MS, 2 * MS, 500);
    let archive = Arc::new(HistorySource::new(&stage.history(venue)).unwrap());
    let parts = LiveParts {
        clock: Arc::new(SystemClock),
        archive,
        tap: None,
    };
    LiveFeed::new(settings, &LiveSymbols::Named(symbols), parts).unwrap()
}

/// Hears every trade of the recording once.
async fn hear(feed: &mut LiveFeed, recording: &Recording) -> LiveStats {
    let identity = |trade: &barmill::Trade| {
        (
            trade.symbol.as_str(),
            trade.id.raw(),
            trade.price,
            trade.size,
        )
    };
    let (mut heard, deadline) = (BTreeSet::new(), Instant::now() + PATIENCE);
    while heard.len() < LEN {
        let batch = tokio::time::timeout_at(deadline, feed.next_batch()).await;
        let batch =
            batch.unwrap_or_else(|_| panic!("{} heard; {:?}", heard.len(), feed.live_stats()()));
        for trade in batch.unwrap().unwrap().trades {
            assert!(heard.insert(identity(&trade)), "{trade:?} came twice");
        }
    }
    assert_eq!(heard, recording.trades().iter().map(identity).collect());
    feed.live_stats()()
}

#[tokio::test(flavor = "multi_thread")]
async fn trades_a_second_late_come_in_their_place() {
    let (stage, recording) = stage(&kraken::VENUE, "late=30", 1).await;
    let stats = hear(&mut feed(&stage, &recording), &recording).await;
    let twisted = stage.view.stats().twisted;
    assert!(twisted > 50 && stats.gaps.opened > 0, "{twisted} {stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connection_is_given_up_and_what_it_kept_is_fetched() {
    let (stage, recording) = stage(&massive::VENUE, "silence=8m", 1).await;
    let stats = hear(&mut feed(&stage, &recording), &recording).await;
    assert!(stats.stalls > 0 && stats.gaps.fetched > 0, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_is_behind_is_cut_off_and_fetches_the_rest() {
    // All of it happens at once, which nobody can follow.
    let (stage, recording) = stage(&binance::VENUE, "slow=500", 1_000).await;
    let stats = hear(&mut feed(&stage, &recording), &recording).await;
    assert!(stats.disconnects > 0 && stats.gaps.fetched > 0, "{stats:?}");
    assert!(stage.view.stats().broken > 0, "{:?}", stage.view.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_takes_its_time_is_waited_for() {
    let (stage, recording) = stage(&coinbase::VENUE, "delay=100ms", 1).await;
    let start = Instant::now();
    let stats = hear(&mut feed(&stage, &recording), &recording).await;
    assert!(
        stats.requests > 0 && 100 * MS < start.elapsed(),
        "{stats:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn first_key_is_refused_and_the_next_one_is_not() {
    let (stage, recording) = stage(&massive::VENUE, "auth=1", 1).await;
    assert_eq!(
        refused(&stage, &recording).await,
        "auth_failed: authentication failed; check the key"
    );
    hear(&mut feed(&stage, &recording), &recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_more_than_the_limit_is_refused_in_the_venues_words() {
    let (stage, recording) = stage(&alpaca::VENUE, "limit=1", 1).await;
    let mut first = feed(&stage, &recording);
    first.next_batch().await.unwrap();
    assert_eq!(
        refused(&stage, &recording).await,
        "406 connection limit exceeded; end the other connections of this key"
    );
}

/// What ends a feed.
async fn refused(stage: &Stage, recording: &Recording) -> String {
    let error = feed(stage, recording).next_batch().await.unwrap_err();
    let text = error.source().unwrap().to_string();
    text.strip_prefix("venue refuses: ")
        .unwrap_or(&text)
        .to_owned()
}
