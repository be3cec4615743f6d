//! Live bars inside another program: a venue's trades in, each bar as soon as the store has it, the gaps of a lost
//! connection closed on the way.
//!
//! `cargo run --example live` needs no account: the venue is a recording, played on this machine at two hundred times its
//! speed, that breaks the connection every few minutes. For the real one leave out `base_url` and `url`, and give a key.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use barmill::internals::pipeline::clock::SystemClock;
use barmill::{BarUpdate, Pipeline, Price, TradeId, TradeKey};
use barmill_core::engine::rules::Rules;
use barmill_sources::file::{FileFeedSettings, TradeReader};
use barmill_sources::history::{HistorySettings, HistorySource};
use barmill_sources::live::{LiveFeed, LiveParts, LiveSettings, LiveSymbol, LiveSymbols};
use barmill_sources::simulate::{Simulator, SimulatorSettings, Tape, Venue};
use barmill_stores::store::NullSink;
use futures::StreamExt;
use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

const RECORDING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/sample-trades.csv"
);
/// The venue's clock, in thousandths of the wall clock's speed.
const SPEED: NonZeroU32 = NonZeroU32::new(200_000).unwrap();

/// Stands for the venue: the recording as its history and its socket.
async fn venue() -> Result<(Simulator, Vec<LiveSymbol>), Box<dyn Error>> {
    let mut trades = Vec::new();
    for batch in TradeReader::new(FileFeedSettings::new(vec![RECORDING.into()])) {
        trades.extend(batch?);
    }
    let tape = Tape::new(Venue::Massive, trades)?;
    // Nothing may be missed from here on; `None` would begin with whatever comes first.
    let start = TradeKey {
        time: tape.span().0,
        sequence: 0,
        id: TradeId::NONE,
        price: Price::ZERO,
    };
    let symbols = tape
        .symbols()
        .map(|symbol| LiveSymbol {
            symbol,
            after: Some(start),
        })
        .collect();
    let settings = SimulatorSettings {
        speed: Some(SPEED),
        waits: true,
        faults: vec!["disconnect=4m".parse()?],
        ..SimulatorSettings::default()
    };
    Ok((
        Simulator::bind("127.0.0.1:0".parse()?, tape, settings).await?,
        symbols,
    ))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (simulator, symbols) = venue().await?;
    let address = simulator.address();
    let key = "any text will do here";

    let mut history = HistorySettings::massive(Some(key.into()));
    history.base_url = format!("http://{address}");
    let mut live = LiveSettings::massive(key.into());
    live.url = format!("ws://{address}/stocks");
    // A few minutes of this venue are a second of ours.
    live.gaps.settle = Duration::from_millis(100);
    live.times.backoff_base = Duration::from_millis(20);
    let parts = LiveParts {
        clock: Arc::new(SystemClock),
        archive: Arc::new(HistorySource::new(&history)?),
        tap: None,
    };
    let feed = LiveFeed::new(live, &LiveSymbols::Named(symbols), parts)?;
    let feed_stats = feed.live_stats();

    // A store of this program's own, or Redis by `barmill_stores::store::connect`, goes in the place of the counter.
    let running = Pipeline::builder()
        .feed(feed)
        .bars("1m")?
        .zone("America/New_York")?
        .rules(Rules::by_name("massive-minute")?)
        .lateness(Duration::from_secs(2))
        .settings(|settings| settings.writer.delivery.batch.eager = true)
        .sink(NullSink::default())
        .build()?
        .start();

    let handle = running.handle();
    let mut bars = std::pin::pin!(handle.bars());
    let listening = async {
        let mut closed = 0;
        while let Some(update) = bars.next().await {
            match update {
                Ok(BarUpdate { bar, state, .. }) => {
                    println!(
                        "{} {} {} {:?}",
                        bar.start,
                        bar.symbol,
                        state.as_str(),
                        bar.prices
                    );
                }
                Err(missed) => println!("missed {missed} updates"),
            }
            closed += 1;
            if closed == 50 {
                handle.stop();
            }
        }
    };
    let finished = tokio::select! {
        (finished, ()) = futures::future::join(running.join(), listening) => finished,
        _ = simulator.run() => unreachable!("the venue does not end by itself"),
    };
    let (summary, stats) = (finished.summary, feed_stats());
    println!(
        "{} trades, {} bars; {} connections, {} trades fetched from history",
        summary.trades, summary.bars, stats.connections, stats.gaps.fetched
    );
    Ok(())
}
