//! The pipeline inside another program: the program's own trades in, bars in an embedded store and in the program.
//!
//! `cargo run --example embed`

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use barmill::{Embedded, Pipeline, Symbol, Timestamp, Trade, TradeId};
use futures::StreamExt;
use std::error::Error;

/// Stands for wherever the program has its trades from: ten minutes, a trade a second.
fn trades() -> Result<Vec<Trade>, Box<dyn Error>> {
    let start: Timestamp = "2025-10-15T13:30:00Z".parse()?;
    let symbol: Symbol = "AAPL".parse()?;
    (0..600)
        .map(|second: u16| {
            let time = start.saturating_add(i64::from(second) * 1_000_000_000);
            let price = format!("255.{:02}", second % 100).parse()?;
            let id = TradeId::from_number(u64::from(second));
            Ok(Trade {
                id,
                sequence: u64::from(second),
                ..Trade::new(symbol, time, price, "100".parse()?)
            })
        })
        .collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("barmill-embed-{}", std::process::id()));
    let running = Pipeline::builder()
        .source(futures::stream::iter(trades()?))
        .bars("1m,5m")
        .sink(Embedded::at(&folder))
        .start()
        .await?;
    let mut bars = running.bars();
    while let Some(update) = bars.next().await {
        match update {
            Ok(update) => println!(
                "{} {} {} {:?}",
                update.bar.start, update.bar.symbol, update.bar.spec, update.bar.prices
            ),
            Err(missed) => println!("missed {missed} updates"),
        }
    }
    let summary = running.join().await.summary;
    println!(
        "{} trades, {} bars in embedded:{}",
        summary.trades,
        summary.bars,
        folder.display()
    );
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
