//! Decoding of a Massive stock file in memory: `cargo bench --bench decode`.
//!
//! About 20 MB of trades sorted by time over many symbols, as a day's tape mixes them. The baseline is the
//! `csv` crate with the least that gives a trade's symbol, time, price and size; ours gives every field of
//! [`barmill::Trade`], exactly.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run has nothing to report"
)]

use barmill::{Price, Size, Timestamp};
use barmill_sources::file::{FileFeedSettings, Format, RecordingWriter, TradeReader};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use std::fmt::Write;
use std::io::Cursor;
use std::sync::LazyLock;

const TRADES: u64 = 220_000;
const SYMBOLS: u64 = 1000;

static STOCKS: LazyLock<Vec<u8>> = LazyLock::new(stock_file);

fn main() {
    divan::main();
}

fn stock_file() -> Vec<u8> {
    let mut text = String::from(
        "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,sip_timestamp,\
         size,tape,trf_id,trf_timestamp\n",
    );
    let mut dice = 7u64;
    let mut below = |bound: u64| {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (dice >> 32) % bound
    };
    for row in 0..TRADES {
        // The product of two draws makes low numbers, and so some symbols, frequent.
        let symbol = below(SYMBOLS) * below(SYMBOLS) / SYMBOLS;
        let letters = [symbol / 676, symbol / 26 % 26, symbol % 26]
            .map(|letter| b'A' + u8::try_from(letter).unwrap());
        let ticker: String = letters.map(char::from).into_iter().collect();
        let conditions = ["", "37", "\"14,41\"", "\"14,37,41\"", "\"12,37\""]
            [usize::try_from(below(5)).unwrap()];
        let time = 1_760_535_000_000_000_000 + row * 100_000 + below(100_000);
        let (made, price, cents, size) = (
            time - below(200_000),
            20 + below(400),
            below(10_000),
            1 + below(600),
        );
        let exchange = 1 + below(20);
        let sequence = 1000 + row * 3;
        writeln!(
            text,
            "{ticker},{conditions},0,{exchange},{row},{made},{price}.{cents:04},{sequence},{time},{size},3,201,{made}"
        )
        .unwrap();
    }
    text.into_bytes()
}

fn settings(format: &str) -> FileFeedSettings {
    let mut settings = FileFeedSettings::new(Vec::new());
    settings.format = Format::choice(format).unwrap();
    settings
}

/// Decodes everything into one reused batch.
fn decode(bytes: &'static [u8], format: &str) -> u64 {
    let mut reader =
        TradeReader::from_reader("bench", Box::new(Cursor::new(bytes)), settings(format));
    let mut batch = Vec::with_capacity(FileFeedSettings::BATCH_LEN_MAX);
    while reader.fill(&mut batch).unwrap() {
        black_box(&batch);
        batch.clear();
    }
    reader.stats().trades
}

#[divan::bench]
fn massive_csv(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(TRADES))
        .counter(BytesCount::new(STOCKS.len()))
        .bench(|| assert_eq!(decode(&STOCKS, "massive-csv"), TRADES));
}

#[divan::bench]
fn csv_crate_bare(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(TRADES))
        .counter(BytesCount::new(STOCKS.len()))
        .bench(|| {
            let mut reader = csv::Reader::from_reader(STOCKS.as_slice());
            let mut record = csv::ByteRecord::new();
            let mut count = 0;
            while reader.read_byte_record(&mut record).unwrap() {
                let time = std::str::from_utf8(&record[8])
                    .unwrap()
                    .parse()
                    .ok()
                    .and_then(Timestamp::from_nanos);
                let price = Price::parse(&record[6]).unwrap();
                let size = Size::parse(&record[9]).unwrap();
                black_box((&record[0], time.unwrap(), price, size));
                count += 1;
            }
            assert_eq!(count, TRADES);
        });
}

#[divan::bench]
fn recording(bencher: Bencher<'_, '_>) {
    static RECORDED: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day.rec");
        let mut writer = RecordingWriter::create(&path).unwrap();
        let reader = TradeReader::from_reader(
            "bench",
            Box::new(Cursor::new(STOCKS.as_slice())),
            settings("auto"),
        );
        reader.for_each(|batch| writer.write(&batch.unwrap()).unwrap());
        writer.finish().unwrap();
        std::fs::read(path).unwrap()
    });
    bencher
        .counter(ItemsCount::new(TRADES))
        .counter(BytesCount::new(RECORDED.len()))
        .bench(|| assert_eq!(decode(&RECORDED, "recording"), TRADES));
}
