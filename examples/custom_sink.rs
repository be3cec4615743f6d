//! A store of the program's own: anything that can take bars is a sink.
//!
//! `cargo run --example custom_sink`

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use barmill::{BarSink, Files, ItemResult, Pipeline, Price, SinkError, WriteItem};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps the last close of every symbol.
#[derive(Debug, Default)]
struct LastClose {
    closes: Mutex<BTreeMap<&'static str, Price>>,
}

impl BarSink for LastClose {
    fn name(&self) -> &'static str {
        "last close"
    }

    fn write<'a>(
        &'a self,
        items: &'a [WriteItem],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>> {
        Box::pin(async move {
            let mut closes = self.closes.lock().unwrap_or_else(PoisonError::into_inner);
            for item in items {
                if let WriteItem::Bar(update) = item
                    && let Some(prices) = update.bar.prices
                {
                    closes.insert(update.bar.symbol.as_str(), prices.close);
                }
            }
            Ok(vec![Ok(()); items.len()])
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/data/sample-trades.csv"
    );
    let sink = Arc::new(LastClose::default());
    let summary = Pipeline::builder()
        .source(Files::open(file))
        .bars("1m")
        .sink(Arc::clone(&sink))
        .run()
        .await?;
    println!("{} trades gave {} bars", summary.trades, summary.bars);
    let closes = sink.closes.lock().unwrap_or_else(PoisonError::into_inner);
    for (symbol, close) in closes.iter() {
        println!("{symbol} closed at {close}");
    }
    Ok(())
}
