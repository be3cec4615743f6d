//! Live bars inside another program: a venue's trades in, each bar as soon as the store has it, the gaps of a lost
//! connection closed on the way.
//!
//! `cargo run --example live` needs no account: the venue is a recording, played on this machine at two hundred times its
//! speed, that breaks the connection every few minutes. For the real one say `Massive::live(["SPY"])`, or
//! `Binance::live(["BTCUSDT"])`, in its place.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use barmill::{BarUpdate, Null, Pipeline, SimulatedSource};
use futures::StreamExt;
use std::time::Duration;

const RECORDING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/sample-trades.csv"
);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let venue = SimulatedSource::of("massive", RECORDING).speed(200);
    // `Redis::at("redis://127.0.0.1:6379")`, or a store of this program's own, goes in the place of `Null`.
    let running = Pipeline::builder()
        .source(venue.fault("disconnect=4m"))
        .bars("1m")
        .lateness(Duration::from_secs(2))
        .sink(Null)
        .start()
        .await?;

    let (handle, mut bars) = (running.handle(), running.bars());
    let mut closed = 0;
    while let Some(update) = bars.next().await {
        match update {
            Ok(BarUpdate { bar, state, .. }) => {
                let state = state.as_str();
                println!("{} {} {state} {:?}", bar.start, bar.symbol, bar.prices);
            }
            Err(missed) => println!("missed {missed} updates"),
        }
        closed += 1;
        if closed == 50 {
            handle.stop();
        }
    }
    let summary = running.join().await.summary;
    println!("{} trades, {} bars", summary.trades, summary.bars);
    Ok(())
}
