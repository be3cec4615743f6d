//! What barmill is measured against: the least code that turns the same input into bars with each library.
//!
//! `peers NAME PATH [REDIS-PORT]` prints one line of JSON: nanoseconds in the process, trades, bars. None of them has
//! barmill's guarantees: nothing is checked beyond what the parser needs, no duplicate is looked for, and a trade out
//! of order makes a second bar.

mod bare;
mod hand;
mod json;
mod resp;
mod tagg;
mod text;

use bare::Bare;
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

/// Columns of the vendor's stock files.
const TICKER: usize = 0;
const PRICE: usize = 6;
const TIME: usize = 8;
const SIZE: usize = 9;
const COLUMNS: usize = 13;

type Fault = Box<dyn Error>;

fn main() -> Result<(), Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (name, path) = match words.as_slice() {
        [name, path, ..] => (name.as_str(), Path::new(path)),
        _ => return Err("usage: peers NAME PATH [REDIS-PORT]".into()),
    };
    if let Some(library) = name.strip_prefix("memory-") {
        return memory(library, path);
    }
    let start = Instant::now();
    let (trades, bars) = match name {
        "csv" => write(csv_crate(path)?, &words)?,
        "simd-csv" => write(simd_csv(path)?, &words)?,
        "hand" => write(hand::read(path)?, &words)?,
        "trade-aggregation" => tagg::read(path)?,
        "serde-json" => json::serde(path)?.counts(),
        "sonic-rs" => json::sonic(path)?.counts(),
        _ => return Err(format!("no peer is called {name}").into()),
    };
    print(start, (trades, bars));
    Ok(())
}

fn print(start: Instant, (trades, bars): (u64, u64)) {
    let ns = start.elapsed().as_nanos();
    println!("{{\"ns\":{ns},\"items\":{trades},\"bars\":{bars}}}");
}

/// Aggregation alone: up to two million trades in memory, the symbol as a number.
fn memory(library: &str, path: &Path) -> Result<(), Fault> {
    let mut reader = csv::Reader::from_reader(File::open(path)?);
    let mut trades = Vec::new();
    for record in reader.byte_records().take(2_000_000) {
        let record = record?;
        let ticker = bare::pack(&record[TICKER]);
        trades.push((ticker, text::whole(&record[TIME]), text::price(&record[PRICE]), text::whole(&record[SIZE])));
    }
    let start = Instant::now();
    let counts = match library {
        "bare" => {
            let mut bare = Bare::default();
            trades.iter().for_each(|&(ticker, time, price, size)| bare.push(ticker, time, price, size));
            bare.counts()
        }
        _ => tagg::fold(&trades)?,
    };
    print(start, counts);
    Ok(())
}

fn write(bare: Bare, words: &[String]) -> Result<(u64, u64), Fault> {
    let counts = bare.counts();
    if let Some(port) = words.get(2) {
        resp::write(port.parse()?, &bare.finish())?;
    }
    Ok(counts)
}

fn csv_crate(path: &Path) -> Result<Bare, Fault> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 20).from_reader(File::open(path)?);
    let (mut record, mut bare) = (csv::ByteRecord::new(), Bare::default());
    while reader.read_byte_record(&mut record)? {
        bare.add(&record[TICKER], &record[TIME], &record[PRICE], &record[SIZE]);
    }
    Ok(bare)
}

fn simd_csv(path: &Path) -> Result<Bare, Fault> {
    let mut reader =
        simd_csv::ZeroCopyReaderBuilder::with_capacity(1 << 20).from_reader(File::open(path)?);
    let mut bare = Bare::default();
    while let Some(record) = reader.read_byte_record()? {
        let field = |index| record.get(index).unwrap_or_default();
        bare.add(field(TICKER), field(TIME), field(PRICE), field(SIZE));
    }
    Ok(bare)
}
