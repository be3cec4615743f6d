//! The `trade_aggregation` crate with its aligned minutes, fed by the csv crate.
//!
//! Its bars are wrong where a minute has no trade: the rule then closes a bar at each of the next trades.

use crate::{Fault, PRICE, SIZE, TICKER, TIME, bare::Mix, text::whole};
use std::collections::HashMap;
use std::fs::File;
use std::hash::BuildHasherDefault;
use std::path::Path;
use trade_aggregation::candle_components::{Close, High, Low, NumTrades, Open, Volume, WeightedPrice};
use trade_aggregation::{
    Aggregator, AlignedTimeRule, Candle, CandleComponent, CandleComponentUpdate, GenericAggregator, M1,
    ModularCandle, TimestampResolution, Trade,
};

#[derive(Debug, Default, Clone, Candle)]
struct Minute {
    open: Open,
    high: High,
    low: Low,
    close: Close,
    volume: Volume,
    trades: NumTrades<u32>,
    vwap: WeightedPrice,
}

type One = GenericAggregator<Minute, AlignedTimeRule, Trade>;

pub fn read(path: &Path) -> Result<(u64, u64), Fault> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 20).from_reader(File::open(path)?);
    let mut record = csv::ByteRecord::new();
    let mut symbols: HashMap<Vec<u8>, One> = HashMap::new();
    let mut bars = Vec::new();
    let mut trades = 0;
    while reader.read_byte_record(&mut record)? {
        let trade = Trade {
            timestamp: whole(&record[TIME]),
            price: std::str::from_utf8(&record[PRICE])?.parse()?,
            size: std::str::from_utf8(&record[SIZE])?.parse()?,
        };
        if !symbols.contains_key(&record[TICKER]) {
            let rule = AlignedTimeRule::new(M1, TimestampResolution::Nanosecond);
            symbols.insert(record[TICKER].to_vec(), One::new(rule, false));
        }
        if let Some(one) = symbols.get_mut(&record[TICKER]) {
            bars.extend(one.update(&trade));
        }
        trades += 1;
    }
    // The crate has no end of input: the open bar of each symbol is never given.
    Ok((trades, (bars.len() + symbols.len()) as u64))
}

/// Aggregation alone; prices in units of 1e-9.
pub fn fold(trades: &[(u64, i64, i64, i64)]) -> Result<(u64, u64), Fault> {
    let mut symbols: HashMap<u64, One, BuildHasherDefault<Mix>> = HashMap::default();
    let mut bars = Vec::new();
    for &(ticker, timestamp, price, size) in trades {
        let rule = || One::new(AlignedTimeRule::new(M1, TimestampResolution::Nanosecond), false);
        let one = symbols.entry(ticker).or_insert_with(rule);
        bars.extend(one.update(&Trade { timestamp, price: price as f64 / 1e9, size: size as f64 }));
    }
    Ok((trades.len() as u64, (bars.len() + symbols.len()) as u64))
}
