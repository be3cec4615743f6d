//! How to test a strategy on recorded trades: the file in, bars out, one assertion.
//!
//! `cargo run --example replay_test`; in a project of your own this is a `#[tokio::test]`.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use barmill::{BarUpdate, Files, Pipeline};

/// The strategy under test: how often the close is above the open.
fn rising(bars: &[BarUpdate]) -> usize {
    bars.iter()
        .filter_map(|update| update.bar.prices)
        .filter(|prices| prices.open < prices.close)
        .count()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/data/sample-trades.csv"
    );
    let bars = Pipeline::builder()
        .source(Files::open(file))
        .bars("1m")
        .collect()
        .await?;
    assert_eq!(
        bars.len(),
        59,
        "3 symbols, 20 minutes, one of them without a trade of MSFT"
    );
    println!("{} of {} bars rise", rising(&bars), bars.len());
    Ok(())
}
