use super::Book;
use crate::{Price, Size, Trade};
use barmill_sources::file::{FileFeedSettings, TradeReader};
use jiff::civil::date;
use std::path::Path;

fn trade(nanos: i64) -> Trade {
    let time = crate::Timestamp::from_nanos(nanos).unwrap();
    Trade::new(
        "BOOK".parse().unwrap(),
        time,
        Price::from_raw(1),
        Size::from_raw(1).unwrap(),
    )
}

fn read(path: &Path) -> usize {
    TradeReader::new(FileFeedSettings::new(vec![path.to_owned()]))
        .map(|batch| batch.unwrap().len())
        .sum()
}

#[test]
fn each_day_has_a_recording_and_a_start_goes_on_behind_a_torn_block() {
    let folder = tempfile::tempdir().unwrap();
    let (monday, tuesday) = (date(2026, 11, 23), date(2026, 11, 24));
    let mut book = Book::open(
        folder.path(),
        crate::config::source_name("kraken").unwrap(),
        monday,
    )
    .unwrap();
    book.keep(&[trade(1), trade(2)], monday).unwrap();
    book.keep(&[trade(3)], tuesday).unwrap();
    book.flush(tuesday).unwrap();
    book.keep(&[trade(4)], tuesday).unwrap();
    // As a crash leaves it: what waits is gone, and a part of a block is on the disk.
    drop(book);
    let path = folder.path().join("kraken-2026-11-24.rec");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &whole[16..24]].concat()).unwrap();
    assert_eq!(
        (
            read(&folder.path().join("kraken-2026-11-23.rec")),
            read(&path)
        ),
        (2, 1)
    );
    let mut book = Book::open(
        folder.path(),
        crate::config::source_name("kraken").unwrap(),
        tuesday,
    )
    .unwrap();
    book.keep(&[trade(5)], tuesday).unwrap();
    book.writer.finish().unwrap();
    assert_eq!(read(&path), 2);
}
