//! The pipeline inside another program: the program's own trades in, bars in an embedded store and in the program.
//!
//! `cargo run --example embed`

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use barmill::internals::pipeline::clock::SystemClock;
use barmill::{Pipeline, Symbol, Timestamp, Trade, TradeId};
use barmill_stores::store::{SinkUrl, StoreSettings, View, ViewKind, ViewSettings, connect};
use futures::StreamExt;
use jiff::tz::TimeZone;
use std::error::Error;
use std::sync::Arc;

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
    let url: SinkUrl = format!("embedded:{}", folder.display()).parse()?;
    let view = View::new(
        ViewSettings::new(ViewKind::SymbolDay, TimeZone::UTC)?,
        &["1m".parse()?, "5m".parse()?],
    )?;
    let store = connect(&url, view, &StoreSettings::default(), Arc::new(SystemClock)).await?;
    let running = Pipeline::builder()
        .trades("generator", futures::stream::iter(trades()?))
        .bars("1m,5m")?
        .shared_sink(store.sink)
        .build()?
        .start();

    let handle = running.handle();
    let mut bars = std::pin::pin!(handle.bars());
    let printing = async {
        while let Some(update) = bars.next().await {
            match update {
                Ok(update) => println!(
                    "{} {} {} {:?}",
                    update.bar.start, update.bar.symbol, update.bar.spec, update.bar.prices
                ),
                Err(missed) => println!("missed {missed} updates"),
            }
        }
    };
    let (finished, ()) = futures::future::join(running.join(), printing).await;
    println!(
        "{} trades, {} bars in {url}",
        finished.summary.trades, finished.summary.bars
    );
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
