//! What happens between the file and the store, in memory: aggregation, and the hop between two actors.

use super::Line;
use barmill::{BarUpdate, Trade};
use barmill_core::engine::aggregate::{Aggregator, AggregatorSettings};
use barmill_sources::file::{FileFeedSettings, TradeReader};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

/// Trades that are kept in memory: no more than the caches of a large machine hold twice.
const TRADES_MAX: usize = 2_000_000;
const BATCH_LEN: usize = 4_096;
/// As `[replay] queue_len_max`.
const QUEUE_LEN: usize = 8;

fn trades(path: &str) -> Vec<Trade> {
    let mut reader = TradeReader::new(FileFeedSettings::new(vec![Path::new(path).to_owned()]));
    let (mut trades, mut batch) = (Vec::with_capacity(TRADES_MAX + BATCH_LEN), Vec::new());
    while trades.len() < TRADES_MAX && reader.fill(&mut batch).expect("a readable file") {
        trades.append(&mut batch);
    }
    trades
}

/// The full engine with the settings of a replay: two seconds of lateness, revisions for a quarter of an hour.
pub(super) fn aggregate(path: &str) -> Line {
    let trades = trades(path);
    let settings = AggregatorSettings {
        lateness_ns: 2_000_000_000,
        revise_within_ns: 900_000_000_000,
        ..AggregatorSettings::new(vec![barmill::BarSpec::MINUTE])
    };
    let mut out: Vec<BarUpdate> = Vec::new();
    let mut aggregator = Aggregator::new(settings);
    let mut bars = 0;
    let start = Instant::now();
    for batch in trades.chunks(BATCH_LEN) {
        aggregator.push(black_box(batch), &mut out);
        bars += out.len();
        out.clear();
    }
    aggregator.finish(&mut out);
    let ns = start.elapsed().as_nanos();
    Line {
        ns,
        items: trades.len(),
        rest: format!(",\"bars\":{}", bars + out.len()),
    }
}

fn sample() -> Trade {
    Trade {
        symbol: "HOP".parse().expect("a symbol"),
        time: barmill::Timestamp::EPOCH,
        sequence: 0,
        id: barmill::TradeId::NONE,
        price: barmill::Price::ZERO,
        size: barmill::Size::ZERO,
        conditions: barmill::Conditions::NONE,
        venue: 0,
        correction: 0,
        side: barmill::Side::Unknown,
        sequenced: true,
    }
}

/// Sends everything through one channel, from one task to another on two threads.
fn through<T: Send + 'static>(
    count: usize,
    len: usize,
    make: impl Fn() -> T + Send + 'static,
) -> Duration {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (sender, mut inbox) = mpsc::channel::<T>(len);
        let start = Instant::now();
        let sending = async move {
            for _ in 0..count {
                sender.send(make()).await.ok();
            }
        };
        let receiving = async move {
            while let Some(item) = inbox.recv().await {
                black_box(&item);
            }
        };
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(sending);
        tasks.spawn(receiving);
        tasks.join_all().await;
        start.elapsed()
    })
}

/// Batches of trades, made and dropped on the way as in the pipeline.
pub(super) fn hop() -> Line {
    let trade = sample();
    let count = 2_000;
    let took = through(count, QUEUE_LEN, move || vec![trade; BATCH_LEN]);
    Line {
        ns: took.as_nanos(),
        items: count * BATCH_LEN,
        rest: String::new(),
    }
}

/// The same trades one by one.
pub(super) fn hop_single() -> Line {
    let trade = sample();
    let count = 1_000_000;
    let took = through(count, 1_024, move || trade);
    Line {
        ns: took.as_nanos(),
        items: count,
        rest: String::new(),
    }
}
